package pass

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// TestCalm: a pass that decides nothing over an untouched kernel does not look at the bans;
// whatever else happened, it does, and the kernel holds them.
func TestCalm(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	now := int64(begin + 500)
	pass := func(what string, calm bool) *Pass {
		t.Helper()
		now++
		p := h.pass(now)
		if got := slices.Contains(p.Trace, "kernel: nothing to do: untouched, and nothing was decided"); got != calm {
			t.Errorf("%s: calm %v, %q", what, got, p.Trace)
		}
		held := kernel(t)
		for _, b := range p.Ledger.Jail("sshd").Live(now) {
			if !held[b.Key.String()] {
				t.Errorf("%s: the kernel does not hold %s", what, b.Key)
			}
		}
		if len(held) == 0 {
			t.Fatalf("%s: no ban: the test tests nothing", what)
		}
		return p
	}
	pass("the first", false)
	pass("idle", true)
	pass("idle again", true)
	journaltest.Write(t, h.journal, journaltest.Attack(begin+500, 1)[:1])
	pass("a failure that bans nobody", true)
	if err := nftables.Remove(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p := pass("the table was deleted", false); p.Repaired == 0 {
		t.Error("nothing was mended")
	}
	pass("mended", true)
	h.setup.Rules["sshd"].Ports = state.Ports{{From: 2222, To: 2222}}
	pass("another port", false)
	pass("idle with that", true)
	h.setup.Kernel.MaxBans = 1
	p := h.pass(now + 1)
	if slices.Contains(p.Trace, "kernel: nothing to do: untouched, and nothing was decided") || len(kernel(t)) != 1 || len(p.Warnings) != 1 {
		t.Errorf("fewer in the kernel: %q, %d held, warnings %q", p.Trace, len(kernel(t)), p.Warnings)
	}
	if again := h.pass(now + 2); !slices.Equal(again.Warnings, p.Warnings) || len(kernel(t)) != 1 {
		t.Errorf("a calm pass warns %q, the one before %q", again.Warnings, p.Warnings)
	}
	h.setup.Kernel.MaxBans = 100
	now += 2
	pass("as before", false)
	h.setup.Watches, h.setup.Rules = nil, map[string]*state.Rules{} // the jail is removed
	if h.pass(now + 1); len(kernel(t)) != 0 {
		t.Error("bans of a jail that is gone")
	}
}

// TestCalmSeesLists: a list that was taken out of the configuration leaves the kernel.
func TestCalmSeesLists(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	file := filepath.Join(t.TempDir(), "drop.txt")
	if err := os.WriteFile(file, []byte("198.41.0.0/24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := list.Default("drop")
	o.File = file
	h.setup.Lists, h.setup.Spared = []*list.Options{&o}, state.NewIgnored()
	listed := func() bool {
		text, _ := exec.Command("nft", "list", "table", "inet", "scan2ban").Output()
		return strings.Contains(string(text), "198.41.0.0/24")
	}
	if h.pass(begin + 500); !listed() {
		t.Fatal("the list is not in the kernel: the test tests nothing")
	}
	h.setup.Lists = nil
	if h.pass(begin + 501); listed() {
		t.Error("the list stays")
	}
}

// TestCalmSeesHooks: what was decided while hooks enforced the bans reaches the kernel
// when it is to, and our table is taken out of it, once, when hooks begin to.
func TestCalmSeesHooks(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 20))
	if h.pass(begin + 500); len(kernel(t)) == 0 {
		t.Fatal("no ban in the kernel: the test tests nothing")
	}
	h.setup.Kernel.Backend = nftables.ByHooks
	journaltest.Write(t, h.journal, journaltest.Attack(begin+500, 60))
	if p := h.pass(begin + 1000); len(kernel(t)) != 0 || len(p.Warnings) != 0 {
		t.Errorf("hooks enforce the bans, and %d are in the kernel; warnings %q", len(kernel(t)), p.Warnings)
	}
	removed := removals(t, nil)
	if h.pass(begin + 1001); *removed != 0 {
		t.Error("an idle pass removes a table that was removed")
	}
	h.setup.Kernel.Backend = nftables.ByKernel
	p := h.pass(begin + 1002)
	if live, held := len(p.Ledger.Jail("sshd").Live(begin+1002)), len(kernel(t)); live == 0 || live != held || p.Repaired != 0 {
		t.Errorf("%d bans, %d in the kernel, %d mended", live, held, p.Repaired)
	}
	h.setup.Kernel.Backend = nftables.ByHooks
	if h.pass(begin + 1003); *removed != 1 {
		t.Errorf("and again: removed %d times", *removed)
	}
}

// removals counts how often a table is to be removed, which fails with err.
func removals(t *testing.T, err error) *int {
	was, n := removeTable, 0
	t.Cleanup(func() { removeTable = was })
	removeTable = func(context.Context) error { n++; return err }
	return &n
}

// TestLeaveWithoutRights: who may not look whether the kernel holds bans of ours is told of
// it once, where it did, until a pass may take them out; elsewhere not at all.
func TestLeaveWithoutRights(t *testing.T) {
	for _, used := range []bool{true, false} {
		h := newHost(t)
		journaltest.Write(t, h.journal, journaltest.Attack(begin, 1)[:1])
		if used {
			h.pass(begin + 500)
		}
		h.setup.Kernel.Backend = nftables.ByHooks
		tried := removals(t, fs.ErrPermission)
		var told []string
		for i := range 3 {
			told = append(told, h.pass(begin+501+int64(i)).Warnings...)
		}
		if n := len(told); !used && *tried != 1 || n > 1 || used != (n == 1 && strings.Contains(told[0], "nft delete table inet scan2ban")) {
			t.Errorf("with bans there: %v, tried %d times, told %q", used, *tried, told)
		}
		took := removals(t, nil) // as root
		for i := range 2 {
			if p := h.pass(begin + 504 + int64(i)); len(p.Warnings) > 0 || used != (*took == 1) {
				t.Errorf("with bans there: %v, then with rights: taken out %d times, told %q", used, *took, p.Warnings)
			}
		}
	}
}

// TestCalmSeesABackup: a state that was put back is older than what the kernel was brought to.
func TestCalmSeesABackup(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.pass(begin + 500)
	h.pass(begin + 501)
	backup, err := os.ReadFile(h.setup.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	s := h.setup
	s.Now = time.Unix(begin+502, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	p.Read(context.Background())
	for key := range kernel(t) {
		keys, err := Keys([]string{key})
		if err == nil {
			err = p.Unban(ByHand{Keys: keys})
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	p.Commit(context.Background())
	p.Close()
	if err := os.WriteFile(h.setup.StatePath, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	p = h.pass(begin + 503)
	if live, held := len(p.Ledger.Jail("sshd").Live(begin+503)), len(kernel(t)); live == 0 || live != held {
		t.Errorf("%d bans, %d in the kernel", live, held)
	}
}
