package filter

import (
	"net/netip"
	"slices"
	"strings"
)

// Behind gives a matcher for a service that stands behind these proxies: where a
// line names one of them as the client, the client is the right-most address in
// what the proxy forwarded that is no proxy itself. All to the left of it is the
// client's own word. It is to be called before the first Match.
func (m *Matcher) Behind(proxies []netip.Prefix) *Matcher {
	m.proxies = proxies
	return m
}

func (m *Matcher) trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(m.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// behind gives the client that the trusted proxy names; reason says why there is none.
func (m *Matcher) behind(forwarded []byte) (client netip.Addr, reason string) {
	hops := strings.Split(string(forwarded), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.Trim(hop, " \t\"")
		if hop == "" || hop == "-" {
			return client, reasonProxy
		}
		addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
		if err != nil {
			at, failed := netip.ParseAddrPort(hop)
			if failed != nil {
				return client, reasonHop
			}
			addr = at.Addr()
		}
		if !m.trusts(addr) {
			return addr, ""
		}
	}
	return client, reasonProxy
}
