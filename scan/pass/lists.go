package pass

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
	"scan2ban/state"
	"scan2ban/state/report"
)

// lists is what passes know of the lists that others keep, by name.
type lists map[string]list.Known

func knownLists(v *state.Volatile) lists {
	known := lists{}
	if len(v.Lists) > 0 && json.Unmarshal(v.Lists, &known) != nil {
		return lists{}
	}
	return known
}

// look looks at the lists: their shares in the kernel as they are to be and as the pass
// before left them, and what is known now. warn gets what is news. While it is not known
// what is ignored, every list is left as it is.
func (s *Setup) look(was lists, warn func(error)) (want, before []nftables.Group, known lists) {
	known = lists{}
	var out []nftables.Range
	if s.Spared != nil {
		out = list.Out(s.Spared)
	}
	for _, o := range s.Lists {
		if o.Allow {
			continue
		}
		share := &nftables.List{Prints: was[o.Name].Prints, Samples: was[o.Name].Samples, Read: func() ([]nftables.Range, error) {
			return nil, errors.New("it is not known who is to be ignored: a jail or an allow list is broken")
		}}
		known[o.Name] = was[o.Name]
		if s.Unread != nil {
			share.Prints = [2]string{}
		}
		if s.Spared != nil {
			var news []error
			known[o.Name], share, news = o.Look(was[o.Name], out, s.Now.Unix())
			for _, err := range news {
				warn(err)
			}
		}
		k := known[o.Name]
		if k.Reach = nil; o.Enforce {
			k.Reach = &o.Reach
		}
		known[o.Name] = k
		if !o.Enforce {
			continue
		}
		g := nftables.Group{Name: o.Group(), Reach: o.Reach, List: share}
		want = append(want, g)
		if _, ok := was[o.Name]; ok {
			g.List = &nftables.List{Prints: was[o.Name].Prints}
			before = append(before, g)
		}
	}
	return want, before, known
}

// remembered are the lists that the last pass enforced: what their sets hold.
func (was lists) remembered() (all []*list.Options) {
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if r := was[name].Reach; r != nil {
			all = append(all, &list.Options{Name: name, Reach: *r})
		}
	}
	return all
}

// refused says what the kernel did not take, a jail's or a list's.
func refused(group string, err error) error {
	if name, ok := strings.CutPrefix(group, "list/"); ok {
		return fmt.Errorf("list %q is not in the kernel as it should be: %w", name, err)
	}
	return fmt.Errorf("jail %q: its bans are not all enforced: %w", group, err)
}

// Listed are the lists that keep an address out, as their files are. One that cannot be read
// is warned of.
func (p *Pass) Listed(addr netip.Addr) (held []report.WhyList) {
	if p.Spared == nil || p.Kernel.Backend == nftables.ByHooks {
		return nil
	}
	out := list.Out(p.Spared)
	for _, o := range p.Lists {
		if o.Allow || !o.Enforce {
			continue
		}
		in, err := o.Holds(addr, out)
		if err != nil {
			p.Warn("list %q may hold it: %v", o.Name, err)
		} else if in {
			held = append(held, report.WhyList{List: o.Name, File: o.File, Closes: o.Ports.Words()})
		}
	}
	return held
}

// listsShown are the lists for status: what the last pass knew of them.
func (p *Pass) listsShown() (shown []report.List) {
	known, allowed := knownLists(p.volatile), p.Allowed
	for _, o := range p.Lists {
		k := known[o.Name]
		if o.Allow {
			if k = (list.Known{Problem: "cannot be used (scan2ban check)"}); len(allowed) > 0 {
				k, allowed = allowed[0], allowed[1:]
			}
		}
		shown = append(shown, report.NewList(o.Name, o.File, o.Allow, o.Enforce, k.Entries, k.Ranges, k.Bad, k.Time, o.Written(), k.Problem))
	}
	return shown
}
