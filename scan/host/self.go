package host

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"scan2ban/state"
)

// Self are the host's own addresses and its default gateways, each under a
// description of what it is. Both are asked of the kernel by netlink, as its sets are:
// where it does not answer, no part of them is known.
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
	routes, err := syscall.NetlinkRIB(unix.RTM_GETROUTE, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", os.NewSyscallError("netlinkrib", err))
	}
	list, err := gateways(routes)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, addr := range list {
		self["default gateway "+addr.String()] = state.Single(addr)
	}
	return self, nil
}

// gateways are those of the default routes, of every table, among the kernel's messages
// (rtnetlink(7)). One may come twice.
func gateways(routes []byte) (list []netip.Addr, err error) {
	messages, err := syscall.ParseNetlinkMessage(routes)
	if err != nil {
		return nil, os.NewSyscallError("parsenetlinkmessage", err)
	}
	for _, m := range messages {
		// struct rtmsg: family, length of the destination, ...
		if m.Header.Type == unix.RTM_NEWROUTE && len(m.Data) > unix.SizeofRtMsg && (m.Data[0] == unix.AF_INET || m.Data[0] == unix.AF_INET6) && m.Data[1] == 0 {
			list = append(list, hops(m.Data[unix.SizeofRtMsg:])...)
		}
	}
	return list, nil
}

// hops are the gateways that the attributes of a route name: one, one of the other family,
// or several.
func hops(attributes []byte) (list []netip.Addr) {
	walk(attributes, unix.SizeofRtAttr, func(header, value []byte) {
		switch binary.NativeEndian.Uint16(header[2:]) {
		case unix.RTA_VIA: // its family, and the address
			value = value[min(2, len(value)):]
			fallthrough
		case unix.RTA_GATEWAY:
			if addr, ok := netip.AddrFromSlice(value); ok && !addr.IsUnspecified() {
				list = append(list, addr)
			}
		case unix.RTA_MULTIPATH:
			walk(value, unix.SizeofRtNexthop, func(_, attributes []byte) { list = append(list, hops(attributes)...) })
		}
	})
	return list
}

// walk goes through pieces that begin with a header, whose first two bytes are the length
// of both. What does not fit is the end.
func walk(pieces []byte, header int, take func(header, value []byte)) {
	for len(pieces) >= header {
		length := int(binary.NativeEndian.Uint16(pieces))
		if length < header || length > len(pieces) {
			return
		}
		take(pieces[:header], pieces[header:length])
		pieces = pieces[min(len(pieces), (length+3)&^3):]
	}
}
