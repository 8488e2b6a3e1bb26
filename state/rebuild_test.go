package state

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestRebuild loses the state after a log was judged, and judges what is left of
// the log again: the bans in force, their numbers and the history must come out
// the same, however much of the log is gone.
func TestRebuild(t *testing.T) {
	var log []Event
	for s := int64(0); s < 6000; s += 7 {
		log = append(log, fail([]string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8::1"}[s*s%13%4], s))
	}
	now := int64(T + 6000)
	judge := func(store *Store, state *State, recorded *Recorded, rebuild bool, from int64) *Judge {
		b := newBench(nil)
		b.rules.Escalation.Factor = 1.5
		j := NewJudge(state, map[string]*Rules{"sshd": b.rules}, DefaultOptions(), store.Prior(state.History))
		if rebuild {
			j.Replay(recorded)
		}
		for _, e := range log {
			if e.Time >= from {
				j.Event(e)
			}
		}
		state.Sources.Journal = &JournalPosition{Time: now * 1e6}
		return j
	}
	live := func(s *State) map[string]outcome {
		all := map[string]outcome{}
		for _, b := range s.Jail("sshd").Live(now) {
			all[b.Key.String()] = outcome{b.Jail, b.Key.String(), b.Since, b.Until, b.N}
		}
		return all
	}
	for _, gone := range []int64{0, 500, 3000, 5990, 9000} {
		store := openStore(t, t.TempDir())
		first := New()
		j := judge(store, first, nil, false, 0)
		j.BanByHand(ByHand, Key(must("198.51.100.0/24")), T+10, 0, false)
		j.BanByHand(ByHand, Key(must("198.51.100.9")), T+10, T+20, false)
		if _, err := j.UnbanByHand([]string{"sshd"}, Key(must("203.0.113.3")), T+5999); err != nil {
			t.Fatal(err)
		}
		j.Finish(now, nil)
		if err := store.Commit(first, j.Decisions, now); err != nil {
			t.Fatal(err)
		}
		want := live(first)
		if len(want) == 0 {
			t.Fatal("nothing is banned: the test tests nothing")
		}
		os.Remove(store.path)

		state, recorded, err := store.Recall(now, T+gone)
		if err != nil {
			t.Fatal(err)
		}
		j = judge(store, state, recorded, true, T+gone)
		j.Finish(now, nil)
		if got := live(state); !maps.Equal(got, want) {
			t.Errorf("log from %d on: in force\n%v\nwant\n%v", gone, got, want)
		}
		if fresh := outcomes(j.Decisions); len(fresh) > 0 {
			t.Errorf("log from %d on: banned again: %v", gone, fresh)
		}
		hand := state.Jail(ByHand).Live(now)
		if len(hand) != 1 || hand[0].Key.String() != "198.51.100.0/24" {
			t.Errorf("by hand: %v", hand)
		}
		if !j.Adopt("sshd", Key(must("192.0.2.1")), now, time.Minute) || j.Adopt("sshd", Key(must(slices.Sorted(maps.Keys(want))[0])), now, time.Hour) {
			t.Error("what only the kernel knows is taken over, and nothing else")
		}
	}
}

// TestAdoptedIsNoEarlierBan: what was taken over from the kernel may be a ban that the
// history has; it makes the next one no longer.
func TestAdoptedIsNoEarlierBan(t *testing.T) {
	store, b := openStore(t, t.TempDir()), newBench(nil)
	if !b.Adopt("sshd", Key(must("203.0.113.1")), T, time.Minute) {
		t.Fatal("not taken over")
	}
	if err := store.Commit(b.state, b.Decisions, T); err != nil {
		t.Fatal(err)
	}
	prior, err := store.Prior(b.state.History)()
	if n := prior.Count("sshd", Key(must("203.0.113.1")), 0, T+1000, false); n != 0 || err != nil {
		t.Errorf("%d earlier bans, %v", n, err)
	}
}

// TestAdoptNothingThatEnded: a ban that the log tells the end of is over, though the kernel,
// whose clock was not stepped, holds it still.
func TestAdoptNothingThatEnded(t *testing.T) {
	b := newBench(nil)
	b.state.Jail("sshd").setBan(&Ban{Jail: "sshd", Key: Key(must("203.0.113.1")), Since: T - 100, Until: T - 1, N: 1})
	if b.Adopt("sshd", Key(must("203.0.113.1")), T, time.Minute) {
		t.Error("taken over")
	}
}

// TestAdoptMany: what it takes to take over a ban does not grow with what the jails ignore.
func TestAdoptMany(t *testing.T) {
	for _, name := range []string{"sshd", ByHand} {
		b := newBench(nil)
		ignored := NewIgnored()
		for i := range 10000 {
			ignored.Add(Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}, "ignoreip")
		}
		b.rules.Ignored = ignored
		if b.Adopt(name, Key(must("10.0.0.1")), T, time.Minute) {
			t.Errorf("%s: what is ignored is taken over", name)
		}
		const n = 2000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range n {
			key := Key(Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32)})
			if !b.Adopt(name, key, T, time.Minute) {
				t.Fatalf("%s: %s is not taken over", name, key)
			}
			if got := b.state.Jail(name).Bans()[key].ByHand; got != (name == ByHand) {
				t.Fatalf("%s: %s is by hand: %t", name, key, got)
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 16<<10 {
			t.Errorf("%s: each takes %d bytes", name, each)
		}
	}
}

// TestRebuildRemembers what no log tells any more: the bans that recidive counts,
// what was forgiven, and which ends were announced.
func TestRebuildRemembers(t *testing.T) {
	store := openStore(t, t.TempDir())
	rules := func() map[string]*Rules {
		p := DefaultPolicy()
		p.MaxRetry, p.BanTime, p.IPv6Prefix = 2, Duration(time.Hour), 64
		again := p
		again.FindTime = Duration(7 * 24 * time.Hour)
		return map[string]*Rules{"sshd": {Policy: p, Reach: DefaultReach()}, "recidive": {Policy: again, Reach: DefaultReach(), Ledger: true}}
	}
	const now = T + 7200
	first := New()
	j := NewJudge(first, rules(), DefaultOptions(), store.Prior(first.History))
	for _, a := range []string{"203.0.113.1", "203.0.113.1", "2001:db8::1"} {
		j.Event(fail(a, 0))
	}
	first.Sources.Journal = &JournalPosition{Time: now * 1e6}
	if _, err := j.UnbanByHand([]string{"sshd"}, Key(must("2001:db8::9")), T+5); err != nil {
		t.Fatal(err)
	}
	j.Finish(T+10, nil)
	if err := store.Commit(first, j.Decisions, T+10); err != nil {
		t.Fatal(err)
	}
	first, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	j = NewJudge(first, rules(), DefaultOptions(), store.Prior(first.History))
	j.Finish(now, nil)
	if err := store.Commit(first, j.Decisions, now); err != nil || len(j.Decisions) != 1 {
		t.Fatalf("%d decisions, want the end of the ban; %v", len(j.Decisions), err)
	}

	state, recorded, err := store.Recall(now, T-1e6)
	if err != nil {
		t.Fatal(err)
	}
	j = NewJudge(state, rules(), DefaultOptions(), store.Prior(state.History))
	j.Replay(recorded)
	j.Event(fail("2001:db8::1", 0)) // all that is left of the log
	j.Event(fail("2001:db8::2", 3))
	state.Sources.Journal = &JournalPosition{Time: T * 1e6}
	if j.Adopt("sshd", Key(must("203.0.113.1")), now, time.Minute) {
		t.Error("a ban whose end was announced is taken over from the kernel")
	}
	j.Finish(now, nil)
	for _, d := range j.Decisions {
		t.Errorf("decided again: %s %v", d.Verb, d.Key)
	}
	if n := state.Jail("recidive").Tracked(); n != 1 {
		t.Errorf("recidive tracks %d keys, want 1", n)
	}
	if n := state.Jail("sshd").Tracked(); n != 0 {
		t.Error("what was forgiven counts again")
	}
}

// A log that is kept for longer than the history is no news: what the history has
// dropped is neither told again nor counted by itself, and a ban that was in force
// when it was cut covers what was logged under it.
func TestRebuildTellsNothingOld(t *testing.T) {
	const memory = 3000
	o := DefaultOptions()
	o.Memory = Duration(memory * time.Second)
	now := int64(T + 6000)
	for _, test := range []struct{ length, from int64 }{{60, 0}, {900, 0}, {900, 1200}, {900, 1500}, {900, 1800}} {
		judge := func(store *Store, state *State, recorded *Recorded, from int64) []Decision {
			b := newBench(nil)
			b.rules.BanTime = Duration(time.Duration(test.length) * time.Second)
			b.rules.Escalation.Factor = 1.5
			j := NewJudge(state, map[string]*Rules{"sshd": b.rules}, o, store.Prior(state.History))
			if recorded != nil {
				j.Replay(recorded)
			}
			for s := from / 7 * 7; s < 6000; s += 7 {
				j.Event(fail([]string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8::1"}[s*s%13%4], s))
			}
			state.Sources.Journal = &JournalPosition{Time: now * 1e6}
			j.Finish(now, nil)
			return j.Decisions
		}
		store, first := openStore(t, t.TempDir()), New()
		if err := store.Commit(first, judge(store, first, nil, 0), now); err != nil {
			t.Fatal(err)
		}
		told := first.History.Length
		first.horizon, _ = first.Sources.Horizon(now)
		if err := store.Tidy(first, o, now); err != nil {
			t.Fatal(err)
		}
		if err := store.Commit(first, nil, now); err != nil {
			t.Fatal(err)
		}
		if first.History.Length == told {
			t.Fatal("nothing was dropped: the test tests nothing")
		}
		os.Remove(store.path)

		state, recorded, err := store.Recall(now, 0)
		if err != nil {
			t.Fatal(err)
		}
		if fresh := outcomes(judge(store, state, recorded, test.from)); len(fresh) > 0 {
			t.Errorf("bans of %d s, log from %d on: told again: %v", test.length, test.from, fresh)
		}
	}
}

// TestRebuildCountsOnce: what is left in the log of the failures that led to a recorded ban
// leads to no other, though they alone are too few to tell of it.
func TestRebuildCountsOnce(t *testing.T) {
	b := newBench(func(r *Rules) { r.BanTime = Duration(time.Minute) })
	b.Replay(&Recorded{bans: []*Ban{{Jail: "sshd", Key: Key(must("203.0.113.1")), Addr: addr("203.0.113.1"), Since: T + 2, Until: T + 62, N: 1}}})
	for _, second := range []int64{1, 2, 100} {
		b.Event(fail("203.0.113.1", second))
	}
	if got := b.told(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestRebuildRecidive: of the recorded bans those count that the jail itself decided, and those
// of keys.
func TestRebuildRecidive(t *testing.T) {
	for _, test := range []struct {
		name  string
		ban   Ban
		count int
	}{
		{"its own", Ban{Rule: "r"}, 1},
		{"by hand", Ban{ByHand: true}, 0},
		{"found in the kernel", Ban{Rule: adopted}, 0},
		{"of a network", Ban{Rule: "subnets", Members: []Key{Key(must("203.0.113.1"))}}, 0},
	} {
		b := test.ban
		b.Jail, b.Key, b.Addr, b.Since, b.N = "sshd", Key(must("203.0.113.1")), addr("203.0.113.1"), T, 1
		policy := DefaultPolicy()
		rules := map[string]*Rules{"sshd": {Policy: policy, Reach: DefaultReach()}, "recidive": {Policy: policy, Reach: DefaultReach(), Ledger: true}}
		j := NewJudge(New(), rules, DefaultOptions(), func() (*Prior, error) { return NewPrior(), nil })
		j.Replay(&Recorded{bans: []*Ban{&b}})
		j.Finish(T+10, nil)
		if n := j.state.Jail("recidive").Tracked(); n != test.count {
			t.Errorf("%s: recidive tracks %d keys, want %d", test.name, n, test.count)
		}
	}
}

// TestRebuildTellsWhatIsNew: of what the history does not know it is told what began since it
// remembers, and what is in force.
func TestRebuildTellsWhatIsNew(t *testing.T) {
	o := DefaultOptions()
	o.Memory = Duration(3000 * time.Second)
	const now = T + 6000
	for _, test := range []struct {
		name    string
		second  int64
		bantime Duration
		told    int
	}{
		{"before, and over", 1000, Duration(time.Minute), 0},
		{"before, and in force", 1000, Permanent, 1},
		{"since, and over", 4000, Duration(time.Minute), 1},
		{"since, and in force", 4000, Permanent, 1},
	} {
		store, first := openStore(t, t.TempDir()), New()
		if err := store.Commit(first, []Decision{Warning(T, "sshd", "text")}, T); err != nil {
			t.Fatal(err)
		}
		state, recorded, err := store.Recall(now, T)
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(func(r *Rules) { r.BanTime = test.bantime })
		j := NewJudge(state, map[string]*Rules{"sshd": b.rules}, o, b.prior)
		j.Replay(recorded)
		for range 3 {
			j.Event(fail("203.0.113.1", test.second))
		}
		if got := outcomes(j.Decisions); len(got) != test.told {
			t.Errorf("%s: told of %v, want %d", test.name, got, test.told)
		}
	}
}

// A history with any one bit flipped tells of no ban that was not decided.
func TestRebuildOverDamage(t *testing.T) {
	dir, now := t.TempDir(), int64(T+100)
	store, history := openStore(t, dir), filepath.Join(dir, "history.jsonl")
	first := New()
	b := newBench(nil)
	j := NewJudge(first, map[string]*Rules{"sshd": b.rules}, DefaultOptions(), store.Prior(first.History))
	for s := range int64(5) {
		j.Event(fail("203.0.113.77", s))
		j.Event(fail("2001:db8:7::77", s))
	}
	j.BanByHand(ByHand, Key(must("198.51.100.64/28")), T+10, 0, false)
	j.BanByHand(ByHand, Key(must("198.51.100.9")), T+10, T+9000, false)
	if err := store.Commit(first, j.Decisions, now); err != nil {
		t.Fatal(err)
	}
	told := func() (all []string) {
		state, recorded, err := store.Recall(now, T-1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range slices.Concat(recorded.bans, state.Jail(ByHand).Live(now)) {
			if b.Addr.IsValid() && !b.Key.Contains(b.Addr) {
				t.Errorf("%s was banned for %s", b.Key, b.Addr)
			}
			all = append(all, fmt.Sprint(b.Jail, " ", b.Key, " ", b.Since, " ", b.Until, " ", b.N))
		}
		return all
	}
	want := told()
	if len(want) != 4 {
		t.Fatalf("told of %q", want)
	}
	text, err := os.ReadFile(history)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(text) {
		text[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(history, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, got := range told() {
			if !slices.Contains(want, got) {
				t.Errorf("bit %d flipped: told of %s, want one of %q", bit, got, want)
			}
		}
		text[bit/8] ^= 1 << (bit % 8)
	}
}
