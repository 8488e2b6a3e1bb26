package check

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/scan/host"
	"scan2ban/state/report"
)

func TestFirewalls(t *testing.T) {
	flushing := map[string]string{"/etc/nftables.conf": "#!/usr/sbin/nft -f\n\nflush ruleset\n"}
	for name, c := range map[string]struct {
		unit     string
		files    map[string]string
		restored bool
		want     string
	}{
		"nftables flushes":      {"nftables.service", flushing, true, "note firewall: nftables empties the whole ruleset (flush ruleset in /etc/nftables.conf): a start of it is followed by scan2ban-restore.service"},
		"nftables, no restore":  {"nftables.service", flushing, false, "warning firewall: nftables empties the whole ruleset (flush ruleset in /etc/nftables.conf): after each start of it the bans are gone until the next pass -> systemctl enable scan2ban-restore.service"},
		"nftables, own tables":  {"nftables.service", map[string]string{"/etc/nftables.conf": "# flush ruleset\nflush table inet filter\n"}, false, "ok firewall: nftables.service leaves our table alone"},
		"firewalld":             {"firewalld.service", nil, true, "note firewall: firewalld may rewrite the ruleset"},
		"ufw without a restore": {"ufw.service", nil, false, "warning firewall: ufw may rewrite the ruleset"},
		"docker":                {"docker.service", nil, true, "note firewall: docker: our chain stands before its rules"},
		"crowdsec":              {"crowdsec.service", nil, true, "note firewall: crowdsec bans here too"},
	} {
		h := healthy()
		h.root = plant(t, c.files)
		table := h.units()
		table[c.unit] = table[timer]
		if !c.restored {
			table[restore] = unit{"LoadState": "loaded"}
		}
		h.units = func() map[string]unit { return table }
		has(t, name, look(firewalls, h), c.want)
	}
	has(t, "none", look(firewalls, healthy()))
}

func TestFail2Ban(t *testing.T) {
	c := healthy()
	has(t, "none", look(fail2ban, c))
	c.fail2ban = func() (bool, string) { return true, "fail2ban.service is active, jails: sshd" }
	has(t, "observing", look(fail2ban, observing(c)), "note Fail2Ban: fail2ban.service is active, jails: sshd: it bans, scan2ban observes. To switch over: systemctl disable --now fail2ban, and take enforce = false away (rm /etc/scan2ban/conf.d/observe.toml)")
	c.Rules["sshd"].Enforce = true
	has(t, "both", look(fail2ban, c), "warning Fail2Ban: fail2ban.service is active, jails: sshd: both ban", "systemctl disable --now fail2ban")
}

func observing(c *checker) *checker { c.Rules["sshd"].Enforce = false; return c }

func TestLogLevel(t *testing.T) {
	for out, want := range map[string][]string{
		"port 22\nloglevel INFO\n":  nil,
		"port 22\nloglevel ERROR\n": {"error jail sshd: sshd has LogLevel ERROR"},
	} {
		c := healthy()
		c.ask = func(context.Context, string, ...string) (string, error) { return out, nil }
		has(t, out, look(sshd, c), want...)
		c.ask = func(context.Context, string, ...string) (string, error) { return out, errors.New("no host keys") }
		has(t, "not root", look(sshd, c))
	}
}

func TestIPv6(t *testing.T) {
	const sysctl = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
	for off, want := range map[string][]string{"0\n": nil, "1\n": {"note IPv6: switched off here"}} {
		c := healthy()
		c.root = plant(t, map[string]string{sysctl: off})
		has(t, off, look(ipv6, c), want...)
	}
	c := healthy()
	c.root = host.Tree(t.TempDir())
	has(t, "none", look(ipv6, c), "note IPv6: the kernel has none")
}

func TestClock(t *testing.T) {
	clock := func(at time.Time, root host.Tree, synchronised bool, err error) report.Findings {
		c := healthy()
		c.Now, c.root = at, root
		var found report.Findings
		c.clock(&found, synchronised, err)
		return found
	}
	bare := host.Tree(t.TempDir())
	has(t, "right", clock(now, bare, true, nil), "ok clock")
	has(t, "free", clock(now, bare, false, nil), "warning clock: nothing keeps it right")
	has(t, "a container's", clock(now, plant(t, map[string]string{"/run/systemd/container": "lxc"}), false, nil), "note clock: nothing keeps it right on the host of this container")
	has(t, "not told", clock(now, bare, false, errors.New("not permitted")), "note clock: whether it is synchronised cannot be asked: not permitted")
	has(t, "no battery", clock(time.Unix(3600, 0), bare, true, nil), "error clock: it says 1970-01-01")
}

func TestJournald(t *testing.T) {
	const main, drop = "/etc/systemd/journald.conf", "/systemd/journald.conf.d/"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"persistent":       {map[string]string{main: "[Journal]\nStorage=persistent\n"}, "ok journald: Storage=persistent\n"},
		"auto on disk":     {map[string]string{main: "#Storage=none\n", "/var/log/journal/x/system.journal": ""}, "ok journald: Storage=auto\n"},
		"auto in memory":   {map[string]string{main: ""}, "note journald: Storage=auto: the journal is lost at a reboot"},
		"volatile":         {map[string]string{main: "Storage = volatile\n"}, "note journald: Storage=volatile"},
		"none by drop-in":  {map[string]string{main: "Storage=persistent\n", "/usr/lib" + drop + "x.conf": "[Journal]\nStorage=none\n"}, "error journald: Storage=none"},
		"drop-in hidden":   {map[string]string{main: "Storage=persistent\n", "/usr/lib" + drop + "x.conf": "Storage=none\n", "/etc" + drop + "x.conf": ""}, "ok journald: Storage=persistent\n"},
		"the last by name": {map[string]string{"/etc" + drop + "a.conf": "Storage=none\n", "/run" + drop + "b.conf": "Storage=persistent\n"}, "ok journald: Storage=persistent\n"},
		"level":            {map[string]string{main: "Storage=persistent\nMaxLevelStore=notice\n"}, "error journald: MaxLevelStore=notice"},
		"level by number":  {map[string]string{main: "Storage=persistent\nMaxLevelStore=4\n"}, "error journald: MaxLevelStore=4"},
		"rate":             {map[string]string{main: "Storage=persistent\nRateLimitBurst=50\n"}, "warning journald: RateLimitBurst=50 in 30s"},
		"namespace":        {map[string]string{main: "Storage=persistent\n", "/var/log/journal/" + strings.Repeat("0a", 16) + ".audit/system.journal": ""}, "note journal namespace audit: has a journal of its own"},
	} {
		h := healthy()
		h.root = plant(t, c.files)
		has(t, name, look(journald, h), c.want)
	}
	for name, text := range map[string]string{"off": "RateLimitBurst=0\n", "no interval": "RateLimitIntervalSec=0\nRateLimitBurst=5\n", "info": "MaxLevelStore=info\n", "6": "MaxLevelStore=6\n"} {
		h := healthy()
		h.root = plant(t, map[string]string{main: "Storage=persistent\n" + text})
		if got := said(look(journald, h)); got != "ok journald: Storage=persistent\n" {
			t.Errorf("%s: says %s", name, got)
		}
	}
}

func TestOwner(t *testing.T) {
	for addr, want := range map[string]string{
		"10.1.2.3": privateNetwork, "172.31.0.1": privateNetwork, "172.32.0.1": "", "192.168.1.1": privateNetwork, "100.64.0.1": privateNetwork, "fd00::1": privateNetwork,
		"104.16.0.1": "Cloudflare", "2606:4700::1": "Cloudflare", "151.101.1.1": "Fastly", "2a04:4e42::1": "Fastly",
		"203.0.113.7": "", "2001:db8::1": "",
	} {
		if got := ownerOf(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s belongs to %q, want %q", addr, got, want)
		}
	}
}

// A probe that hangs does not keep the others from being told.
func TestHangingProbe(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	found := run(context.Background(), healthy(), []probe{
		{"stuck", func(context.Context, *checker, *report.Findings) { <-release }},
		{"stuck too", func(context.Context, *checker, *report.Findings) { <-release }},
		{"fine", func(_ context.Context, _ *checker, f *report.Findings) { f.OK("fine", "") }},
	}, 100*time.Millisecond)
	has(t, "hanging", found, "error stuck: no answer within 100ms", "error stuck too: no answer", "ok fine: \n")
}

func TestLogFiles(t *testing.T) {
	root := plant(t, map[string]string{"/var/log/auth.log": "x\n"})
	c := healthy()
	c.root, c.Jails[0].Backend = root, "file"
	c.Jails[0].LogPaths = []string{"/var/log/auth.log", "/var/log/secure"}
	has(t, "there", look(logFiles, c), "ok jail sshd: log files: 1 file can be read")
	c.Jails[0].LogPaths = []string{"/var/log/other*.log"}
	has(t, "none", look(logFiles, c), "warning jail sshd: log files: no file is there for [/var/log/other*.log]")
	c.Jails[0].Backend = "journal"
	has(t, "reads the journal", look(logFiles, c))
}

// Started as nobody, the program cannot write what only root may.
func TestPermissionsOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to take another user's rights")
	}
	c := healthy()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.StatePath = filepath.Join(dir, "state.json")
	table := c.units()
	table[service] = unit{"LoadState": "loaded", "User": "nobody"}
	c.units = func() map[string]unit { return table }
	has(t, "nobody", look(permissions, c), "error rights of the unit's user: scan2ban.service lacks CAP_NET_ADMIN", "error state, as nobody: ", "permission denied")
	table[service]["User"] = "no-such-user"
	has(t, "no user", look(permissions, c), "error rights of the unit's user: scan2ban.service cannot start")
	c.euid = 1
	has(t, "unprivileged", look(permissions, c), "note rights of the unit's user: looked at with the rights of", asRoot)
}

// TestTakenOver: who takes the program over that is started with the unit's rights has no
// way to root's terminal, and fills no memory of root's.
func TestTakenOver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to take another user's rights")
	}
	nobody, err := credentialOf("nobody", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := healthy()
	c.StatePath = "session"
	if _, err := c.askUnit(t.Context(), nobody, nil); err != nil {
		t.Errorf("it is in the session of who started it: %v", err)
	}
	theirs, err := os.Create(filepath.Join(t.TempDir(), "of-the-shell"))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	for _, least := range []int{3, 1024} {
		fd, err := unix.FcntlInt(theirs.Fd(), unix.F_DUPFD, least) // as a shell leaves it, open for programs
		if err == unix.EINVAL {
			continue // so many may not be open here
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		c.StatePath = "files"
		if _, err := c.askUnit(t.Context(), nobody, nil); err != nil {
			t.Errorf("it gets the file %d that who started it has open: %v", fd, err)
		}
	}
	c.StatePath = "long"
	if _, err := c.askUnit(t.Context(), nobody, nil); err == nil {
		t.Error("an answer of two megabytes is read")
	}
}

func TestCredential(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	got, err := credentialOf(me.Username, nil)
	if err != nil || got.Uid != uint32(syscall.Getuid()) || got.Gid != uint32(syscall.Getgid()) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := credentialOf(me.Username, []string{"no-such-group"}); err == nil {
		t.Error("an unknown group is no error")
	}
}

func TestWithoutEchoes(t *testing.T) {
	var f report.Findings
	f.Fail("state", "read-only", "")
	f.Fail("state, as scan2ban", "read-only", "")
	f.Fail("journal, as scan2ban", "denied", "")
	if got := said(withoutEchoes(f)); got != "error state: read-only\nerror journal, as scan2ban: denied\n" {
		t.Errorf("left is\n%s", got)
	}
}

// The whole of a host on which much is wrong, as an admin sees it.
func TestBrokenHost(t *testing.T) {
	c := healthy()
	c.root = plant(t, map[string]string{
		"/etc/systemd/journald.conf": "[Journal]\nStorage=none\n", "/etc/nftables.conf": "flush ruleset\n",
		"/proc/sys/net/ipv6/conf/all/disable_ipv6": "1\n",
	})
	table := map[string]unit{
		service: {"LoadState": "loaded"}, restore: {"LoadState": "loaded"},
		timer:              {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "enabled"},
		"nftables.service": {"LoadState": "loaded", "UnitFileState": "enabled"},
	}
	c.units = func() map[string]unit { return table }
	c.StatePath = filepath.Join(t.TempDir(), "state.json")
	c.sshPorts = func() ([]uint16, string, error) { return []uint16{22, 2222}, "sshd -T: 22, 2222", nil }
	c.fail2ban = func() (bool, string) { return true, "fail2ban.service is active, jails: sshd" }
	c.Rules["sshd"].Enforce = true
	var out bytes.Buffer
	probes := []probe{{"configuration", configuration}, {"ports", ports}, {"units", units}, {"IPv6", ipv6}, {"firewalls", firewalls}, {"Fail2Ban", fail2ban}, {"journald", journald}}
	if err := run(context.Background(), c, probes, limit).Write(&out, false); !errors.Is(err, report.ErrFound) {
		t.Errorf("the error is %v", err)
	}
	want, err := os.ReadFile("testdata/broken.txt")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("says\n%swant\n%s", out.String(), want)
	}
}

func TestUnguarded(t *testing.T) {
	c := healthy()
	c.root = plant(t, map[string]string{"/usr/sbin/sshd": "", "/usr/sbin/nginx": "", "/usr/sbin/vsftpd": "", "/usr/sbin/named": ""})
	has(t, "two", look(unguarded, c),
		"note not guarded: /usr/sbin/nginx is installed and no jail reads its log: [jail.nginx-bad-request], [jail.nginx-botsearch], ",
		"note not guarded: /usr/sbin/vsftpd is installed")
	c.Jails = append(c.Jails, Jail{Name: "web", Filter: "nginx-botsearch"})
	c.Off = map[string]bool{"vsftpd": true}
	has(t, "one jail of nginx, one that is switched off", look(unguarded, c))
}
