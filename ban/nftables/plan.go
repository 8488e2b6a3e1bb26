package nftables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Plan is what is to be done: made by pure functions, printed by String,
// applied once by Sync.
type Plan struct {
	Reason    string   // why the table was read back; empty: it was not
	Structure []string // what is missing or wrong in table, chain, sets; empty: leave them as they are
	Changes   []Change // of elements, in the order of the sets

	Added, Removed, Repaired int // as in Result

	Unread map[string]error // groups whose list could not be read: they are left as they are

	rebuild bool     // the table itself is wrong: delete and make it anew, in one transaction
	drop    []string // sets to delete
	create  []string // sets to make
}

// Change is what is to be done to one set.
type Change struct {
	Set    string
	Group  string
	Add    []Entry // is not there
	Renew  []Entry // is there with another end, or may be there
	Remove []Entry // may have ended by itself meanwhile
	// Rewrite replaces everything that an interval set holds by Add: what overlaps
	// is refused, so ranges are not patched one by one.
	Rewrite bool
}

// Entry is an element of a set.
type Entry struct {
	From, To netip.Addr    // To is the zero Addr in a hash set
	Left     time.Duration // 0: for ever
}

// String writes the plan, one line for a set: "sshd4: 1 added, 0 changed, 0 removed:
// +192.0.2.1 for 1d".
func (p Plan) String() string {
	var b strings.Builder
	if p.Reason != "" {
		fmt.Fprintf(&b, "read the table: %s\n", p.Reason)
	}
	for _, s := range p.Structure {
		fmt.Fprintf(&b, "mend: %s\n", s)
	}
	for _, c := range p.Changes {
		if c.Rewrite {
			fmt.Fprintf(&b, "%s: written anew, %s:", c.Set, state.Plural(len(c.Add), "element"))
		} else {
			fmt.Fprintf(&b, "%s: %d added, %d changed, %d removed:", c.Set, len(c.Add), len(c.Renew), len(c.Remove))
		}
		shown := 0
		for _, part := range []struct {
			sign string
			list []Entry
		}{{"+", c.Add}, {"~", c.Renew}, {"-", c.Remove}} {
			for _, e := range part.list {
				if shown++; shown <= 10 {
					fmt.Fprintf(&b, " %s%v", part.sign, e)
				}
			}
		}
		if shown > 10 {
			fmt.Fprintf(&b, " ... and %d more", shown-10)
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

// String writes "192.0.2.1 for 10s", "192.0.2.0-192.0.2.9 for ever".
func (e Entry) String() string {
	text := e.From.String()
	if e.To.IsValid() {
		text += "-" + e.To.String()
	}
	if e.Left == 0 {
		return text + " for ever"
	}
	return text + " for " + state.Duration(e.Left).String()
}

// near tells whether two remaining times are the same ban's.
func near(a, b, within time.Duration) bool {
	if a == 0 || b == 0 {
		return a == b
	}
	return (a - b).Abs() <= within
}

// sameInOrder tells whether two ledgers are the same, element by element. It is
// the cheap question: "no" may only mean another order.
func sameInOrder(was, want []Group) bool {
	return slices.EqualFunc(was, want, func(a, b Group) bool {
		return a.Name == b.Name && samePrints(a.List, b.List) && slices.EqualFunc(a.Elements, b.Elements, func(x, y Element) bool {
			return x.Key == y.Key && near(x.Left, y.Left, tolerance)
		})
	})
}

// samePrints tells whether two lists hold the same, as far as is known.
func samePrints(a, b *List) bool {
	if a == nil || b == nil {
		return a == b
	}
	for i := range a.Prints {
		if a.Prints[i] != b.Prints[i] && b.Prints[i] != "" {
			return false
		}
	}
	return true
}

// planFromLedger is the difference between two ledgers of the same structure,
// for a kernel that holds the first. Everything is renewed, never only added:
// an element that ended may linger in the kernel for a second. Both are filled.
func planFromLedger(was, want *arrangement) Plan {
	var p Plan
	old := map[string]*holding{}
	for _, h := range was.sets {
		old[h.name] = h
	}
	for _, h := range want.sets {
		c := Change{Set: h.name, Group: h.group}
		before := old[h.name]
		if before == nil {
			before = &holding{}
		}
		if h.list != nil {
			has := ""
			if before.list != nil {
				has = before.print()
			}
			p.compareList(h, has, false)
			continue
		}
		if h.bits == 0 {
			if !sameRanges(before.ranges, h.ranges, tolerance) {
				c.Rewrite, c.Add = true, entries(h.ranges)
				p.Added += missing(before.ranges, h.ranges)
				p.Removed += missing(h.ranges, before.ranges)
				p.Changes = append(p.Changes, c)
			}
			continue
		}
		for addr, left := range h.keys {
			if b, ok := before.keys[addr]; !ok || !near(b, left, tolerance) {
				c.Renew = append(c.Renew, Entry{From: addr, Left: left})
			}
		}
		for addr, left := range before.keys {
			if _, ok := h.keys[addr]; !ok {
				c.Remove = append(c.Remove, Entry{From: addr, Left: left})
			}
		}
		p.Added += len(c.Renew)
		p.Removed += len(c.Remove)
		p.change(c)
	}
	return p
}

// change appends c, sorted, unless it is empty.
func (p *Plan) change(c Change) {
	if len(c.Add)+len(c.Renew)+len(c.Remove) == 0 && !c.Rewrite {
		return
	}
	for _, list := range [][]Entry{c.Add, c.Renew, c.Remove} {
		if len(list) < 1000 { // for people; many are applied in any order
			order.By(list, func(a, b Entry) int { return a.From.Compare(b.From) })
		}
	}
	p.Changes = append(p.Changes, c)
}

func entries(spans []span) []Entry {
	list := make([]Entry, len(spans))
	for i, s := range spans {
		list[i] = Entry{s.from, s.to, s.left}
	}
	return list
}

// sameRanges tells whether two lists of sorted ranges are the same.
func sameRanges(a, b []span, within time.Duration) bool {
	return slices.EqualFunc(a, b, func(x, y span) bool {
		return x.from == y.from && x.to == y.to && near(x.left, y.left, within)
	})
}

// missing counts the ranges of list that have is without.
func missing(have, list []span) int {
	type ends struct{ from, to netip.Addr }
	there := map[ends]time.Duration{}
	for _, h := range have {
		there[ends{h.from, h.to}] = h.left
	}
	n := 0
	for _, s := range list {
		if left, ok := there[ends{s.from, s.to}]; !ok || !near(left, s.left, tolerance) {
			n++
		}
	}
	return n
}
