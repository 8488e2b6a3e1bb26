package state

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestMaxLedger: beyond the limit the ban that ends first gives way, those that are over
// before all, and what an admin laid never.
func TestMaxLedger(t *testing.T) {
	rules := map[string]*Rules{"a": {Policy: DefaultPolicy(), Reach: DefaultReach(), Ignored: NewIgnored()}}
	rules["a"].MaxRetry, rules["a"].BanTime = 1, Duration(100*time.Second)
	state := New()
	var told []string
	judge := func(do func(*Judge)) {
		j := NewJudge(state, rules, Options{Memory: Duration(time.Hour), MaxLedger: 2}, func() (*Prior, error) { return NewPrior(), nil })
		do(j)
		for _, d := range j.Decisions {
			switch {
			case d.Verb == Warned:
				told = append(told, "warning")
			case d.Verb != Banned:
				told = append(told, fmt.Sprint(d.Verb, " ", d.Key))
			}
		}
		again, err := Decode(state.Encode())
		if err != nil {
			t.Fatal(err)
		}
		state = again
	}
	fail := func(j *Judge, host byte, second int64) {
		j.Event(Event{Failure: Failure{Jail: "a", Addr: netip.AddrFrom4([4]byte{203, 0, 113, host}), Time: second, Weight: 1, Rule: "r"}})
	}
	judge(func(j *Judge) { j.BanByHand("a", Key(must("203.0.113.99")), T-50, T+1, false) })
	judge(func(j *Judge) {
		fail(j, 1, T) // what was laid by hand takes no room
		fail(j, 2, T+10)
		fail(j, 3, T+20) // 1 gives way
		fail(j, 4, T+20) // 2
	})
	judge(func(j *Judge) {
		fail(j, 5, T+130) // 3 and 4 are over: expired, one of them now
		fail(j, 6, T+131) // the other
		fail(j, 7, T+132) // 5
	})
	want := "release 203.0.113.1, warning, release 203.0.113.2, expiry 203.0.113.3, expiry 203.0.113.4, release 203.0.113.5, warning"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	var left []string
	for key := range state.Jail("a").Bans() {
		left = append(left, key.String())
	}
	slices.Sort(left)
	if want := []string{"203.0.113.6", "203.0.113.7", "203.0.113.99"}; !slices.Equal(left, want) {
		t.Errorf("%q, want %q", left, want)
	}
}

// TestNewestStays: among bans that last longer the newest is not its own victim.
func TestNewestStays(t *testing.T) {
	rules := map[string]*Rules{"a": {Policy: DefaultPolicy(), Reach: DefaultReach(), Ignored: NewIgnored()}}
	rules["a"].MaxRetry = 1
	j := NewJudge(New(), rules, Options{Memory: Duration(time.Hour), MaxLedger: 2}, func() (*Prior, error) { return NewPrior(), nil })
	for host, bantime := range []time.Duration{time.Hour, time.Hour, time.Minute, time.Minute} {
		rules["a"].BanTime = Duration(bantime)
		j.Event(Event{Failure: Failure{Jail: "a", Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(host)}), Time: T + int64(host), Weight: 1, Rule: "r"}})
	}
	bans := j.state.Jail("a").Bans()
	if len(bans) != 2 || bans[Key(must("203.0.113.1"))] == nil || bans[Key(must("203.0.113.3"))] == nil {
		t.Errorf("left %v", bans)
	}
}

// TestFull: bans by hand take no room, and without a limit there is always some.
func TestFull(t *testing.T) {
	b := newBench(func(r *Rules) { r.MaxRetry = 1 })
	b.Event(fail("203.0.113.1", 0))
	b.Event(fail("203.0.113.2", 0))
	b.BanByHand("sshd", Key(must("203.0.113.3")), T, 0, false)
	for most, want := range map[int]bool{0: false, 1: true, 2: true, 3: false, 4: false} {
		if got := b.state.Jail("sshd").Full(most); got != want {
			t.Errorf("of %d: %t", most, got)
		}
	}
}

// TestMaxNames: of the names that were tried a ban keeps a few, and of each its beginning.
func TestMaxNames(t *testing.T) {
	rules := map[string]*Rules{"a": {Policy: DefaultPolicy(), Reach: DefaultReach(), Ignored: NewIgnored()}}
	rules["a"].MaxRetry = 20
	j := NewJudge(New(), rules, DefaultOptions(), func() (*Prior, error) { return NewPrior(), nil })
	for i := range int64(40) {
		j.Event(Event{Failure: Failure{Jail: "a", Addr: netip.AddrFrom4([4]byte{203, 0, 113, 1}), Time: T + i, Weight: 1, Rule: "r", User: fmt.Sprint(i, strings.Repeat("ü", 1000))}})
	}
	b := j.state.Jail("a").Bans()[Key(must("203.0.113.1"))]
	if b == nil || b.Late != 20 || len(b.Users) != maxUsers {
		t.Fatalf("%+v", b)
	}
	for _, user := range b.Users {
		if len(user) > 64 || !utf8.ValidString(user) || strings.Trim(user, "0123456789ü") != "" {
			t.Errorf("%q", user)
		}
	}
}

// TestMaxHistory: a history that has outgrown its size loses its oldest decisions, but
// no ban in force.
func TestMaxHistory(t *testing.T) {
	s := openStore(t, t.TempDir())
	state := New()
	ban := func(host int, until int64) Decision {
		return (&Ban{Jail: "sshd", Key: Key(must(fmt.Sprint("203.0.113.", host))), Since: T, Until: until, N: 1}).decision(Banned, T)
	}
	decisions := []Decision{ban(1, 0)}
	for host := 2; host < 200; host++ {
		if decisions = append(decisions, ban(host, T+1)); host%2 == 0 {
			continue // it was over when it was decided: nobody announces its end
		}
		decisions = append(decisions, (&Ban{Jail: "sshd", Key: *decisions[len(decisions)-1].Key, Since: T, Until: T + 1, N: 1}).decision(Expired, T+1))
	}
	state.Sources.Journal = &JournalPosition{Time: (T + 10) * 1e6}
	if err := s.Commit(state, decisions, T); err != nil {
		t.Fatal(err)
	}
	state, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{MaxHistory: Size(state.History.Length)}
	if o.Outgrown(state.History, 0) {
		t.Error("it has just the size")
	}
	if o.MaxHistory /= 2; !o.Outgrown(state.History, 0) || o.Outgrown(state.History, state.History.Length) {
		t.Error("it has twice the size")
	}
	if (Options{}).Outgrown(state.History, 0) {
		t.Error("it may be of any size")
	}
	if err := s.Shrink(state, o, T); err != nil || state.History.Length > int64(o.MaxHistory)*3/4+300 || state.History.Length < int64(o.MaxHistory)/2 {
		t.Fatalf("%v, %d bytes of %d", err, state.History.Length, o.MaxHistory)
	}
	if saved, err := s.Load(); err != nil || saved.History != state.History {
		t.Errorf("%v, the file vouches for %v, not %v", err, saved.History, state.History)
	}
	var first, last string
	err = s.History(&state.History, func(d Decision, _ int64) {
		if last = d.Key.String(); first == "" {
			first = last
		}
	})
	if err != nil || first != "203.0.113.1" || last != "203.0.113.199" {
		t.Errorf("%v, from %s to %s", err, first, last)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"1": 1, "64K": 64 << 10, "128M": 128 << 20, "2g": 2 << 30, "10T": 10 << 40, "0": 0, "-1M": -1 << 20,
		"": -1, "M": -1, "1P": -1, "1.5M": -1, "9223372036854775807K": -1, "99999999999999999999": -1} {
		size := Size(-1)
		if err := size.UnmarshalText([]byte(text)); size != want || (err == nil) != (want != -1) {
			t.Errorf("%q is %d, %v", text, size, err)
		}
	}
}
