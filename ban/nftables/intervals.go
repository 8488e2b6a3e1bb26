package nftables

import (
	"net/netip"
	"slices"
	"time"
)

// span is an element of a set: the range from..to, inclusive. In a hash set
// from is the key and to is the zero Addr.
type span struct {
	from, to netip.Addr
	left     time.Duration // 0: for ever
}

// longer tells whether a ban with a left ends after one with b left; 0 is for ever.
func longer(a, b time.Duration) bool {
	if a == 0 || b == 0 {
		return a == 0 && b != 0
	}
	return a > b
}

// disjoint cuts keys of one family, which may hold one another, into ranges that do
// not overlap, sorted; the longest end wins. An overlap would be refused by the
// kernel and lose the whole transaction.
//
// Two prefixes are nested or apart, never crossing, so a stack of the open ones
// is all that is needed.
func disjoint(keys map[netip.Prefix]time.Duration) []span {
	list, order := make([]netip.Prefix, 0, len(keys)), make([]*netip.Prefix, 0, len(keys)) // slices.SortFunc is in the binary once for all pointers
	for p := range keys {
		list = append(list, p)
		order = append(order, &list[len(list)-1])
	}
	slices.SortFunc(order, func(a, b *netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits() // the one that holds the other comes first
	})

	var spans, open []span // open: from is the first address not yet written
	write := func(s span) {
		if n := len(spans); n > 0 && spans[n-1].left == s.left && spans[n-1].to.Next() == s.from {
			spans[n-1].to = s.to
			return
		}
		spans = append(spans, s)
	}
	shut := func(before netip.Addr) { // writes what ends before that address
		for n := len(open); n > 0 && (!before.IsValid() || open[n-1].to.Less(before)); n = len(open) {
			s := open[n-1]
			open = open[:n-1]
			if s.from.IsValid() && !s.to.Less(s.from) {
				write(s)
			}
			if n > 1 {
				open[n-2].from = s.to.Next() // invalid after the last address: nothing is left
			}
		}
	}
	for _, p := range order {
		s := span{p.Addr(), last(*p), keys[*p]}
		shut(s.from)
		if n := len(open); n > 0 {
			outer := open[n-1]
			if !longer(s.left, outer.left) {
				continue
			}
			if outer.from.Less(s.from) {
				write(span{outer.from, s.from.Prev(), outer.left})
			}
		}
		open = append(open, s)
	}
	shut(netip.Addr{})
	return spans
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// prefixes cuts a range into the fewest prefixes that make it up.
func prefixes(from, to netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for from.IsValid() && !to.Less(from) {
		bits := from.BitLen()
		for bits > 0 {
			p := netip.PrefixFrom(from, bits-1)
			if p.Masked().Addr() != from || to.Less(last(p)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(from, bits)
		list = append(list, p)
		from = last(p).Next()
	}
	return list
}
