package nftables

import (
	"testing"
	"time"

	"scan2ban/state"
)

func TestGolden(t *testing.T) {
	web := state.Reach{Ports: []state.Port{{From: 443, To: 443}, {From: 80, To: 80}}, BlockType: state.Reject}
	games := state.Reach{Ports: []state.Port{{From: 6000, To: 6100}, {From: 53, To: 53}}, Protocol: []string{"tcp", "udp"}}
	for name, groups := range map[string][]Group{
		"empty.nft":   {sshd()},
		"default.nft": {sshd(elements(time.Hour, "192.0.2.1", "2001:db8:1:2::/64")...)},
		"all.nft": {
			sshd(append(elements(time.Hour, "192.0.2.1", "192.0.2.2", "2001:db8::/64", "64:ff9b::c000:201"), elements(0, "198.51.100.7")...)...),
			{Name: "nginx-http-auth", Reach: web, IPv4Prefix: 24, IPv6Prefix: 56, Elements: elements(90*time.Minute,
				"192.0.2.0/24", "198.51.100.9", "2001:db8:0:100::/56", "2001:db8::1")},
			{Name: "games", Reach: games},
			{Name: "range", Reach: state.Reach{Ports: []state.Port{{From: 1000, To: 2000}}}},
			{Name: "router", Reach: state.Reach{Ports: []state.Port{state.AllPorts}, Forwarded: true}},
			{Name: "polite", Reach: state.Reach{BlockType: state.Reject}},
			{Name: "by-hand", IPv6Prefix: 128, Elements: append(elements(time.Hour, "203.0.113.0/24", "203.0.113.64/26", "2001:db8:ffff::/48", "192.0.2.77"),
				elements(0, "203.0.113.128/25")...)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			private(t)
			r := sync(t, groups, nil, nil)
			golden(t, name, ours(t))
			if r.Memory == nil {
				t.Error("nobody interfered, yet there is no memory")
			}
			if again := sync(t, groups, groups, nil); again.Commits != 0 || !again.Dumped {
				t.Errorf("what was written does not read back as wanted:\n%v", again.Plan)
			}
			g := generation(t)
			if again := sync(t, groups, groups, r.Memory); again.Commits != 0 || again.Dumped || generation(t) != g {
				t.Errorf("an untouched kernel was not left alone:\n%v", again.Plan)
			}
		})
	}
}
