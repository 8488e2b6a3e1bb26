package jail

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"scan2ban/state"
)

// Ignored collects what the jail never counts: ignoreip, the lines of
// ignorefile and, with ignoreself, self. Lines that are no address are bad and
// left out; a file that cannot be read is an error, for nobody knows then whom
// not to ban.
func (j *Jail) Ignored(self map[string]state.Prefix) (set *state.Ignored, bad []error, err error) {
	set = state.NewIgnored()
	for _, p := range j.IgnoreIP {
		set.Add(p, "ignoreip")
	}
	if j.IgnoreSelf {
		for origin, p := range self {
			set.Add(p, origin)
		}
	}
	if j.IgnoreFile == "" {
		return set, nil, nil
	}
	text, err := os.ReadFile(j.IgnoreFile)
	if err != nil {
		return set, nil, fmt.Errorf("jail %q: ignorefile: %w", j.Name, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := state.ParsePrefix(line)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s:%d: %w; host names are not resolved", j.IgnoreFile, number, err))
			continue
		}
		set.Add(p, fmt.Sprintf("%s:%d", j.IgnoreFile, number))
	}
	return set, bad, nil
}

// Self are the host's own addresses and its default gateways, each under a
// description of what it is.
func Self() (map[string]state.Prefix, error) {
	self := map[string]state.Prefix{}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the host's own addresses: %w", err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(ip.IP); ok {
				addr = addr.Unmap()
				self["own address "+addr.String()] = state.Prefix{Prefix: netip.PrefixFrom(addr, addr.BitLen())}
			}
		}
	}
	for _, addr := range gateways() {
		self["default gateway "+addr.String()] = state.Prefix{Prefix: netip.PrefixFrom(addr, addr.BitLen())}
	}
	return self, nil
}

// littleEndian tells how this machine lays out the numbers of /proc/net/route.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// gateways reads the default routes from /proc/net (the columns are those of the kernel's
// net/ipv4/fib_trie.c and net/ipv6/route.c).
// A host without these files has none.
func gateways() (list []netip.Addr) {
	add := func(addr netip.Addr, ok bool) {
		if ok && !addr.IsUnspecified() {
			list = append(list, addr)
		}
	}
	// Iface Destination Gateway Flags RefCnt Use Metric Mask: IPv4 in host byte order
	for _, row := range rows("/proc/net/route") {
		if len(row) > 7 && row[1] == "00000000" && row[7] == "00000000" {
			if raw, err := hex.DecodeString(row[2]); err == nil && len(raw) == 4 {
				if littleEndian {
					slices.Reverse(raw)
				}
				add(netip.AddrFromSlice(raw))
			}
		}
	}
	// destination length source length next-hop ...: IPv6 in network byte order
	for _, row := range rows("/proc/net/ipv6_route") {
		if len(row) > 4 && strings.Trim(row[0], "0") == "" && row[1] == "00" {
			if raw, err := hex.DecodeString(row[4]); err == nil {
				add(netip.AddrFromSlice(raw))
			}
		}
	}
	return list
}

func rows(path string) (rows [][]string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}
