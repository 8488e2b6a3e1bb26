package nftables

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhole(t *testing.T) {
	for _, c := range []struct {
		left, want time.Duration
		send       bool
	}{
		{0, 0, true},
		{1, 0, false},
		{time.Millisecond, 0, false},
		{time.Second - 1, 0, false},
		{time.Second, time.Second, true},
		{time.Second + 1, 2 * time.Second, true},
		{1500 * time.Millisecond, 2 * time.Second, true},
		{-1, 0, false},
		{-time.Hour, 0, false},
		{100 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour, true},
	} {
		if got, send := whole(c.left); got != c.want || send != c.send {
			t.Errorf("%v: %v, %v; want %v, %v", c.left, got, send, c.want, c.send)
		}
	}
}

// Beyond the limit the latest ends win, permanent ones first, over all groups;
// and the choice stays the same as time passes.
func TestMaxBans(t *testing.T) {
	groups := []Group{
		sshd(append(elements(time.Hour, "192.0.2.1"), append(elements(3*time.Hour, "192.0.2.3"), elements(0, "192.0.2.4")...)...)...),
		{Name: "web", Elements: append(elements(2*time.Hour, "192.0.2.2"), elements(time.Millisecond, "192.0.2.9")...)},
	}
	for limit, want := range map[int]string{1: "4", 2: "43", 3: "432", 4: "4321", 0: "4321"} {
		a, err := arrange(groups, limit)
		if err != nil {
			t.Fatal(err)
		}
		a.fill()
		if got := held(a); got != want || a.leftOut != 4-len(want) {
			t.Errorf("at most %d: %q and %d left out, want %q", limit, got, a.leftOut, want)
		}
	}
	private(t)
	r, err := Options{MaxBans: 2}.Sync(t.Context(), groups, nil, nil)
	if err != nil || r.LeftOut != 2 || r.Added != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if again, err := (Options{MaxBans: 2}).Sync(t.Context(), groups, groups, r.Memory); err != nil || again.Commits != 0 || again.LeftOut != 2 || again.Dumped {
		t.Errorf("%+v, %v", again, err)
	}
	if r, err := (Options{MaxBans: 3}).Sync(t.Context(), groups, groups, r.Memory); err != nil || r.LeftOut != 1 || count(t, "web4") != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of bans that end together the choice does not hang on the order in which they come.
func TestMaxBansEndingTogether(t *testing.T) {
	a := []Group{{Name: "a", Elements: elements(time.Hour, "192.0.2.1", "192.0.2.3")}, {Name: "b", Elements: elements(time.Hour, "192.0.2.2", "192.0.2.4")}}
	b := []Group{{Name: "b", Elements: elements(time.Hour, "192.0.2.4", "192.0.2.2")}, {Name: "a", Elements: elements(time.Hour, "192.0.2.3", "192.0.2.1")}}
	for limit := 1; limit < 4; limit++ {
		first, second := latest(a, limit), latest(b, limit)
		for i, g := range a {
			for _, e := range g.Elements {
				if first.keeps(i, e) != second.keeps(1-i, e) {
					t.Errorf("at most %d: %s of %s is once in and once out", limit, e.Key, g.Name)
				}
			}
		}
	}
}

// A range is written as the fewest prefixes.
func TestPrefixes(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"192.0.2.1", "192.0.2.6", "[192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32]"},
		{"192.0.2.0", "192.0.2.255", "[192.0.2.0/24]"},
		{"255.255.255.254", "255.255.255.255", "[255.255.255.254/31]"},
		{"0.0.0.0", "255.255.255.255", "[0.0.0.0/0]"},
		{"192.0.2.2", "192.0.2.1", "[]"},
		{"2001:db8::", "2001:db8:0:2:ffff:ffff:ffff:ffff", "[2001:db8::/63 2001:db8:0:2::/64]"},
	} {
		if got := fmt.Sprint(prefixes(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to))); got != c.want {
			t.Fatalf("%s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

// held are the last digits of the addresses that are in, the latest end first.
func held(a *arrangement) string {
	var list []span
	for _, h := range a.sets {
		for addr, left := range h.keys {
			list = append(list, span{from: addr, left: left})
		}
	}
	slices.SortFunc(list, func(a, b span) int {
		if longer(a.left, b.left) {
			return -1
		}
		return 1
	})
	text := ""
	for _, s := range list {
		text += s.from.String()[len("192.0.2."):]
	}
	return text
}

// Made disjoint, each address is banned exactly as long as its longest ban, and
// nothing overlaps.
func TestDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v6 := rapid.Bool().Draw(t, "v6")
		keys := map[netip.Prefix]time.Duration{}
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			b := byte(rapid.IntRange(0, 31).Draw(t, "address"))
			bits := rapid.IntRange(0, 5).Draw(t, "bits")
			// The edges of the address space are in: the last 32 addresses.
			addr := netip.AddrFrom4([4]byte{255, 255, 255, 224 + b})
			if v6 {
				addr = netip.AddrFrom16([16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 224 + b})
			}
			p, _ := addr.Prefix(addr.BitLen() - 5 + bits)
			keepLater(keys, p, time.Duration(rapid.IntRange(0, 5).Draw(t, "left"))*time.Hour)
		}
		spans := disjoint(keys)
		for i, s := range spans {
			if s.to.Less(s.from) || i > 0 && !spans[i-1].to.Less(s.from) {
				t.Fatalf("%v overlaps or is out of order: %v", s, spans)
			}
			for _, p := range prefixes(s.from, s.to) {
				if p != p.Masked() {
					t.Fatalf("%v has host bits", p)
				}
			}
		}
		addr := netip.AddrFrom4([4]byte{255, 255, 255, 224})
		if v6 {
			addr = netip.AddrFrom16([16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 224})
		}
		for ; addr.IsValid(); addr = addr.Next() {
			want, banned := time.Duration(0), false
			for p, left := range keys {
				if p.Contains(addr) && (!banned || longer(left, want)) {
					want, banned = left, true
				}
			}
			found := 0
			for _, s := range spans {
				if !addr.Less(s.from) && !s.to.Less(addr) {
					if found++; s.left != want {
						t.Fatalf("%v is banned for %v, not %v: %v", addr, s.left, want, spans)
					}
					in := 0
					for _, p := range prefixes(s.from, s.to) {
						if p.Contains(addr) {
							in++
						}
					}
					if in != 1 {
						t.Fatalf("%v is in %d prefixes of %v", addr, in, s)
					}
				}
			}
			if banned != (found == 1) || found > 1 {
				t.Fatalf("%v: banned %v, in %d ranges", addr, banned, found)
			}
		}
	})
}

// The kernel takes what disjoint makes, and gives it back.
func TestRangesInTheKernel(t *testing.T) {
	private(t)
	random := rand.New(rand.NewPCG(1, 2))
	var memory *Memory
	var was []Group
	for range 20 {
		hand := Group{Name: "by-hand", IPv4Prefix: 32, IPv6Prefix: 64}
		for range 40 {
			a4 := netip.AddrFrom4([4]byte{byte(random.IntN(4) * 85), byte(random.IntN(256)), byte(random.IntN(256)), byte(random.IntN(256))})
			p4, _ := a4.Prefix(random.IntN(33))
			a6 := netip.AddrFrom16([16]byte{byte(random.IntN(4) * 85), byte(random.IntN(256)), 1, byte(random.IntN(256))})
			p6, _ := a6.Prefix(random.IntN(129))
			for _, p := range []netip.Prefix{p4, p6} {
				e := Element{Left: time.Duration(random.IntN(5)) * time.Hour}
				e.Key.Prefix = p
				hand.Elements = append(hand.Elements, e)
			}
		}
		want := []Group{hand}
		r := sync(t, want, was, memory)
		if again := sync(t, want, want, nil); again.Commits != 0 {
			t.Fatalf("does not read back:\n%v", again.Plan)
		}
		was, memory = want, r.Memory
	}
}

// A printed plan is for people; many elements are cut short.
func TestPlanString(t *testing.T) {
	was, _ := arrange([]Group{sshd(elements(time.Hour, "192.0.2.1", "192.0.2.2")...)}, 0)
	want, _ := arrange([]Group{sshd(append(elements(time.Hour, "192.0.2.2"), elements(0, "192.0.2.3")...)...)}, 0)
	was.fill()
	want.fill()
	for _, c := range []struct {
		plan Plan
		want string
	}{
		{planFromLedger(was, want), "sshd4: 0 added, 1 changed, 1 removed: ~192.0.2.3 for ever -192.0.2.1 for 1h\n"},
		{planFromLedger(want, want), "nothing to do\n"},
		{Plan{Reason: "the host was rebooted", Structure: []string{"set x4 is missing"}}, "read the table: the host was rebooted\nmend: set x4 is missing\n"},
	} {
		if got := c.plan.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
