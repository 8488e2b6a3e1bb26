package list

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"scan2ban/ban/nftables"
)

// Prefixes that are shorter are wide.
const (
	widest4 = 3
	widest6 = 8
)

func widest(a netip.Addr) int {
	if a.Is4() {
		return widest4
	}
	return widest6
}

// Wide tells whether a prefix holds a great part of all addresses.
func Wide(p netip.Prefix) bool { return p.Bits() < widest(p.Addr()) }

// WideTogether tells whether prefixes, none of them wide, hold more than half of what can be
// a client's.
func WideTogether(prefixes []netip.Prefix) bool {
	ranges := make([]nftables.Range, len(prefixes))
	for i, p := range prefixes {
		ranges[i] = nftables.RangeOf(p)
	}
	return wideTogether(joined(ranges))
}

// wideTogether tells whether ranges, none of them wide, hold more than half of what can
// be a client's: of 0.0.0.0 to 223.255.255.255, or of 2000::/3.
func wideTogether(ranges []nftables.Range) bool {
	var four, six uint64 // addresses, and /64
	for _, r := range ranges {
		if r.From.Is4() {
			from, to := r.From.As4(), min(binary.BigEndian.Uint32(r.To.AsSlice()), lastUnicast4)
			four += uint64(max(int64(to)-int64(binary.BigEndian.Uint32(from[:]))+1, 0))
			continue
		}
		from, to := r.From.As16(), r.To.As16()
		first, last := max(binary.BigEndian.Uint64(from[:]), firstGlobal6), min(binary.BigEndian.Uint64(to[:]), lastGlobal6)
		if first <= last {
			six += last - first + 1
		}
	}
	return four > (lastUnicast4+1)/2 || six > (lastGlobal6-firstGlobal6)/2+1
}

// The bounds of what is handed out (IANA): 0.0.0.0/0 without 224.0.0.0/3, and the upper halves of
// 2000::/3.
const (
	lastUnicast4              = 0xdfff_ffff
	firstGlobal6, lastGlobal6 = 0x2000_0000_0000_0000, 0x3fff_ffff_ffff_ffff
)

func tooWide(text string) error {
	return fmt.Errorf("%q holds a great part of all addresses (write wide = true if that is meant)", text)
}
