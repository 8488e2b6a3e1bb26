package nftables

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// planFromKernel is the difference between what the kernel holds and what is
// wanted. What the ledger said was there (known; nil: unknown) tells a repair
// from a change; expected says that the structure had been right. Both
// arrangements are filled.
func planFromKernel(t *liveTable, known, want *arrangement, expected bool) Plan {
	var p Plan
	live := p.compareStructure(t, want)
	if expected {
		p.Repaired += len(p.Structure)
	}
	elapsed := time.Since(t.taken)
	for _, h := range want.sets {
		var before *holding
		if known != nil {
			before = &holding{}
			if i := slices.IndexFunc(known.sets, func(k *holding) bool { return k.set == h.set }); i >= 0 {
				before = known.sets[i]
			}
		}
		p.compareSet(live[h.name], before, h, elapsed)
	}
	return p
}

// compareStructure finds what is wrong with table, chain and sets, and returns
// the sets whose elements can stay, by name. Any fault has the whole chain
// written anew, in the one transaction that mends it: a set and the rule that
// names it come and go together.
func (p *Plan) compareStructure(t *liveTable, want *arrangement) map[string]*liveSet {
	fault := func(format string, a ...any) { p.Structure = append(p.Structure, fmt.Sprintf(format, a...)) }
	kept := map[string]*liveSet{}
	switch c := t.chain; {
	case !t.there:
		fault("table inet %s is missing", tableName)
	case t.flags != 0:
		fault("table inet %s has flags %#x", tableName, t.flags)
		p.rebuild = true
	case !c.there:
		fault("chain %s is missing", chainName)
	case c.kind != "filter" || c.hook != unix.NF_INET_PRE_ROUTING || c.priority != priority || c.device:
		fault("chain %s has type %q, hook %d, priority %d", chainName, c.kind, c.hook, c.priority)
		p.rebuild = true
	case c.policy != policyAccept:
		fault("chain %s has another policy", chainName)
	}

	have := map[string]*liveSet{}
	for _, s := range t.sets {
		have[s.name] = s
	}
	for _, h := range want.sets {
		s := have[h.name]
		switch {
		case s == nil:
			if t.there {
				fault("set %s is missing", h.name)
			}
			p.create = append(p.create, h.name)
		case !s.is(h.set):
			fault("set %s has other flags or keys", h.name)
			p.drop = append(p.drop, h.name)
			p.create = append(p.create, h.name)
		default:
			kept[h.name] = s
		}
	}
	for _, s := range t.sets {
		if s.ours && !slices.ContainsFunc(want.sets, func(h *holding) bool { return h.name == s.name }) {
			fault("set %s is no longer wanted", s.name)
			p.drop = append(p.drop, s.name)
		}
	}

	if t.there && t.chain.there {
		switch n := min(len(t.rules), len(want.rules)); {
		case len(t.rules) != len(want.rules):
			fault("chain %s has %d rules, not %d", chainName, len(t.rules), len(want.rules))
		default:
			for i := range n {
				if !want.rules[i].is(t.rules[i], have) {
					fault("rule %d is not %q", i+1, want.rules[i].text)
				}
			}
		}
	}
	if p.rebuild {
		return nil
	}
	return kept
}

// is tells whether the kernel's set is what it should be.
func (s *liveSet) is(want set) bool {
	return s.ours && s.set == want && s.rawFlags == want.flags() && s.rawType == want.keyType() &&
		s.rawComment == want.comment() && s.counter != want.still && s.rawTimeout == 0
}

// compareSet finds the elements of one set that are missing, wrong or too many.
// live is nil when the set is new, known when the ledger is.
func (p *Plan) compareSet(live *liveSet, known, want *holding, elapsed time.Duration) {
	fresh := live == nil
	if fresh {
		live = &liveSet{}
	}
	if want.list != nil {
		has, same := "", known != nil && known.list != nil && known.print() == want.print()
		if fresh {
			has = print{}.String()
		} else if same && live.holds {
			has = want.print()
		}
		p.compareList(want, has, same)
		return
	}
	if want.bits == 0 {
		p.compareRanges(live, known, want, elapsed)
		return
	}
	c := Change{Set: want.name, Group: want.group}
	put := func(list *[]Entry, addr netip.Addr, left time.Duration) {
		*list = append(*list, Entry{From: addr, Left: left})
		if known == nil {
			p.Added++
		} else if was, ok := known.keys[addr]; ok && near(was, left, tolerance) {
			p.Repaired++
		} else {
			p.Added++
		}
	}
	rest := maps.Clone(want.keys) // what has not been seen
	for _, e := range live.elements {
		if left, ok := rest[e.from]; ok {
			delete(rest, e.from)
			if !near(left, e.left, slack(e.age, elapsed)) {
				put(&c.Renew, e.from, left)
			}
			continue
		}
		if _, twice := want.keys[e.from]; twice || fading(e) {
			continue // a hash set that is being resized may tell an element twice
		}
		c.Remove = append(c.Remove, Entry{From: e.from, Left: e.left})
		p.tookOut(known == nil || hasKey(known.keys, e.from))
	}
	if len(live.elements) == 0 {
		c.Add = make([]Entry, 0, len(rest))
	}
	for addr, left := range rest {
		put(&c.Add, addr, left)
	}
	p.change(c)
}

// compareRanges is compareSet for an interval set, which is left or replaced as a whole.
func (p *Plan) compareRanges(live *liveSet, known, want *holding, elapsed time.Duration) {
	var have []span
	within := tolerance
	for _, e := range live.elements {
		if !fading(e) || slices.ContainsFunc(want.ranges, func(s span) bool { return s.from == e.from && s.to == e.to }) {
			have = append(have, e.span)
			within = max(within, slack(e.age, elapsed))
		}
	}
	if sameRanges(have, want.ranges, within) {
		return
	}
	put, gone := missing(have, want.ranges), missing(want.ranges, have)
	if known != nil && sameRanges(known.ranges, want.ranges, tolerance) {
		p.Repaired += put + gone
	} else {
		p.Added += put
		p.Removed += gone
	}
	p.change(Change{Set: want.name, Group: want.group, Add: entries(want.ranges), Rewrite: true})
}

// tookOut counts an element that is removed.
func (p *Plan) tookOut(ledgered bool) {
	if ledgered {
		p.Removed++
	} else {
		p.Repaired++
	}
}

// fading tells whether an element is about to end by itself.
func fading(e liveElement) bool { return e.left != 0 && e.left <= tolerance }

func hasKey[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

// slack is how far a healthy element's end may be from the ledger's: rounding,
// the time since the ledger was looked at, and the drift of a clock that NTP
// disciplines (at most 500 parts in a million) since the element was added.
func slack(age, elapsed time.Duration) time.Duration {
	return tolerance + elapsed + age/2000
}
