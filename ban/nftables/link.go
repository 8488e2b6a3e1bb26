package nftables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// link is a netlink socket to nf_tables in this thread's network namespace.
type link struct {
	conn *netlink.Conn
	raw  rawConn
	buf  []byte // of one datagram
}

// rawConn is the part of syscall.RawConn that is used.
type rawConn interface {
	Read(func(fd uintptr) (done bool)) error
	Write(func(fd uintptr) (done bool)) error
}

// patience is how long the kernel may take to answer where ctx sets no deadline.
const patience = time.Minute

// datagram is the room for an answer. The kernel packs up to 32 KiB of a dump
// into a datagram if the reader has room for it, and walks a hash set from its
// beginning for each of them: with the page that a netlink library offers at
// first, a dump takes eight times as many walks.
const datagram = 64 << 10

// open makes a link. ctx's deadline is that of all that is sent and received.
func open(ctx context.Context) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, explain(fmt.Errorf("open netlink socket: %w", unsupported(err)))
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(patience)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = conn.SetDeadline(deadline)
	}
	if err == nil {
		err = conn.SetOption(netlink.CapAcknowledge, true) // errors do not echo the message
	}
	if err != nil {
		_ = conn.Close()
		return nil, explain(fmt.Errorf("set up netlink socket: %w", unsupported(err)))
	}
	return &link{conn: conn, raw: raw}, nil
}

func (l *link) close() { _ = l.conn.Close() }

// send writes one datagram.
func (l *link) send(data []byte) error {
	var err error
	if e := l.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return err != unix.EAGAIN && err != unix.EINTR
	}); e != nil {
		return e
	}
	return err
}

// receive reads one datagram and hands its messages to take, whose error ends
// it. The data are valid until the next receive.
func (l *link) receive(take func(header netlink.Header, data []byte) error) error {
	if l.buf == nil {
		l.buf = make([]byte, datagram)
	}
	var n int
	var err error
	if e := l.raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), l.buf, 0)
		return err != unix.EAGAIN && err != unix.EINTR
	}); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	for data := l.buf[:n]; len(data) >= unix.NLMSG_HDRLEN; {
		h := netlink.Header{
			Length:   binary.NativeEndian.Uint32(data),
			Type:     netlink.HeaderType(binary.NativeEndian.Uint16(data[4:])),
			Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(data[6:])),
			Sequence: binary.NativeEndian.Uint32(data[8:]),
		}
		if h.Length < unix.NLMSG_HDRLEN || int(h.Length) > len(data) {
			return errors.New("the kernel sent a message of a false length")
		}
		if err := take(h, data[unix.NLMSG_HDRLEN:h.Length]); err != nil {
			return err
		}
		data = data[min(len(data), int(h.Length+3)&^3):]
	}
	return nil
}

// errno is the error that a message of type NLMSG_ERROR or NLMSG_DONE carries; nil: none.
func errno(data []byte) error {
	if len(data) < 4 {
		return nil
	}
	if n := int32(binary.NativeEndian.Uint32(data)); n < 0 {
		return unix.Errno(-n)
	}
	return nil
}

// refusal is what the kernel had against a transaction. Nothing of it was applied.
type refusal struct {
	owner string // whose message it was; empty: everybody's
	err   error
	all   map[string]error // by owner
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// blames tells whether the refusal is for some groups only.
func (r *refusal) blames() bool {
	for owner := range r.all {
		if owner != "" {
			return true
		}
	}
	return false
}

// usualBuffer is what a socket may send without asking for more room:
// net.core.wmem_default is 212,992 on most hosts.
const usualBuffer = 200 << 10

// commit makes a batch true. A refusal by the kernel is a *refusal.
func (l *link) commit(b *batch) error {
	last := b.finish()
	if len(b.buf) > usualBuffer {
		_ = l.conn.SetWriteBuffer(2 * len(b.buf)) // where it is not granted, send says EMSGSIZE
	}
	if err := l.send(b.buf); err != nil {
		return err
	}
	var no *refusal
	for done := false; !done; {
		err := l.receive(func(h netlink.Header, data []byte) error {
			if h.Type != netlink.Error {
				return nil
			}
			if err := errno(data); err != nil {
				owner := ""
				if int(h.Sequence) < len(b.owners) {
					owner = b.owners[h.Sequence]
				}
				if no == nil {
					no = &refusal{owner: owner, err: err, all: map[string]error{}}
				}
				if no.all[owner] == nil {
					no.all[owner] = err
				}
			}
			// The first message stands for the batch as a whole.
			done = done || h.Sequence == last || h.Sequence == 0
			return nil
		})
		if err != nil {
			return err
		}
	}
	if no != nil {
		l.drain()
		return no
	}
	return nil
}

// drain throws away what else the kernel had to say about a refused
// transaction: all of it is there when send returns.
func (l *link) drain() {
	for more := true; more; {
		if l.raw.Read(func(fd uintptr) bool {
			_, _, err := unix.Recvfrom(int(fd), l.buf, unix.MSG_DONTWAIT)
			more = err == nil || err == unix.EINTR
			return true
		}) != nil {
			return
		}
	}
}

// request asks one question and hands each answer to take. It repeats itself
// while the ruleset changes during a dump.
func (l *link) request(kind uint16, flags uint16, fill func(b *batch), reset func(), take func(data []byte) error) error {
	for range 10 {
		b := &batch{to: tableName}
		b.nft(kind, flags)
		if fill != nil {
			fill(b)
		}
		b.seal()
		reset()
		if err := l.send(b.buf); err != nil {
			return err
		}
		interrupted := false
		for done := false; !done; {
			err := l.receive(func(h netlink.Header, data []byte) error {
				interrupted = interrupted || h.Flags&unix.NLM_F_DUMP_INTR != 0
				switch h.Type {
				case netlink.Done, netlink.Error:
					done = true
					return errno(data)
				}
				if len(data) < 4 {
					return nil
				}
				return take(data[4:]) // after struct nfgenmsg
			})
			if err == unix.EINTR {
				interrupted, done = true, true
				err = nil
			}
			if err != nil {
				return err
			}
		}
		if !interrupted {
			return nil
		}
	}
	return errInterrupted
}

// generation reads the id of the ruleset's generation, which every commit moves.
func (l *link) generation() (id uint32, err error) {
	err = l.request(unix.NFT_MSG_GETGEN, unix.NLM_F_ACK, nil, func() {}, func(data []byte) error {
		each(data, func(kind uint16, value []byte) {
			if kind == unix.NFTA_GEN_ID && len(value) == 4 {
				id = binary.BigEndian.Uint32(value)
			}
		})
		return nil
	})
	if err != nil {
		return 0, explain(fmt.Errorf("read the ruleset's generation: %w", unsupported(err)))
	}
	return id, nil
}

// explain adds to an error of the kernel what can be done about it.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("nftables: %w (changing the packet filter needs CAP_NET_ADMIN in this network namespace: run as root, or give the unit AmbientCapabilities=CAP_NET_ADMIN)", err)
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("nftables: %w (is the module nf_tables there? %s or newer with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET)", err, leastLinux)
	}
	return fmt.Errorf("nftables: %w", err)
}

// unsupported marks the errors that say that a part of nf_tables, or of netlink (before
// Linux 4.3), is not in this kernel.
func unsupported(err error) error {
	for _, e := range []unix.Errno{unix.ENOPROTOOPT, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOENT} {
		if errors.Is(err, e) && !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
	}
	return err
}
