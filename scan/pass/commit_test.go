package pass

import (
	"context"
	"slices"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// TestKernelFirst: whenever a file is about to change, the kernel holds already what was
// decided: a pass that dies there, or cannot save, has banned all the same.
func TestKernelFirst(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.setup.Now = time.Unix(begin+430, 0)
	p, err := Begin(h.setup)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Read(context.Background())
	live := p.Ledger.Jail("sshd").Live(begin + 430)
	if len(live) == 0 {
		t.Fatal("nobody is banned: the test tests nothing")
	}
	var steps []string
	p.store.Fault = func(step string) error {
		steps = append(steps, step)
		held := kernel(t)
		for _, b := range live {
			if !held[b.Key.String()] {
				t.Errorf("%s: the kernel does not hold %s", step, b.Key)
			}
		}
		return nil
	}
	p.Commit(context.Background())
	if len(p.Errs) > 0 || !slices.Contains(steps, "append to the history") || !slices.Contains(steps, "write state.json") {
		t.Errorf("%v; steps %q", p.Errs, steps)
	}
}
