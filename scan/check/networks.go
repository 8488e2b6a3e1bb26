package check

import (
	_ "embed"
	"net/netip"
	"strings"
	"sync"
)

// privateNetwork is the owner of addresses that are not routed in the Internet.
const privateNetwork = "a private network"

// networks.txt lists the published networks of proxies that stand in front of
// many sites, each section with its source.
//
//go:embed networks.txt
var networksText string

// network is one of them.
type network struct {
	netip.Prefix
	owner string
}

var networks = sync.OnceValue(func() (list []network) {
	owner := ""
	for line := range strings.Lines(networksText) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "owner "); ok {
			owner = name
		} else if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, network{netip.MustParsePrefix(line), owner}) // embedded: a test reads it
		}
	}
	return list
})

// ownerOf names whose address this is where many clients may stand behind it:
// privateNetwork, a content delivery network, or "" for all others.
func ownerOf(addr netip.Addr) string {
	for _, n := range networks() {
		if n.Contains(addr) {
			return n.owner
		}
	}
	return ""
}
