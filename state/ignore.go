package state

import (
	"maps"
	"net/netip"
	"slices"
)

// Ignored is the set of addresses that are never counted and never banned.
// Each entry carries where it came from, to be told to the admin.
type Ignored struct {
	entries map[netip.Prefix]string
	lengths [2][]int // the prefix lengths in use: IPv4, IPv6
}

// NewIgnored is an empty set.
func NewIgnored() *Ignored { return &Ignored{entries: map[netip.Prefix]string{}} }

// Add puts p into the set; origin names where it stands, as "ignoreip" or "own address".
func (g *Ignored) Add(p Prefix, origin string) {
	if _, ok := g.entries[p.Prefix]; ok {
		return
	}
	g.entries[p.Prefix] = origin
	lengths := &g.lengths[family(p.Addr())]
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
	}
}

// AddAll puts what is in h into g.
func (g *Ignored) AddAll(h *Ignored) {
	if h == nil {
		return
	}
	for p, origin := range h.entries {
		g.Add(Prefix{p}, origin)
	}
}

// Covers gives the entry that covers addr, with its origin.
func (g *Ignored) Covers(addr netip.Addr) (entry Prefix, origin string, ok bool) {
	if g == nil {
		return Prefix{}, "", false
	}
	for _, bits := range g.lengths[family(addr)] {
		p := netip.PrefixFrom(addr, bits).Masked()
		if origin, ok = g.entries[p]; ok {
			return Prefix{p}, origin, true
		}
	}
	return Prefix{}, "", false
}

// Touches gives an entry that shares addresses with key.
func (g *Ignored) Touches(key Key) (entry Prefix, origin string, ok bool) {
	if entry, origin, ok = g.Covers(key.Addr()); ok || g == nil || key.IsSingleIP() {
		return entry, origin, ok
	}
	for p, origin := range g.entries {
		if p.Overlaps(key.Prefix) {
			return Prefix{p}, origin, true
		}
	}
	return Prefix{}, "", false
}

// within gives the prefixes of that length that hold an entry longer than it.
func (g *Ignored) within(bits [2]int) map[netip.Prefix]bool {
	holding := map[netip.Prefix]bool{}
	if g == nil {
		return holding
	}
	for p := range g.entries {
		if n := bits[family(p.Addr())]; p.Bits() > n {
			holding[netip.PrefixFrom(p.Addr(), n).Masked()] = true
		}
	}
	return holding
}

// family is 0 for IPv4, 1 for IPv6.
func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Prefixes are the entries, in no order.
func (g *Ignored) Prefixes() []netip.Prefix {
	if g == nil {
		return nil
	}
	return slices.Collect(maps.Keys(g.entries))
}
