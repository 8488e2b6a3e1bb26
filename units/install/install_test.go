package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/jail"
	"scan2ban/state"
	"scan2ban/units/host"
)

func TestInstallAndUninstall(t *testing.T) {
	b := newBench(t)
	before := b.tree()
	b.must(b.do(Options{}))
	b.has("/usr/local/sbin/scan2ban", "/etc/systemd/system/scan2ban.service", "/etc/systemd/system/scan2ban-restore.service", "/etc/sysusers.d/scan2ban.conf",
		"/usr/local/share/man/man8/scan2ban.8", "/usr/local/share/zsh/site-functions/_scan2ban", configPath)
	for name, mode := range map[string]os.FileMode{"webhook": 0o755, "iptables": 0o755, "send.sh": 0o644} {
		name = "/usr/local/share/scan2ban/recipes/" + name
		if info, err := os.Stat(b.path(name)); err != nil || info.Mode().Perm() != mode || strings.Contains(b.read(name), "@RECIPES@") {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	b.runs("systemd-sysusers /etc/sysusers.d/scan2ban.conf", "systemctl daemon-reload", "systemctl enable --quiet scan2ban.timer scan2ban-restore.service scan2ban-deliver.path", "systemctl restart scan2ban-deliver.path scan2ban.timer")
	if !strings.Contains(b.read("/etc/systemd/system/scan2ban.service"), "ExecStart=/usr/local/sbin/scan2ban run") {
		t.Error("the unit does not start the program")
	}
	if info, err := os.Stat(b.path("/usr/local/sbin/scan2ban")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("program: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(b.path("/usr/local/sbin/.*")); left != nil {
		t.Errorf("left behind: %q", left)
	}

	b.must(b.install(Options{}).Uninstall(t.Context(), How{Purge: true}))
	b.runs("systemctl disable --quiet scan2ban.timer scan2ban-restore.service scan2ban-deliver.path", "systemctl stop scan2ban.timer scan2ban-deliver.path scan2ban.service scan2ban-restore.service scan2ban-deliver.service", "systemctl daemon-reload", "userdel scan2ban")
	b.same(before)
	if b.tables != 1 {
		t.Errorf("the kernel was emptied %d times", b.tables)
	}
	b.must(b.install(Options{}).Uninstall(t.Context(), How{}))
	if b.out.String() != "nothing is installed\n" || b.tables != 1 {
		t.Errorf("a second time it says %q", b.out.String())
	}
}

func TestUninstallKeepsWhatIsTheAdmins(t *testing.T) {
	b := newBench(t)
	b.must(b.do(Options{Light: new(bool)}))
	b.file("/etc/systemd/system/scan2ban.service.d/mine.conf", "[Service]\nNice=5\n")
	b.must(b.install(Options{}).Uninstall(t.Context(), How{}))
	b.has(configPath, "/etc/systemd/system/scan2ban.service.d/mine.conf")
	for _, want := range []string{"kept /etc/systemd/system/scan2ban.service.d/mine.conf", "the configuration stays: rm -r /etc/scan2ban "} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, b.out.String())
		}
	}
}

// TestUninstallWhileHooksHold: bans that a hook does not release keep the ledger where it is;
// what a package manager or the end of a trial takes is taken all the same.
func TestUninstallWhileHooksHold(t *testing.T) {
	b := newBench(t)
	b.must(b.do(Options{}))
	held, let := errors.New("hooks may still hold bans"), 0
	o := Options{LetGo: func(context.Context) error { let++; return held }}
	refused := held
	for _, held = range []error{refused, fmt.Errorf("called off: %w", context.Canceled)} {
		for _, how := range []How{{}, {Purge: true}} {
			err := b.install(o).Uninstall(t.Context(), how)
			if !errors.Is(err, held) || !strings.Contains(err.Error(), "nothing is taken away") || b.tables != 0 {
				t.Errorf("%+v: error %v, the kernel was emptied %d times", how, err, b.tables)
			}
			if mend := strings.Contains(err.Error(), "mend the hook"); mend != (held == refused) {
				t.Errorf("%v: %v", held, err)
			}
			b.has("/var/lib/scan2ban/state.json", "/usr/local/sbin/scan2ban", configPath)
		}
	}
	if err := b.install(o).Uninstall(t.Context(), How{Stop: true}); !errors.Is(err, held) || b.tables != 1 {
		t.Errorf("--stop: error %v, the kernel was emptied %d times", err, b.tables)
	}
	held = nil
	b.must(b.install(o).Uninstall(t.Context(), How{}))
	if _, err := os.Stat(b.path("/var/lib/scan2ban")); err == nil || let != 6 {
		t.Errorf("the state is still there; asked %d times", let)
	}
}

// TestUninstallCalledOff: what has begun to go is taken away as a whole.
func TestUninstallCalledOff(t *testing.T) {
	b := newBench(t)
	before := b.tree()
	b.must(b.do(Options{}))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := Options{LetGo: func(context.Context) error { stop(); return nil }}
	b.must(b.install(o).Uninstall(ctx, How{Purge: true}))
	b.same(before)
}

func TestUpgrade(t *testing.T) {
	b := newBench(t)
	yes := true
	b.must(b.do(Options{Light: &yes}))
	b.answers["systemctl --version"] = "systemd 257 (257.13-1~deb13u1)\n+PAM\n"
	b.file(configPath, "[jail.sshd]\nenabled = false\n")
	b.file("/var/lib/scan2ban/state.json", "precious")
	b.file("/new/scan2ban", program+" v2")
	b.file("/etc/systemd/system/scan2ban.timer", mark+"\nan older one\n")
	in := b.install(Options{})
	b.must(in.Run(t.Context(), func(context.Context) (bool, error) { return true, nil }))
	switch {
	case !strings.HasSuffix(b.read("/usr/local/sbin/scan2ban"), "v2"):
		t.Error("the program is the old one")
	case strings.Contains(b.read("/etc/systemd/system/scan2ban.timer"), "older"):
		t.Error("the unit is the old one")
	case !strings.Contains(b.read(configPath), "false") || b.read("/var/lib/scan2ban/state.json") != "precious":
		t.Error("configuration or state were touched")
	}
	b.has(dropInPath("light"), dropInPath("logfiles"), dropInPath("disconnected"))
	if got := strings.Count(b.out.String(), "wrote "); got != 4 { // program, timer, logfiles.conf, disconnected.conf
		t.Errorf("%d files written:\n%s", got, b.out.String())
	}
	no := false
	b.answers["systemctl --version"] = "systemd 252 (252.39-1~deb12u2)\n"
	b.must(b.do(Options{Light: &no}))
	for _, name := range host.DropIns {
		if b.read(dropInPath(name)) != "" {
			t.Errorf("%s.conf is still there", name)
		}
	}
}

// TestNotOurs: what somebody else put in our places is named and stays.
func TestNotOurs(t *testing.T) {
	for _, name := range []string{"/usr/local/sbin/scan2ban", "/etc/systemd/system/scan2ban.service", "/etc/sysusers.d/scan2ban.conf"} {
		b := newBench(t)
		b.file(name, "#!/bin/sh\nexec /opt/scan2ban run\n")
		err := b.do(Options{})
		if err == nil || !strings.Contains(err.Error(), "write "+name) || !strings.Contains(err.Error(), "not finished") {
			t.Errorf("%s: error %v", name, err)
		}
		if !strings.HasPrefix(b.read(name), "#!/bin/sh") {
			t.Errorf("%s was replaced", name)
		}
		if len(b.ran) > 0 && slices.Contains(b.ran, "systemctl restart scan2ban-deliver.path scan2ban.timer") {
			t.Errorf("%s: passes were started", name)
		}
	}
	b := newBench(t)
	b.must(os.MkdirAll(b.path("/etc/systemd/system"), 0o755))
	b.must(os.Symlink("/dev/null", b.path("/etc/systemd/system/scan2ban.timer")))
	if err := b.do(Options{}); err == nil || !strings.Contains(err.Error(), "systemctl unmask") {
		t.Errorf("a masked unit: error %v", err)
	}
}

func TestRefused(t *testing.T) {
	installed := func(b *bench) { b.must(b.do(Options{})) }
	tests := []struct {
		name    string
		prepare func(*bench)
		options Options
		want    string
	}{
		{"no systemd", func(b *bench) { b.host.Systemd = false }, Options{}, "--cron has cron"},
		{"no cron", func(b *bench) { b.host.Systemd = false }, Options{Cron: true}, "no cron was found"},
		{"try over an install", installed, Options{Try: time.Minute}, "--try is for a host without"},
		{"try over a state", func(b *bench) { b.file("/var/lib/scan2ban/state.json", "{}") }, Options{Try: time.Minute}, "state.json is there"},
		{"cron beside a timer", installed, Options{Cron: true}, "a timer of systemd"},
		{"during a trial", func(b *bench) { b.must(b.do(Options{Try: 10 * time.Minute})) }, Options{}, "a trial is running, 10m0s of it left"},
		{"a timer beside cron", func(b *bench) { b.file("/etc/cron.d/scan2ban", mark) }, Options{}, "cron starts the passes here already"},
		{"beside a package", func(b *bench) {
			b.file("/usr/sbin/scan2ban", program)
			b.missing["dpkg"] = false
			b.answers["dpkg -S /usr/sbin/scan2ban"] = "scan2ban: /usr/sbin/scan2ban\n"
		}, Options{}, "the package scan2ban"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			test.prepare(b)
			before := b.tree()
			if err := b.do(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			b.same(before)
		})
	}
	for _, o := range []Options{{Root: "x", Prefix: "usr"}, {Root: "x", Try: time.Second}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

// TestFailing: an error ends the work, and the same command goes on from there.
func TestFailing(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"systemd-sysusers", "useradd", "adduser"} {
		b.missing[name] = true
	}
	if err := b.do(Options{}); err == nil || !strings.Contains(err.Error(), "make the user scan2ban") {
		t.Fatalf("error %v", err)
	}
	b.missing["useradd"] = false
	b.must(b.do(Options{}))
	b.must(b.install(Options{}).Uninstall(t.Context(), How{}))
}

func TestFirstPass(t *testing.T) {
	b := newBench(t)
	bad := errors.New("one address was not read")
	if err := b.install(Options{}).Run(t.Context(), func(context.Context) (bool, error) { return false, bad }); !errors.Is(err, bad) {
		t.Errorf("error %v", err)
	}
	b.runs("systemctl restart scan2ban-deliver.path scan2ban.timer")
	err := b.install(Options{}).Run(t.Context(), func(context.Context) (bool, error) { return false, ErrNoPass })
	if !errors.Is(err, ErrNoPass) || slices.Contains(b.ran, "systemctl restart scan2ban-deliver.path scan2ban.timer") {
		t.Errorf("no pass can begin: error %v, ran %q", err, b.ran)
	}
}

// TestPaused: where passes are paused an upgrade leaves it so; what would not be started at
// boot is no finished install.
func TestPaused(t *testing.T) {
	b := newBench(t)
	b.must(os.MkdirAll(filepath.Join(b.root, "etc/cron.d"), 0o755))
	paused := func(context.Context) (bool, error) {
		return false, fmt.Errorf("%w: %w", ErrNoPass, &state.PausedError{Since: 1_795_000_000})
	}
	for _, o := range []Options{{}, {Cron: true}} {
		err := b.install(o).Run(t.Context(), paused)
		if err == nil || !strings.Contains(err.Error(), `run "scan2ban resume"`) || !strings.Contains(err.Error(), "not finished") {
			t.Errorf("%+v: error %v", o, err)
		}
		b.must(b.do(o))
		b.must(b.install(o).Run(t.Context(), paused))
		b.must(b.install(o).Uninstall(t.Context(), How{}))
	}
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		host  Host
		ports string
		want  string
	}{
		{Host{}, "[22]", "was not found"},
		{Host{SSHPorts: []uint16{22}, PortsFrom: "sshd -T: 22"}, "[22]", "(sshd -T: 22)"},
		{Host{SSHPorts: []uint16{2200, 2222}, PortsFrom: "a\nb = 1"}, "[2200 2222]", "(a b = 1)"},
	} {
		path := filepath.Join(t.TempDir(), "scan2ban.toml")
		if err := os.WriteFile(path, test.host.Config(), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := jail.Load(path)
		if err != nil || len(c.Broken) > 0 || len(c.Jails) != 1 || len(c.Off) > 0 || len(c.Notes) > 0 {
			t.Fatalf("%v: error %v, %+v", test.host, err, c)
		}
		j := c.Jails[0]
		if j.Name != "sshd" || j.MaxRetry != 5 || j.FindTime.String() != "1h" || j.BanTime.String() != "1d" || !j.Enforce || fmt.Sprint(j.Ports) != test.ports {
			t.Errorf("%v: %+v", test.host, j)
		}
		if !strings.Contains(string(test.host.Config()), test.want) {
			t.Errorf("no %q in\n%s", test.want, test.host.Config())
		}
	}
	// What is commented out is valid too.
	text := string(Host{}.Config())
	for _, line := range []string{"ignoreip = [", "escalation = {", "mode    = ", "backend = ", "[jail.recidive]", "enabled  = true", "findtime = \"1w\"", "bantime  = \"4w\"", "maxretry = 3"} {
		if !strings.Contains(text, "# "+line) {
			t.Errorf("no suggestion %q", line)
		}
		text = strings.Replace(text, "# "+line, line, 1)
	}
	path := filepath.Join(t.TempDir(), "scan2ban.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := jail.Load(path); err != nil || len(c.Broken) > 0 || len(c.Jails) != 2 {
		t.Errorf("with all suggestions: error %v, %+v", err, c)
	}
}

func TestFail2Ban(t *testing.T) {
	b := newBench(t)
	b.host.Fail2Ban = true
	b.must(b.do(Options{}))
	if c, err := jail.Load(b.path(configPath)); err != nil || len(c.Jails) != 1 || c.Jails[0].Enforce {
		t.Errorf("with Fail2Ban: error %v, %+v", err, c)
	}
	for _, want := range []string{"    systemctl disable --now fail2ban\n", "    rm " + observePath + "\n"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("does not say %q", want)
		}
	}
	b.must(os.Remove(b.path(observePath)))
	b.must(b.do(Options{}))
	if b.read(observePath) != "" {
		t.Error("an upgrade watches only again")
	}

	b = newBench(t)
	b.host.Fail2Ban = true
	b.must(b.do(Options{Force: true}))
	if b.read(observePath) != "" {
		t.Error("--force watches only")
	}
}

// TestConfigBeside: what the admin has laid down before the first install is kept, and that
// observes beside Fail2Ban all the same; an upgrade never does.
func TestConfigBeside(t *testing.T) {
	const ours, text = "/etc/scan2ban/conf.d/10-ours.toml", "[defaults]\nenforce = true\nmaxretry = 3\n"
	for name, own := range map[string]string{"conf.d alone": ours, "the main file": configPath} {
		b := newBench(t)
		b.host.Fail2Ban = true
		b.file(own, text+"[jail.sshd]\nenabled = true\n")
		b.must(b.do(Options{}))
		c, err := jail.Load(b.path(configPath))
		if err != nil || len(c.Jails) != 1 || c.Jails[0].Enforce || c.Jails[0].MaxRetry != 3 {
			t.Fatalf("%s: error %v, %+v", name, err, c)
		}
		if own == ours && len(c.Jails[0].Ports) != 2 {
			t.Errorf("%s: not sshd's real ports: %v", name, c.Jails[0].Ports)
		}
		if !strings.Contains(b.out.String(), "so scan2ban only watches") || !strings.HasPrefix(b.read(own), text) {
			t.Errorf("%s: says\n%s", name, b.out.String())
		}
	}

	b := newBench(t)
	b.must(b.do(Options{}))
	b.must(os.Remove(b.path(configPath)))
	b.file(ours, text)
	b.host.Fail2Ban = true
	b.must(b.do(Options{}))
	if b.read(observePath) != "" {
		t.Error("an upgrade watches only")
	}

	// One that was not finished goes on as the first.
	b = newBench(t)
	b.host.Fail2Ban = true
	b.missing["systemd-sysusers"], b.missing["useradd"], b.missing["adduser"] = true, true, true
	if b.do(Options{}) == nil {
		t.Fatal("no error without the user")
	}
	b.missing["useradd"] = false
	b.must(b.do(Options{}))
	b.has(configPath, observePath)
}

func TestCommands(t *testing.T) {
	t.Setenv("PATH", "/nowhere") // cat lies where administrators' programs do
	if out, err := (commands{}).Run(t.Context(), "text", "cat"); out != "text" || err != nil {
		t.Errorf("cat: %q, %v", out, err)
	}
	if _, err := (commands{}).Run(t.Context(), "", "sh", "-c", "echo why >&2; exit 3"); err == nil || exitCode(err) != 3 || !strings.Contains(err.Error(), ": why") {
		t.Errorf("a program that fails: %v", err)
	}
	if _, err := (commands{}).Run(t.Context(), "", "no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}
