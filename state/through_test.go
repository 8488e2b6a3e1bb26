package state

import (
	"net/netip"
	"testing"
)

// saved is the state as the next pass finds it.
func saved(t *testing.T, s *State) *State {
	t.Helper()
	again, err := Decode(s.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// TestThrough bans an address at second 2 and lets the kernel hold that from
// second 30 on; the failures after it are judged in a second pass.
func TestThrough(t *testing.T) {
	later := func(second int64, change func(*Event)) Event {
		e := fail("203.0.113.1", second)
		if change != nil {
			change(&e)
		}
		return e
	}
	tests := []struct {
		name   string
		then   Event
		reach  func(*Rules) // of the second pass
		held   int64        // seconds after T
		mended bool         // the kernel turns out not to have held them
		now    int64        // when it is asked for, seconds after T
		want   int
	}{
		{name: "long after", then: later(91, nil), now: 100, want: 1},
		{name: "within a minute of the kernel's having it", then: later(90, nil), now: 100},
		{name: "a line that needs no packet", then: later(400, func(e *Event) { e.Lingers = true }), now: 400},
		{name: "another address", then: later(400, func(e *Event) { e.Addr = addr("203.0.113.2") }), now: 400},
		{name: "after its end", then: later(3602, nil), now: 3602},
		{name: "each weighs", then: later(400, func(e *Event) { e.Weight = 3 }), now: 400, want: 3},
		{name: "a day later it is told no more", then: later(400, nil), now: 400 + 24*3600},
		{name: "just before it is", then: later(400, nil), now: 399 + 24*3600, want: 1},
		{name: "the ports were mended since", then: later(400, nil), reach: func(r *Rules) { r.Ports = Ports{{2222, 2222}} }, now: 400},
		{name: "the jail observes now", then: later(400, nil), reach: func(r *Rules) { r.Enforce = false }, now: 400},
		{name: "the kernel was flushed and filled again", then: later(400, nil), mended: true, now: 400},
		{name: "it was filled again not long before", then: later(400, nil), held: 350, now: 400},
		{name: "it was filled again long before", then: later(400, nil), held: 330, now: 400, want: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(nil)
			for s := range int64(3) {
				b.Event(fail("203.0.113.1", s))
			}
			b.Finish(T+29, nil)
			b.state.Enforced(T+30, false, nil)
			s, rules := saved(t, b.state), *b.rules
			if test.reach != nil {
				test.reach(&rules)
			}
			j := NewJudge(s, map[string]*Rules{"sshd": &rules}, DefaultOptions(), func() (*Prior, error) { return NewPrior(), nil })
			j.Held = test.held
			if j.Held != 0 {
				j.Held += T
			}
			j.Event(test.then)
			s.Enforced(test.then.Time+1, test.mended, nil)
			got, through := 0, saved(t, s).Jail("sshd").Ineffective(T+test.now)
			if through != nil {
				got = through.Failures
			}
			if got != test.want {
				t.Errorf("%d failures came through, want %d: %+v", got, test.want, through)
			}
		})
	}
}

// A ban that closes every port is to keep the client from every service.
func TestThroughABanOfEveryPort(t *testing.T) {
	for _, banned := range []string{"203.0.113.1", "203.0.113.0/24"} {
		b := newBench(nil)
		key, err := ParsePrefix(banned)
		if err != nil {
			t.Fatal(err)
		}
		b.BanByHand(ByHand, Key(key), T, 0, false)
		b.state.Enforced(T+1, false, nil)
		j := NewJudge(saved(t, b.state), map[string]*Rules{"sshd": b.rules}, DefaultOptions(), func() (*Prior, error) { return NewPrior(), nil })
		j.Event(fail("203.0.113.1", 500))
		j.Event(fail("198.51.100.1", 500))
		through := j.state.Jail(ByHand).Ineffective(T + 600)
		if through == nil || through.Failures != 1 || through.Jail != "sshd" || through.Address != "203.0.113.1" || through.Key.String() != banned {
			t.Errorf("%s: %+v", banned, through)
		}
		if j.state.Jail("sshd").Ineffective(T+600) != nil {
			t.Errorf("%s: the jail's own bans are blamed", banned)
		}
		if _, err := j.UnbanByHand([]string{ByHand}, Key(key), T+700); err != nil {
			t.Fatal(err)
		}
		if through := j.state.Jail(ByHand).Ineffective(T + 700); through != nil {
			t.Errorf("%s: still told after it was taken back: %+v", banned, through)
		}
	}
}

// What the kernel is known to hold makes no save due, and comes with the next one.
func TestEnforcedIsNoReasonToSave(t *testing.T) {
	b := newBench(nil)
	for s := range int64(3) {
		b.Event(fail("203.0.113.1", s))
	}
	b.Finish(T+2, nil)
	s := saved(t, b.state)
	s.Saved = T + 2
	s.Enforced(T+30, true, func(jail string) bool { return jail == "other" })
	if s.Changed() || s.Due(T+30, false, DefaultOptions()) {
		t.Error("a save is due")
	}
	key := Key{netip.MustParsePrefix("203.0.113.1/32")}
	if got := saved(t, s).Jail("sshd").Bans()[key].Enforced; got != T+30 {
		t.Errorf("enforced since %d", got)
	}
	s = saved(t, b.state)
	s.Enforced(T+30, false, func(jail string) bool { return jail == "sshd" })
	if got := s.Jail("sshd").Bans()[key].Enforced; got != 0 {
		t.Errorf("left out, and enforced since %d", got)
	}
}
