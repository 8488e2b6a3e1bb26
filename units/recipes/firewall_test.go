package recipes

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// These tests send real packets: the host is the test's own namespace, a client behind
// a wire has two addresses of each family, of which one is banned.
//
//	10.77.0.2, .3, fd77:1::2, fd77:2::2   client ---- host   10.77.0.1, fd77:1::1, fd77:2::1
type network struct{ host, client netns.NsHandle }

var hosts = map[string]string{"10.77.0.2": "10.77.0.1", "10.77.0.3": "10.77.0.1", "fd77:1::2": "fd77:1::1", "fd77:2::2": "fd77:2::1"}

const (
	short = 300 * time.Millisecond // for what must not come
	long  = 10 * time.Second       // for what must
)

// wire makes both namespaces, with an echo at ports 22 and 80 of both.
func wire(t *testing.T) *network {
	t.Helper()
	needsRoot(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	was, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	n := &network{}
	for _, ns := range []*netns.NsHandle{&n.client, &n.host} {
		if *ns, err = netns.New(); err != nil {
			t.Fatal(err)
		}
		sh(t, "ip link set lo up")
	}
	t.Cleanup(func() { _ = netns.Set(was); _ = n.host.Close(); _ = n.client.Close(); _ = was.Close() })
	sh(t, fmt.Sprintf(`ip link add c0 type veth peer name eth0 netns /proc/%d/fd/%d
		ip link set c0 up; ip addr add 10.77.0.1/24 dev c0; ip addr add fd77:1::1/64 dev c0 nodad; ip addr add fd77:2::1/64 dev c0 nodad`, os.Getpid(), int(n.client)))
	n.in(t, n.client, func() {
		sh(t, `ip link set eth0 up; ip addr add 10.77.0.2/24 dev eth0; ip addr add 10.77.0.3/24 dev eth0
			ip addr add fd77:1::2/64 dev eth0 nodad; ip addr add fd77:2::2/64 dev eth0 nodad`)
	})
	for _, ns := range []netns.NsHandle{n.host, n.client} {
		n.in(t, ns, func() { echo(t, 22); echo(t, 80) })
	}
	return n
}

// sh runs lines of shell in the namespace that the test is in, and gives what they print.
func sh(t *testing.T, lines string) string {
	t.Helper()
	c := exec.Command("sh", "-ec", lines)
	c.Env = append(os.Environ(), "PATH=/usr/local/sbin:/usr/sbin:/sbin:"+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", lines, err, out)
	}
	return string(out)
}

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

// echo sends back what comes to a port.
func echo(t *testing.T, port int) {
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
}

// talks tells whether from, of a namespace, gets an answer.
func (n *network) talks(t *testing.T, ns netns.NsHandle, from, to string, port int, wait time.Duration) (err error) {
	t.Helper()
	n.in(t, ns, func() {
		var c net.Conn
		d := net.Dialer{Timeout: wait, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
		if c, err = d.Dial("tcp", net.JoinHostPort(to, fmt.Sprint(port))); err == nil {
			err = answers(c, wait)
			_ = c.Close()
		}
	})
	return err
}

func answers(c net.Conn, wait time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

func (n *network) must(t *testing.T, what, from string, port int) {
	t.Helper()
	if err := n.talks(t, n.client, from, hosts[from], port, long); err != nil {
		t.Errorf("%s: %s gets no answer from port %d: %v", what, from, port, err)
	}
}

func (n *network) mustNot(t *testing.T, what, from string, port int) {
	t.Helper()
	if n.talks(t, n.client, from, hosts[from], port, short) == nil {
		t.Errorf("%s: %s gets an answer from port %d", what, from, port)
	}
}

// banOf are the changes of an event about a client of each family.
func banOf(from string, more ...string) map[string]string {
	if strings.Contains(from, ":") {
		return event(append([]string{"ADDRESS", from, "KEY", strings.TrimSuffix(from, "2") + "/64", "FAMILY", "ipv6"}, more...)...)
	}
	return event(append([]string{"ADDRESS", from, "KEY", from}, more...)...)
}

// went runs a script that has to go well.
func (r *runner) went(t *testing.T, script string, e map[string]string) {
	t.Helper()
	if code, out := r.run(t, script, "", e, "{}"); code != 0 || out != "" {
		t.Fatalf("%s of %s: exit %d, %q", e["EVENT"], e["KEY"], code, out)
	}
}
