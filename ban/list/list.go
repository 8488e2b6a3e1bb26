// Package list reads lists of addresses that another program keeps up to date, as
// Spamhaus DROP, FireHOL or Tor's exits, and says what of them belongs into the kernel.
//
//	[list.NAME]
//	file = "/var/lib/lists/drop.txt"
//
// One address, CIDR or range (FROM-TO) a line; what follows "#", ";" or "//" is a
// comment. IPv4 written as IPv6 is IPv4, host bits are cleared. A list may name anybody,
// so private, loopback and multicast addresses (spared) and all that is ignored are
// taken out of it; what is left is joined into the fewest ranges and put into a set of
// its own.
//
// A file is opened again only when its size, times or inode have changed, or what is to be
// taken out has. One that is missing, no regular file, cannot be read, is too big, is
// empty, changes while it is read, or is mostly rubbish, changes nothing: the kernel keeps
// what it holds.
//
// An allow list (allow = true) is the opposite: its addresses are ignored, by every jail
// and in every other list.
package list

import (
	"fmt"
	"path/filepath"

	"scan2ban/state"
)

// Options are one [list.NAME].
type Options struct {
	Name  string `toml:"-"`
	File  string `toml:"file"`  // absolute
	Allow bool   `toml:"allow"` // its addresses are never banned
	Wide  bool   `toml:"wide"`  // also ranges that hold a great part of all addresses, as 0.0.0.0/0
	Empty bool   `toml:"empty"` // the list may be empty
	state.Reach
}

// Default is a list that says nothing: it closes every port.
func Default(name string) Options {
	o := Options{Name: name, Reach: state.DefaultReach()}
	o.Ports = state.Ports{{}}
	return o
}

// Check finds values that no list may have; report takes the key and what is wrong.
func (o *Options) Check(report func(key, problem string)) {
	switch {
	case o.File == "":
		report("", `there is no file (write file = "/path")`)
	case !filepath.IsAbs(o.File):
		report("file", fmt.Sprintf("%q is not an absolute path", o.File))
	}
	for _, protocol := range o.Protocol {
		if protocol != "tcp" && protocol != "udp" {
			report("protocol", fmt.Sprintf("%q is not a protocol (tcp, udp)", protocol))
		}
	}
	if len(o.Protocol) == 0 {
		report("protocol", "protocol is empty: no packet would be blocked (tcp, udp)")
	}
	if len(o.Ports) == 0 || len(o.Ports) > 1 && o.Ports.All() {
		report("ports", `"all" stands among other ports, or there is none (write ports = "all")`)
	}
}

// Group is the name of the list's share in the kernel. No jail can have it: a jail's name
// holds no slash.
func (o *Options) Group() string { return "list/" + o.Name }
