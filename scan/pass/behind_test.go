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
)

// TestSourceFailsForAPass: while one source cannot be read and another is, a ban that is over by
// the clock still covers what the first one has to tell.
func TestSourceFailsForAPass(t *testing.T) {
	const begin, again = 1_795_335_241, "198.51.100.7"
	for name, fails := range map[string]func(h *host, log string) (mend func() error){
		"journal": func(h *host, _ string) func() error {
			dir := filepath.Dir(h.journal)
			rename(t, dir, dir+".away")
			return func() error { return os.Rename(dir+".away", dir) }
		},
		"log file": func(_ *host, log string) func() error { // a link that is not followed stands in its place
			away := filepath.Join(t.TempDir(), "away.log")
			rename(t, log, away)
			if err := os.Symlink(away, log); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(log, 54321, 54321); err != nil {
				t.Fatal(err)
			}
			return func() error { return os.Rename(away, log) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			log := filepath.Join(t.TempDir(), "auth.log")
			rules, err := filter.Load("sshd")
			if err != nil {
				t.Fatal(err)
			}
			h.setup.Watches = append(h.setup.Watches, scan.Watch{Jail: "files", Matcher: rules.Compile(filter.Aggressive), Backend: filter.File, Paths: []string{log}, Program: []string{"sshd"}, Zone: time.UTC})
			policy := *h.setup.Rules["sshd"]
			h.setup.Rules["files"] = &policy
			both := func(at int64) {
				attack(h, at, again)
				for i := range int64(3) {
					appendLine(t, log, at+i, again)
				}
			}
			both(begin + 10)
			h.pass(begin + 50)
			both(begin + 1000) // while it is banned
			mend := fails(h, log)
			if name == "journal" {
				appendLine(t, log, begin+1900, "203.0.113.1")
			} else {
				attack(h, begin+1900, "203.0.113.1")
			}
			if p := h.tried(begin + 2000); len(p.Errs) == 0 {
				t.Fatal("nothing failed: the test tests nothing")
			}
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			h.pass(begin + 2060)
			got := slices.DeleteFunc(h.bans(), func(b string) bool { return !strings.Contains(b, again) })
			slices.Sort(got)
			if len(got) != 2 {
				t.Errorf("%q, want one ban by each jail", got)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(fmt.Errorf("lay %s aside: %w", from, err))
	}
}

// TestCalledOff: a pass that is to end before it has read its logs drops nothing as too old.
func TestCalledOff(t *testing.T) {
	h := newHost(t)
	attack(h, begin, "203.0.113.1")
	s := h.setup
	s.Now = time.Unix(begin+10, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, end := context.WithCancel(context.Background())
	end()
	if p.Read(ctx); !p.Judge.Partial {
		t.Error("it takes its log as read to the end")
	}
}
