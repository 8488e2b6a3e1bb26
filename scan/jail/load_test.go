package jail

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/ban/deliver"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/host"
	"scan2ban/state"
)

// write lays files down under a directory and gives the path of the main one.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "scan2ban.toml")
}

func TestBuiltIn(t *testing.T) {
	f, err := parse("built-in", builtin)
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Broken: map[string]error{}, failed: map[string]bool{}}
	c.jails([]*file{f}, defaults())
	if len(c.Jails) != 1 {
		t.Fatalf("%d jails, broken %v", len(c.Jails), c.Broken)
	}
	j := c.Jails[0]
	if j.Name != "sshd" || j.BanTime != state.Duration(24*time.Hour) || j.FindTime != state.Duration(time.Hour) || j.MaxRetry != 5 ||
		!j.IgnoreSelf || !j.Enforce || j.Mode != filter.Normal || !slices.Equal(j.Ports, []state.Port{{From: 22, To: 22}}) {
		t.Errorf("built-in sshd jail: %+v", j)
	}
}

// TestWithoutMain: conf.d is read after the built-in default too, and what cannot be read of
// it is an error.
func TestWithoutMain(t *testing.T) {
	defer func(was string) { usual = was }(usual)
	usual = write(t, map[string]string{
		"conf.d/10-ours.toml": "[defaults]\nenforce = false\nignoreip = [\"192.0.2.0/24\"]\n[[hook]]\nrun = [\"/bin/true\"]\n[jail.own]\nenabled = true\n",
		"conf.d/20-ssh.conf":  "[jail.sshd]\nenabled = false\n",
		"conf.d/ours.toml~":   "[jail.sshd]\nenabled = false\n",
		"filters/own.toml":    "ports = [8080]\n[journal]\nmatch = [[\"_SYSTEMD_UNIT=own.service\"]]\n[[rule]]\nname = \"bad\"\npattern = '^bad login from <ADDR>$'\n",
	})
	c, err := Load("")
	if err != nil || c.Path != "" || len(c.Broken) > 0 || len(c.Jails) != 2 || c.Jails[1].Name != "sshd" {
		t.Fatalf("error %v, %+v", err, c)
	}
	for _, j := range c.Jails {
		if j.Enforce || len(j.IgnoreIP) != 1 {
			t.Errorf("%s goes by its own: %+v", j.Name, j)
		}
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "20-ssh.conf is not read") {
		t.Errorf("notes: %q", c.Notes)
	}
	if len(c.Deliver.Hooks) != 1 {
		t.Errorf("hooks: %+v", c.Deliver.Hooks)
	}
	dir := filepath.Join(filepath.Dir(usual), "conf.d")
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(""); err == nil || !strings.Contains(err.Error(), "read the configuration") {
		t.Errorf("conf.d is no directory: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(""); err != nil || len(c.Jails) != 1 {
		t.Errorf("no conf.d: error %v, %+v", err, c)
	}
}

func TestDefaultsAndOverrides(t *testing.T) {
	c, err := Load(write(t, map[string]string{
		"scan2ban.toml": `
[defaults]
bantime  = "2h"
ignoreip = ["10.0.0.0/8"]
[state]
checkpoint = "5m"
[jail.sshd]
enabled  = true
maxretry = 3
ports    = ["ssh", 2222]
[jail.off]
filter  = "sshd"
enabled = false
`,
		"conf.d/10-more.toml": "[jail.sshd]\nports = \"2200\"\nignoreip = \"192.0.2.1 192.0.2.2\"\nprotocol = \"tcp, udp\"\n[jail.other]\nenabled = true\nfilter = \"sshd\"\nport = \"all\"\n[mail]\ndestemail = \"root, a@example.org\"\nwhen = \"each\"\n[[hook]]\nrun = [\"/bin/true\"]\n[[hook]]\nrun = [\"/bin/false\", \"x\"]\non = [\"ban\", \"expire\"]\n",
		"conf.d/20-last.toml": "[defaults]\nfindtime = 600\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Broken) > 0 {
		t.Fatal(c.Broken)
	}
	sshd, other := c.Jails[1], c.Jails[0]
	if sshd.BanTime.String() != "2h" || sshd.FindTime.String() != "10m" || sshd.MaxRetry != 3 || sshd.Ports[0].String() != "2200" || len(sshd.IgnoreIP) != 2 || !slices.Equal(sshd.Protocol, []string{"tcp", "udp"}) {
		t.Errorf("sshd: %+v", sshd)
	}
	if !other.Ports.All() || len(other.IgnoreIP) != 1 || other.IgnoreIP[0].String() != "10.0.0.0/8" {
		t.Errorf("other: the lists of one jail are not another's: %+v", other)
	}
	if c.State.Checkpoint.String() != "5m" || !slices.Equal(c.Off, []string{"off"}) {
		t.Errorf("state %+v, off %q", c.State, c.Off)
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "port is called ports here") || !strings.Contains(notes, "destemail is called to here") {
		t.Errorf("notes: %s", notes)
	}
	if m, h := c.Deliver.Mail, c.Deliver.Hooks; len(m.To) != 2 || m.To[1] != "a@example.org" || m.When != deliver.Each || m.MaxPerHour != 10 ||
		len(h) != 2 || h[0].On[0] != "ban" || h[1].Run[1] != "x" || len(h[1].On) != 2 {
		t.Errorf("deliveries %+v", c.Deliver)
	}
}

// TestErrors: every error is found, at its line, with a way out. In [jail.X] it
// breaks that jail alone.
func TestErrors(t *testing.T) {
	tests := []struct {
		name, text string
		fatal      bool
		want       []string
	}{
		{"not TOML", "[jail.sshd\nenabled = true\n", true, []string{"scan2ban.toml:1:", "expected"}},
		{"words without quotes", "[jail.sshd]\nbantime = 1d\n", true, []string{":2:", `(write bantime = "1d")`}},
		{"a word without quotes", "[jail.sshd]\nmode = aggressive # all\n", true, []string{":2:", `(write mode = "aggressive")`}},
		{"a truth of Fail2Ban's", "[jail.sshd]\nenabled = True\n", true, []string{":2:", "(write enabled = true)"}},
		{"tables that are none", "[jail.sshd]\nenabled = true\nescalation = true\nsubnets = 5\n", false, []string{":3: escalation: is true or false, not a table", ":4: subnets: is an integer, not a table"}},
		{"a section of Fail2Ban's", "[sshd]\nenabled = true\n", true, []string{`:1: unknown key "sshd" (write [jail.sshd])`}},
		{"unknown key", "[jail.sshd]\nenabled = true\nmaxrety = 3\n", false, []string{`:3: unknown key "maxrety" (did you mean "maxretry"?)`}},
		{"several at once", "[jail.sshd]\nenabled = true\nbantime = \"1x\"\nmaxretry = \"five\"\nmode = \"aggresive\"\nignoreip = [\"10.0.0.0/33\", \"host.example\"]\n", false,
			[]string{`:3: bantime:`, "1x", `:4: maxretry:`, `:5: mode:`, `"aggresive"`, `:6: ignoreip:`, `10.0.0.0/33`, `host.example`}},
		{"values of another kind", "[jail.sshd]\nenabled = true\nmaxretry = \"five\"\nmax_tracked = 1.5\nmode = \"fast\"\nipv4_prefix = true\nfindtime = \"0\"\n", false,
			[]string{":3: maxretry: is a string, not an integer", ":4: max_tracked: is a number with a fraction, not an integer", `:5: mode: "fast" is not a mode (valid: normal, ddos, extra, aggressive)`,
				":6: ipv4_prefix: is true or false, not an integer", ":7:", "findtime = 0s is too short (at least 1 second)"}},
		{"impossible values", "[jail.sshd]\nenabled = true\nmaxretry = 0\nipv6_prefix = 129\nfindtime = \"0\"\nports = [99999]\n", false,
			[]string{":3:", "maxretry = 0 is out of range", ":4:", "ipv6_prefix", ":5:", "findtime", ":6:", "not a port"}},
		{"unknown filter", "[jail.shd]\nenabled = true\n", false, []string{`shd`, `did you mean "sshd"?`}},
		{"unknown section", "[default]\nmaxretry = 3\n", true, []string{`:1: unknown key "default" (did you mean "defaults"?)`}},
		{"an open section", "[defaults]\n[jail.sshd\nenabled = true\n", true, []string{"scan2ban.toml:2:", "to end table name"}},
		{"an open array", "[defaults]\n[[hook]\nenabled = true\n", true, []string{"scan2ban.toml:2:", "end of table array name"}},
		{"behind a byte order mark", "\ufeff[defaults]\nmaxrety = 3\n", true, []string{`:2: unknown key "maxrety"`}},
		{"a key twice", "[defaults]\nmaxretry = 3\nmaxretry = 4\n", true, []string{":3:", "'defaults.maxretry' has already been defined\n"}},
		{"unknown section with a table in it", "[defaults]\nmaxretry = 3\n[jails.sshd]\nenabled = true\n", true, []string{`:3: unknown key "jails" (did you mean "jail"?)`}},
		{"a jail's key at the top", "maxretry = 3\n", true, []string{":1:", "it belongs into [defaults] or [jail.NAME]"}},
		{"error in defaults", "[defaults]\nbantime = \"soon\"\n", true, []string{":2: bantime:", "soon"}},
		{"name", "[jail.\"Bad Name\"]\nenabled = true\nfilter = \"sshd\"\n", false, []string{"not a name for a jail"}},
		{"reserved name", "[jail.by-hand]\nenabled = true\nfilter = \"sshd\"\n", false, []string{"is taken"}},
		{"journalmatch", "[jail.sshd]\nenabled = true\njournalmatch = [[\"_COMM\"]]\n", false, []string{":3:", "FIELD=value"}},
		{"nested key", "[jail.sshd]\nenabled = true\nescalation = { factro = 2 }\n", false, []string{":3:", `"factro" (did you mean "factor"?)`}},
		{"an impossible default", "[defaults]\nfindtime = \"1h\"\nmaxretry = 0\n[jail.sshd]\nenabled = false\n", true, []string{":3: maxretry = 0 is out of range"}},
		{"subnets of one", "[jail.sshd]\nenabled = true\nsubnets = { count = 1, ipv4 = 24 }\n", false, []string{":3:", "subnets.count = 1 is out of range (2 to 1000"}},
		{"subnets of no network", "[jail.sshd]\nenabled = true\nsubnets = { count = 5 }\n", false, []string{":3:", "subnets names no network"}},
		{"subnets too wide", "[jail.sshd]\nenabled = true\nsubnets = { count = 5, ipv4 = 7, ipv6 = 15 }\n", false, []string{":3:", "subnets.ipv4 = 7 is out of range (8 to 31)", "subnets.ipv6 = 15 is out of range (16 to 127)"}},
		{"subnets as long as the keys", "[jail.sshd]\nenabled = true\nipv4_prefix = 24\nsubnets = { count = 5, ipv4 = 24, ipv6 = 64 }\n", false, []string{":4:", "failures are counted per /24 (ipv4_prefix)", "failures are counted per /64 (ipv6_prefix)"}},
		{"subnets misspelt", "[jail.sshd]\nenabled = true\nsubnets = { count = 5, ip4 = 24 }\n", false, []string{":3:", `"ip4" (did you mean "ipv4"?)`}},
		{"factor", "[jail.sshd]\nenabled = true\nescalation = { factor = 0.5 }\n", false, []string{":3:", "out of range"}},
		{"nothing to read", "[jail.sshd]\nenabled = true\nbackend = \"file\"\nlogpath = \"auth.log\"\n", false, []string{":4:", "absolute path"}},
		{"mail", "[mail]\nto = [\"a b@c\"]\nwhen = \"dayly\"\nevrey = \"1d\"\n", true, []string{":2: to:", "not an address of mail", ":3: when:", "none of digest, hourly, each", `:4: unknown key "evrey" (did you mean "every"?)`}},
		{"mail that is a header", "[mail]\nto = [\"root\\nBcc: x@y\"]\nfrom = \"-oQ/tmp\"\nmax_per_hour = 0\n", true, []string{":2: to:", ":3: from:", ":4: max_per_hour = 0"}},
		{"digests too often", "[mail]\nto = \"root\"\nevery = \"59s\"\n", true, []string{":3: every = 59s is not between a minute and a year"}},
		{"digests too seldom", "[mail]\nto = \"root\"\nevery = \"1y1s\"\n", true, []string{":3: every = 365d 6h is not between a minute and a year"}},
		{"digests that never come", "[mail]\nto = \"root\"\nevery = \"permanent\"\n", true, []string{":3: every = permanent is not between"}},
		{"hook", "[[hook]]\nrun = [\"/bin/true\"]\n[[hook]]\nrun = [\"tell\"]\non = [\"ban\", \"expiry\"]\nparallel = 0\n", true, []string{":4:", "absolute path", ":5:", `"expiry" is no event`, ":6: parallel = 0"}},
		{"hook without a program", "[[hook]]\non = [\"ban\"]\n[[hook]]\nrun = []\n", true, []string{":1: run", ":4: run"}},
		{"hook of one word", "[[hook]]\nrun = \"/bin/true\"\n", true, []string{":2: run:"}},
		{"hook that is a table", "[hook]\nrun = [\"/bin/true\"]\n", true, []string{":1:", "write [[hook]]"}},
		{"nobody enforces", "[kernel]\nbackend = \"hook\"\n[[hook]]\nrun = [\"/bin/true\"]\n", true, []string{":2:", "no hook that bans"}},
		{"nobody enforces one jail", "[kernel]\nbackend = \"hook\"\n[jail.sshd]\nenabled = true\n[jail.vsftpd]\nenabled = true\n[jail.proftpd]\nenabled = true\nlogpath = \"/x\"\nenforce = false\n[[hook]]\nrun = [\"/bin/true\"]\non = [\"ban\", \"unban\", \"release\"]\njails = [\"sshd\"]\n", false, []string{`:5: jail "vsftpd": no hook enforces its bans`}},
		{"list", "[list.drop]\nfile = \"drop.txt\"\nallowed = true\n[list.none]\nports = \"all\"\n", true, []string{`:3: unknown key "allowed" (did you mean "allow"?)`}},
		{"list as a whole", "[list.drop]\nfile = \"drop.txt\"\nprotocol = [\"icmp\"]\n[list.none]\nports = \"all\"\n[list.Drop]\nfile = \"/drop\"\n", true, []string{":2:", "absolute path", ":3:", "not a protocol", ":4:", "there is no file", ":6:", "not a name for a list"}},
		{"list that is none", "list = 1\n", true, []string{":1:", "write [list.NAME]"}},
		{"limits", "[state]\nmax_ledger = 0\nmax_history = \"1M\"\n", true, []string{":2: max_ledger = 0 is out of range (1 to 10000000)", ":3: max_history = 1M is too small (at least 16M)"}},
		{"limits of the other side", "[state]\nmax_ledger = 10000001\nmax_history = \"9999999T\"\n", true, []string{":2: max_ledger = 10000001 is out of range", `:3: max_history: "9999999T" is too great`}},
		{"no history", "[state]\nmax_history = 0\n", true, []string{":2: max_history = 0 is too small"}},
		{"less than no history", "[state]\nmax_history = -1\n", true, []string{":2: max_history = -1 is too small"}},
		{"another section's key", "[jail.sshd]\nenabled = true\nmax_ledger = 5\n", false, []string{`:3: unknown key "max_ledger" (it belongs into [state])`}},
		{"a section's key at the top", "max_bans = 5\n", true, []string{`:1: unknown key "max_bans" (it belongs into [kernel])`}},
		{"size", "[state]\nmax_history = \"much\"\n", true, []string{":2:", `"much" is not a size`}},
		{"kernel", "[kernel]\nmax_bans = 0\n", true, []string{":2:", "max_bans"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := Load(write(t, map[string]string{"scan2ban.toml": test.text}))
			if (err != nil) != test.fatal {
				t.Fatalf("error %v, fatal should be %v", err, test.fatal)
			}
			text := ""
			if err != nil {
				text = err.Error() + "\n"
			} else {
				for _, err := range c.Broken {
					text += err.Error() + "\n"
				}
			}
			for line := range strings.Lines(text) {
				if !strings.Contains(line, ".toml:") {
					t.Errorf("%q says no place", line)
				}
			}
			if strings.Contains(text, "bantime = 0s") {
				t.Errorf("a value that was not read is called wrong as well: %s", text)
			}
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("says\n%s\nwithout %q", text, want)
				}
			}
		})
	}
}

func TestOneBadJailDoesNotStopTheOthers(t *testing.T) {
	c, err := Load(write(t, map[string]string{"scan2ban.toml": "[jail.sshd]\nenabled = true\n[jail.bad]\nenabled = true\nfilter = \"sshd\"\nmaxretry = -1\n"}))
	if err != nil || len(c.Jails) != 1 || c.Broken["bad"] == nil {
		t.Errorf("error %v, jails %v, broken %v", err, c.Jails, c.Broken)
	}
}

func TestOwnFilter(t *testing.T) {
	path := write(t, map[string]string{
		"scan2ban.toml":       "[jail.app]\nenabled = true\n[jail.broken]\nenabled = true\n",
		"filters/app.toml":    "ports = [8080]\n[journal]\nmatch = [[\"_SYSTEMD_UNIT=app.service\"]]\n[[rule]]\nname = \"bad\"\npattern = '^bad login from <ADDR>$'\n",
		"filters/broken.toml": "ports = [8080]\n[[rule]]\nname = \"bad\"\npatern = '^x$'\n",
	})
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Jails) != 1 || c.Jails[0].Terms()[0][0] != "_SYSTEMD_UNIT=app.service" {
		t.Errorf("jails %v", c.Jails)
	}
	if err := c.Broken["broken"]; err == nil || !strings.Contains(err.Error(), "broken.toml:4:") {
		t.Errorf("broken filter: %v", err)
	}
}

// TestOtherwise: the log of all services is read only where the service has none of its own,
// not even one that is just being rotated: both may hold the same lines.
func TestOtherwise(t *testing.T) {
	logs := t.TempDir()
	own, all := filepath.Join(logs, "own.log"), filepath.Join(logs, "messages")
	path := write(t, map[string]string{
		"scan2ban.toml":    "[jail.app]\nenabled = true\n[jail.named]\nenabled = true\nfilter = \"app\"\nlogpath = \"/named\"\n",
		"filters/app.toml": "ports = [8080]\n[file]\npaths = [\"" + own + "\"]\notherwise = [\"" + all + "\"]\n[[rule]]\nname = \"bad\"\npattern = '^bad login from <ADDR>$'\n",
	})
	for _, c := range []struct {
		name string
		make string
		want string
	}{
		{"no log at all", "", own},
		{"that of all services", all, all},
		{"both", own, own},
		{"the own one rotated", own + ".1", own},
	} {
		if c.make == own+".1" {
			if err := os.Remove(own); err != nil {
				t.Fatal(err)
			}
		}
		if c.make != "" {
			if err := os.WriteFile(c.make, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		config, err := Load(path)
		if err != nil || len(config.Jails) != 2 {
			t.Fatalf("error %v, jails %v, broken %v", err, config.Jails, config.Broken)
		}
		for _, j := range config.Jails {
			want := map[string]string{"app": c.want, "named": "/named"}[j.Name]
			if got := j.Paths(); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: jail %s reads %v, want %s", c.name, j.Name, got, want)
			}
		}
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a file that was asked for and is not there is no error")
	}
}

func TestIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ignore")
	os.WriteFile(path, []byte("# office\n192.0.2.0/24\n\n2001:db8::1   # home\nvpn.example\n"), 0o644)
	j := defaults()
	j.IgnoreFile = path
	j.IgnoreIP = state.Prefixes{mustPrefix("10.0.0.0/8")}
	set, errs, err := j.Ignored(map[string]state.Prefix{"own address 198.51.100.1": mustPrefix("198.51.100.1")})
	for text, want := range map[string]string{
		"10.1.2.3": "ignoreip", "192.0.2.9": path + ":2", "2001:db8::1": path + ":4", "198.51.100.1": "own address 198.51.100.1", "203.0.113.1": "",
	} {
		if _, origin, _ := set.Covers(mustPrefix(text).Addr()); origin != want {
			t.Errorf("%s is ignored by %q, want %q", text, origin, want)
		}
	}
	if err != nil || len(errs) != 1 || !strings.Contains(errs[0].Error(), path+":5") {
		t.Errorf("errors %v, want one for line 5", errs)
	}
	// A line of any length takes no other with it, nor does a byte order mark.
	os.WriteFile(path, []byte("\uFEFF192.0.2.1\n# "+strings.Repeat("x", 100_000)+"\n"+strings.Repeat("y", 100_000)+"\n192.0.2.2"), 0o644)
	set, errs, err = j.Ignored(nil)
	for _, text := range []string{"192.0.2.1", "192.0.2.2"} {
		if _, _, ok := set.Covers(mustPrefix(text).Addr()); !ok {
			t.Errorf("%s is not ignored", text)
		}
	}
	if err != nil || len(errs) != 1 || !strings.Contains(errs[0].Error(), path+":3") || len(errs[0].Error()) > 300 {
		t.Errorf("errors %v, want a short one for line 3", errs)
	}
	j.IgnoreFile = path + ".none"
	if _, _, err := j.Ignored(nil); err == nil {
		t.Error("a missing ignorefile is no error")
	}
}

func mustPrefix(text string) state.Prefix {
	p, err := state.ParsePrefix(text)
	if err != nil {
		panic(err)
	}
	return p
}

func TestSelf(t *testing.T) {
	self, err := host.Self()
	if err != nil {
		t.Fatal(err)
	}
	for origin, p := range self {
		if !p.IsSingleIP() {
			t.Errorf("%s: %s", origin, p)
		}
	}
}

// FuzzLoad: whatever stands in the file, loading ends with an error or a valid
// configuration.
func FuzzLoad(f *testing.F) {
	f.Add("[jail.sshd]\nenabled = true\nports = [22]\nescalation = { factor = 2 }\n")
	f.Add("[defaults]\nignoreip = \"10.0.0.0/8\"\n[jail]\nx = 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "scan2ban.toml")
		if os.WriteFile(path, []byte(text), 0o600) != nil {
			t.Skip()
		}
		c, err := Load(path)
		if err != nil {
			return
		}
		for _, j := range c.Jails {
			j.check(func(key, problem string) { t.Errorf("%s: %s", key, problem) })
		}
	})
}

// FuzzIgnored: every line counts by itself, whatever stands in the others: an address that
// is ignored stays so when lines come before and behind it.
func FuzzIgnored(f *testing.F) {
	f.Add("192.0.2.0/24 # x\r\n::ffff:10.0.0.0/104\nvpn.example\n", "2001:db8::1")
	f.Add("\uFEFF#\x00\n0.0.0.0/0", "fe80::1%eth0")
	ignored := func(text string) (*state.Ignored, int) {
		set := state.NewIgnored()
		return set, len(addLines(set, "ignore", text))
	}
	f.Fuzz(func(t *testing.T, text, line string) {
		set, bad := ignored(text)
		if len(set.Prefixes())+bad > strings.Count(text, "\n")+1 {
			t.Errorf("%q: more entries than lines", text)
		}
		more, _ := ignored("192.0.2.77\n" + text + "\n" + strings.Repeat("x", 70_000) + "\n192.0.2.78\n" + line)
		for _, p := range append(set.Prefixes(), mustPrefix("192.0.2.77").Prefix, mustPrefix("192.0.2.78").Prefix) {
			if _, _, ok := more.Covers(p.Addr()); !ok {
				t.Errorf("%q, with other lines: %s is not ignored", text, p)
			}
		}
		if p, err := state.ParsePrefix(line); err == nil && !strings.ContainsAny(line, "#\n") {
			if _, _, ok := more.Covers(p.Addr()); !ok {
				t.Errorf("%q is not ignored", line)
			}
		}
	})
}

// TestAllErrorsAtOnce: whatever else is wrong, each is told, once, by file and line.
func TestAllErrorsAtOnce(t *testing.T) {
	path := write(t, map[string]string{
		"scan2ban.toml": `colour = "red"
[jail.zoo]
enabled = true
filter = "sshd"
maxretry = "many"
[state]
max_ledger = 0
[defaults]
maxretry = 0
findtime = "soon"
[list.drop]
file = "drop"
[jail.sshd]
enabled = true
bantime = "1x"
`,
		"conf.d/10.toml": "[kernel]\nmax_bans = 0\n[state]\nmemory = \"90d\"\n[defaults]\ncontainer = \"x\"\n",
	})
	_, err := Load(path)
	if err == nil {
		t.Fatal("no error")
	}
	var places []string
	for line := range strings.Lines(err.Error()) {
		file, rest, _ := strings.Cut(strings.TrimPrefix(line, filepath.Dir(path)+"/"), ":")
		number, _, _ := strings.Cut(rest, ":")
		places = append(places, file+":"+number)
	}
	want := []string{"scan2ban.toml:1", "scan2ban.toml:5", "scan2ban.toml:7", "scan2ban.toml:9", "scan2ban.toml:10", "scan2ban.toml:12", "scan2ban.toml:15", "conf.d/10.toml:2", "conf.d/10.toml:6"}
	if !slices.Equal(places, want) {
		t.Errorf("told of %q, want %q:\n%v", places, want, err)
	}
}

// TestSpoofable: where a source address can be forged a jail is at work by the admin's word
// alone.
func TestSpoofable(t *testing.T) {
	for _, name := range []string{"asterisk", "jellyfin", "named"} {
		text := "[jail." + name + "]\nenabled = true\n"
		c, err := Load(write(t, map[string]string{"scan2ban.toml": text}))
		if err == nil {
			err = errors.Join(slices.Collect(maps.Values(c.Broken))...)
		}
		if err == nil || !strings.Contains(err.Error(), `"scan2ban filters `+name+` --toml" tells how; write allow_spoofable = true`) {
			t.Errorf("%s: %v", name, err)
		}
		c, err = Load(write(t, map[string]string{"scan2ban.toml": text + "allow_spoofable = true\n"}))
		if err != nil || len(c.Broken) > 0 || len(c.Jails) != 1 {
			t.Errorf("%s with the word: %v", name, err)
		}
	}
}
