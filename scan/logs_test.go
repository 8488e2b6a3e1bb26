package scan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// T is the second at which the tests' files are read.
var T = time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC).Unix()

func sshdWatch(t testing.TB, jail string, paths ...string) Watch {
	rules, err := filter.Load("sshd", "")
	if err != nil {
		t.Fatal(err)
	}
	return Watch{Jail: jail, Matcher: rules.Compile(filter.Normal), Paths: paths, Program: rules.File.Program, Zone: time.UTC}
}

func logs(t testing.TB, o logfile.Options, watches ...Watch) (l *Logs) {
	o.Now = T
	l = OpenLogs(context.Background(), watches, o)
	t.Cleanup(l.Close)
	return l
}

func writeLog(t testing.TB, name string, lines ...string) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindingsInLogFiles(t *testing.T) {
	first := writeLog(t, "auth.log",
		"Nov 22 08:14:01 host sshd[11]: Failed password for root from 203.0.113.1 port 1 ssh2",
		"Nov 22 08:14:03 host sshd-session[12]: message repeated 2 times: [ Failed password for root from 203.0.113.2 port 1 ssh2]",
		"Nov 22 08:14:04 host other[12]: Failed password for root from 203.0.113.66 port 1 ssh2",
		"Failed password for root from 203.0.113.66 port 1 ssh2",
		"Nov 22 08:14:05 host sshd[13]: message repeated 4 times: [ Failed password for root from 203.0.113.66 port 1 ssh2",
		"Nov 22 08:14:06 host sshd[13]: message repeated 99999 times: [ Failed password for root from 203.0.113.3 port 1 ssh2]",
		"Nov 22 08:14:07 host sshd[13]: "+strings.Repeat("x", logfile.MaxLine))
	second := writeLog(t, "secure",
		"2026-11-22T08:14:02Z host sshd[21]: Failed password for root from 203.0.113.4 port 1 ssh2")
	l := logs(t, logfile.Options{}, sshdWatch(t, "one", first, second), sshdWatch(t, "two", first))
	var got []string
	keep := func(f Finding) {
		got = append(got, fmt.Sprintf("%s %s %s x%d %s", f.Jail, time.Unix(f.Time, 0).UTC().Format("05"), f.Verdict.Addr, f.Verdict.Weight, f.Session))
	}
	l.Until(T-959, keep) // 08:14:01
	if want := []string{"one 01 203.0.113.1 x1 file/11", "two 01 203.0.113.1 x1 file/11"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	got = nil
	l.Rest(keep)
	want := []string{
		"one 02 203.0.113.4 x1 file/21",
		"one 03 203.0.113.2 x2 file/12", "two 03 203.0.113.2 x2 file/12",
		"one 06 203.0.113.3 x1000 file/13", "two 06 203.0.113.3 x1000 file/13",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if l.Entries() != 6 || len(l.Unread()) > 0 || len(l.Warnings()) > 0 {
		t.Errorf("%d entries, %v, %q", l.Entries(), l.Unread(), l.Warnings())
	}
	seen := map[string]state.Tally{}
	l.Tallies(func(jail string, second int64, tally state.Tally) {
		if second/86400 != T/86400 {
			t.Errorf("%s: counted on day %d", jail, second/86400)
		}
		seen[jail] = tally
	})
	if one, two := seen["one"], seen["two"]; one.Entries != 6 || one.Understood != 4 || two.Entries != 5 || two.Understood != 3 || one.Refused[reasonLong] != 1 {
		t.Errorf("tallies %+v", seen)
	}
}

// busybox's syslogd reads 255 bytes of a message with priority and time, so a name that is
// long enough ends the line where whoever chose it likes.
func TestCutByBusybox(t *testing.T) {
	const sent, limit = "Nov 22 08:14:01 ", 255
	victim := " from 203.0.113.66 port 22"
	forged := func(pri string) string { // as sshd sends it, but for what follows
		text := pri + sent + "sshd[12]: Invalid user "
		return "sshd[12]: Invalid user " + strings.Repeat("x", limit-len(text)-len(victim)) + victim
	}
	long := "sshd[13]: Invalid user " + strings.Repeat("x", 180)
	path := writeLog(t, "messages",
		// Written by busybox 1.38 as it comes, of an sshd 10.0.
		`Nov 22 08:14:01 bb auth.info sshd-session[10]: Invalid user `+strings.Repeat(`\001`, 44)+`yy from 203.0.113.66 port 22`,
		sent+"host auth.info "+forged("<38>"),
		sent+"host authpriv.info "+forged("<86>"),
		sent+"host kern.info "+forged("<6>"),
		sent+"host local7.debug "+forged("<191>"),
		sent+forged("<38>"), // with -S
		sent+"host auth.info sshd[12]: Accepted password for "+strings.Repeat("x", 180)+" from 203.0.113.66 port 22 ssh2",
		sent+"host auth.info sshd-session.pam[13]: Invalid user x from 203.0.113.1 port 22",
		sent+"host auth.info "+long+" from 203.0.113.2 port 22",
		sent+"host "+long+strings.Repeat("x", 90)+" from 203.0.113.3 port 22", // another daemon's
	)
	l := logs(t, logfile.Options{}, sshdWatch(t, "sshd", path))
	var got []string
	l.Rest(func(f Finding) { got = append(got, f.Verdict.Addr.String()) })
	if want := []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"}; !slices.Equal(got, want) {
		t.Errorf("blamed are %v, want %v", got, want)
	}
	l.Tallies(func(_ string, _ int64, tally state.Tally) {
		if tally.Refused[reasonCut] != 7 {
			t.Errorf("%+v", tally)
		}
	})
}

// In a file that is no syslog daemon's, lines without its prefix are the filter's.
func TestOwnFileOfAService(t *testing.T) {
	path := writeLog(t, "own.log", "2026/11/22 08:14:00 begins", "Failed password for root from 203.0.113.1 port 1 ssh2")
	n := 0
	l := logs(t, logfile.Options{}, sshdWatch(t, "own", path))
	l.Rest(func(f Finding) { n++ })
	if n != 1 || len(l.Warnings()) != 1 || !strings.Contains(l.Warnings()[0], "lines without a time") {
		t.Errorf("%d findings, %q", n, l.Warnings())
	}
}

// BenchmarkLogs reads a million lines of an attacked sshd.
func BenchmarkLogs(b *testing.B) {
	path := filepath.Join(b.TempDir(), "auth.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	const n = 1_000_000
	var text strings.Builder
	for i := range n {
		at := time.Unix(T-n/50+int64(i/50), 0).UTC().Format(time.Stamp)
		addr := fmt.Sprintf("198.18.%d.%d", i/250%250, i%250+1)
		switch i % 4 {
		case 0:
			fmt.Fprintf(&text, "%s host sshd[%d]: Invalid user admin%d from %s port %d\n", at, i%30000, i%100, addr, 1024+i%60000)
		case 1:
			fmt.Fprintf(&text, "%s host sshd[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s\n", at, i%30000, addr)
		case 2:
			fmt.Fprintf(&text, "%s host sshd[%d]: Failed password for invalid user admin%d from %s port %d ssh2\n", at, i%30000, i%100, addr, 1024+i%60000)
		case 3:
			fmt.Fprintf(&text, "%s host sshd[%d]: Disconnected from invalid user admin%d %s port %d [preauth]\n", at, i%30000, i%100, addr, 1024+i%60000)
		}
		if text.Len() > 1<<20 {
			f.WriteString(text.String())
			text.Reset()
		}
	}
	f.WriteString(text.String())
	f.Close()
	w := sshdWatch(b, "sshd", path)
	b.ReportAllocs()
	for b.Loop() {
		failures := 0
		l := OpenLogs(context.Background(), []Watch{w}, logfile.Options{Now: T})
		l.Rest(func(Finding) { failures++ })
		if l.Entries() != n || len(l.Unread()) > 0 {
			b.Fatal(l.Entries(), failures, l.Unread())
		}
		l.Close()
	}
}
