package pass

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
)

// TestEnough: what one jail's log holds does not keep a pass from the others' for long: the
// rest of it waits, the others are judged in full, and the passes after it decide what one
// would have.
func TestEnough(t *testing.T) {
	const begin, guesser = 1_795_335_241, "203.0.200.9"
	defer func(most int64, freely time.Duration) { mostNew, newFreely = most, freely }(mostNew, newFreely)
	mostNew, newFreely = 16<<10, 0
	h := newHost(t)
	dir := t.TempDir()
	rules, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	log := func(name string) string { return filepath.Join(dir, name+".log") }
	for _, name := range []string{"flood", "files"} {
		h.setup.Watches = append(h.setup.Watches, scan.Watch{Jail: name, Matcher: rules.Compile(filter.Aggressive), Backend: filter.File, Paths: []string{log(name)}, Program: []string{"sshd"}, Zone: time.UTC})
		policy := *h.setup.Rules["sshd"]
		h.setup.Rules[name] = &policy
		appendLine(t, log(name), begin+10, "203.0.200.1")
	}
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 1))
	h.pass(begin + 50)

	const lines = 1000
	for i := range int64(lines) {
		appendLine(t, log("flood"), begin+60+i/40, fmt.Sprintf("203.1.%d.%d", i/3>>8, i/3&255))
	}
	for i := range int64(5) {
		appendLine(t, log("files"), begin+100+i, guesser)
	}
	var p *Pass
	failures := func() int64 { return p.Ledger.Jails["flood"].Seen.Total.Failures }
	p = h.tried(begin + 120)
	if p.Ledger.Jails["files"].Seen.Total.Failures != 6 || !kernel(t)[guesser] {
		t.Errorf("the other jail was not judged in full")
	}
	if n := failures(); n < 100 || n > 300 {
		t.Errorf("%d failures of the flood are counted in one pass", n)
	}
	if len(p.Errs) != 1 || !strings.Contains(p.Errs[0].Error(), "the rest waits for the next passes") {
		t.Errorf("errors %v", p.Errs)
	}
	for i := int64(1); len(p.Errs) > 0 && i < 20; i++ {
		p = h.tried(begin + 120 + 60*i)
	}
	if n := failures(); n != lines+1 {
		t.Errorf("%d failures of the flood are counted, not %d", n, lines+1)
	}
}
