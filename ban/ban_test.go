package ban

import (
	"net/netip"
	"testing"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

const now = 1_700_000_000

func key(text string) state.Key {
	p, err := state.ParsePrefix(text)
	if err != nil {
		panic(err)
	}
	return state.Key(p)
}

// ledger has one jail that enforces, one that observes, and bans by hand.
func ledger() *state.State {
	s := state.New()
	prior := func() (*state.Prior, error) { return state.NewPrior(), nil }
	policy := state.DefaultPolicy()
	policy.MaxRetry, policy.BanTime = 1, state.Duration(time.Hour)
	observed := state.DefaultReach()
	observed.Enforce = false
	j := state.NewJudge(s, map[string]*state.Rules{
		"sshd":    {Policy: policy, Reach: state.DefaultReach()},
		"observe": {Policy: policy, Reach: observed},
	}, state.DefaultOptions(), prior)
	for jail, times := range map[string][]int64{"sshd": {now - 1800, now - 7200}, "observe": {now}} {
		for i, t := range times {
			j.Event(state.Event{Failure: state.Failure{Jail: jail, Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), Time: t, Weight: 1}})
		}
	}
	j.BanByHand(state.ByHand, key("198.51.100.0/24"), now, 0, false)
	return s
}

func TestGroups(t *testing.T) {
	groups := Groups(ledger(), time.Unix(now, 0))
	got := map[string][]nftables.Element{}
	for _, g := range groups {
		got[g.Name] = g.Elements
	}
	if _, there := got["observe"]; there || len(got) != 2 {
		t.Errorf("groups %v: a jail that observes has no share in the kernel", got)
	}
	if e := got["sshd"]; len(e) != 1 || e[0].Key != key("203.0.113.1") || e[0].Left != 30*time.Minute {
		t.Errorf("sshd: %v, want what is in force, and what is left of it", e)
	}
	if e := got[state.ByHand]; len(e) != 1 || e[0].Left != 0 {
		t.Errorf("by hand: %v, want one for ever", e)
	}
}

// TestClockBehindTheLog: before the clock of a host without one is set, a ban does
// not last longer than was decided.
func TestClockBehindTheLog(t *testing.T) {
	n := 0
	for _, g := range Groups(ledger(), time.Unix(now-365*86400, 0)) {
		for _, e := range g.Elements {
			if n++; e.Left > time.Hour {
				t.Errorf("%s: %v left of an hour", e.Key, e.Left)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d bans, want 3", n)
	}
}

func TestLater(t *testing.T) {
	groups := Later([]nftables.Group{{Name: "sshd", Elements: []nftables.Element{
		{Key: key("203.0.113.1"), Left: time.Minute}, {Key: key("203.0.113.2"), Left: time.Second}, {Key: key("203.0.113.3")},
	}}}, 10*time.Second)
	e := groups[0].Elements
	if len(e) != 2 || e[0].Left != 50*time.Second || e[1].Left != 0 {
		t.Errorf("ten seconds later: %v", e)
	}
}
