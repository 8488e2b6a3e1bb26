package state

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRecount: a jail that reads once more what was judged bans as if it had read it once,
// whatever was forgiven meanwhile, however far back it reads.
func TestRecount(t *testing.T) {
	const end = 5000
	addresses := []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8::1"}
	bans := 0
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 0))
		var log []Event
		for s := int64(0); s < end; s += 1 + r.Int64N(60) {
			log = append(log, fail(addresses[r.IntN(4)], s))
		}
		cut, from := r.Int64N(end), int64(math.MinInt64)
		if r.IntN(2) == 0 {
			from = r.Int64N(cut + 1)
		}
		forgiven := r.IntN(3) == 0
		judge := func(again bool) []outcome {
			store, state := openStore(t, t.TempDir()), New()
			var all []Decision
			judging := func(until int64, judge func(j *Judge)) {
				b := newBench(func(r *Rules) { r.BanTime = Duration(8 * time.Minute) })
				b.rules.Escalation.Factor = 2
				j := NewJudge(state, map[string]*Rules{"sshd": b.rules}, DefaultOptions(), store.Prior(state.History))
				j.Settled = store.Settled(state.History)
				judge(j)
				state.Sources.Journal = &JournalPosition{Time: (T + until) * 1e6}
				j.Finish(T+until, nil)
				if err := store.Commit(state, j.Decisions, T+until); err != nil || j.Err != nil {
					t.Fatal(err, j.Err)
				}
				all = append(all, j.Decisions...)
			}
			feed := func(j *Judge, after, until int64) {
				for _, e := range log {
					if e.Time-T > after && e.Time-T <= until {
						j.Event(e)
					}
				}
			}
			judging(cut, func(j *Judge) { feed(j, -1, cut) })
			if forgiven {
				judging(cut, func(j *Judge) {
					if _, err := j.UnbanByHand([]string{"sshd"}, Key(must(addresses[0])), T+cut); err != nil {
						t.Fatal(err)
					}
				})
				for key := range state.Jail("sshd").Pardons { // so long ago that the state needs them no more
					delete(state.Jail("sshd").Pardons, key)
				}
			}
			after := cut
			if again {
				after = from
			}
			judging(end, func(j *Judge) {
				if again {
					at := int64(0) // it was never read
					if from != math.MinInt64 {
						at = T + from
					}
					j.Recount("sshd", at, T+cut, false)
				}
				feed(j, after, end)
			})
			return outcomes(all)
		}
		want := judge(false)
		bans += len(want)
		if got := judge(true); !slices.Equal(got, want) {
			t.Errorf("seed %d, read again after %d at %d, forgiven %v:\n%v\nwant\n%v", seed, from, cut, forgiven, got, want)
		}
	}
	if bans < 400 {
		t.Errorf("%d bans", bans)
	}
}

// TestRecountBrokenOff: wherever a jail stops to read once more what was judged, each
// failure counts once.
func TestRecountBrokenOff(t *testing.T) {
	type seconds = []int64
	const from, to = 100, 200
	for name, c := range map[string]struct {
		before seconds // of failures that were read in another source
		from   int64
		again  seconds // that come by in the new one
		all    bool    // and that is all there is
		after  seconds // that come by later, in whichever
		want   string  // of the three failures that ban
	}{
		"read to the end":                       {seconds{10, 20}, 0, seconds{10, 20}, true, seconds{210}, "ban 203.0.113.1 210 3810 n=1"},
		"nothing was read":                      {seconds{10, 20}, 0, nil, false, seconds{210}, "ban 203.0.113.1 210 3810 n=1"},
		"it is empty":                           {seconds{10, 20}, 0, nil, true, seconds{210}, "ban 203.0.113.1 210 3810 n=1"},
		"one was read":                          {seconds{10, 20}, 0, seconds{10}, false, seconds{210}, "ban 203.0.113.1 210 3810 n=1"},
		"one was read, and the rest later":      {seconds{10, 20}, 0, seconds{10}, false, seconds{20}, ""},
		"read so far, and then what follows":    {seconds{10}, 0, seconds{10, 10}, false, seconds{10}, "ban 203.0.113.1 10 3610 n=1"},
		"it lacks one, and more follows":        {seconds{10, 20}, 0, seconds{10}, true, seconds{205, 206}, "ban 203.0.113.1 206 3806 n=1"},
		"what it lacks is forgotten":            {seconds{10, 20}, 0, seconds{10}, true, seconds{205}, ""},
		"it begins later":                       {seconds{10, 20}, 0, seconds{20}, true, seconds{210}, "ban 203.0.113.1 210 3810 n=1"},
		"it lacks the last":                     {seconds{10, 20}, 0, seconds{10}, true, seconds{20}, ""},
		"the clocks differ":                     {seconds{10, 20}, 0, seconds{9, 21}, true, seconds{}, ""},
		"the clocks differ, and it lacks some":  {seconds{10, 20}, 0, seconds{11}, true, seconds{21}, ""},
		"what was read of it stays":             {seconds{99, 100}, from, seconds{101}, true, nil, "ban 203.0.113.1 101 3701 n=1"},
		"a line of before comes late":           {seconds{90, 95}, from, seconds{95}, true, nil, ""},
		"a line of its last second comes later": {seconds{99, 100}, from, seconds{100}, true, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(nil)
			settled := func() (*Settled, error) { return &Settled{}, nil }
			feed := func(seconds seconds) {
				for _, s := range seconds {
					b.Event(fail("203.0.113.1", s))
				}
			}
			b.Settled = settled
			feed(c.before)
			begin := c.from
			if begin > 0 {
				begin += T
			}
			b.Recount("sshd", begin, T+to, false)
			feed(c.again)
			b.Reread(b.state.Jail("sshd"), c.all)
			told := b.told()
			b.Judge = NewJudge(reloaded(t, b.state), map[string]*Rules{"sshd": b.rules}, DefaultOptions(), func() (*Prior, error) { return NewPrior(), nil })
			b.Settled = settled
			feed(c.after)
			if got := strings.Join(append(told, b.told()...), "; "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// reloaded is the state as the next pass finds it.
func reloaded(t *testing.T, s *State) *State {
	t.Helper()
	var text bytes.Buffer
	err := s.encode(&text)
	if err == nil {
		s, err = Decode(text.Bytes())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRecountSessions: an attempt whose lines stand on both sides of where a source was left
// counts once.
func TestRecountSessions(t *testing.T) {
	b := newBench(nil)
	b.Settled = func() (*Settled, error) { return &Settled{}, nil }
	line := func(session string, second int64, once bool) {
		e := fail("203.0.113.1", second)
		e.Session, e.Once = session, once
		if !once {
			e.Stage = 1
		}
		b.Event(e)
	}
	want := func(when string, n int) {
		t.Helper()
		jail := b.state.Jail("sshd")
		b.Reread(jail, true)
		if got, _ := jail.Waiting(Key(must("203.0.113.1")), T+60, 600); got != n {
			t.Errorf("%s: %d failures, want %d", when, got, n)
		}
	}
	line("boot/1", 49, false)
	want("journal", 1)
	b.Recount("sshd", 0, T+50, false)
	line("file/1", 49, false)
	line("file/1", 51, true)
	want("log file", 1)
	b.Recount("sshd", T+50, T+52, false)
	line("boot/1", 51, true)
	want("journal again", 1)
	b.Recount("sshd", 0, T+52, true)
	line("file/1", 49, false)
	line("file/1", 51, true)
	line("file/2", 52, true)
	want("another log file", 2)
	b.Recount("sshd", 0, T+52, true)
	line("file/2", 52, true)
	want("another one, which begins later", 2)
}

// TestRecountSplitSecond: a second of which one judging reads a part, and the next one the
// rest, counts once for each key.
func TestRecountSplitSecond(t *testing.T) {
	b := newBench(nil)
	b.Settled = func() (*Settled, error) { return &Settled{}, nil }
	addresses := []string{"203.0.113.1", "203.0.113.2"}
	for _, a := range addresses {
		b.Event(fail(a, 50))
	}
	b.Recount("sshd", 0, T+100, false)
	jail := b.state.Jail("sshd")
	for i, a := range addresses {
		b.Event(fail(a, 50))
		b.Reread(jail, i > 0)
	}
	for _, a := range addresses {
		if n, _ := jail.Waiting(Key(must(a)), T+60, 600); n != 1 {
			t.Errorf("%s: %d failures, want 1", a, n)
		}
	}
}

// TestRecountEchoes: what is known of an address is forgotten for a source that was never read,
// and else goes on where that was left.
func TestRecountEchoes(t *testing.T) {
	for name, c := range map[string]struct {
		echoFirst bool
		from      int64
		second    int64 // of the other line of the attempt
	}{
		"the source holds the echo alone": {false, 0, 49},
		"the source was left at the echo": {true, T + 50, 51},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(nil)
			b.Settled = func() (*Settled, error) { return &Settled{}, nil }
			line := func(second int64, echo bool) {
				e := fail("203.0.113.1", second)
				e.Echo, e.Echoed = echo, !echo
				b.Event(e)
			}
			line(49, c.echoFirst)
			b.Recount("sshd", c.from, T+52, false)
			line(c.second, !c.echoFirst)
			jail := b.state.Jail("sshd")
			b.Reread(jail, true)
			if n, _ := jail.Waiting(Key(must("203.0.113.1")), T+60, 600); n != 1 {
				t.Errorf("%d failures, want 1", n)
			}
		})
	}
}

// TestRecountUnheard: what is forgotten of an address has no place among the sessions.
func TestRecountUnheard(t *testing.T) {
	s := New()
	sessions := s.Jail("sshd").sessions.get()
	heard := fail("203.0.113.1", 1)
	heard.Echoed = true
	for range 3 {
		sessions.Heard(&heard)
		sessions.unheard()
	}
	sessions.Heard(&heard)
	var text bytes.Buffer
	if err := s.encode(&text); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), `"@203.0.113.1"`); n != 1 {
		t.Errorf("the address is %d times in the state", n)
	}
}

// TestRecountForgiven: a log-in that forgives stands between what comes by before it and
// what another source held after it.
func TestRecountForgiven(t *testing.T) {
	b := newBench(func(r *Rules) { r.Forgive = true })
	b.Settled = func() (*Settled, error) { return &Settled{}, nil }
	login := fail("203.0.113.1", 15)
	login.Kind = KindSuccess
	log := []Event{fail("203.0.113.1", 10), fail("203.0.113.1", 11), login, fail("203.0.113.1", 20)}
	for range 2 {
		for _, e := range log {
			b.Event(e)
		}
		b.Recount("sshd", 0, T+50, false)
	}
	if got := b.told(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestRecountUnbanned: what an unban has forgiven, as only the history knows any more, counts
// not even once.
func TestRecountUnbanned(t *testing.T) {
	b := newBench(nil)
	b.Settled = func() (*Settled, error) {
		return &Settled{pardons: map[priorKey]int64{{"sshd", Key(must("203.0.113.1"))}: T + 5}}, nil
	}
	b.Recount("sshd", 0, T+50, false)
	for _, second := range []int64{4, 10, 11} {
		b.Event(fail("203.0.113.1", second))
	}
	if got := b.told(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
