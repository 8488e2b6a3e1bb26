package nftables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"scan2ban/state"
)

// The ledger changes, nobody interferes: only the difference is applied and
// nothing is read back.
func TestChanges(t *testing.T) {
	hand := func(e ...Element) Group { return Group{Name: "by-hand", Elements: e} }
	for _, c := range []struct {
		name           string
		was, want      []Group
		added, removed int
		commits        int
		dumped         bool
	}{
		{"a ban", []Group{sshd()}, []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, 1, 0, 1, false},
		{"an unban", []Group{sshd(elements(time.Hour, "192.0.2.1", "192.0.2.2")...)}, []Group{sshd(elements(time.Hour, "192.0.2.2")...)}, 0, 1, 1, false},
		{"a longer ban", []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, []Group{sshd(elements(2*time.Hour, "192.0.2.1")...)}, 1, 0, 1, false},
		{"a shorter ban", []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, []Group{sshd(elements(time.Minute, "192.0.2.1")...)}, 1, 0, 1, false},
		{"a ban for ever", []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, []Group{sshd(elements(0, "192.0.2.1")...)}, 1, 0, 1, false},
		{"a second is nothing", []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, []Group{sshd(elements(time.Hour+time.Second, "192.0.2.1")...)}, 0, 0, 0, false},
		{"less than a second is not sent", []Group{sshd()}, []Group{sshd(elements(999*time.Millisecond, "192.0.2.1")...)}, 0, 0, 0, false},
		{"over is not sent", []Group{sshd()}, []Group{sshd(elements(-time.Hour, "192.0.2.1")...)}, 0, 0, 0, false},
		{"two jails in one transaction", []Group{sshd(), hand()}, []Group{sshd(elements(time.Hour, "192.0.2.1")...), hand(elements(0, "2001:db8::/64")...)}, 2, 0, 1, false},
		{"a range more", []Group{hand(elements(time.Hour, "192.0.2.0/24")...)}, []Group{hand(elements(time.Hour, "192.0.2.0/24", "198.51.100.0/24")...)}, 1, 0, 1, false},
		{"the first range", []Group{hand()}, []Group{hand(elements(time.Hour, "192.0.2.0/24")...)}, 1, 0, 2, true},
		{"the last range", []Group{hand(elements(time.Hour, "192.0.2.0/24")...)}, []Group{hand()}, 0, 0, 1, true},
		{"all of the Internet", []Group{hand(elements(time.Hour, "192.0.2.0/24", "2001:db8::/32")...)}, []Group{hand(elements(time.Hour, "0.0.0.0/0", "::/0")...)}, 2, 2, 1, false},
		{"a jail more", []Group{sshd()}, []Group{sshd(), hand(elements(time.Hour, "192.0.2.1")...)}, 1, 0, 2, true},
		{"a jail less", []Group{sshd(elements(time.Hour, "192.0.2.1")...), hand(elements(time.Hour, "192.0.2.1")...)}, []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, 0, 0, 1, true},
		{"another port", []Group{sshd(elements(time.Hour, "192.0.2.1")...)}, []Group{{Name: "sshd", Reach: reach("tcp", 2222), Elements: elements(time.Hour, "192.0.2.1")}}, 0, 0, 1, true},
		{"another length of keys", []Group{sshd(elements(time.Hour, "2001:db8::/64")...)}, []Group{{Name: "sshd", Reach: reach("tcp", 22), IPv6Prefix: 56, Elements: elements(time.Hour, "2001:db8::/56")}}, 1, 0, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			private(t)
			memory := throughJSON(t, sync(t, c.was, nil, nil).Memory)
			r := sync(t, c.want, c.was, memory)
			if r.Added != c.added || r.Removed != c.removed || r.Repaired != 0 || r.Commits != c.commits || r.Dumped != c.dumped || r.Memory == nil {
				t.Errorf("added %d, removed %d, repaired %d in %d commits, dumped %v, memory %v\n%v",
					r.Added, r.Removed, r.Repaired, r.Commits, r.Dumped, r.Memory, r.Plan)
			}
			if c.commits == 0 {
				return
			}
			got := ours(t)
			private(t)
			sync(t, c.want, nil, nil)
			if want := ours(t); unordered(got) != unordered(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func throughJSON(t *testing.T, m *Memory) *Memory {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back *Memory
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// Whatever may have moved the kernel or its clock has the table read.
func TestMemory(t *testing.T) {
	base := Memory{Generation: 7, Boot: "a", Netns: 1, Structure: "x", Offset: 1e18}
	for _, c := range []struct {
		name    string
		now     func(*Memory)
		differs bool
	}{
		{"nothing", func(m *Memory) {}, false},
		{"a commit", func(m *Memory) { m.Generation++ }, true},
		{"a reboot", func(m *Memory) { m.Boot = "b" }, true},
		{"another namespace", func(m *Memory) { m.Netns = 2 }, true},
		{"another chain", func(m *Memory) { m.Structure = "y" }, true},
		{"a clock a second off", func(m *Memory) { m.Offset += 1e9 }, false},
		{"a clock stepped forward, or a suspend", func(m *Memory) { m.Offset += 3e9 }, true},
		{"a clock stepped back", func(m *Memory) { m.Offset -= 3e9 }, true},
	} {
		now := base
		c.now(&now)
		if got := base.differs(now); (got != "") != c.differs {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if (*Memory)(nil).differs(base) == "" {
		t.Error("no memory proves nothing")
	}
}

// What a Memory says is that of this boot, this namespace and these clocks.
func TestIdentify(t *testing.T) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Skip(err)
	}
	var monotonic unix.Timespec
	var net unix.Stat_t
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic), unix.Stat("/proc/thread-self/ns/net", &net)); err != nil {
		t.Fatal(err)
	}
	offset := time.Now().UnixNano() - monotonic.Nano()
	m := identify(7, "x")
	if m.Generation != 7 || m.Structure != "x" || m.Boot != strings.TrimSpace(string(boot)) {
		t.Errorf("%+v, boot %s", m, boot)
	}
	if apart := time.Duration(m.Offset - offset); apart.Abs() > time.Second || m.Netns != net.Ino {
		t.Errorf("%+v: the offset is off by %v, the namespace is %d", m, apart, net.Ino)
	}
}

// A foreign commit between our last one and the reading of the generation must
// not be taken for ours.
func TestForeignCommitInBetween(t *testing.T) {
	private(t)
	groups := []Group{sshd(elements(time.Hour, "192.0.2.1")...)}
	memory := sync(t, groups, nil, nil).Memory
	nft(t, "add table inet other\n")
	r := sync(t, groups, groups, memory)
	if !r.Dumped || r.Commits != 0 || r.Repaired != 0 || r.Memory == nil {
		t.Errorf("after a foreign commit: %+v", r)
	}

	// Somebody commits without end, while we do.
	runtime.LockOSThread()
	stop := exec.Command("sh", "-c", "while :; do nft add table inet other; nft delete table inet other; done")
	if err := stop.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop.Process.Kill(); _ = stop.Wait() }()
	seen := false
	for i := 0; i < 200 && !seen; i++ {
		before := generation(t)
		want := []Group{sshd(many(20_000+i, false, time.Hour)...)}
		r := sync(t, want, groups, nil)
		seen = r.Memory == nil
		if r.Memory != nil && r.Memory.Generation-before < uint32(r.Commits) {
			t.Fatal("the generation went back")
		}
	}
	if !seen {
		t.Error("the other's commits were never noticed")
	}
}

// Nobody else's table is touched, whatever we do.
func TestOthersUntouched(t *testing.T) {
	private(t)
	nft(t, `table inet filter {
	set scan2ban { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 1h } }
	chain prerouting { type filter hook prerouting priority -150; policy accept; ip saddr @scan2ban counter drop; }
}
table ip scan2ban {
	chain prerouting { counter accept; }
}
table ip6 scan2ban {
	set sshd6 { type ipv6_addr; }
}
`)
	others := func() string {
		return command(t, "nft", "-s", "list", "table", "inet", "filter") +
			command(t, "nft", "-s", "list", "table", "ip", "scan2ban") + command(t, "nft", "-s", "list", "table", "ip6", "scan2ban")
	}
	before := others()
	groups := []Group{sshd(elements(time.Hour, "192.0.2.1", "2001:db8::/64")...)}
	memory := sync(t, groups, nil, nil).Memory
	sync(t, nil, groups, memory)
	nft(t, "add table inet scan2ban { flags dormant; }\n") // makes us rebuild
	sync(t, groups, groups, nil)
	if err := Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if err := Remove(t.Context()); err != nil {
		t.Error("a table that is not there:", err)
	}
	if after := others(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// Check finds everything here, and leaves nothing.
func TestCheck(t *testing.T) {
	private(t)
	if err := Check(t.Context()); err != nil {
		t.Error(err)
	}
	if all := command(t, "nft", "list", "ruleset"); all != "" {
		t.Errorf("left behind:\n%s", all)
	}
	if g := generation(t); g != 1 {
		t.Errorf("the generation moved to %d", g)
	}
}

// A group that the kernel refuses is named, the others are enforced.
func TestOneGroupFails(t *testing.T) {
	bad := Group{Name: strings.Repeat("x", 300), Elements: elements(time.Hour, "192.0.2.9")}
	protocol := Group{Name: "icmp", Reach: state.Reach{Protocol: []string{"icmp"}, Ports: []state.Port{{From: 1, To: 1}}}}
	mapped := Group{Name: "mapped", Elements: elements(time.Hour, "192.0.2.9")}
	mapped.Elements[0].Key = state.Key{}
	private(t)
	good := sshd(elements(time.Hour, "192.0.2.1")...)
	r, err := Options{}.Sync(t.Context(), []Group{bad, protocol, good, mapped}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 3 || r.Failed["sshd"] != nil || r.Memory != nil {
		t.Errorf("%+v", r)
	}
	got := ours(t)
	private(t)
	sync(t, []Group{good}, nil, nil)
	if want := ours(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	t.Run("by the kernel", func(t *testing.T) {
		private(t)
		groups := []Group{good, {Name: "web", Reach: reach("tcp", 80)}}
		memory := sync(t, groups, nil, nil).Memory
		// Somebody limits our set: ENFILE.
		table := strings.Replace(ours(t), "comment \"web /32\"", "size 2\ncomment \"web /32\"", 1)
		nft(t, "delete table inet scan2ban\n"+table)
		groups[0].Elements = elements(time.Hour, "192.0.2.1", "192.0.2.2")
		groups[1].Elements = elements(time.Hour, "192.0.2.3", "192.0.2.4", "192.0.2.5")
		r, err := Options{}.Sync(t.Context(), groups, groups, memory)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed["web"] == nil || !errors.Is(r.Failed["web"], unix.ENFILE) || r.Failed["sshd"] != nil || r.Memory != nil {
			t.Errorf("%+v", r.Failed)
		}
		if n := count(t, "sshd4"); n != 2 {
			t.Errorf("%d bans of the jail that did not fail", n)
		}
	})
}

// Without CAP_NET_ADMIN there is an error that says so, and nothing else.
func TestNoPermission(t *testing.T) {
	const inside = "SCAN2BAN_TEST_UNPRIVILEGED"
	if os.Getenv(inside) != "" {
		for name, f := range map[string]func(context.Context) error{
			"Sync": func(ctx context.Context) error {
				_, err := DefaultOptions().Sync(ctx, []Group{sshd()}, nil, nil)
				return err
			},
			"Check":  Check,
			"Remove": Remove,
			"Dump":   func(ctx context.Context) error { _, err := Dump(ctx); return err },
		} {
			err := f(t.Context())
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
				t.Errorf("%s: %v", name, err)
			} else {
				fmt.Println(name+":", err)
			}
		}
		return
	}
	needsRoot(t)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("needs setpriv (Debian: util-linux)")
	}
	c := exec.Command(setpriv, "--bounding-set", "-net_admin", "--inh-caps", "-all", executable(t), "-test.run", "^TestNoPermission$", "-test.v")
	c.Env = append(os.Environ(), inside+"=1", "SCAN2BAN_TEST_NETNS=1")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "CAP_NET_ADMIN") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A context that is done ends it at once.
func TestContextDone(t *testing.T) {
	private(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := DefaultOptions().Sync(ctx, []Group{sshd()}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// In a container with a user namespace of its own, sockets have no more room than
// everybody's (net.core.wmem_max, 208 KiB on most hosts): what does not fit into
// one transaction still arrives, in several.
func TestContainer(t *testing.T) {
	const inside, n = "SCAN2BAN_TEST_CONTAINER", 20_000
	if os.Getenv(inside) == "" {
		needsRoot(t)
		c := exec.Command(executable(t), "-test.run", "^TestContainer$", "-test.v")
		c.Env = append(os.Environ(), inside+"=1", "SCAN2BAN_TEST_NETNS=1")
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, UidMappings: ids, GidMappings: ids}
		out, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Skipf("needs user namespaces: %v", err)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	groups := []Group{sshd(many(n, false, time.Hour)...)}
	memory := sync(t, groups, nil, nil).Memory
	nft(t, "add table inet scan2ban { flags dormant; }\n")
	r := sync(t, groups, groups, memory)
	k, err := Dump(t.Context())
	if err != nil || len(k.Elements) != n {
		t.Fatalf("%d elements, %v", len(k.Elements), err)
	}
	if r.Memory == nil {
		t.Error("no memory")
	}
	if again := sync(t, groups, groups, r.Memory); again.Commits != 0 || again.Dumped {
		t.Errorf("%+v", again)
	}
}
