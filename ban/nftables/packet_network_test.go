package nftables

import (
	"strings"
	"testing"
	"time"

	"scan2ban/state"
)

// TestPacketsNetworks: of a network that is banned beside two of its addresses a third
// gets nothing through, its neighbour in the next network does; also after the ruleset
// was flushed.
func TestPacketsNetworks(t *testing.T) {
	n := wire(t)
	n.echo(t, n.host, 22)
	n.in(t, n.client, func() {
		for _, address := range []string{"10.77.0.17/24", "fd77:1:0:9::2/64"} {
			command(t, "ip", strings.Fields("addr add "+address+" dev eth0 nodad")...)
		}
	})
	command(t, "ip", strings.Fields("addr add fd77:1:0:9::1/64 dev c0 nodad")...)
	want := []Group{{Name: "sshd", Reach: state.Reach{Ports: []state.Port{{From: 22, To: 22}}, Protocol: []string{"tcp"}}, IPv4Prefix: 32, IPv6Prefix: 64,
		Elements: elements(time.Hour, "10.77.0.4", "10.77.0.5", "10.77.0.0/28", "fd77:1:0:4::/64", "fd77:1:0:5::/64", "fd77:1::/48")}}
	for _, after := range []string{"laid", "flushed"} {
		if after == "flushed" {
			command(t, "nft", "flush", "ruleset")
		}
		sync(t, want, nil, nil)
		n.mustNot(t, after, n.client, "tcp", "10.77.0.2", "10.77.0.1", 22)
		n.mustNot(t, after, n.client, "tcp", "fd77:1::2", "fd77:1::1", 22)
		n.mustNot(t, after, n.client, "tcp", "fd77:1:0:9::2", "fd77:1:0:9::1", 22)
		n.must(t, after, n.client, "tcp", "10.77.0.17", "10.77.0.1", 22)
		n.must(t, after, n.client, "tcp", "fd77:2::2", "fd77:2::1", 22)
	}
}
