package state

import (
	"math"
	"math/rand/v2"
	"slices"
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
					at := from
					if at != math.MinInt64 {
						at += T
					}
					j.Recount("sshd", at, T+cut)
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
