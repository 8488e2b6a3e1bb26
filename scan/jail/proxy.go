package jail

import (
	"fmt"
	"net/netip"
	"slices"

	"scan2ban/scan/filter"
)

// proxied makes the jail one of a service behind proxies: the client is whom they
// name. Its packets come from a proxy on another host, so that this host's firewall
// could only close the proxy itself out: such bans are kept in the ledger and not
// laid in the kernel, unless the jail says enforce = true (as where the proxy is a
// container of this host).
func (c *Config) proxied(j *Jail, enforce bool, f *file) {
	if len(j.TrustedProxies) == 0 {
		return
	}
	var proxies []netip.Prefix
	for _, p := range j.TrustedProxies {
		proxies = append(proxies, p.Prefix)
	}
	j.Matcher.Behind(proxies)
	here := !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return !p.Addr().IsLoopback() })
	if here || enforce || !j.Enforce {
		return
	}
	j.Enforce = false
	c.Notes = append(c.Notes, fmt.Sprintf("%s: jail %q: packets of its clients come from the trusted proxies, so its bans are not laid in this host's firewall: "+
		"they are for a hook, or for the proxy itself (write enforce = true if the proxies run on this host)", f.place("jail", j.Name, "trusted_proxies"), j.Name))
}

// instant finds names in the jail's instant that are no failures of its filter.
func (j *Jail) instant(report func(key, problem string)) {
	if len(j.Instant) == 0 {
		return
	}
	var names []string
	for _, r := range j.Rules.Rules() {
		if r.Kind == filter.Failure {
			names = append(names, r.Name)
		}
	}
	for _, name := range j.Instant {
		if !slices.Contains(names, name) {
			report("instant", fmt.Sprintf("filter %q has no rule %q that is a failure%s", j.Filter, name, filter.DidYouMean(name, names)))
		}
	}
}
