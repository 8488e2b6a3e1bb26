package nftables

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/state/sha256"
)

// tableName and chainName are all that is ours in the kernel.
const (
	tableName = "scan2ban"
	chainName = "prerouting"
)

// set is a kernel set of ours.
type set struct {
	name  string
	group string
	v6    bool
	bits  int  // length of its keys; 0: ranges, an interval set
	still bool // of a list: ranges without timeouts and counters
}

// comment is what the kernel keeps with the set: all that is needed to read it
// back without a configuration.
func (s set) comment() string {
	if s.bits == 0 {
		return s.group + " ranges"
	}
	return fmt.Sprintf("%s /%d", s.group, s.bits)
}

// full is the length of an address of the set's family.
func (s set) full() int {
	if s.v6 {
		return 128
	}
	return 32
}

// holding is what a set must hold: keys of a hash set, or ranges of an
// interval set.
type holding struct {
	set
	keys   map[netip.Addr]time.Duration // 0: for ever
	ranges []span                       // disjoint, sorted
	list   *List                        // of a list's set, which is compared by its print and has neither
}

// arrangement is what must be in the kernel: sets with what they hold, and the
// rules of the chain, in order.
type arrangement struct {
	sets    []*holding
	rules   []rule
	leftOut int              // elements beyond the limit
	bad     map[string]error // groups that cannot be arranged
	groups  []Group          // as given
	cut     limit
}

// arrange lays groups out in sets and rules. Elements that have less than a
// second left are dropped, the others rounded up to whole seconds, and beyond
// limit the latest ends win. The sets are empty until filled: the shape alone
// tells whether the structure is still the same.
func arrange(groups []Group, limit int) (*arrangement, error) {
	a := &arrangement{bad: map[string]error{}, groups: groups, cut: latest(groups, limit)}
	a.leftOut = a.cut.leftOut
	seen := map[string]bool{}
	var early, late []rule
	for i, g := range groups {
		if seen[g.Name] {
			return nil, fmt.Errorf("two groups are named %q", g.Name)
		}
		seen[g.Name] = true
		sets, err := g.shape(func(e Element) bool { return a.cut.keeps(i, e) })
		if err == nil {
			var rules []rule
			if rules, err = g.rules(sets); g.Reach.Forwarded {
				early = append(early, rules...)
			} else {
				late = append(late, rules...)
			}
		}
		if err != nil {
			a.bad[g.Name] = err
			continue
		}
		a.sets = append(a.sets, sets...)
	}
	a.rules = slices.Concat(spared(), early, transit(), late)
	return a, nil
}

// fill puts the elements into the sets. A key that occurs twice has the later end.
func (a *arrangement) fill() {
	byName := map[string]*holding{}
	for _, h := range a.sets {
		byName[h.name] = h
		h.keys = map[netip.Addr]time.Duration{}
	}
	for i, g := range a.groups {
		if a.bad[g.Name] != nil {
			continue
		}
		nets := map[string]map[netip.Prefix]time.Duration{}
		for _, e := range g.Elements {
			left, send := whole(e.Left)
			if !send || !a.cut.keeps(i, e) {
				continue
			}
			p := e.Key.Masked()
			h := byName[g.setFor(p).name]
			if h.bits > 0 {
				keepLater(h.keys, p.Addr(), left)
				continue
			}
			if nets[h.name] == nil {
				nets[h.name] = map[netip.Prefix]time.Duration{}
			}
			keepLater(nets[h.name], p, left)
		}
		for name, keys := range nets {
			byName[name].ranges = disjoint(keys)
		}
	}
}

// without is the arrangement less one group, which the kernel refused.
func (a *arrangement) without(group string) *arrangement {
	b := *a
	b.sets = slices.DeleteFunc(slices.Clone(a.sets), func(h *holding) bool { return h.group == group })
	b.rules = slices.DeleteFunc(slices.Clone(a.rules), func(r rule) bool { return r.group == group })
	return &b
}

// hash names the structure: what the chain and its sets look like, whatever they hold.
func (a *arrangement) hash(o Options) string {
	var text strings.Builder
	fmt.Fprintf(&text, "at most %d\n", o.MaxBans)
	for _, h := range a.sets {
		fmt.Fprintf(&text, "set %s %v %q %v\n", h.name, h.v6, h.comment(), h.still)
	}
	for _, r := range a.rules {
		fmt.Fprintln(&text, r.text)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:16])
}

// nominal lengths of the group's IPv4 and IPv6 keys.
func (g Group) nominal(v6 bool) int {
	switch {
	case v6 && g.IPv6Prefix != 0:
		return g.IPv6Prefix
	case v6:
		return 64
	case g.IPv4Prefix != 0:
		return g.IPv4Prefix
	}
	return 32
}

// setFor is the set that a key belongs in.
func (g Group) setFor(p netip.Prefix) set {
	s := set{name: g.Name + "4", group: g.Name, bits: p.Bits(), v6: p.Addr().Is6()}
	if s.v6 {
		s.name = g.Name + "6"
	}
	switch p.Bits() {
	case g.nominal(s.v6):
	case s.full():
		s.name = fmt.Sprintf("%s_%d", s.name, s.full())
	default:
		s.name, s.bits = s.name+"_net", 0
	}
	return s
}

// shape lists the sets that a group needs, empty: those for keys of nominal
// length, and the others if it holds such a key.
func (g Group) shape(keep func(Element) bool) ([]*holding, error) {
	if g.Name == "" || len(g.Name) > 200 || strings.ContainsRune(g.Name, 0) {
		return nil, fmt.Errorf("%q cannot name a set", g.Name)
	}
	v4, v6 := g.nominal(false), g.nominal(true)
	if v4 < 1 || v4 > 32 || v6 < 1 || v6 > 128 {
		return nil, fmt.Errorf("/%d and /%d are not lengths of IPv4 and IPv6 keys", v4, v6)
	}
	exact, ranges := [2]bool{}, [2]bool{} // of IPv4, of IPv6
	for _, e := range g.Elements {
		p := e.Key.Prefix
		if !p.IsValid() || p.Addr().Is4In6() {
			return nil, fmt.Errorf("%v is not a key", p)
		}
		family, nominal := 0, v4
		if p.Addr().Is6() {
			family, nominal = 1, v6
		}
		if p.Bits() == nominal || e.Left != 0 && e.Left < time.Second || !keep(e) {
			continue
		}
		exact[family] = exact[family] || p.IsSingleIP()
		ranges[family] = ranges[family] || !p.IsSingleIP()
	}
	if g.List != nil {
		return g.listed(), nil
	}
	var list []*holding
	for family, prefix := range []netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), v4), netip.PrefixFrom(netip.IPv6Unspecified(), v6),
	} {
		full := prefix.Addr().BitLen()
		list = append(list, &holding{set: g.setFor(prefix)})
		if exact[family] {
			list = append(list, &holding{set: g.setFor(netip.PrefixFrom(prefix.Addr(), full))})
		}
		if ranges[family] {
			s := g.setFor(prefix)
			list = append(list, &holding{set: set{name: s.name + "_net", group: s.group, v6: s.v6}})
		}
	}
	return list, nil
}

// keepLater keeps the later end of a key that occurs twice.
func keepLater[K comparable](m map[K]time.Duration, key K, left time.Duration) {
	if old, ok := m[key]; !ok || longer(left, old) {
		m[key] = left
	}
}

// whole rounds up to whole seconds. What is over within a second is not sent: 0
// in the encoding means for ever, and a negative time loses the whole batch.
func whole(left time.Duration) (rounded time.Duration, send bool) {
	if left == 0 {
		return 0, true
	}
	if left < time.Second {
		return 0, false
	}
	return (left + time.Second - 1).Truncate(time.Second), true
}

// limit says which elements are within the limit over all groups.
type limit struct {
	leftOut int
	all     bool
	in      []map[Element]bool // by index of the group, those that are in
}

func (l limit) keeps(group int, e Element) bool { return l.all || l.in[group][e] }

// latest chooses at most max elements, the latest ends first and permanent ones
// before all. The choice is stable as time passes: what is left out ends before
// everything that is in.
func latest(groups []Group, max int) limit {
	count := 0
	for _, g := range groups {
		for _, e := range g.Elements {
			if _, send := whole(e.Left); send {
				count++
			}
		}
	}
	if max <= 0 || count <= max {
		return limit{all: true}
	}
	type place struct {
		group int
		Element
	}
	order := make([]*place, 0, count) // slices.SortFunc is in the binary once for all pointers
	for i, g := range groups {
		for _, e := range g.Elements {
			if _, send := whole(e.Left); send {
				order = append(order, &place{i, e})
			}
		}
	}
	slices.SortFunc(order, func(a, b *place) int {
		switch {
		case longer(a.Left, b.Left):
			return -1
		case longer(b.Left, a.Left):
			return 1
		case groups[a.group].Name != groups[b.group].Name:
			return strings.Compare(groups[a.group].Name, groups[b.group].Name)
		}
		return a.Key.Compare(b.Key.Prefix)
	})
	l := limit{leftOut: count - max, in: make([]map[Element]bool, len(groups))}
	for i := range l.in {
		l.in[i] = map[Element]bool{}
	}
	for _, p := range order[:max] {
		l.in[p.group][p.Element] = true
	}
	return l
}
