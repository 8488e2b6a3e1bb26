package host

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// plant lays files below a new root; a value "-> X" is a symbolic link to X.
func plant(t *testing.T, files map[string]string) Tree {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Tree(root)
}

// proc prints 32-bit words as a kernel of this machine would: its little-endian
// form is what the fixtures hold.
func little(t *testing.T) {
	if !littleEndian {
		t.Skip("the fixtures are of a little-endian machine")
	}
}

const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// sshHost is a host with sshd on 22 and 2222, a session with a forwarded port, a
// DNS server, an established connection, and no udp6.
var sshHost = map[string]string{
	"/proc/net/tcp": heading +
		"   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0\n" +
		"   1: 00000000:08AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0000000000000000 100 0 0 10 0\n" +
		"   2: 0100007F:177A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 102 1 0000000000000000 100 0 0 10 0\n" +
		"   3: 0A00020A:0016 07007BCB:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 103 2 0000000000000000 20 4 31 10 -1\n",
	"/proc/net/tcp6": heading +
		"   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 104 1 0000000000000000 100 0 0 10 0\n",
	"/proc/net/udp": heading +
		"   0: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 105 2 0000000000000000 0\n",
	"/proc/700/comm": "sshd\n", "/proc/700/cmdline": "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\x00",
	"/proc/700/fd/3": "-> socket:[100]", "/proc/700/fd/4": "-> socket:[104]", "/proc/700/fd/5": "-> socket:[101]", "/proc/700/fd/0": "-> /dev/null",
	"/proc/800/comm": "sshd\n", "/proc/800/cmdline": "sshd: alice@pts/0\x00",
	"/proc/800/fd/9": "-> socket:[102]", "/proc/800/fd/4": "-> socket:[103]",
	"/proc/900/comm": "systemd-resolve\n", "/proc/900/fd/7": "-> socket:[105]",
}

func TestListening(t *testing.T) {
	little(t)
	sockets, err := Listening(string(plant(t, sshHost)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sockets {
		got = append(got, fmt.Sprintf("%s %s %d %s", s.Network, s.AddrPort, s.PID, s.Process))
	}
	want := []string{"tcp 0.0.0.0:22 700 sshd", "tcp [::]:22 700 sshd", "tcp 0.0.0.0:2222 700 sshd", "tcp 127.0.0.1:6010 800 sshd", "udp 127.0.0.53:53 900 systemd-resolve"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Listening(t.TempDir()); err == nil {
		t.Error("a root without /proc is no error")
	}
}

func TestListenerPorts(t *testing.T) {
	little(t)
	if got := plant(t, sshHost).listenerPorts(); !slices.Equal(got, []uint16{22, 2222}) {
		t.Errorf("%v: a session's forwarded port is not sshd's", got)
	}
	alpine := maps.Clone(sshHost) // with PAM
	for _, pid := range []string{"700", "800"} {
		alpine["/proc/"+pid+"/comm"] = "sshd.pam\n"
		alpine["/proc/"+pid+"/cmdline"] = strings.ReplaceAll(sshHost["/proc/"+pid+"/cmdline"], "sshd", "sshd.pam")
	}
	if got := plant(t, alpine).listenerPorts(); !slices.Equal(got, []uint16{22, 2222}) {
		t.Errorf("%v of sshd.pam", got)
	}
}

func TestTestedPorts(t *testing.T) {
	for _, c := range []struct {
		out  string
		want []uint16
	}{
		{"port 22\naddressfamily any\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:22\nusepam yes\n", []uint16{22}},
		{"port 22\nport 2222\nlistenaddress 0.0.0.0:2222\nlistenaddress 0.0.0.0:22\n", []uint16{22, 2222}},
		{"port 22\nlistenaddress 192.0.2.1:8022 rdomain mgmt\n", []uint16{8022}},
		{"port 2022\n", []uint16{2022}},
		{"", nil},
	} {
		if got := testedPorts(c.out); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.out, got, c.want)
		}
	}
}

func TestConfigPorts(t *testing.T) {
	const main = "/etc/ssh/sshd_config"
	for name, c := range map[string]struct {
		files map[string]string
		want  []uint16
	}{
		"no sshd":      {nil, nil},
		"default":      {map[string]string{main: "# Port 2222\nUsePAM yes\n"}, []uint16{22}},
		"several":      {map[string]string{main: "Port 22\nport=2222 # and this\nPort\t\"8022\"\n"}, []uint16{22, 2222, 8022}},
		"addresses":    {map[string]string{main: "ListenAddress 192.0.2.1\nListenAddress [2001:db8::1]:2022\nListenAddress 2001:db8::2\nPort 2222\n"}, []uint16{2022, 2222}},
		"include":      {map[string]string{main: "Include /etc/ssh/sshd_config.d/*.conf\nInclude more\n", "/etc/ssh/sshd_config.d/a.conf": "Port 2222", "/etc/ssh/more": "Port 22"}, []uint16{22, 2222}},
		"match":        {map[string]string{main: "Match User git\nPort 99\nInclude x\n", "/etc/ssh/x": "Port 98"}, []uint16{22}},
		"match all":    {map[string]string{main: "Match User git\nPort 99\nMatch all\nPort 2222\n"}, []uint16{2222}},
		"match inside": {map[string]string{main: "Include x\nPort 2222\n", "/etc/ssh/x": "Match User git\n"}, []uint16{2222}},
		"loop":         {map[string]string{main: "Include sshd_config\nPort 2222\n"}, []uint16{2222}},
		"SUSE":         {map[string]string{"/usr/etc/ssh/sshd_config": "Port 2222\n"}, []uint16{2222}},
		"nonsense":     {map[string]string{main: "Port x\nPort 70000\nPort\n=\nListenAddress\n"}, []uint16{22}},
	} {
		if got := plant(t, c.files).configPorts(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestUnitPorts(t *testing.T) {
	for name, c := range map[string]struct {
		out  string
		want []uint16
	}{
		"active":    {"Listen=[::]:2222 (Stream)\nListen=0.0.0.0:22 (Stream)\nActiveState=active\nUnitFileState=disabled\n\nActiveState=inactive\n", []uint16{22, 2222}},
		"enabled":   {"Listen=22 (Stream)\nActiveState=inactive\nUnitFileState=enabled\n", []uint16{22}},
		"not used":  {"Listen=[::]:22 (Stream)\nActiveState=inactive\nUnitFileState=disabled\n", nil},
		"not there": {"ActiveState=inactive\nUnitFileState=\n\nActiveState=inactive\nUnitFileState=\n", nil},
		"unix":      {"Listen=/run/ssh-unix-local/socket (Stream)\nListen=vsock::22 (Stream)\nActiveState=active\n", nil},
	} {
		if got := unitPorts(c.out); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// record is one of utmp.
func record(size int, kind uint16, pid uint32, user, host string, addr []byte) string {
	r := make([]byte, size)
	binary.NativeEndian.PutUint16(r, kind)
	binary.NativeEndian.PutUint32(r[4:], pid)
	copy(r[utmpUser:], user)
	copy(r[utmpHost:], host)
	at := 348
	if size == utmpLong {
		at = 360
	}
	copy(r[at:], addr)
	return string(r)
}

func TestSessions(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::7").As16()
	root := plant(t, map[string]string{
		"/proc/30/status": "Name:\tscan2ban\nPPid:\t20\n", "/proc/30/environ": "SUDO_USER=alice\x00USER=root\x00",
		"/proc/20/status": "Name:\tsudo\nPPid:\t10\n",
		"/proc/10/status": "Name:\tbash\nPPid:\t1\n", "/proc/10/environ": "USER=alice\x00SSH_CONNECTION=198.51.100.1 50000 192.0.2.1 22\x00",
		"/run/systemd/sessions/4": "UID=1000\nUSER=alice\nREMOTE=1\nREMOTE_HOST=198.51.100.1\nSTATE=active\n",
		"/run/systemd/sessions/5": "UID=1000\nUSER=bob\nREMOTE=1\nREMOTE_HOST=::ffff:198.51.100.2\nSTATE=online\n",
		"/run/systemd/sessions/6": "USER=gone\nREMOTE_HOST=198.51.100.3\nSTATE=closing\n",
		"/run/systemd/sessions/7": "USER=named\nREMOTE_HOST=host.example\nSTATE=active\n",
		"/run/systemd/sessions/8": "USER=local\nREMOTE_HOST=::1\nSTATE=active\n",
		"/run/utmp": record(utmpShort, loggedIn, 10, "carol", "198.51.100.4", nil) +
			record(utmpShort, loggedIn, 10, "dave", "dave.example", []byte{198, 51, 100, 5}) +
			record(utmpShort, loggedIn, 10, "erin", "erin.example", v6[:]) +
			record(utmpShort, loggedIn, 999, "dead", "198.51.100.9", nil) +
			record(utmpShort, 8, 10, "out", "198.51.100.9", nil) +
			record(utmpShort, loggedIn, 10, "console", "", nil) + "cut",
	})
	if err := unix.Mkfifo(root.Path("/run/systemd/sessions/5.ref"), 0o600); err != nil { // logind's: nobody ever writes
		t.Fatal(err)
	}
	var got []string
	for _, s := range root.sessions(30) {
		got = append(got, fmt.Sprintf("%s %s %s", s.Addr, s.User, s.From))
	}
	want := []string{"198.51.100.1 alice $SSH_CONNECTION", "198.51.100.2 bob logind", "198.51.100.4 carol utmp", "198.51.100.5 dave utmp", "2001:db8::7 erin utmp"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	long := record(utmpLong, loggedIn, 10, "carol", "", []byte{198, 51, 100, 4})
	if got := root.utmpSessions([]byte(long), utmpSize(len(long))); len(got) != 1 || got[0].Addr != netip.MustParseAddr("198.51.100.4") {
		t.Errorf("a record of 400 bytes: %v", got)
	}
}

func TestServed(t *testing.T) {
	little(t)
	root := plant(t, map[string]string{
		"/proc/net/tcp": heading +
			"   0: 0A00020A:0016 077100CB:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 200 2 0000000000000000 20 4 31 10 -1\n" +
			"   1: 0A00020A:0016 087100CB:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 201 2 0000000000000000 20 4 31 10 -1\n" +
			"   2: 0A00020A:0016 097100CB:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 202 2 0000000000000000 20 4 31 10 -1\n" +
			"   3: 0A00020A:0050 0A7100CB:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 203 2 0000000000000000 20 4 31 10 -1\n" +
			"   4: 0A00020A:0016 0B7100CB:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 205 2 0000000000000000 20 4 31 10 -1\n",
		"/proc/net/tcp6": heading +
			"   0: B80D0120000000000000000001000000:0016 B80D0120000000000000000007000000:9C40 01 00000000:00000000 02:000A0A0A 00000000     0        0 204 2 0000000000000000 20 4 31 10 -1\n",
		"/proc/10/comm": "sshd-session\n", "/proc/10/cmdline": "sshd-session: alice@pts/0\x00\x00", "/proc/10/fd/4": "-> socket:[200]",
		"/proc/11/comm": "sshd\n", "/proc/11/cmdline": "sshd: root [priv]\x00", "/proc/11/fd/4": "-> socket:[201]",
		"/proc/12/comm": "sshd\n", "/proc/12/cmdline": "sshd: root [net]\x00", "/proc/12/fd/4": "-> socket:[202]",
		"/proc/13/comm": "nginx\n", "/proc/13/cmdline": "sshd: eve@pts/0\x00", "/proc/13/fd/4": "-> socket:[203]",
		"/proc/14/comm": "sshd\n", "/proc/14/cmdline": "sshd: bob@notty\x00", "/proc/14/fd/4": "-> socket:[204]",
		"/proc/15/comm": "sshd-session.pa\n", "/proc/15/cmdline": "sshd-session.pam: carol@pts/1\x00", "/proc/15/fd/4": "-> socket:[205]",
	})
	want := []Session{{netip.MustParseAddr("203.0.113.7"), "alice", "sshd"}, {netip.MustParseAddr("2001:db8::7"), "bob", "sshd"}, {netip.MustParseAddr("203.0.113.11"), "carol", "sshd"}}
	if got := root.sessions(1); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzUtmp(f *testing.F) {
	f.Add([]byte(record(utmpShort, loggedIn, 1, "root", "198.51.100.4", nil)))
	f.Fuzz(func(t *testing.T, text []byte) {
		Tree("").utmpSessions(text, utmpSize(len(text)))
	})
}

// attribute is one of netlink, padded.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// route is a message of the kernel about one.
func route(family, length byte, attributes ...[]byte) []byte {
	body := append([]byte{family, length, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0}, slices.Concat(attributes...)...)
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_NEWROUTE)
	return append(append(b, make([]byte, 10)...), body...)
}

func TestGateways(t *testing.T) {
	hop := func(attribute []byte) []byte {
		b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtNexthop+len(attribute)))
		return append(append(b, 0, 0, 2, 0, 0, 0), attribute...)
	}
	linkLocal := netip.MustParseAddr("fe80::1").As16()
	interfaceOnly := attribute(unix.RTA_OIF, 2, 0, 0, 0)
	routes := slices.Concat(
		route(unix.AF_INET, 0, attribute(unix.RTA_TABLE, 254, 0, 0, 0), attribute(unix.RTA_GATEWAY, 10, 10, 2, 1), interfaceOnly),
		route(unix.AF_INET, 0, interfaceOnly), // point to point
		route(unix.AF_INET, 24, attribute(unix.RTA_DST, 10, 10, 3, 0), attribute(unix.RTA_GATEWAY, 10, 10, 2, 9)),
		route(unix.AF_INET, 0, attribute(unix.RTA_MULTIPATH, append(hop(attribute(unix.RTA_GATEWAY, 10, 10, 2, 2)), hop(attribute(unix.RTA_GATEWAY, 10, 10, 2, 3))...)...)),
		route(unix.AF_INET, 0, attribute(unix.RTA_VIA, append([]byte{unix.AF_INET6, 0}, linkLocal[:]...)...)),
		route(unix.AF_INET6, 0, attribute(unix.RTA_GATEWAY, linkLocal[:]...)),
		route(unix.AF_INET6, 0, attribute(unix.RTA_GATEWAY, make([]byte, 16)...)),
		route(unix.AF_INET6, 0, attribute(unix.RTA_VIA, 1), []byte{200, 0, unix.RTA_GATEWAY, 0}), // cut
		route(unix.AF_MPLS, 0, attribute(unix.RTA_GATEWAY, 10, 10, 2, 8)),
	)
	got, err := gateways(routes)
	if want := "[10.10.2.1 10.10.2.2 10.10.2.3 fe80::1 fe80::1]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, error %v, want %s", got, err, want)
	}
	if _, err := gateways(append(routes, route(unix.AF_INET, 0)[:20]...)); err == nil {
		t.Error("a message that is cut is no error")
	}
}

// TestSelf asks the kernel of a network namespace of its own.
func TestSelf(t *testing.T) {
	if os.Getenv("SCAN2BAN_TEST_SELF") != "" {
		self, err := Self()
		if err != nil {
			t.Fatal(err)
		}
		for _, origin := range slices.Sorted(maps.Keys(self)) {
			fmt.Printf("is %s: %s\n", origin, self[origin])
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	const lay = `ip link set lo up && ip link add veth0 type veth peer name veth1 && ip link set veth0 up && ip link set veth1 up &&
		ip address add 192.0.2.7/24 dev veth0 && ip address add 2001:db8::7/64 dev veth0 nodad &&
		ip route add default nexthop via 192.0.2.1 nexthop via 192.0.2.2 && ip route add default via 192.0.2.3 table 100 && ip route add 198.51.100.0/24 via 192.0.2.9 &&
		ip -6 route add default via 2001:db8::1 && exec "$0" -test.run '^TestSelf$'`
	c := exec.Command("unshare", "--net", "sh", "-c", lay, os.Args[0])
	c.Env = append(os.Environ(), "SCAN2BAN_TEST_SELF=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"own address 127.0.0.1: 127.0.0.1", "own address 192.0.2.7: 192.0.2.7", "own address 2001:db8::7: 2001:db8::7",
		"default gateway 192.0.2.1: 192.0.2.1", "default gateway 192.0.2.2: 192.0.2.2", "default gateway 192.0.2.3: 192.0.2.3", "default gateway 2001:db8::1: 2001:db8::1"} {
		if !strings.Contains(string(out), "is "+want+"\n") {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "192.0.2.9") {
		t.Errorf("the gateway of a single network is among them:\n%s", out)
	}
}

// FuzzGateways: whatever the messages hold, nothing is read beyond them.
func FuzzGateways(f *testing.F) {
	f.Add(route(unix.AF_INET, 0, attribute(unix.RTA_GATEWAY, 10, 10, 2, 1)))
	f.Fuzz(func(t *testing.T, routes []byte) { _, _ = gateways(routes) })
}

func TestRuns(t *testing.T) {
	root := plant(t, map[string]string{
		"/proc/self/status": "NSpid:\t9\n",
		"/proc/20/comm":     "contained\n", "/proc/20/status": "Uid:\t0\t0\t0\t0\nNSpid:\t20\t3\n",
		"/proc/21/comm": "root's\n", "/proc/21/status": "Uid:\t0\t0\t0\t0\nNSpid:\t21\n",
		"/proc/22/comm": "user's\n", "/proc/22/status": "Uid:\t1000\t1000\t1000\t1000\nNSpid:\t22\n",
		"/proc/23/comm": "setuid\n", "/proc/23/status": "Uid:\t1000\t0\t0\t0\nNSpid:\t23\n",
		"/proc/24/comm": "setuid\n", "/proc/24/status": "Uid:\t0\t0\t0\t0\nNSpid:\t24\n", "/proc/24/exe": "",
	})
	if err := os.Chmod(root.Path("/proc/24/exe"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if root.Runs("contained") {
		t.Error("a container's process is taken for the host's")
	}
	if root.Runs("user's") || root.Runs("setuid") {
		t.Error("a user's process is taken for root's")
	}
	if !root.Runs("root's") {
		t.Error("a process is not seen")
	}
}

func TestF2bJails(t *testing.T) {
	if got := f2bJails("Status\n|- Number of jail:\t2\n`- Jail list:\tnginx-http-auth, sshd\n"); got != "nginx-http-auth, sshd" {
		t.Errorf("%q", got)
	}
}
