package filter

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

const selector = `(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\.(?:emerg|alert|crit|err|warn|notice|info|debug)`

// prefixExpression says in one line what CutSyslog reads.
var prefixExpression = regexp.MustCompile(
	`^(?:(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} (?:[ \d]\d|\d)(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)` +
		`(?: \S*[^\s:] (?:` + selector + ` )?([^\s:\[]+)(?:\[(\d+)\])?: ?| ([^\s:\[]+)(?:\[(\d+)\])?:(?: |$))` +
		`|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} ` + selector + ` ([^\s:\[]+)(?:\[(\d+)\])?: ?)(?:\[ID \d+ [a-z0-9.]*\] )?`)

func FuzzSyslog(f *testing.F) {
	for _, line := range []string{
		"Nov 22 08:14:01 host sshd[12]: Failed password", "<38>Nov  2 08:14:01.5 host sshd: x", "Nov 22 2026 08:14:01 h a[1]:x",
		"2026-11-22T08:14:01.123456+01:00 host sshd[12]: y", "2026-11-22 08:14:01,5 host a:b", "2026-11-22T08:14:01Z h a: ",
		"<1234>Nov 22 08:14:01 h a: x", "Nov 22 08:14:01  a: x", "Nov 22 08:14:01 h a[]: x", "Nov 22 08:14:01 h a[1: x", "Nov 22 08:14:01 h :x",
		"Nov 22 08:14:01. h a: x", "2026-11-22T08:14:01-0100 h a b: x", "Nov 22 08:14:01 h\ta: x", "", "<", "<>", "2026-11-22T08:14:01+01: h a: x",
		"Nov 22 08:14:01 h auth.info sshd[12]: x", "Nov 22 08:14:01 h authpriv.err a: x", "Nov 22 08:14:01 h auth.info: x", "Nov 22 08:14:01 h auth.information a: x",
		"Nov 22 08:14:01 h auth.info : x", "Nov 22 08:14:01 h local8.info a: x",
		"Nov 2 08:14:01 h a: x", "Nov 22 08:14:01 a[1]: x", "Nov 22 08:14:01 h: a: x", "Nov 22 08:14:01 h a[1]: [ID 800047 auth.info] x", "Nov 22 08:14:01 h a: [ID x",
		"<38>1 2026-11-22T08:14:01Z h a - - - x",
		"Sun Nov 22 08:14:01 2026 authpriv.warn dropbear[2047]: x", "Sun Nov  2 08:14:01 2026 daemon.err a: x", "Sun Nov 22 08:14:01 2026 [pid 2] a: x",
		"Sun Nov 22 08:14:01 2026 authpriv.warn : x", "Sun Nov 22 08:14:01 2026 h authpriv.warn a: x",
	} {
		f.Add([]byte(line))
	}
	full := regexp.MustCompile(`^<\d{1,3}>1 `)
	f.Fuzz(func(t *testing.T, line []byte) {
		prefix, message, ok := CutSyslog(line)
		if full.Match(line) { // of RFC 5424, see TestFullSyslog
			return
		}
		at := prefixExpression.FindSubmatchIndex(line)
		if ok != (at != nil) {
			t.Fatalf("%q: ok = %v, the expression says %v", line, ok, at)
		}
		if !ok {
			if !bytes.Equal(message, line) || prefix.Program != nil || prefix.PID != nil {
				t.Fatalf("%q: without a prefix: %+v %q", line, prefix, message)
			}
			return
		}
		for at[2] < 0 { // without a host
			at = append(at[:2:2], at[6:]...)
		}
		pid := []byte(nil)
		if at[4] >= 0 {
			pid = line[at[4]:at[5]]
		}
		if !bytes.Equal(prefix.Program, line[at[2]:at[3]]) || !bytes.Equal(prefix.PID, pid) || !bytes.Equal(message, line[at[1]:]) {
			t.Fatalf("%q: %+v %q", line, prefix, message)
		}
	})
}

func TestFullSyslog(t *testing.T) {
	for line, want := range map[string]string{
		"<38>1 2026-11-22T08:14:01.5+01:00 host sshd 57915 - - Failed x":                     "sshd 57915 Failed x",
		"<38>1 2026-11-22T08:14:01Z host sshd - ID7 [a@1 b=\"x\\\"]\"][c d=\"[]\"] Failed x": "sshd  Failed x",
		"<38>1 2026-11-22T08:14:01Z - sshd 1 - - \ufeffFailed x":                             "sshd 1 Failed x",
		"<38>1 2026-11-22T08:14:01Z host sshd 1 - [a b=\"x] Failed x":                        "",
		"<38>1 2026-11-22T08:14:01Z host sshd":                                               "",
		"<38>1 yesterday host sshd 1 - - x":                                                  "",
		"<38>1 2026-11-22T08:14:01Zhost sshd 1 - - x":                                        "",
	} {
		prefix, message, ok := CutSyslog([]byte(line))
		got := string(prefix.Program) + " " + string(prefix.PID) + " " + string(message)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %v, %q, want %q", line, ok, got, want)
		}
	}
}

// TestUsualTime: the short way says what the layout does, for every byte of a time.
func TestUsualTime(t *testing.T) {
	for _, time := range []string{"Nov 22 08:14:01", "Feb  2 23:59:60"} {
		for i := range len(time) {
			for c := range 256 {
				line := []byte(time)
				line[i] = byte(c)
				if got, want := usualTime(line), fits(line, "Aaa _0 00:00:00"); got != want {
					t.Errorf("%q: %t", line, got)
				}
			}
		}
	}
}

// TestCut: a line without a host may lack its end when tag and message have the length at
// which busybox cuts.
func TestCut(t *testing.T) {
	const tag = "sshd[12]: "
	for before, may := range map[string]bool{"Nov 22 08:14:01 ": true, "Nov 22 08:14:01 host ": false, "Nov 22 08:14:01 host auth.info ": true} {
		for _, length := range []int{busyboxLeaves - 1, busyboxLeaves} {
			prefix, _, ok := CutSyslog([]byte(before + tag + strings.Repeat("x", length-len(tag))))
			if want := may && length == busyboxLeaves; !ok || prefix.Cut != want {
				t.Errorf("%d bytes after %q: %t, %t, want %t", length, before, ok, prefix.Cut, want)
			}
		}
	}
}
