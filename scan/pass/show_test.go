package pass

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// TestNoneInTheKernel: bans that the kernel has lost are not shown as if they kept somebody out.
func TestNoneInTheKernel(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.pass(begin + 430)
	h.setup.Write = false
	shown := func(what string, warned bool) {
		t.Helper()
		p := h.tried(begin + 431)
		bans, err := p.Bans(context.Background(), nil)
		if err != nil || len(bans) == 0 {
			t.Fatalf("%s: %d bans, %v", what, len(bans), err)
		}
		if got := slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.HasPrefix(w, "none of these bans is in the kernel") }); got != warned {
			t.Errorf("%s: warned %v: %q", what, got, p.Warnings)
		}
	}
	shown("after a pass", false)
	if text, err := exec.Command("nft", "add", "table", "inet", "other").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	shown("beside another table", false)
	if err := nftables.Remove(context.Background()); err != nil {
		t.Fatal(err)
	}
	shown("without our table", true)
	h.setup.Kernel.Backend = nftables.ByHooks
	shown("hooks enforce the bans", false)
	h.setup.Kernel.Backend = nftables.ByKernel
	store, err := state.OpenStore(h.setup.StatePath, false)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Pause(); err != nil {
		t.Fatal(err)
	}
	shown("paused, which is said", false)
	if err := store.Resume(); err != nil {
		t.Fatal(err)
	}
	h.setup.Rules["sshd"].Enforce = false
	h.setup.Write = true
	h.pass(begin + 432)
	h.setup.Write = false
	shown("only observed", false)
}

// TestGuards: what an install says of each jail.
func TestGuards(t *testing.T) {
	rules := func(ledger, enforce bool, last state.Duration) *state.Rules {
		r := &state.Rules{Policy: state.DefaultPolicy(), Reach: reach(), Ledger: ledger}
		r.MaxRetry, r.FindTime, r.BanTime, r.Enforce, r.Subnets.Count = 5, state.Duration(time.Hour), last, enforce, 0
		return r
	}
	p := &Pass{Setup: Setup{Rules: map[string]*state.Rules{
		"a": rules(false, true, state.Duration(24*time.Hour)), "b": rules(true, true, state.Permanent), "c": rules(false, false, state.Duration(24*time.Hour))}}}
	want := []string{"a guards port 22: 5 failures within 1h ban for 1d", "b guards port 22: 5 bans by other jails within 1h ban for ever",
		"c watches, without banning, port 22: 5 failures within 1h ban for 1d"}
	if got := p.Guards(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
