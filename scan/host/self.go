package host

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"scan2ban/state"
)

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
				self["own address "+addr.String()] = state.Single(addr)
			}
		}
	}
	for _, addr := range tree("").gateways() {
		self["default gateway "+addr.String()] = state.Single(addr)
	}
	return self, nil
}

// littleEndian tells how this machine lays out the numbers of /proc/net.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// gateways reads the default routes from /proc/net (the columns are those of the kernel's
// net/ipv4/fib_trie.c and net/ipv6/route.c).
// A host without these files has none.
func (t tree) gateways() (list []netip.Addr) {
	add := func(addr netip.Addr, ok bool) {
		if ok && !addr.IsUnspecified() && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	// Iface Destination Gateway Flags RefCnt Use Metric Mask: IPv4 in host byte order
	for _, row := range t.rows("/proc/net/route") {
		if len(row) > 7 && row[1] == "00000000" && row[7] == "00000000" {
			add(hexAddr(row[2]))
		}
	}
	// destination length source length next-hop ...: IPv6 in network byte order
	for _, row := range t.rows("/proc/net/ipv6_route") {
		if len(row) > 4 && strings.Trim(row[0], "0") == "" && row[1] == "00" {
			if raw, err := hex.DecodeString(row[4]); err == nil {
				add(netip.AddrFromSlice(raw))
			}
		}
	}
	return list
}

// hexAddr reads an address as the kernel prints it from 32-bit words in its own
// byte order: IPv4 one, IPv6 four.
func hexAddr(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.Addr{}, false
	}
	if littleEndian {
		for word := range slices.Chunk(raw, 4) {
			slices.Reverse(word)
		}
	}
	return netip.AddrFromSlice(raw)
}

// rows are the lines of a file, cut at blanks.
func (t tree) rows(path string) (rows [][]string) {
	for line := range strings.Lines(t.text(path)) {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}
