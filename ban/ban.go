// Package ban knows what leaves the process: which bans of the ledger belong
// into the kernel. The packages below it bring them there (nftables) and, in
// time, to people and programs (deliver). It never imports scan.
package ban

import (
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// Groups are the live, enforced bans of the ledger at now, one group for each
// jail that has a share in the kernel, in the order of their names. What is left
// of a ban is never more than its whole length: on a host whose clock is behind
// its log a ban must not outlive what was decided.
func Groups(s *state.State, now time.Time) []nftables.Group {
	groups := []nftables.Group{}
	for _, name := range s.Names() {
		jail := s.Jails[name]
		if !jail.Reach.Enforce {
			continue
		}
		g := nftables.Group{Name: name, Reach: jail.Reach, IPv4Prefix: jail.Prefixes[0], IPv6Prefix: jail.Prefixes[1]}
		for _, b := range jail.Live(now.Unix()) {
			e := nftables.Element{Key: b.Key}
			if b.Until != 0 {
				e.Left = min(time.Unix(b.Until, 0).Sub(now), time.Duration(b.Until-b.Since)*time.Second)
			}
			g.Elements = append(g.Elements, e)
		}
		if name == state.ByHand && len(g.Elements) == 0 {
			continue
		}
		groups = append(groups, g)
	}
	return groups
}

// Later are the groups as they will be after that time: what ends until then is
// left out.
func Later(groups []nftables.Group, elapsed time.Duration) []nftables.Group {
	later := make([]nftables.Group, len(groups))
	for i, g := range groups {
		elements := make([]nftables.Element, 0, len(g.Elements))
		for _, e := range g.Elements {
			if e.Left == 0 {
				elements = append(elements, e)
			} else if e.Left -= elapsed; e.Left > 0 {
				elements = append(elements, e)
			}
		}
		g.Elements = elements
		later[i] = g
	}
	return later
}
