package check

import (
	"cmp"
	"fmt"
	"net/netip"

	"scan2ban/state"
	"scan2ban/state/order"
	"scan2ban/state/report"
)

// worst is how many addresses of a jail are looked at, those with the most
// failures.
const worst = 20

// offenders looks at the addresses with so many failures that a ban is likely:
// proxies, those who also logged in, and those who are logged in now.
func (c *checker) offenders(found *report.Findings, j Jail, h *heard, when string) {
	r := c.Rules[j.Name]
	if r == nil {
		return
	}
	what := "jail " + j.Name + ": clients"
	here := map[netip.Addr]string{}
	if c.JournalPath == "" {
		for _, s := range c.sessions() {
			here[s.Addr] = s.From
		}
	}
	for _, addr := range h.worst(r.MaxRetry) {
		if _, _, ignored := r.Ignored.Covers(addr); ignored {
			continue
		}
		x := h.clients[addr]
		did := fmt.Sprintf("%s had %s %s", addr, state.Plural(x.failures, "failure"), when)
		spare := fmt.Sprintf("ignoreip = [\"%s\"] in [defaults], if it is yours", addr)
		switch owner := ownerOf(addr); {
		case here[addr] != "":
			found.Warn(what, fmt.Sprintf("%s, and somebody is logged in from there now (%s): a ban would cut that session", did, here[addr]), spare)
		case owner == privateNetwork:
			found.Warn(what, did+" and is a private address: if it is a proxy, a gateway or a container bridge, a ban shuts out everybody behind it",
				fmt.Sprintf("ignoreip = [\"%s\"] in [defaults]\nand let the proxy pass on its clients' addresses", addr))
		case owner != "":
			found.Warn(what, fmt.Sprintf("%s and belongs to %s: a ban shuts out all visitors that come through it", did, owner),
				"let the server log its clients' addresses (real_ip in nginx, mod_remoteip in Apache), and put the network into ignoreip")
		case x.successes > 0:
			found.Warn(what, fmt.Sprintf("%s and %s (as %s): several people behind one address, or somebody who mistypes", did, state.Plural(x.successes, "log-in"), cmp.Or(x.user, "?")),
				fmt.Sprintf("spare = \"7d\" in [jail.%s]\nor %s", j.Name, spare))
		}
	}
}

// worst are the addresses with at least so many failures, the most first.
func (h *heard) worst(least int) (list []netip.Addr) {
	for addr, x := range h.clients {
		if x.failures >= least {
			list = append(list, addr)
		}
	}
	order.By(list, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(h.clients[b].failures, h.clients[a].failures), a.Compare(b))
	})
	return list[:min(len(list), worst)]
}
