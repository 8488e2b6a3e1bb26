package host

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state/order"
)

// Socket is one that waits for clients.
type Socket struct {
	Network  string // "tcp" or "udp"
	AddrPort netip.AddrPort
	PID      int    // 0: not known
	Process  string // its comm, at most 15 characters; empty: not known
}

// The states in which a socket waits (TCP_LISTEN and TCP_CLOSE in the kernel's
// net/tcp_states.h; a UDP socket without a peer is in the latter).
var waiting = map[string]string{"tcp": "0A", "udp": "07"}

// Listening lists the sockets of this network namespace that wait for clients,
// from /proc/net of root ("" is the host); the columns are those of proc(5).
// Whose they are is known as far as /proc/PID/fd may be read: as root for all,
// else for one's own. A host without IPv6 has no tcp6 and udp6.
func Listening(root string) ([]Socket, error) {
	t := Tree(root)
	var sockets []Socket
	inodes := map[string][]int{} // sockets of each inode
	var errs []error
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile(t.Path("/proc/net/" + name))
		if err != nil {
			if name == "tcp" || !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		network := strings.TrimSuffix(name, "6")
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
			row := strings.Fields(line)
			if len(row) < 10 || row[3] != waiting[network] {
				continue
			}
			if at, ok := hexAddrPort(row[1]); ok {
				inodes[row[9]] = append(inodes[row[9]], len(sockets))
				sockets = append(sockets, Socket{Network: network, AddrPort: at})
			}
		}
	}
	t.owners(func(inode string, pid int, process string) {
		for _, i := range inodes[inode] {
			if s := &sockets[i]; s.PID == 0 || pid < s.PID {
				s.PID, s.Process = pid, process
			}
		}
	})
	order.By(sockets, func(a, b Socket) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.AddrPort.Port(), b.AddrPort.Port()), a.AddrPort.Compare(b.AddrPort))
	})
	return sockets, errors.Join(errs...)
}

// hexAddrPort reads "0100007F:0016".
func hexAddrPort(text string) (netip.AddrPort, bool) {
	left, right, _ := strings.Cut(text, ":")
	addr, ok := hexAddr(left)
	port, err := strconv.ParseUint(right, 16, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok && err == nil
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

// littleEndian tells how this machine lays out the numbers of /proc/net.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// owners calls found for every socket that a process holds open.
func (t Tree) owners(found func(inode string, pid int, process string)) {
	for _, pid := range t.pids() {
		dir := t.Path("/proc/" + strconv.Itoa(pid))
		open, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue // another user's, or gone
		}
		process := ""
		for _, fd := range open {
			link, err := os.Readlink(dir + "/fd/" + fd.Name())
			inode, ok := strings.CutPrefix(link, "socket:[")
			if err != nil || !ok {
				continue
			}
			if process == "" {
				process = strings.TrimSpace(t.Text("/proc/" + strconv.Itoa(pid) + "/comm"))
			}
			found(strings.TrimSuffix(inode, "]"), pid, process)
		}
	}
}

// pids are the processes, in order.
func (t Tree) pids() (pids []int) {
	entries, _ := os.ReadDir(t.Path("/proc"))
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
