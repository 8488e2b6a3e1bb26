package nftables

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Range is the addresses From to To, inclusive, of one family.
type Range struct{ From, To netip.Addr }

// RangeOf is the range of a prefix.
func RangeOf(p netip.Prefix) Range { return Range{p.Masked().Addr(), last(p)} }

// List is what a group holds that has no ends: ranges that somebody else keeps up to
// date. They may be many, so they are compared by a print, and read only when the kernel
// must be told of them, all of them in one transaction. Their sets have neither timeouts
// nor counters.
//
// The kernel tells of an interval set in time that grows with the square of its size (half
// a million ranges: half a minute), so theirs are never read back. Where the ruleset was
// changed by somebody, the number of elements is compared, which Linux 6.17 and newer
// tell, and some ranges are asked for one by one: a set that was flushed or is another is
// found, and written anew; before 6.17 not a single range that somebody took out or put in.
type List struct {
	// Prints of what the sets of IPv4 and IPv6 are to hold, see [PrintsOf]; empty: what
	// they hold is right.
	Prints [2]string
	// Samples are the first addresses of some of the ranges, see [SamplesOf].
	Samples []netip.Addr
	// Read gives all ranges, sorted, disjoint and not touching. On its error the sets are
	// left as they are and the group is in Result.Failed.
	Read func() ([]Range, error)
}

// print sums up what an interval set is to hold.
type print struct {
	count uint64 // of its elements, an end being one too
	sums  [2]uint64
}

// bound adds where a range begins or where it is over.
func (p *print) bound(key []byte, end bool) {
	p.count++
	if end {
		p.mix(key, 2)
		return
	}
	p.mix(key, 1)
}

func (p *print) mix(key []byte, kind uint64) {
	for i := range p.sums {
		h := kind + uint64(i)*0x9e3779b97f4a7c15
		for rest := key; len(rest) >= 4; rest = rest[4:] {
			h = (h ^ uint64(binary.BigEndian.Uint32(rest))) + 0x9e3779b97f4a7c15 // splitmix64
			h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
			h = (h ^ h>>27) * 0x94d049bb133111eb
			h ^= h >> 31
		}
		p.sums[i] += h
	}
}

func (p print) String() string { return fmt.Sprintf("%d:%016x%016x", p.count, p.sums[0], p.sums[1]) }

// PrintsOf are the prints of the ranges of IPv4 and IPv6.
func PrintsOf(ranges []Range) [2]string {
	var both [2]print
	for _, r := range ranges {
		p := &both[0]
		if r.From.Is6() {
			p = &both[1]
		}
		p.bound(r.From.AsSlice(), false)
		if next := r.To.Next(); next.IsValid() { // the last address of all has no end
			p.bound(next.AsSlice(), true)
		}
	}
	return [2]string{both[0].String(), both[1].String()}
}

// sampled is how many ranges of a family are asked for.
const sampled = 64

// SamplesOf chooses ranges of each family that are spread over all.
func SamplesOf(ranges []Range) []netip.Addr {
	var samples []netip.Addr
	var byFamily [2][]Range
	for i, r := range ranges { // sorted: IPv4 first
		if r.From.Is6() {
			byFamily[0], byFamily[1] = ranges[:i], ranges[i:]
			break
		}
		byFamily[0] = ranges[:i+1]
	}
	for _, list := range byFamily {
		step := max(1, len(list)/sampled)
		for i := step / 2; i < len(list); i += step {
			samples = append(samples, list[i].From)
		}
	}
	return samples
}

// holds tells whether a list's set holds what was put there, as far as can be seen.
func (l *link) holds(s *liveSet, want *holding) (bool, error) {
	number, _, _ := strings.Cut(want.print(), ":")
	if count, err := strconv.ParseUint(number, 10, 32); s.count != 0 && (err != nil || !s.counts(uint32(count))) {
		return false, nil
	}
	for _, addr := range want.list.Samples {
		if addr.Is6() != want.v6 {
			continue
		}
		if _, ok, err := l.lookUp(s.name, addr); err != nil {
			return false, explain(fmt.Errorf("look up %v in set %s: %w", addr, s.name, err))
		} else if !ok {
			return false, nil
		}
	}
	return true, nil
}

// counts tells whether the kernel's number of elements is that of so many bounds: it
// tells ranges, as half of the bounds that it holds.
func (s *liveSet) counts(bounds uint32) bool {
	return s.count == bounds/2 || s.count == (bounds+1)/2 || s.count == bounds
}

// listed are the two sets of a list's group.
func (g Group) listed() []*holding {
	return []*holding{
		{set: set{name: g.Name + "4", group: g.Name, still: true}, list: g.List},
		{set: set{name: g.Name + "6", group: g.Name, v6: true, still: true}, list: g.List},
	}
}

// print of what the set is to hold; empty: whatever is there.
func (h *holding) print() string {
	if h.v6 {
		return h.list.Prints[1]
	}
	return h.list.Prints[0]
}

// compareList finds whether a list's set is to be written anew. has is the print of what
// it holds. A list that cannot be read is left as it is.
func (p *Plan) compareList(h *holding, has string, repair bool) {
	if h.print() == "" || has == h.print() {
		return
	}
	ranges, err := h.list.Read()
	if err != nil {
		p.unread(h.group, err)
		return
	}
	var list []Entry
	for _, r := range ranges {
		if r.From.Is6() == h.v6 {
			list = append(list, Entry{From: r.From, To: r.To})
		}
	}
	if repair {
		p.Repaired++
	} else {
		p.Added += len(list)
	}
	p.change(Change{Set: h.name, Group: h.group, Add: list, Rewrite: true})
}

func (p *Plan) unread(group string, err error) {
	if p.Unread == nil {
		p.Unread = map[string]error{}
	}
	p.Unread[group] = err
}

// Prefixes are the fewest that make up the range.
func (r Range) Prefixes() []netip.Prefix { return prefixes(r.From, r.To) }
