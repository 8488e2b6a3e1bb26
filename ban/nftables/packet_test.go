package nftables

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"scan2ban/state"
	"scan2ban/state/report"
)

// These tests send real packets between namespaces: a host, which is the test's
// own, a network with two clients at its one end, and a server behind it.
//
//	client ---------- host ---------- server
//	10.77.0.2, .3     10.77.0.1       10.88.0.2
//	fd77:1::2         fd77:1::1       fd88::2
//	fd77:2::2         fd77:2::1
//
// 10.77.0.2 and fd77:1::/64 are to be banned, 10.77.0.3 and fd77:2::/64 are not.
type network struct {
	host, client, server netns.NsHandle
}

// banned and free are a client of each family, and the host as they see it.
var (
	banned = []string{"10.77.0.2", "fd77:1::2"}
	free   = []string{"10.77.0.3", "fd77:2::2"}
	hosts  = map[string]string{"10.77.0.2": "10.77.0.1", "10.77.0.3": "10.77.0.1", "fd77:1::2": "fd77:1::1", "fd77:2::2": "fd77:2::1"}
	beyond = map[string]string{"10.77.0.2": "10.88.0.2", "10.77.0.3": "10.88.0.2", "fd77:1::2": "fd88::2", "fd77:2::2": "fd88::2"}
)

// short is how long to wait for what must not come; long for what must.
const (
	short = 300 * time.Millisecond
	long  = 5 * time.Second
)

// wire makes the network. The test goes on in the host.
func wire(t *testing.T) *network {
	t.Helper()
	n := &network{client: private(t), server: private(t), host: private(t)}
	for _, line := range []string{
		"link add c0 type veth peer name eth0 netns " + path(n.client),
		"link add s0 type veth peer name eth0 netns " + path(n.server),
		"link set c0 up", "link set s0 up",
		"addr add 10.77.0.1/24 dev c0", "addr add 10.88.0.1/24 dev s0",
		"addr add fd77:1::1/64 dev c0 nodad", "addr add fd77:2::1/64 dev c0 nodad", "addr add fd88::1/64 dev s0 nodad",
	} {
		command(t, "ip", strings.Fields(line)...)
	}
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte("1"), 0); err != nil {
			t.Skipf("needs %s: %v", name, err)
		}
	}
	n.in(t, n.client, func() {
		for _, line := range []string{
			"link set eth0 up", "addr add 10.77.0.2/24 dev eth0", "addr add 10.77.0.3/24 dev eth0",
			"addr add fd77:1::2/64 dev eth0 nodad", "addr add fd77:2::2/64 dev eth0 nodad",
			"route add 10.88.0.0/24 via 10.77.0.1", "route add fd88::/64 via fd77:2::1",
		} {
			command(t, "ip", strings.Fields(line)...)
		}
	})
	n.in(t, n.server, func() {
		for _, line := range []string{
			"link set eth0 up", "addr add 10.88.0.2/24 dev eth0", "addr add fd88::2/64 dev eth0 nodad",
			"route add 10.77.0.0/24 via 10.88.0.1", "route add fd77::/16 via fd88::1",
		} {
			command(t, "ip", strings.Fields(line)...)
		}
	})
	return n
}

// path names a network namespace for ip.
func path(ns netns.NsHandle) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(ns)) }

// in runs f in a namespace, and comes back to the host's.
func (n *network) in(t *testing.T, ns netns.NsHandle, f func()) {
	t.Helper()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := netns.Set(n.host); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// echo serves a port of a namespace, both families, TCP and UDP: what comes goes back.
func (n *network) echo(t *testing.T, ns netns.NsHandle, port int) {
	t.Helper()
	n.in(t, ns, func() {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
			}
		}()
		for _, family := range []string{"udp4", "udp6"} {
			u, err := net.ListenUDP(family, &net.UDPAddr{Port: port})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = u.Close() })
			go func() {
				buf := make([]byte, 1500)
				for {
					k, from, err := u.ReadFrom(buf)
					if err != nil {
						return
					}
					_, _ = u.WriteTo(buf[:k], from)
				}
			}()
		}
	})
}

// dial connects from an address of a namespace.
func (n *network) dial(t *testing.T, ns netns.NsHandle, proto, from, to string, port int, wait time.Duration) (c net.Conn, err error) {
	t.Helper()
	n.in(t, ns, func() {
		d := net.Dialer{Timeout: wait}
		local := netip.AddrPortFrom(netip.MustParseAddr(from), 0)
		if d.LocalAddr = net.TCPAddrFromAddrPort(local); proto == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(local)
		}
		c, err = d.Dial(proto, net.JoinHostPort(to, fmt.Sprint(port)))
	})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// answers tells whether what is sent comes back.
func answers(c net.Conn, wait time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// talks connects and asks once; the error says why it does not.
func (n *network) talks(t *testing.T, ns netns.NsHandle, proto, from, to string, port int, wait time.Duration) error {
	t.Helper()
	c, err := n.dial(t, ns, proto, from, to, port, wait)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return answers(c, wait)
}

// must and mustNot talk.
func (n *network) must(t *testing.T, what string, ns netns.NsHandle, proto, from, to string, port int) {
	t.Helper()
	if err := n.talks(t, ns, proto, from, to, port, long); err != nil {
		t.Errorf("%s: %s from %s to %s port %d: %v", what, proto, from, to, port, err)
	}
}

func (n *network) mustNot(t *testing.T, what string, ns netns.NsHandle, proto, from, to string, port int) {
	t.Helper()
	if n.talks(t, ns, proto, from, to, port, short) == nil {
		t.Errorf("%s: %s from %s to %s port %d passed", what, proto, from, to, port)
	}
}

// jail bans the banned on ports for an hour.
func jail(r state.Reach) Group {
	return Group{Name: "jail", Reach: r, IPv4Prefix: 32, IPv6Prefix: 64, Elements: elements(time.Hour, "10.77.0.2", "fd77:1::/64")}
}

// The banned cannot connect to the ports of the jail, and can to others; who is
// not banned can.
func TestPacketsPorts(t *testing.T) {
	n := wire(t)
	for _, port := range []int{22, 80, 85} {
		n.echo(t, n.host, port)
	}
	sync(t, []Group{jail(state.Reach{Ports: []state.Port{{From: 22, To: 22}, {From: 80, To: 81}}, Protocol: []string{"tcp"}})}, nil, nil)
	for _, from := range banned {
		n.mustNot(t, "banned", n.client, "tcp", from, hosts[from], 22)
		n.mustNot(t, "banned", n.client, "tcp", from, hosts[from], 80)
		n.must(t, "another port", n.client, "tcp", from, hosts[from], 85)
		n.must(t, "another protocol", n.client, "udp", from, hosts[from], 22)
	}
	for _, from := range free {
		n.must(t, "not banned", n.client, "tcp", from, hosts[from], 22)
	}
	k, err := Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Elements) != len(banned) {
		t.Errorf("%d elements, want %d", len(k.Elements), len(banned))
	}
	for _, e := range k.Elements {
		if e.Packets == 0 || e.Bytes == 0 {
			t.Errorf("%v has dropped no packet by its counter: %+v", e.Key, e)
		}
	}
}

// With all ports nothing of the banned is answered, whatever the protocol; an
// open connection of theirs gets no further packet, other people's do.
func TestPacketsOpenConnections(t *testing.T) {
	n := wire(t)
	n.echo(t, n.host, 22)
	open := map[string]net.Conn{}
	for _, from := range append(banned, free...) {
		c, err := n.dial(t, n.client, "tcp", from, hosts[from], 22, long)
		if err == nil {
			err = answers(c, long)
		}
		if err != nil {
			t.Fatalf("%s before the ban: %v", from, err)
		}
		open[from] = c
	}
	all := jail(state.Reach{Ports: []state.Port{state.AllPorts}})
	sync(t, []Group{all}, nil, nil)
	for _, from := range banned {
		if answers(open[from], short) == nil {
			t.Errorf("%s: the open connection lives", from)
		}
		n.mustNot(t, "banned", n.client, "udp", from, hosts[from], 22)
	}
	for _, from := range free {
		if err := answers(open[from], long); err != nil {
			t.Errorf("%s: the open connection of somebody else died: %v", from, err)
		}
	}
}

// What the host itself does goes on while everything of the peer is banned: its
// connections to the banned, its loopback though a list holds it, and
// neighbour discovery within a banned /64.
func TestPacketsOurOwn(t *testing.T) {
	n := wire(t)
	n.echo(t, n.client, 9)
	n.echo(t, n.host, 22)
	all := jail(state.Reach{Ports: []state.Port{state.AllPorts}})
	list := Group{Name: "list", Elements: elements(0, "127.0.0.0/8", "::1", "10.77.0.0/29", "fd77:1::/48", "fe80::/10")}
	sync(t, []Group{all, list}, nil, nil)
	for _, to := range banned {
		n.mustNot(t, "banned", n.client, "tcp", to, hosts[to], 22)
		n.must(t, "outbound", n.host, "tcp", hosts[to], to, 9)
		n.must(t, "outbound", n.host, "udp", hosts[to], to, 9)
	}
	n.must(t, "loopback", n.host, "tcp", "127.0.0.1", "127.0.0.1", 22)
	n.must(t, "loopback", n.host, "tcp", "::1", "::1", 22)
	n.discovers(t)
}

// discovers finds out whether the host and a banned neighbour find each other.
func (n *network) discovers(t *testing.T) {
	t.Helper()
	forget := func() {
		for _, ns := range []netns.NsHandle{n.host, n.client} {
			n.in(t, ns, func() { command(t, "ip", "-6", "neigh", "flush", "all") })
		}
	}
	forget()
	command(t, "ping", "-6", "-c", "1", "-W", "5", "fd77:1::2") // we ask, the banned answers
	forget()
	// The banned asks; that we answered shows in its table, though it gets no echo.
	n.in(t, n.client, func() {
		deadline := time.Now().Add(long)
		for state := ""; !strings.Contains(state, "lladdr"); {
			_ = n.tryPing("fd77:1::1")
			if state = command(t, "ip", "-6", "neigh", "show", "to", "fd77:1::1"); time.Now().After(deadline) {
				t.Fatalf("neighbour discovery of the banned died: %q", state)
			}
		}
	})
}

// What another host is given keeps the banned out there, and spares the same.
func TestPacketsExported(t *testing.T) {
	n := wire(t)
	n.echo(t, n.client, 9)
	n.echo(t, n.host, 22)
	var bans []report.Ban
	for _, key := range []string{"10.77.0.2/32", "fd77:1::/64", "fe80::/10", "127.0.0.0/8"} {
		bans = append(bans, report.FromBan(&state.Ban{Jail: "jail", Key: state.Key{Prefix: netip.MustParsePrefix(key)}}))
	}
	var text strings.Builder
	if err := report.NFT.Export(&text, bans, 0); err != nil {
		t.Fatal(err)
	}
	nft(t, text.String())
	for _, to := range banned {
		n.mustNot(t, "banned", n.client, "tcp", to, hosts[to], 22)
		n.must(t, "outbound", n.host, "tcp", hosts[to], to, 9)
	}
	for _, from := range free {
		n.must(t, "not banned", n.client, "tcp", from, hosts[from], 22)
	}
	n.must(t, "loopback", n.host, "tcp", "127.0.0.1", "127.0.0.1", 22)
	n.discovers(t)
}

func (n *network) tryPing(to string) error {
	p, err := os.StartProcess("/bin/ping", []string{"ping", "-6", "-c", "1", "-W", "1", to}, &os.ProcAttr{})
	if err != nil {
		return err
	}
	_, err = p.Wait()
	return err
}

// Transit is not our business, unless a jail's reach is forwarded.
func TestPacketsTransit(t *testing.T) {
	n := wire(t)
	n.echo(t, n.server, 22)
	n.echo(t, n.client, 9)
	reach := state.Reach{Ports: []state.Port{{From: 22, To: 22}}}
	other := Group{Name: "other", Reach: state.Reach{Ports: []state.Port{state.AllPorts}}, Elements: elements(time.Hour, "10.77.0.3", "fd77:2::/64")}
	r := sync(t, []Group{jail(reach), other}, nil, nil)
	for _, from := range append(banned, free...) {
		n.must(t, "transit", n.client, "tcp", from, beyond[from], 22)
	}
	was := []Group{jail(reach), other}
	reach.Forwarded = true
	sync(t, []Group{jail(reach), other}, was, r.Memory)
	for _, from := range banned {
		n.mustNot(t, "forwarded", n.client, "tcp", from, beyond[from], 22)
		n.must(t, "answers to what is behind us", n.server, "tcp", beyond[from], from, 9)
	}
	for _, from := range free {
		n.must(t, "banned by a jail that is not forwarded", n.client, "tcp", from, beyond[from], 22)
	}
}

// A published port is covered with the number that the client dialled.
func TestPacketsPublishedPort(t *testing.T) {
	n := wire(t)
	n.echo(t, n.server, 22)
	nft(t, `table inet nat {
	chain prerouting {
		type nat hook prerouting priority dstnat
		meta nfproto ipv4 tcp dport 2222 dnat ip to 10.88.0.2:22
		meta nfproto ipv6 tcp dport 2222 dnat ip6 to [fd88::2]:22
	}
}
`)
	for _, from := range append(banned, free...) {
		n.must(t, "published", n.client, "tcp", from, hosts[from], 2222)
	}
	inner := jail(state.Reach{Ports: []state.Port{{From: 22, To: 22}}})
	r := sync(t, []Group{inner}, nil, nil)
	for _, from := range banned {
		n.must(t, "the port behind it", n.client, "tcp", from, hosts[from], 2222)
	}
	dialled := jail(state.Reach{Ports: []state.Port{{From: 2222, To: 2222}}})
	sync(t, []Group{dialled}, []Group{inner}, r.Memory)
	for _, from := range banned {
		n.mustNot(t, "the port dialled", n.client, "tcp", from, hosts[from], 2222)
	}
	for _, from := range free {
		n.must(t, "not banned", n.client, "tcp", from, hosts[from], 2222)
	}
}

// Rejected is told so at once: a reset, or port unreachable.
func TestPacketsReject(t *testing.T) {
	for name, reach := range map[string]state.Reach{
		"port": {Ports: []state.Port{{From: 22, To: 22}}, Protocol: []string{"tcp", "udp"}, BlockType: state.Reject},
		"all":  {Ports: []state.Port{state.AllPorts}, BlockType: state.Reject},
	} {
		t.Run(name, func(t *testing.T) {
			n := wire(t)
			n.echo(t, n.host, 22)
			sync(t, []Group{jail(reach)}, nil, nil)
			for _, from := range banned {
				for _, proto := range []string{"tcp", "udp"} {
					if err := n.talks(t, n.client, proto, from, hosts[from], 22, long); !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("%s from %s: %v", proto, from, err)
					}
				}
			}
			for _, from := range free {
				n.must(t, "not banned", n.client, "tcp", from, hosts[from], 22)
			}
		})
	}
}

// A ban ends by itself: nobody of us runs when it is over.
func TestPacketsBanEnds(t *testing.T) {
	n := wire(t)
	n.echo(t, n.host, 22)
	group := jail(state.Reach{Ports: []state.Port{{From: 22, To: 22}}})
	for i := range group.Elements {
		group.Elements[i].Left = 1500 * time.Millisecond // 2 s in the kernel
	}
	group.Elements = append(group.Elements, elements(2*time.Second, "10.77.0.0/30")...)
	start := time.Now()
	memory := sync(t, []Group{group}, nil, nil).Memory
	for _, from := range banned {
		n.mustNot(t, "banned", n.client, "tcp", from, hosts[from], 22)
	}
	for _, from := range banned {
		for n.talks(t, n.client, "tcp", from, hosts[from], 22, 100*time.Millisecond) != nil {
			if time.Since(start) > 30*time.Second {
				t.Fatalf("%s is still banned", from)
			}
			runtime.Gosched()
		}
	}
	if d := time.Since(start); d < 1500*time.Millisecond {
		t.Errorf("over after %v", d)
	}
	// That it is over is no change: nothing to read, nothing to commit but the range's set.
	group.Elements = nil
	if r := sync(t, []Group{group}, []Group{group}, memory); r.Repaired != 0 || r.Added+r.Removed != 0 {
		t.Errorf("%+v", r)
	}
}
