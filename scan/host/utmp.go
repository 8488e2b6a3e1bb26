package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
)

// The record of utmp(5) in glibc's bits/utmp.h. Where time stays 32 bits wide
// for the sake of old programs (x86 and most others) it takes 384 bytes, else 400.
const (
	utmpShort = 384
	utmpLong  = 400
	utmpUser  = 44  // ut_user, 32 bytes
	utmpHost  = 76  // ut_host, 256 bytes
	loggedIn  = 7   // ut_type USER_PROCESS
	afterHost = 332 // ut_exit
)

// utmp reads the file of that name, which newer systems no longer have.
func (t Tree) utmp() (list []Session) {
	for _, path := range []string{"/run/utmp", "/var/run/utmp"} {
		if text := t.Text(path); text != "" {
			return t.utmpSessions([]byte(text), utmpSize(len(text)))
		}
	}
	return nil
}

// utmpSize is the size of a record in a file of that length.
func utmpSize(length int) int {
	long := slices.Contains([]string{"arm64", "riscv64", "loong64"}, runtime.GOARCH)
	switch {
	case length%utmpShort == 0 && length%utmpLong != 0:
		return utmpShort
	case length%utmpLong == 0 && length%utmpShort != 0 || long:
		return utmpLong
	}
	return utmpShort
}

// utmpSessions reads records of a size. A process that is gone has left its
// record behind.
func (t Tree) utmpSessions(text []byte, size int) (list []Session) {
	for len(text) >= size {
		record := text[:size]
		text = text[size:]
		kind, pid := binary.NativeEndian.Uint16(record), binary.NativeEndian.Uint32(record[4:])
		if kind != loggedIn || !t.Exists(fmt.Sprintf("/proc/%d", pid)) {
			continue
		}
		addr, err := netip.ParseAddr(cText(record[utmpHost:afterHost]))
		if err != nil {
			addr = utmpAddr(record)
		}
		if addr.IsValid() {
			list = append(list, Session{Addr: addr, User: cText(record[utmpUser:utmpHost]), From: "utmp"})
		}
	}
	return list
}

// utmpAddr is ut_addr_v6, in network byte order: four words, IPv4 in the first.
func utmpAddr(record []byte) netip.Addr {
	at := afterHost + 4 + 4 + 8
	if len(record) == utmpLong {
		at = afterHost + 4 + 8 + 16
	}
	raw := [16]byte(record[at:])
	switch {
	case raw == [16]byte{}:
		return netip.Addr{}
	case bytes.Equal(raw[4:], make([]byte, 12)):
		return netip.AddrFrom4([4]byte(raw[:4]))
	}
	return netip.AddrFrom16(raw)
}

// cText is what stands before the first NUL.
func cText(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}
