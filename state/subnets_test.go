package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// nets bans a /24 and a /48 for three of their keys, each banned at its first failure.
func nets(r *Rules) {
	r.MaxRetry, r.Subnets = 1, Subnets{Count: 3, IPv4: 24, IPv6: 48}
}

func TestSubnets(t *testing.T) {
	from := func(second int64, addresses ...string) (events []Event) {
		for i, a := range addresses {
			events = append(events, fail(a, second+int64(i)))
		}
		return events
	}
	login := func(a string, second int64) Event {
		e := fail(a, second)
		e.Kind = KindSuccess
		return e
	}
	with := func(change func(*Rules)) func(*Rules) { return func(r *Rules) { nets(r); change(r) } }
	three := func(second int64) []Event { return from(second, "203.0.113.1", "203.0.113.2", "203.0.113.3") }
	tests := []struct {
		name   string
		change func(*Rules)
		events []Event
		want   []string // of the network alone
	}{
		{"three of one network", nets, three(0), []string{"ban 203.0.113.0/24 2 3602 n=1"}},
		{"off where nothing is said", func(r *Rules) { r.MaxRetry = 1 }, three(0), nil},
		{"neighbours are another network", nets, from(0, "203.0.113.1", "203.0.113.2", "203.0.112.3", "203.0.114.3"), nil},
		{"an address counts once", with(func(r *Rules) { r.BanTime = Duration(time.Minute) }), slices.Concat(from(0, "203.0.113.1"), from(100, "203.0.113.1"), from(200, "203.0.113.1", "203.0.113.2")), nil},
		{"by its latest ban", with(func(r *Rules) { r.BanTime = Duration(time.Minute) }), slices.Concat(from(0, "203.0.113.1"), from(500, "203.0.113.1"), from(650, "203.0.113.2", "203.0.113.3")), []string{"ban 203.0.113.0/24 651 711 n=1"}},
		{"whichever of its bans is read first", with(func(r *Rules) { r.BanTime = Duration(time.Minute) }), slices.Concat(from(500, "203.0.113.1"), from(0, "203.0.113.1"), from(650, "203.0.113.2", "203.0.113.3")), []string{"ban 203.0.113.0/24 651 711 n=1"}},
		{"the window is findtime, open at its old end", nets, append(from(0, "203.0.113.1"), from(599, "203.0.113.2", "203.0.113.3")...), nil},
		{"and slides", nets, append(from(0, "203.0.113.1"), from(599, "203.0.113.2", "203.0.113.3", "203.0.113.4")...), []string{"ban 203.0.113.0/24 601 4201 n=1"}},
		{"an IPv6 network", nets, from(0, "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"), []string{"ban 2001:db8::/48 2 3602 n=1"}},
		{"of one IPv6 key nothing follows", nets, from(0, "2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1::3"), nil},
		{"a family that is left out", with(func(r *Rules) { r.Subnets.IPv6 = 0 }), from(0, "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"), nil},
		{"behind NAT64 neighbours have nothing in common", with(func(r *Rules) { r.NAT64 = Prefixes{must("2001:db8:64::/96")} }),
			append(from(0, "64:ff9b::1", "64:ff9b::2", "64:ff9b::3"), from(9, "2001:db8:64::1", "2001:db8:64::2", "2001:db8:64::3")...), nil},
		{"while it lasts nobody of it is banned, and it is not longer for it", nets, append(three(0), from(10, "203.0.113.4", "203.0.113.5", "203.0.113.6", "203.0.113.7")...), []string{"ban 203.0.113.0/24 2 3602 n=1"}},
		{"once it is over all begins anew", nets, append(three(0), from(3602, "203.0.113.1", "203.0.113.2")...), []string{"ban 203.0.113.0/24 2 3602 n=1"}},
		{"a second time has n=2, and escalates by itself", with(func(r *Rules) { r.Escalation.Factor = 3 }), append(three(0), from(3602, "203.0.113.11", "203.0.113.12", "203.0.113.13")...),
			[]string{"ban 203.0.113.0/24 2 3602 n=1", "ban 203.0.113.0/24 3604 14404 n=2"}},
		{"for ever", with(func(r *Rules) { r.BanTime = Permanent }), three(0), []string{"ban 203.0.113.0/24 2 n=1"}},
		{"one that holds an ignored address is spared", with(func(r *Rules) { r.Ignored.Add(must("203.0.113.200"), "ignoreip") }), three(0), []string{"spare 203.0.113.0/24 2 n=0"}},
		{"one that lies in an ignored one is never counted", with(func(r *Rules) { r.Ignored.Add(must("203.0.0.0/16"), "ignoreip") }), three(0), nil},
		{"and one of which somebody logged in of late", nets, append([]Event{login("203.0.113.77", -6*86400)}, three(0)...), []string{"spare 203.0.113.0/24 2 n=0"}},
		{"but not one week later", nets, append([]Event{login("203.0.113.77", -7*86400)}, three(2)...), []string{"ban 203.0.113.0/24 4 3604 n=1"}},
		{"spare may be longer", with(func(r *Rules) { r.Spare = Duration(30 * 24 * time.Hour) }), append([]Event{login("203.0.113.77", -7*86400)}, three(2)...), []string{"spare 203.0.113.0/24 4 n=0"}},
		{"a ban that is read late counts at its own time", nets, append(from(5, "203.0.113.1", "203.0.113.2"), from(0, "203.0.113.3")...), []string{"ban 203.0.113.0/24 6 3606 n=1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(test.change)
			for _, e := range test.events {
				b.Event(e)
			}
			if got := b.network(); !slices.Equal(got, test.want) {
				t.Errorf("decided\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(test.want, "\n  "))
			}
		})
	}
}

// network are the decisions about networks.
func (b *bench) network() (list []string) {
	for i, line := range b.told() {
		if d := b.Decisions[i]; d.Key != nil && !d.Key.IsSingleIP() && d.Key.Bits() != 64 {
			list = append(list, line)
		}
	}
	return list
}

func TestSubnetsMembers(t *testing.T) {
	b := newBench(nets)
	for i := range int64(3) {
		b.Event(fail(fmt.Sprint("203.0.113.", 9-i), i))
	}
	b.Event(fail("203.0.113.200", 5))
	ban := b.state.Jail("sshd").Bans()[Key(must("203.0.113.0/24"))]
	if ban == nil || ban.Failures != 3 || ban.Late != 1 || fmt.Sprint(ban.Members) != "[203.0.113.9 203.0.113.8 203.0.113.7]" {
		t.Fatalf("the ban is %+v", ban)
	}
	again, err := Decode(b.state.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Jail("sshd").Bans()[ban.Key]; fmt.Sprint(got.Members) != fmt.Sprint(ban.Members) {
		t.Errorf("read back: %v", got.Members)
	}
}

// TestSubnetsRecidive: a network's ban is no failure in the jail of those who come
// back, where each of its members was one.
func TestSubnetsRecidive(t *testing.T) {
	rules := func() *Rules {
		r := &Rules{Policy: DefaultPolicy(), Reach: DefaultReach(), Ignored: NewIgnored()}
		nets(r)
		return r
	}
	again := rules()
	again.Ledger, again.Subnets.Count = true, 2
	prior := NewPrior()
	j := NewJudge(New(), map[string]*Rules{"sshd": rules(), "recidive": again}, DefaultOptions(), func() (*Prior, error) { return prior, nil })
	for i := range int64(3) {
		j.Event(fail(fmt.Sprint("203.0.113.", 1+i), i))
	}
	var got []string
	for _, d := range j.Decisions {
		got = append(got, fmt.Sprint(d.Jail, " ", d.Key, " ", d.Since-T))
	}
	want := []string{"sshd 203.0.113.1 0", "recidive 203.0.113.1 0", "sshd 203.0.113.2 1", "recidive 203.0.113.2 1", "recidive 203.0.113.0/24 1",
		"sshd 203.0.113.3 2", "sshd 203.0.113.0/24 2"}
	if !slices.Equal(got, want) {
		t.Errorf("decided %q\nwant    %q", got, want)
	}
}

func TestSubnetsUnban(t *testing.T) {
	network := Key(must("203.0.113.0/24"))
	attacked := func(n int) *bench {
		b := newBench(func(r *Rules) { nets(r); r.MaxRetry = 2 })
		b.Event(fail("203.0.113.50", 0)) // one that is only counted
		for i := range int64(n) {
			for range 2 {
				b.Event(fail(fmt.Sprint("203.0.113.", 1+i), i))
			}
		}
		return b
	}
	unban := func(t *testing.T, b *bench, what string, want int) {
		t.Helper()
		freed, err := b.UnbanByHand([]string{"sshd"}, Key(must(what)), T+10)
		if err != nil || len(freed) != want {
			t.Fatalf("unban %s: %d freed, %v", what, len(freed), err)
		}
		b.Decisions = nil
	}
	jail := func(b *bench) *Jail { return b.state.Jail("sshd") }
	strike := func(b *bench, a string, second int64) { b.Event(fail(a, second)); b.Event(fail(a, second)) }

	t.Run("of the network frees its members", func(t *testing.T) {
		b := attacked(3)
		unban(t, b, "203.0.113.0/24", 4)
		strike(b, "203.0.113.1", 20)
		strike(b, "203.0.113.2", 20)
		if got := b.network(); got != nil || len(jail(b).Live(T+20)) != 2 {
			t.Errorf("%v: what was forgiven counts", got)
		}
		strike(b, "203.0.113.3", 20)
		if got := b.network(); len(got) != 1 {
			t.Errorf("%v: what came after does not count", got)
		}
	})
	t.Run("of a member lifts the network's, and leaves the others'", func(t *testing.T) {
		b := attacked(3)
		unban(t, b, "203.0.113.2", 2)
		if jail(b).Bans()[network] != nil || len(jail(b).Live(T+10)) != 2 || jail(b).Tracked() != 0 {
			t.Errorf("in force: %v, tracked %d", jail(b).Live(T+10), jail(b).Tracked())
		}
		b.Event(fail("203.0.113.60", 5)) // read late: forgiven
		if jail(b).Tracked() != 0 {
			t.Error("what was forgiven is counted")
		}
	})
	t.Run("of one who did nothing too", func(t *testing.T) {
		b := attacked(3)
		unban(t, b, "203.0.113.99", 1)
		if len(jail(b).Live(T+10)) != 3 {
			t.Errorf("in force: %v", jail(b).Live(T+10))
		}
	})
	t.Run("of a key that was counted", func(t *testing.T) {
		b := attacked(2)
		unban(t, b, "203.0.113.1", 1)
		strike(b, "203.0.113.3", 20)
		if got := b.network(); got != nil {
			t.Errorf("%v: what was forgiven counts", got)
		}
		strike(b, "203.0.113.4", 20)
		if got := b.network(); len(got) != 1 {
			t.Errorf("%v: what was not forgiven does not count", got)
		}
	})
	t.Run("what is ignored now is released", func(t *testing.T) {
		b := attacked(3)
		b.Decisions = nil
		b.rules.Ignored.Add(must("203.0.113.200"), "ignoreip")
		b.Finish(T+20, nil)
		if got, want := b.told(), []string{"release 203.0.113.0/24 2 3602 n=1"}; !slices.Equal(got, want) {
			t.Errorf("decided %q, want %q", got, want)
		}
	})
}

// TestSubnetsRebuild loses the state: what the history tells of networks holds, and what
// it tells of their members goes on counting.
func TestSubnetsRebuild(t *testing.T) {
	now := int64(T + 400)
	for _, test := range []struct {
		name   string
		banned int    // addresses that were
		unban  string // after that
		next   int    // addresses that follow
		want   []string
	}{
		{"a ban in force", 3, "", 3, nil},
		{"two that count", 2, "", 1, []string{"ban 203.0.113.0/24 300 3900 n=1"}},
		{"one of two forgiven", 2, "203.0.113.1", 1, nil},
		{"a network forgiven by one who did nothing", 3, "203.0.113.99", 2, nil},
		{"and banned again", 3, "203.0.113.99", 3, []string{"ban 203.0.113.0/24 302 3902 n=2"}},
	} {
		for _, from := range []int64{-10, 250} { // where the log begins
			store := openStore(t, t.TempDir())
			b := newBench(nets)
			var log []Event
			for i := range int64(test.banned) {
				log = append(log, fail(fmt.Sprint("203.0.113.", 1+i), i))
			}
			first := New()
			j := NewJudge(first, map[string]*Rules{"sshd": b.rules}, DefaultOptions(), store.Prior(first.History))
			for _, e := range log {
				j.Event(e)
			}
			if test.unban != "" {
				if _, err := j.UnbanByHand([]string{"sshd"}, Key(must(test.unban)), T+200); err != nil {
					t.Fatal(err)
				}
			}
			first.Sources.Journal = &JournalPosition{Time: (T + 200) * 1e6}
			j.Finish(T+200, nil)
			if err := store.Commit(first, j.Decisions, T+200); err != nil {
				t.Fatal(err)
			}
			for i := range int64(test.next) {
				log = append(log, fail(fmt.Sprint("203.0.113.", 101+i), 300+i))
			}
			finish := func(j *Judge) []string {
				for _, e := range log {
					if e.Time >= T+from {
						j.Event(e)
					}
				}
				j.Finish(now, nil)
				b.Judge = j
				return b.network()
			}
			state, recorded, err := store.Recall(now, T+from)
			if err != nil {
				t.Fatal(err)
			}
			j = NewJudge(state, map[string]*Rules{"sshd": b.rules}, DefaultOptions(), store.Prior(state.History))
			j.Replay(recorded)
			if got := finish(j); !slices.Equal(got, test.want) {
				t.Errorf("%s, log from %d: decided %q, want %q", test.name, from, got, test.want)
			}
		}
	}
}

// TestAdoptNetworks: the kernel joins two networks that lie side by side; a rebuild does
// not take them for a third.
func TestAdoptNetworks(t *testing.T) {
	b := newBench(nets)
	for i := range int64(3) {
		b.Event(fail(fmt.Sprint("203.0.112.", 1+i), 0))
		b.Event(fail(fmt.Sprint("203.0.113.", 1+i), 0))
		b.Event(fail(fmt.Sprint("203.0.116.", 1+i), 0))
		b.Event(fail(fmt.Sprint("203.0.118.", 1+i), 0))
	}
	for _, test := range []struct {
		key  string
		want bool
	}{{"203.0.112.0/23", false}, {"203.0.116.0/22", true}, {"203.0.113.0/24", false}, {"203.0.113.0/25", false}, {"203.0.112.0/22", true}, {"192.0.2.0/24", true}, {"192.0.2.1", true}, {"203.0.113.77", true}} {
		if got := b.Adopt("sshd", Key(must(test.key)), T+1, time.Hour); got != test.want {
			t.Errorf("%s is taken over: %v", test.key, got)
		}
		if test.want {
			b.state.Jail("sshd").dropBan(Key(must(test.key)))
		}
	}
}

// TestSubnetsForgotten: a ban is remembered for its network for as long as it may count.
func TestSubnetsForgotten(t *testing.T) {
	for second, kept := range map[int64]int{599: 1, 600: 0} {
		b := newBench(nets)
		b.Event(fail("203.0.113.1", 0))
		b.state.Sources.Journal = &JournalPosition{Time: (T + second) * 1e6}
		b.Finish(T+second, nil)
		if n := len(b.state.Jail("sshd").networks.get()); n != kept {
			t.Errorf("%d s later %d networks are known, want %d", second, n, kept)
		}
	}
}
