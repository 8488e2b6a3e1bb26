package pass

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
)

// TestFull: where a flood bans more than a pass should hold, the pass stops, says so, and
// the following ones decide what is left as one would have.
func TestFull(t *testing.T) {
	const bans, begin = 6000, 1_795_335_241
	address := func(i int) string { return fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255) }
	log := filepath.Join(t.TempDir(), "auth.log")
	for name, lay := range map[string]func(h *host){
		"journal": func(h *host) {
			var log []journaltest.Entry
			for i := range bans {
				log = append(log, journaltest.Entry{Time: (begin + 100 + int64(i)/10) * 1e6,
					Message: "Failed password for root from " + address(i) + " port 1 ssh2",
					Fields:  map[string]string{"_SYSTEMD_UNIT": "ssh.service", "_UID": "0", "_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "sshd"}})
			}
			journaltest.Write(t, h.journal, log)
		},
		"log file": func(h *host) {
			for i := range bans {
				appendLine(t, log, begin+100+int64(i)/10, address(i))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.setup.Rules["sshd"].MaxRetry, h.setup.State.MaxLedger = 1, 2000
			if journaltest.Write(t, h.journal, journaltest.Attack(begin, 1)); name == "log file" {
				onFiles(h, log)
			}
			h.pass(begin + 50) // not the first one, which must see all
			lay(h)
			passes := 0
			for full := true; full; passes++ {
				s := h.setup
				s.Now = time.Unix(begin+1000+int64(passes)*60, 0)
				p, err := Begin(s)
				if err != nil {
					t.Fatal(err)
				}
				p.most = 1000
				p.Read(context.Background())
				p.Commit(context.Background())
				p.Close()
				if full = p.full; full != slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "the next one reads on") }) || len(p.Errs) > 0 {
					t.Errorf("full %v, warnings %q, errors %v", full, p.Warnings, p.Errs)
				}
				if n := len(p.Judge.Decisions); n > 6000 {
					t.Errorf("%d decisions", n)
				}
			}
			if passes < 3 {
				t.Errorf("%d passes", passes)
			}
			got := map[string]int{}
			for _, b := range h.bans() {
				got[strings.Fields(b)[1]]++
			}
			for i := range bans {
				if got[address(i)] != 1 {
					t.Fatalf("%s was banned %d times", address(i), got[address(i)])
				}
			}
			if held := kernel(t); len(held) != 2000 || !held[address(bans-1)] || held[address(0)] {
				t.Errorf("the kernel holds %d bans", len(held))
			}
		})
	}
}

// TestFullOfTwoLogs: where one log was cut and another read to its end, a ban that is over
// by the clock still covers what the first one has to tell.
func TestFullOfTwoLogs(t *testing.T) {
	const begin, again = 1_795_335_241, "198.51.100.7"
	h := newHost(t)
	log := filepath.Join(t.TempDir(), "auth.log")
	rules, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	h.setup.Watches = append(h.setup.Watches, scan.Watch{Jail: "files", Matcher: rules.Compile(filter.Aggressive), Backend: filter.File, Paths: []string{log}, Program: []string{"sshd"}, Zone: time.UTC})
	policy := *h.setup.Rules["sshd"]
	h.setup.Rules["files"] = &policy
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 1))
	appendLine(t, log, begin+10, "203.0.200.1")
	h.pass(begin + 50)

	var entries []journaltest.Entry
	guess := func(at int64, address string) {
		entries = append(entries, journaltest.Entry{Time: at * 1e6, Message: "Failed password for root from " + address + " port 1 ssh2",
			Fields: map[string]string{"_SYSTEMD_UNIT": "ssh.service", "_UID": "0", "_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "sshd"}})
	}
	for i := range int64(3) {
		guess(begin+100+i, again)
	}
	for i := range int64(3000) {
		guess(begin+110+i/20, fmt.Sprintf("203.1.%d.%d", i/3>>8, i/3&255))
	}
	for i := range int64(5) {
		guess(begin+500+i, again)
	}
	journaltest.Write(t, h.journal, entries)
	appendLine(t, log, begin+86400, "203.0.200.2")
	for n, full := int64(0), true; full; n++ {
		s := h.setup
		s.Now = time.Unix(begin+86400+100+n*60, 0)
		p, err := Begin(s)
		if err != nil {
			t.Fatal(err)
		}
		p.most = 100
		p.Read(context.Background())
		p.Commit(context.Background())
		p.Close()
		if full = p.full; n == 0 && !full {
			t.Fatal("it was not cut: the test tests nothing")
		}
	}
	if bans := slices.DeleteFunc(h.bans(), func(b string) bool { return !strings.Contains(b, again) }); len(bans) != 1 {
		t.Errorf("%q, want one ban", bans)
	}
}

// TestFullOfManyLogs: that the pass has called the reading off is no error of its logs, however
// many there are.
func TestFullOfManyLogs(t *testing.T) {
	h := newHost(t)
	const begin = 1_795_335_241
	rules, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for n := range 6 {
		var text strings.Builder
		for i := range 20_000 {
			fmt.Fprintf(&text, "%s host sshd[1]: Failed password for root from 10.%d.%d.%d port 1 ssh2\n", time.Unix(begin+int64(i/100), 0).UTC().Format(time.Stamp), n, i/5>>8, i/5&255)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.log", n)), []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.setup.Watches = []scan.Watch{{Jail: "sshd", Matcher: rules.Compile(filter.Normal), Backend: filter.File, Paths: []string{dir + "/*.log"}, Program: []string{"sshd"}, Zone: time.UTC}}
	s := h.setup
	s.Now = time.Unix(begin+600, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.most = 20
	p.Read(context.Background())
	if !p.full || len(p.Errs) > 0 {
		t.Errorf("full: %v, errors %v", p.full, p.Errs)
	}
}
