package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/host"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/report"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestMain also plays the program that is started with another user's rights.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		switch filepath.Base(os.Args[5]) {
		case "session":
			if sid, _ := unix.Getsid(0); sid != os.Getpid() {
				os.Exit(1)
			}
			os.Exit(0)
		case "files":
			open, _ := filepath.Glob("/proc/self/fd/*")
			for _, fd := range open {
				if name, _ := os.Readlink(fd); filepath.Base(name) == "of-the-shell" {
					os.Exit(1)
				}
			}
			os.Exit(0)
		case "long":
			_, _ = os.Stdout.Write(append(bytes.Repeat([]byte(" "), 2<<20), "{}"...))
			os.Exit(0)
		}
		c := healthy()
		c.AsUnit, c.StatePath = true, os.Args[5]
		var found report.Findings
		store(context.Background(), c, &found)
		_ = found.Write(os.Stdout, true)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// plant lays files below a new root.
func plant(t *testing.T, files map[string]string) host.Tree {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return host.Tree(root)
}

// healthy is a host on which nothing is wrong.
func healthy() *checker {
	rules, err := filter.Load("sshd", "")
	if err != nil {
		panic(err)
	}
	c := &checker{Subject: Subject{
		Setup: pass.Setup{
			Watches: []scan.Watch{{Jail: "sshd", Matcher: rules.Compile(filter.Normal), Terms: rules.Matches()}},
			Rules:   map[string]*state.Rules{"sshd": {Policy: state.DefaultPolicy(), Reach: state.DefaultReach(), Ignored: state.NewIgnored()}},
			Now:     now,
		},
		Config: "/etc/scan2ban/scan2ban.toml",
		Jails:  []Jail{{Name: "sshd", Filter: "sshd", Backend: filter.Auto}},
	}, world: world{
		systemd: true,
		units: func() map[string]unit {
			on := unit{"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
			return map[string]unit{service: on, timer: on, restore: on}
		},
		sockets: func() ([]host.Socket, error) {
			return []host.Socket{{Network: "tcp", AddrPort: netip.MustParseAddrPort("0.0.0.0:22")}, {Network: "tcp", AddrPort: netip.MustParseAddrPort("127.0.0.1:25")}}, nil
		},
		sshPorts: func() ([]uint16, string, error) { return []uint16{22}, "sshd -T: 22", nil },
		sessions: func() []host.Session { return nil },
		fail2ban: func() (bool, string) { return false, "" },
		memory:   func() (int64, bool) { return 1 << 30, true },
	}}
	c.Rules["sshd"].Ports = state.Ports{{From: 22, To: 22}}
	return c
}

// said writes findings as "level what: text -> remedy" lines.
func said(found report.Findings) string {
	var b strings.Builder
	for _, x := range found {
		fmt.Fprintf(&b, "%s %s: %s", x.Level, x.What, x.Text)
		if x.Remedy != "" {
			fmt.Fprintf(&b, " -> %s", x.Remedy)
		}
		b.WriteByte('\n')
		for _, line := range x.Lines {
			fmt.Fprintf(&b, "\t%s\n", line)
		}
	}
	return b.String()
}

// look runs one probe.
func look(p func(context.Context, *checker, *report.Findings), c *checker) report.Findings {
	var found report.Findings
	p(context.Background(), c, &found)
	return found
}

// has checks that each of the texts is in what was said.
func has(t *testing.T, name string, found report.Findings, want ...string) {
	t.Helper()
	text := said(found)
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s: says\n%swithout %q", name, text, w)
		}
	}
	if len(want) == 0 && text != "" {
		t.Errorf("%s: says\n%swant nothing", name, text)
	}
}

func TestConfiguration(t *testing.T) {
	c := healthy()
	has(t, "healthy", look(configuration, c), "ok configuration: /etc/scan2ban/scan2ban.toml: 1 jail\n")
	c.Notes, c.Errs = []string{"port is called ports here"}, []error{errors.New(`jail "x": broken`)}
	has(t, "notes and errors", look(configuration, c), "note configuration: port is called ports here", `error configuration: jail "x": broken -> mend`)
	c.Rules = nil
	has(t, "no jail", look(configuration, c), "error configuration: /etc/scan2ban/scan2ban.toml: no jail is enabled")
	c.Err = errors.New("scan2ban.toml:3:1: bad")
	has(t, "unreadable", look(configuration, c), "error configuration: scan2ban.toml:3:1: bad")
}

func TestPorts(t *testing.T) {
	one := state.Ports{{From: 22, To: 22}}
	for name, c := range map[string]struct {
		filter string
		ports  state.Ports
		sshd   []uint16
		want   string
	}{
		"equal":          {"sshd", one, []uint16{22}, "ok jail sshd: ports: 22\n"},
		"one is open":    {"sshd", one, []uint16{22, 2222}, "error jail sshd: ports: a ban closes 22, but sshd is reached on 2222 too (sshd -T): who is banned goes on there -> in [jail.sshd] of /etc/scan2ban/scan2ban.toml write\nports = [22, 2222]\n"},
		"another":        {"sshd", one, []uint16{2022, 2222}, "a ban closes 22, but sshd is reached on 2022 and 2222 too"},
		"a range":        {"sshd", state.Ports{{From: 22, To: 3000}}, []uint16{22, 2222}, "ok jail sshd: ports: 22-3000\n"},
		"all":            {"sshd", state.Ports{state.AllPorts}, []uint16{22, 2222}, ""},
		"no sshd":        {"sshd", one, nil, "note jail sshd: ports: no sshd was found"},
		"nobody listens": {"other", state.Ports{{From: 80, To: 80}}, nil, "warning jail sshd: ports: nothing listens on 80 here"},
		"loopback only":  {"other", state.Ports{{From: 25, To: 25}}, nil, "warning jail sshd: ports: nothing listens on 25 here"},
	} {
		h := healthy()
		h.Jails[0].Filter, h.Rules["sshd"].Ports = c.filter, c.ports
		h.sshPorts = func() ([]uint16, string, error) {
			if c.sshd == nil {
				return nil, "", host.ErrNoSSH
			}
			return c.sshd, "sshd -T", nil
		}
		if c.want == "" {
			has(t, name, look(ports, h))
		} else {
			has(t, name, look(ports, h), c.want)
		}
	}
}

func TestPortsElsewhere(t *testing.T) {
	c := healthy()
	c.Jails[0].Place = "/etc/scan2ban/conf.d/ssh.toml"
	c.sshPorts = func() ([]uint16, string, error) { return []uint16{2222}, "sshd -T", nil }
	has(t, "in conf.d", look(ports, c), "in [jail.sshd] of /etc/scan2ban/conf.d/ssh.toml write\nports = [2222]")
}

// attack is a journal of sshd with four kinds of client.
func attack(t *testing.T) string {
	var entries []journaltest.Entry
	at := now.Add(-time.Hour).UnixMicro()
	add := func(message string) {
		at += 1e6
		entries = append(entries, journaltest.Entry{Time: at, Message: message, Fields: map[string]string{
			"_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_UID": "0", "_TRANSPORT": "syslog", "_PID": fmt.Sprint(at / 1e6 % 30000)}})
	}
	for _, addr := range []string{"10.0.0.5", "203.0.113.9", "104.16.1.1", "198.51.100.1", "198.51.100.77", "203.0.113.50"} {
		for range 6 {
			add("Failed password for root from " + addr + " port 4711 ssh2")
		}
	}
	add("Accepted password for alice from 203.0.113.9 port 4711 ssh2")
	add("Failed password for root from 203.0.113.4 port 4711 ssh2") // one failure is nobody's proof
	add("something new happened")
	return journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries)
}

func TestLogs(t *testing.T) {
	c := healthy()
	c.JournalPath = attack(t)
	c.Rules["sshd"].Ignored.Add(state.Prefix{Prefix: netip.MustParsePrefix("203.0.113.50/32")}, "ignoreip")
	want := `ok jail sshd: reads the journal (backend = "auto"); in this journal: 39 entries, 38 understood, 37 failures
warning jail sshd: clients: 10.0.0.5 had 6 failures in this journal and is a private address: if it is a proxy, a gateway or a container bridge, a ban shuts out everybody behind it -> ignoreip = ["10.0.0.5"] in [defaults]
and let the proxy pass on its clients' addresses
warning jail sshd: clients: 104.16.1.1 had 6 failures in this journal and belongs to Cloudflare: a ban shuts out all visitors that come through it -> let the server log its clients' addresses (real_ip in nginx, mod_remoteip in Apache), and put the network into ignoreip
warning jail sshd: clients: 203.0.113.9 had 6 failures in this journal and 1 log-in (as alice): several people behind one address, or somebody who mistypes -> spare = "7d" in [jail.sshd]
or ignoreip = ["203.0.113.9"] in [defaults], if it is yours
`
	if got := said(look(logs, c)); got != want {
		t.Errorf("says\n%swant\n%s", got, want)
	}
}

func TestLogsInFiles(t *testing.T) {
	c := healthy()
	var text strings.Builder
	for i := range 6 {
		fmt.Fprintf(&text, "2026-11-22T11:00:%02d+00:00 vm sshd[%d]: Failed password for root from 10.0.0.5 port 4711 ssh2\n", i, 70+i)
	}
	text.WriteString("2026-11-22T11:01:00+00:00 vm cron[7]: not of sshd\n2026-11-22T11:01:00+00:00 vm sshd[7]: something new\n")
	c.root = plant(t, map[string]string{"/var/log/auth.log": "2026-11-20T11:00:00+00:00 vm sshd[1]: Failed password for root from 10.0.0.6 port 1 ssh2\n" + text.String()})
	c.Watches[0].Backend, c.Jails[0].Backend = filter.File, filter.File
	c.Jails[0].LogPaths, c.Watches[0].Program = []string{"/var/log/auth.log"}, []string{"sshd"}
	c.ask = nil
	has(t, "file", look(logs, c), `ok jail sshd: reads log files (backend = "file"); in the last 24 hours: 7 entries, 6 understood, 6 failures`, "10.0.0.5 had 6 failures")
}

// What only root may read is not shown because a stranger has laid a link to it.
func TestLinkToASecret(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives a link away")
	}
	const app = 54321
	c := healthy()
	c.root = plant(t, map[string]string{
		"/var/log/app/a.log": "2026-11-22T11:00:00+00:00 vm sshd[7]: Failed password for root from 10.0.0.5 port 4711 ssh2\n",
		"/etc/secret":        strings.Repeat("root:hash\n2026-11-22T11:00:00+00:00 vm sshd[7]: the secret of 10.0.0.5\n", 30),
	})
	link := c.root.Path("/var/log/app/evil.log")
	if err := errors.Join(os.Symlink("../../../etc/secret", link), os.Lchown(link, app, app)); err != nil {
		t.Fatal(err)
	}
	c.Watches[0].Backend, c.Jails[0].Backend = filter.File, filter.File
	c.Jails[0].LogPaths, c.Watches[0].Program = []string{"/var/log/app/*.log"}, []string{"sshd"}
	found := append(look(logs, c), look(logFiles, c)...)
	has(t, "link", found, "in the last 24 hours: 1 entry, 1 understood", "error jail sshd: log files: open "+link+": symbolic link not followed: ", "name it itself in logpath) -> take the link away\n",
		"ok jail sshd: log files: 1 file can be read")
	if text := said(found); strings.Contains(text, "secret of") || strings.Contains(text, "hash") {
		t.Errorf("shows\n%s", text)
	}
	c.Jails[0].LogPaths = []string{"/var/log/app/evil.log"}
	if found := look(logFiles, c); len(found) != 1 || found[0].Level != "error" {
		t.Errorf("of it alone it says\n%s", said(found))
	}
	c.Jails[0].LogPaths = []string{"/var/log/app/*.log"}
	for i := range 100 {
		link := c.root.Path(fmt.Sprintf("/var/log/app/%d.log", i))
		if err := errors.Join(os.Symlink("../../../etc/secret", link), os.Lchown(link, app, app)); err != nil {
			t.Fatal(err)
		}
	}
	if found := look(logFiles, c); len(found) != 5 || !strings.Contains(said(found), "98 more cannot be read") {
		t.Errorf("of many it says\n%s", said(found))
	}
}

func TestSessionAmongTheOffenders(t *testing.T) {
	c := healthy()
	h := newHeard()
	addr := netip.MustParseAddr("198.51.100.77")
	h.clients[addr] = &client{failures: 9}
	c.sessions = func() []host.Session { return []host.Session{{Addr: addr, From: "logind"}} }
	var found report.Findings
	c.offenders(&found, c.Jails[0], h, "today")
	has(t, "session", found, "warning jail sshd: clients: 198.51.100.77 had 9 failures today, and somebody is logged in from there now (logind)")
}

func TestBlind(t *testing.T) {
	c := healthy()
	blind, err := filter.Parse("blind", "blind.toml", "[[rule]]\nname = \"x\"\npattern = '^Nobody writes this from <ADDR>$'\n[journal]\nmatch = [[\"_SYSTEMD_UNIT=ssh.service\"]]\n")
	if err != nil {
		t.Fatal(err)
	}
	c.Watches[0].Matcher, c.JournalPath = blind.Compile(filter.Normal), attack(t)
	has(t, "blind", look(logs, c), "error jail sshd: reads the journal (backend = \"auto\"); blind: in this journal: 39 entries, 0 understood, 0 failures. Nobody will be banned -> scan2ban match sshd\n"+
		strings.Repeat("\tFailed password for root from 10.0.0.5 port 4711 ssh2\n", 3))
}

// A log that the filter knows and refuses blinds a jail as one that it does not know.
func TestRefused(t *testing.T) {
	c := healthy()
	refuses, err := filter.Parse("refuses", "refuses.toml", "[[rule]]\nname = \"x\"\npattern = '^Failed password for .*$'\nkind = \"refused\"\nreason = \"it can be forged\"\n[journal]\nmatch = [[\"_SYSTEMD_UNIT=ssh.service\"]]\n")
	if err != nil {
		t.Fatal(err)
	}
	c.Watches[0].Matcher, c.JournalPath = refuses.Compile(filter.Normal), attack(t)
	has(t, "refused", look(logs, c), "error jail sshd: reads the journal (backend = \"auto\"); blind: in this journal: 39 entries, 0 understood, 0 failures; 37 are refused, most because: it can be forged. Nobody will be banned -> scan2ban match sshd\n")
}

func TestSamples(t *testing.T) {
	h := newHeard()
	for _, line := range []string{"one", "two", "three", "four", "from 192.0.2.1:", "five", "client=[2001:db8::1]"} {
		h.wonder([]byte(line))
	}
	if got := strings.Join(h.strange, "|"); got != "from 192.0.2.1:|client=[2001:db8::1]|one" {
		t.Errorf("samples %q", got)
	}
}

func TestUnits(t *testing.T) {
	last := func(ago time.Duration, problem string) *state.LastRun {
		return &state.LastRun{Time: now.Add(-ago).Unix(), Seconds: 0.012, Entries: 3, Error: problem}
	}
	for name, c := range map[string]struct {
		change map[string]map[string]string
		last   *state.LastRun
		want   []string
	}{
		"healthy":         {nil, last(time.Minute, ""), []string{"ok timer: scan2ban.timer is enabled and running", "ok last pass: 1m0s ago, 3 entries, 12 ms", "ok restore unit"}},
		"one entry":       {nil, &state.LastRun{Time: now.Add(-time.Minute).Unix(), Seconds: 0.012, Entries: 1}, []string{"ok last pass: 1m0s ago, 1 entry, 12 ms"}},
		"not installed":   {map[string]map[string]string{timer: {"LoadState": "not-found"}}, nil, []string{"note timer: not installed"}},
		"timer stopped":   {map[string]map[string]string{timer: {"ActiveState": "inactive"}}, last(time.Minute, ""), []string{"error timer: scan2ban.timer is not running"}},
		"package alone":   {map[string]map[string]string{timer: {"ActiveState": "inactive", "UnitFileState": "disabled"}, restore: {"UnitFileState": "disabled"}}, nil, []string{"error timer: scan2ban.timer is neither running nor enabled: no pass will be made -> scan2ban install"}},
		"timer disabled":  {map[string]map[string]string{timer: {"UnitFileState": "disabled"}}, last(time.Minute, ""), []string{"warning timer: scan2ban.timer runs and is not enabled"}},
		"no restore":      {map[string]map[string]string{restore: {"UnitFileState": "disabled"}}, last(time.Minute, ""), []string{"warning restore unit: scan2ban-restore.service is not enabled"}},
		"old pass":        {nil, last(time.Hour, ""), []string{"error last pass: it was 1h0m0s ago, and one is due every minute"}},
		"failed pass":     {nil, last(time.Minute, "no kernel"), []string{"error last pass: it failed 1m0s ago: no kernel"}},
		"none known":      {nil, nil, []string{"warning last pass: none is known since the host started"}},
		"restore missing": {map[string]map[string]string{restore: {"LoadState": "not-found"}}, last(time.Minute, ""), []string{"warning restore unit: scan2ban-restore.service is not there"}},
	} {
		h := healthy()
		h.StatePath = filepath.Join(t.TempDir(), "state.json")
		table := map[string]unit{}
		for id, u := range h.units() {
			table[id] = maps.Clone(u)
			maps.Copy(table[id], c.change[id])
		}
		h.units = func() map[string]unit { return table }
		if c.last != nil {
			if err := (&state.Volatile{LastRun: c.last}).Save(state.VolatilePath(h.StatePath)); err != nil {
				t.Fatal(err)
			}
		}
		has(t, name, look(units, h), c.want...)
	}
}

func TestPaused(t *testing.T) {
	c := healthy()
	c.StatePath = filepath.Join(t.TempDir(), "state.json")
	s, err := state.OpenStore(c.StatePath, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	table := c.units()
	table[timer] = unit{"LoadState": "loaded", "ActiveState": "inactive"}
	c.units = func() map[string]unit { return table }
	found := look(units, c)
	has(t, "paused", found, "note paused: paused since")
	if found.Count(report.Fatal) > 0 {
		t.Errorf("a paused host is no error: %s", said(found))
	}
	c.root, c.units = plant(t, map[string]string{cronTable: ""}), func() map[string]unit { return map[string]unit{} }
	if text := said(look(units, c)); !strings.HasPrefix(text, "note paused: paused since") || strings.Count(text, "\n") != 1 {
		t.Errorf("paused with cron: %s", text)
	}
}

func TestCron(t *testing.T) {
	c := healthy()
	c.root, c.systemd = plant(t, map[string]string{cronTable: "* * * * * root scan2ban run\n"}), false
	c.units = func() map[string]unit { return nil }
	c.StatePath = filepath.Join(t.TempDir(), "state.json")
	has(t, "cron", look(units, c), "ok cron: /etc/cron.d/scan2ban starts the passes", "warning last pass: none")
	has(t, "cron runs as root", look(permissions, c))
	c.units = func() map[string]unit {
		return map[string]unit{"ufw.service": {"LoadState": "loaded", "ActiveState": "active"}}
	}
	has(t, "no unit of ours", look(firewalls, c), "note firewall: ufw may rewrite the ruleset: after that the next pass brings the bans back")

	others := "0 3 * * * run-parts /etc/periodic/daily\n"
	c.units = func() map[string]unit { return nil }
	for _, path := range []string{"/var/spool/cron/crontabs/root", "/etc/crontabs/root"} {
		c.root = plant(t, map[string]string{path: others + "# scan2ban: begin (laid down)\n* * * * * scan2ban run\n# scan2ban: end\n"})
		has(t, path, look(units, c), "ok cron: "+path+" starts the passes", "warning last pass: none")
		has(t, path+": as root", look(permissions, c))
		c.root = plant(t, map[string]string{path: others})
		has(t, path+" of others", look(units, c), "note timer: not installed: nothing starts a pass (scan2ban install)")
	}
}

// TestReadsJournal: what the journal holds of a jail is what another init has left, where
// journald does not run and the jail's log files are there.
func TestReadsJournal(t *testing.T) {
	const log = "/var/log/auth.log"
	for _, want := range []struct{ systemd, files, journal bool }{{true, true, true}, {true, false, true}, {false, true, false}, {false, false, true}} {
		c := healthy()
		c.systemd, c.StatePath, c.root = want.systemd, filepath.Join(t.TempDir(), "state.json"), plant(t, nil)
		if want.files {
			c.root = plant(t, map[string]string{log: ""})
		}
		j := c.Jails[0]
		j.LogPaths = []string{log}
		if got := c.readsJournal(j, true); got != want.journal {
			t.Errorf("%+v: %v", want, got)
		}
	}
}

func TestParseUnits(t *testing.T) {
	table := parseUnits("Id=scan2ban.service\nUser=scan2ban\nLoadState=loaded\n\nId=ufw.service\nLoadState=not-found\n")
	if u := table[service]; !u.loaded() || u["User"] != "scan2ban" || table["ufw.service"].loaded() {
		t.Errorf("%v", table)
	}
}
