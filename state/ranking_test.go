package state

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// A ranking says what looking at all windows would say, whatever is done to them, and does
// not keep what is gone.
func TestRanking(t *testing.T) {
	const findtime = 100
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		jail := New().Jail("sshd")
		windows := jail.windows.get()
		key := func() Key {
			n := random.IntN(256)
			if n%3 == 0 {
				return Key{netip.PrefixFrom(addr(fmt.Sprintf("2001:db8:%x::", n/6)), 56+n%2*8)}
			}
			return Key{netip.PrefixFrom(addr(fmt.Sprintf("198.18.%d.0", n/6)), 24+n%6)}
		}
		for i := range 20 {
			jail.hit(key(), hit{int64(i), 1, ""}, findtime, 1000)
		}
		jail.ranking = newRanking(windows)
		for now := int64(20); now < 3000; now++ {
			switch k := key(); {
			case random.IntN(10) > 0:
				late := int64(max(0, random.IntN(60)-50))
				jail.hit(k, hit{now - late, 1 + random.IntN(3), ""}, findtime, 1000)
			case windows[k] != nil:
				jail.forget(windows[k])
			}
			if len(windows) == 0 {
				continue
			}
			lightest, stale := slowly(windows, now-findtime)
			if got := jail.ranking.lightest(); got != lightest {
				t.Fatalf("seed %d, %d: %s (weighs %d, last %d) is the lightest, want %s (%d, %d)", seed, now, got.key, got.weight, got.last(), lightest.key, lightest.weight, lightest.last())
			}
			if got := jail.ranking.stale(now - findtime); (got != nil) != (stale > 0) || got != nil && got.last() > now-findtime {
				t.Fatalf("seed %d, %d: %+v is stale, want one of %d", seed, now, got, stale)
			}
			if n := len(jail.ranking.old.items); n > len(windows)+len(windows)/goneShare+goneLeast+1 {
				t.Fatalf("seed %d, %d: %d remembered of %d windows", seed, now, n, len(windows))
			}
			if random.IntN(20) == 0 { // what a full jail does
				jail.hit(k2(now), hit{now, 1, ""}, findtime, len(windows))
				if _, stale := slowly(windows, now-findtime); stale > 0 {
					t.Fatalf("seed %d, %d: %d stale windows are kept", seed, now, stale)
				}
			}
		}
	}
}

// k2 is a key that no other is.
func k2(n int64) Key {
	return Key{netip.PrefixFrom(addr(fmt.Sprintf("203.0.%d.%d", n/256, n%256)), 32)}
}

// slowly finds the lightest window, and how many have no hit after the horizon.
func slowly(windows map[Key]*window, horizon int64) (lightest *window, stale int) {
	for _, w := range windows {
		if w.last() <= horizon {
			stale++
		}
		switch {
		case lightest == nil, w.weight < lightest.weight:
			lightest = w
		case w.weight > lightest.weight:
		case w.last() != lightest.last():
			if w.last() < lightest.last() {
				lightest = w
			}
		default:
			if a, b := standingOf(w), standingOf(lightest); a.before(&b) {
				lightest = w
			}
		}
	}
	return lightest, stale
}

// BenchmarkFlood is a failure of one more address, 10,000 a second, in a jail that tracks
// all that it may.
func BenchmarkFlood(b *testing.B) {
	j := newBench(func(r *Rules) { r.MaxTracked = 100_000 })
	random := rand.New(rand.NewPCG(1, 1))
	n := int64(0)
	flood := func() {
		bytes := [4]byte{198, byte(random.UintN(256)), byte(random.UintN(256)), byte(random.UintN(256))}
		j.Event(Event{Failure: Failure{Jail: "sshd", Addr: netip.AddrFrom4(bytes), Time: T + n/10_000, Weight: 1, Rule: "failed-password"}})
		n++
	}
	for range 150_000 {
		flood()
	}
	b.ReportAllocs()
	for b.Loop() {
		flood()
	}
}

// In a long flood the map that it goes through is made anew, whether its windows are evicted
// or become too old, and loses nothing.
func TestFloodMakesTheMapAnew(t *testing.T) {
	const tracked = 2000
	for _, findtime := range []int64{3600, 1} {
		jail := New().Jail("sshd")
		patient := Key{netip.MustParsePrefix("192.0.2.1/32")}
		anew := 0
		for n := range 50 * tracked {
			address := netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)})
			before := jail.forgotten
			jail.hit(Key{netip.PrefixFrom(address, 32)}, hit{int64(n / 1000), 1, ""}, findtime, tracked)
			if n%500 == 0 {
				jail.hit(patient, hit{int64(n / 1000), 1, ""}, findtime, tracked)
			}
			if jail.forgotten < before {
				anew++
			}
		}
		w := jail.windows.get()[patient]
		if w == nil || w.weight < 2 || jail.Tracked() > tracked || len(jail.ranking.light.items) != jail.Tracked() || anew < 5 {
			t.Errorf("findtime %d: %s is there: %v; %d windows, made anew %d times", findtime, patient, w != nil, jail.Tracked(), anew)
		}
	}
}

// Windows that weigh the same and are as old have an order all the same, a hit later and in
// another pass too.
func TestOrderOfStandings(t *testing.T) {
	var windows []*window
	for _, text := range []string{"10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/32", "10.0.0.1/32", "192.0.2.0/24", "::/0", "::a00:0/128", "::ffff:a00:0/128", "2001:db8::/32", "2001:db8::/64", "2001:db8:0:1::/64"} {
		w := &window{key: Key{netip.MustParsePrefix(text)}}
		w.add(hit{T, 1, ""}, 600)
		windows = append(windows, w)
	}
	before := func(a, b *window) bool {
		x, y := standingOf(a), standingOf(b)
		return x.before(&y)
	}
	for i, a := range windows {
		for k, b := range windows {
			if i != k && before(a, b) == before(b, a) || i == k && before(a, b) {
				t.Errorf("%s and %s have no order", a.key, b.key)
			}
		}
	}
	slices.SortFunc(windows, func(a, b *window) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	var got []string
	for _, w := range windows {
		got = append(got, w.key.String())
	}
	want := []string{"::/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.0", "::ffff:10.0.0.0", "::a00:0", "2001:db8:0:1::/64", "2001:db8::/32", "2001:db8::/64", "192.0.2.0/24", "10.0.0.1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// numbered knows its place in a heap.
type numbered struct{ number, place *int }

func (n *numbered) before(other *numbered) bool { return *n.number < *other.number }

func (n *numbered) at(place int) { *n.place = place }

// TestHeap: none stands before the one above it, and each knows where it stands.
func TestHeap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h heap4[numbered, *numbered]
	for step := range 20_000 {
		switch n := len(h.items); {
		case n == 0 || n < 200 && random.IntN(5) < 2:
			number, place := random.IntN(100), -1
			h.add(numbered{&number, &place})
		case random.IntN(2) == 0:
			h.remove(random.IntN(n))
		default:
			i := random.IntN(n)
			*h.items[i].number = random.IntN(100)
			h.settle(i)
		}
		for i, x := range h.items {
			if *x.place != i || i > 0 && h.before(i, (i-1)/4) {
				t.Fatalf("step %d: the %d. of %d, %d, stands below %d and says that it is the %d.", step, i, len(h.items), *x.number, *h.items[max(0, i-1)/4].number, *x.place)
			}
		}
	}
}
