package nftables

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"scan2ban/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain starts itself again in a network namespace of its own, so that no
// mistake of a test can reach the host's ruleset. Tests that need root say so
// and are skipped without it.
func TestMain(m *testing.M) {
	const inside = "SCAN2BAN_TEST_NETNS"
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests of ban/nftables:", err)
		os.Exit(1)
	}
	again := exec.Command(self, os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		if again.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "tests of ban/nftables: no network namespace:", err)
		}
		os.Exit(1)
	}
}

// needsRoot skips where there is no ruleset of our own to be had.
func needsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces and changes their rulesets")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs the nft program (Debian: apt install nftables)")
	}
}

// private puts the test into a new network namespace: this thread, and the
// programs that it starts. The thread dies with the test.
func private(t testing.TB) netns.NsHandle {
	t.Helper()
	needsRoot(t)
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	command(t, "ip", "link", "set", "lo", "up")
	return ns
}

// command runs a program, which must succeed, and returns what it prints.
func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// nft runs a script.
func nft(t testing.TB, script string) string {
	t.Helper()
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(script)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("nft -f -: %v\n%s\n%s", err, out, script)
	}
	return string(out)
}

// ours is our table as nft tells it, without counters and expiry.
func ours(t testing.TB) string {
	t.Helper()
	return command(t, "nft", "-s", "list", "table", "inet", tableName)
}

// golden compares with a file of testdata; `go test -update` writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// executable is this test, to be run again.
func executable(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// key reads an address or CIDR.
func key(text string) state.Key {
	p, err := state.ParsePrefix(text)
	if err != nil {
		panic(err)
	}
	return state.Key(p)
}

// elements are bans of the same remaining time.
func elements(left time.Duration, keys ...string) []Element {
	var list []Element
	for _, k := range keys {
		list = append(list, Element{key(k), left})
	}
	return list
}

// many are n different keys: addresses or /64s.
func many(n int, v6 bool, left time.Duration) []Element {
	list := make([]Element, n)
	for i := range list {
		if v6 {
			list[i].Key.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(i >> 16), byte(i >> 8), byte(i)}), 64)
		} else {
			list[i].Key.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		}
		list[i].Left = left
	}
	return list
}

// sshd is a jail with bans.
func sshd(e ...Element) Group {
	return Group{Name: "sshd", Reach: reach("tcp", 22), IPv4Prefix: 32, IPv6Prefix: 64, Elements: e}
}

func reach(protocol string, ports ...uint16) state.Reach {
	r := state.Reach{Protocol: []string{protocol}, BlockType: state.Drop, Enforce: true}
	for _, p := range ports {
		r.Ports = append(r.Ports, state.Port{From: p, To: p})
	}
	return r
}

// sync is Sync, which must succeed for all groups.
func sync(t testing.TB, want, was []Group, memory *Memory) Result {
	t.Helper()
	r, err := Options{}.Sync(t.Context(), want, was, memory)
	if err != nil {
		t.Fatal(err)
	}
	for group, err := range r.Failed {
		t.Fatalf("group %s: %v", group, err)
	}
	return r
}

// generation of this namespace's ruleset.
func generation(t testing.TB) uint32 {
	t.Helper()
	l, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	id, err := l.generation()
	if err != nil {
		t.Fatal(err)
	}
	return id
}
