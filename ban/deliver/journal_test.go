package deliver

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/report"
)

func lines() []report.Line {
	key := state.Key{Prefix: netip.MustParsePrefix("2001:db8:bad::/64")}
	until := int64(1_700_003_600)
	ban := state.Decision{ID: "0123456789abcdef0123", Verb: state.Banned, Enforced: true, Jail: "sshd", Address: "2001:db8:bad::7", Key: &key, Since: 1_700_000_000, Until: &until,
		Failures: 5, N: 2, Rule: "failed-password", Users: []string{"root", "x\nPRIORITY=0\n\x1b[2J", "\xff\u202e"}}
	over := ban
	over.Verb, over.Late = state.Expired, 3
	forever := int64(0)
	byHand := state.Decision{Verb: state.Banned, Enforced: true, Jail: state.ByHand, Key: &key, Until: &forever, N: 1, ByHand: true}
	p := report.FromPass([]state.Decision{ban, over, byHand}, state.New(), 1_700_000_100)
	p.Repaired = 2
	return append(p.Lines(), report.Warnings([]string{"the log has\na gap"})...)
}

// intoJournal is a file that $JOURNAL_STREAM calls the journal.
func intoJournal(t *testing.T) *os.File {
	f, err := os.CreateTemp(t.TempDir(), "stream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
	return f
}

type entry struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

// capture takes journald's place; what comes after the first n entries fails.
func capture(t *testing.T, n int) *[]entry {
	var entries []entry
	real := send
	t.Cleanup(func() { send = real })
	send = func(message string, priority journal.Priority, fields map[string]string) error {
		if len(entries) == n {
			return errors.New("no journald")
		}
		entries = append(entries, entry{message, priority, fields})
		return nil
	}
	return &entries
}

func TestEntries(t *testing.T) {
	w, entries := intoJournal(t), capture(t, 99)
	Tell(w, lines())
	if text, err := os.ReadFile(w.Name()); err != nil || len(text) > 0 {
		t.Errorf("written as well: %q, %v", text, err)
	}
	if len(*entries) != 5 {
		t.Fatalf("%d entries", len(*entries))
	}
	e := (*entries)[0]
	if !strings.HasPrefix(e.message, "sshd: banned 2001:db8:bad::/64 until ") || e.priority != journal.PriNotice {
		t.Errorf("%d: %s", e.priority, e.message)
	}
	for name, want := range map[string]string{
		"MESSAGE_ID": "17f9e861fefb991a7457330ba0963e6f", "SYSLOG_IDENTIFIER": "scan2ban", "SCAN2BAN_ID": "0123456789abcdef0123",
		"SCAN2BAN_JAIL": "sshd", "SCAN2BAN_ADDRESS": "2001:db8:bad::7", "SCAN2BAN_KEY": "2001:db8:bad::/64", "SCAN2BAN_SINCE": "2023-11-14T22:13:20Z",
		"SCAN2BAN_UNTIL": "2023-11-14T23:13:20Z", "SCAN2BAN_FAILURES": "5", "SCAN2BAN_N": "2", "SCAN2BAN_RULE": "failed-password",
		"SCAN2BAN_USERS": `root, x\x0aPRIORITY=0\x0a\x1b[2J, \xff\u202e`,
	} {
		if got := e.fields[name]; got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	if e := (*entries)[1]; e.fields["SCAN2BAN_UNTIL"] != "permanent" || e.fields["SCAN2BAN_RULE"] != "" {
		t.Errorf("by hand: %v", e.fields)
	}
	if e := (*entries)[2]; e.priority != journal.PriNotice || e.fields["MESSAGE_ID"] != MessageIDs[state.Expired] || e.fields["SCAN2BAN_LATE"] != "3" {
		t.Errorf("expiry: %+v", e)
	}
	if e := (*entries)[3]; e.fields["MESSAGE_ID"] != MessageIDs[state.Repaired] || e.fields["SCAN2BAN_JAIL"] != "" {
		t.Errorf("repair: %+v", e)
	}
	if e := (*entries)[4]; e.priority != journal.PriWarning || e.message != `warning: the log has\x0aa gap` {
		t.Errorf("warning: %+v", e)
	}
}

// Where journald takes no entry, and where the output is no journal, it is text.
func TestText(t *testing.T) {
	var out bytes.Buffer
	capture(t, 0)
	Tell(&out, lines())
	text := out.String()
	if n := strings.Count(text, "\n"); n != 5 || strings.Contains(text, "<5>") || !strings.HasSuffix(text, "\nscan2ban: warning: the log has\\x0aa gap\n") {
		t.Errorf("%d lines:\n%s", n, text)
	}
	w, entries := intoJournal(t), capture(t, 1)
	Tell(w, lines())
	got, err := os.ReadFile(w.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(*entries) != 1 || !regexp.MustCompile(`^<5>by-hand: banned .*\n<5>sshd: ban of .*\n<5>the kernel .*\n<4>scan2ban: warning: .*\n$`).Match(got) {
		t.Errorf("after %d entries:\n%s", len(*entries), got)
	}
}
