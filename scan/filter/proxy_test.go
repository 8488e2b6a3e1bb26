package filter

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// FuzzForwarded: whatever a client wrote into X-Forwarded-For before the proxies added to
// it changes nothing about who is blamed, and a proxy never is.
func FuzzForwarded(f *testing.F) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")}
	m := (&Matcher{}).Behind(proxies)
	f.Add("8.8.8.8, 203.0.113.7, 10.0.0.2", "1.1.1.1, ", uint(1))
	f.Add("203.0.113.7:4711", "8.8.8.8\"", uint(2))
	f.Add("[2001:db8::7]:443, ::ffff:10.0.0.9", "unknown, [", uint(3))
	f.Add("-", ",", uint(0))
	f.Add("::%[", "", uint(0))
	f.Fuzz(func(t *testing.T, header, left string, hops uint) {
		client, reason := m.behind([]byte(header))
		if reason == "" && (!client.IsValid() || m.trusts(client)) {
			t.Fatalf("%q: %s is blamed", header, client)
		}
		if reason == "" && !slices.ContainsFunc(strings.Split(header, ","), func(hop string) bool {
			hop = strings.Trim(hop, " \t\"")
			at, _ := netip.ParseAddrPort(hop)
			alone, _ := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
			return at.Addr() == client || alone == client
		}) {
			t.Fatalf("%q: %s is no hop of it", header, client)
		}
		if reason == "" { // the client's own word does not matter
			if again, why := m.behind([]byte(left + "," + header)); again != client || why != "" {
				t.Fatalf("%q blames %s, after %q %s (%s)", header, client, left, again, why)
			}
		}
		// What the proxies add to it names the client that the first of them saw.
		const seen = "203.0.113.99"
		more := left + header + ", " + seen + strings.Repeat(", 10.1.2.3", int(hops%4))
		if got, why := m.behind([]byte(more)); why != "" || got.String() != seen {
			t.Fatalf("%q blames %s (%s), not %s", more, got, why, seen)
		}
	})
}
