package install

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTrial(t *testing.T) {
	takeBack := func(b *bench) {
		b.t.Helper()
		b.must(b.install(Options{}).Uninstall(b.t.Context(), How{Unconfirmed: true}))
	}
	t.Run("taken back", func(t *testing.T) {
		for name, end := range map[string]func(*bench){
			"its time is over": func(b *bench) { b.since += 10 * time.Minute },
			"another boot":     func(b *bench) { b.boot, b.since = "two", time.Second },
		} {
			b := newBench(t)
			before := b.tree()
			b.must(b.do(Options{Try: 10 * time.Minute}))
			b.runs("systemctl enable --quiet scan2ban-try.service scan2ban-try.timer", "systemctl start scan2ban-try.timer", "systemctl restart scan2ban-deliver.path scan2ban.timer")
			if !strings.Contains(b.read(tryTimerPath), "OnActiveSec=600s") || !strings.Contains(b.out.String(), "taken back in 10m unless") {
				t.Errorf("timer:\n%s\nsays:\n%s", b.read(tryTimerPath), b.out.String())
			}
			b.since += 9*time.Minute + 59*time.Second
			takeBack(b)
			b.has("/usr/local/sbin/scan2ban", tryServicePath)
			b.since -= 9*time.Minute + 59*time.Second
			end(b)
			takeBack(b)
			if b.same(before); t.Failed() {
				t.Fatal(name)
			}
			takeBack(b)
		}
	})
	t.Run("with work of the admin", func(t *testing.T) {
		b := newBench(t)
		b.file("/etc/passwd", b.read("/etc/passwd")+"scan2ban:x:0:0::/:/\n") // not ours
		b.must(b.do(Options{Try: time.Minute}))
		b.file(configPath, b.read(configPath)+"# mine\n")
		b.since += time.Hour
		takeBack(b)
		b.has(configPath)
		if !strings.Contains(b.out.String(), "kept "+configPath+": it was changed") {
			t.Errorf("says\n%s", b.out.String())
		}
		if !strings.Contains(b.read("/etc/passwd"), "scan2ban") {
			t.Error("a user that was there before is gone")
		}
	})
	t.Run("with a configuration from before", func(t *testing.T) {
		b := newBench(t)
		b.file(configPath, "[jail.sshd]\nenabled = true\n")
		before := b.tree()
		b.must(b.do(Options{Try: time.Minute}))
		b.since += time.Hour
		takeBack(b)
		b.same(before)
	})
	t.Run("without the note, which the passes' user has removed", func(t *testing.T) {
		for name, change := range map[string]func(*bench){
			"removed":         func(b *bench) { b.must(os.Remove(b.path(notePath))) },
			"all that is his": func(b *bench) { b.must(os.RemoveAll(b.path(stateDir))) },
			"another": func(b *bench) {
				b.file(notePath, `{"user": true, "trial": {"boot": "one", "end": 9000000000000000000}}`)
			},
		} {
			for _, cron := range []bool{false, true} {
				b := newBench(t)
				if cron {
					b.host.Systemd = false
					b.must(os.RemoveAll(b.path("/run/systemd")))
					b.file("/etc/cron.d/.placeholder", "")
				}
				b.must(b.do(Options{Cron: cron, Try: time.Minute}))
				change(b)
				takeBack(b)
				b.has("/usr/local/sbin/scan2ban")
				b.since += time.Hour
				takeBack(b)
				for _, gone := range []string{"/usr/local/sbin/scan2ban", stateDir, trialPath, tryServicePath, cronPath} {
					if b.exists(gone) {
						t.Errorf("%s, cron %v: %s is still there", name, cron, gone)
					}
				}
			}
		}
	})
	t.Run("that the passes' user has ended", func(t *testing.T) {
		b := newBench(t)
		b.must(b.do(Options{}))
		b.file(notePath, `{"user": true, "trial": {"boot": "none"}}`)
		takeBack(b)
		b.has("/usr/local/sbin/scan2ban", "/etc/systemd/system/scan2ban.timer")
		b.must(b.do(Options{})) // no trial runs
	})
	t.Run("confirmed", func(t *testing.T) {
		b := newBench(t)
		if err := b.do(Options{Confirm: true}); err == nil || !strings.Contains(err.Error(), "no trial is running") {
			t.Errorf("without a trial: error %v", err)
		}
		b.must(b.do(Options{Try: time.Minute}))
		b.must(b.do(Options{Confirm: true}))
		b.runs("systemctl stop scan2ban-try.timer", "systemctl disable --quiet scan2ban-try.service scan2ban-try.timer", "systemctl daemon-reload")
		b.since += time.Hour
		takeBack(b)
		b.has("/usr/local/sbin/scan2ban", "/etc/systemd/system/scan2ban.timer")
		for _, gone := range []string{tryServicePath, tryTimerPath, trialPath} {
			if b.exists(gone) {
				t.Errorf("%s is still there", gone)
			}
		}
		b.must(b.do(Options{}))
	})
}

// TestNote: what the passes' user could write into the note does no harm.
func TestNote(t *testing.T) {
	b := newBench(t)
	b.must(b.do(Options{Try: time.Minute}))
	b.since += time.Hour
	b.file("/etc/precious", "x")
	b.file(configPath, "changed by the admin")
	b.must(os.MkdirAll(b.path("/run/sshd"), 0o755))
	b.file(notePath, `{"made": ["/etc", "/etc/precious", "/", "/run/sshd", "/run/scan2ban/../sshd"], "wrote": {"/etc/precious": "`+hash([]byte("x"))+`", "`+configPath+`": "`+hash([]byte("changed by the admin"))+`"}, "user": true}`)
	b.must(b.install(Options{}).Uninstall(t.Context(), How{Unconfirmed: true}))
	b.has("/etc/precious", configPath, "/run/sshd") // which sshd wants, empty as it is
	b.must(os.MkdirAll(b.path(stateDir), 0o700))
	b.file("/home/note", `{"made": ["/home"]}`)
	b.must(os.Symlink(b.path("/home/note"), b.path(notePath)))
	if n := b.install(Options{}).note; len(n.Made) > 0 {
		t.Errorf("a link was followed: %+v", n)
	}
	b.must(errors.Join(os.Remove(b.path(notePath)), syscall.Mkfifo(b.path(notePath), 0o600)))
	ends := func(what string) {
		read := make(chan note, 1)
		go func() { read <- b.install(Options{}).note }()
		select {
		case n := <-read:
			if !n.User {
				t.Errorf("of %s: %+v", what, n)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("waits at %s", what)
		}
	}
	ends("a fifo")
	held, err := os.OpenFile(b.path(notePath), os.O_RDWR, 0)
	b.must(err)
	defer held.Close()
	ends("a fifo that somebody holds open")
}

func TestCron(t *testing.T) {
	const tell = "; test ! -e /run/scan2ban/deliver.due || /usr/local/sbin/scan2ban -q deliver\n"
	const every = "* * * * * root /usr/local/sbin/scan2ban -q run" + tell
	t.Run("cron.d", func(t *testing.T) {
		b := newBench(t)
		b.host.Systemd = false
		b.must(os.RemoveAll(b.path("/run/systemd")))
		b.file("/etc/cron.d/.placeholder", "")
		before := b.tree()
		b.must(b.do(Options{Cron: true}))
		if text := b.read(cronPath); !strings.Contains(text, "\n@reboot root /usr/local/sbin/scan2ban -q run --restore\n"+every) {
			t.Errorf("%s:\n%s", cronPath, text)
		}
		if !strings.Contains(b.out.String(), "no cron daemon is running") || strings.Contains(b.out.String(), ".service") {
			t.Errorf("says\n%s", b.out.String())
		}
		b.file("/proc/7/comm", "crond\n")
		b.must(b.do(Options{Cron: true}))
		if strings.Contains(b.out.String(), "WARNING") {
			t.Errorf("says\n%s", b.out.String())
		}
		b.must(os.RemoveAll(b.path("/proc")))
		b.must(b.install(Options{}).Uninstall(t.Context(), How{Purge: true}))
		b.same(before)
		if len(b.ran) > 4 {
			t.Errorf("ran %q", b.ran)
		}
	})
	t.Run("busybox", func(t *testing.T) {
		b := newBench(t)
		b.host.Systemd, b.missing["crontab"], b.crontab = false, false, "5 5 * * * mine"
		b.file("/proc/7/comm", "crond\n")
		b.must(os.Symlink("/bin/busybox", b.path("/proc/7/exe")))
		b.file("/etc/cron.d/other", "") // crond does not look there
		want := "5 5 * * * mine\n" + blockBegin + "\n* * * * * /usr/local/sbin/scan2ban -q run" + tell + blockEnd + "\n"
		for range 2 {
			b.must(b.do(Options{Cron: true}))
			if b.crontab != want {
				t.Errorf("crontab:\n%s\nwant\n%s", b.crontab, want)
			}
		}
		b.crontab += "6 6 * * * later\n"
		b.must(b.install(Options{}).Uninstall(t.Context(), How{}))
		if b.crontab != "5 5 * * * mine\n6 6 * * * later\n" {
			t.Errorf("left in the crontab:\n%s", b.crontab)
		}
	})
	t.Run("a trial", func(t *testing.T) {
		b := newBench(t)
		b.host.Systemd = false
		b.must(os.RemoveAll(b.path("/run/systemd")))
		b.file("/etc/cron.d/.placeholder", "")
		before := b.tree()
		b.must(b.do(Options{Cron: true, Try: time.Minute}))
		if text := b.read(cronPath); !strings.Contains(text, "scan2ban -q uninstall --unconfirmed; test ! -x /usr/local/sbin/scan2ban || /usr/local/sbin/scan2ban -q run"+tell) || strings.Count(text, "* * * * *") != 1 {
			t.Errorf("%s:\n%s", cronPath, text)
		}
		b.since += time.Hour
		b.must(b.install(Options{}).Uninstall(t.Context(), How{Unconfirmed: true}))
		b.same(before)
		b.must(b.do(Options{Cron: true, Try: time.Minute}))
		b.must(b.do(Options{Confirm: true}))
		if text := b.read(cronPath); strings.Contains(text, "unconfirmed") || !strings.Contains(text, every) {
			t.Errorf("confirmed:\n%s", text)
		}
	})
}

// TestPackage: below Dest lies what a package has; its program lays down only what
// a package must not.
func TestPackage(t *testing.T) {
	b := newBench(t)
	in := b.install(Options{Prefix: "/usr"})
	in.Dest = b.root
	b.must(in.Run(t.Context(), nil))
	b.has("/usr/sbin/scan2ban", "/usr/lib/systemd/system/scan2ban.timer", "/usr/lib/sysusers.d/scan2ban.conf", "/usr/share/man/man8/scan2ban.8", "/usr/share/zsh/vendor-completions/_scan2ban",
		"/usr/share/scan2ban/recipes/webhook")
	if len(b.ran) > 0 || b.read(configPath) != "" || strings.Contains(b.read("/usr/lib/systemd/system/scan2ban.timer"), mark) {
		t.Errorf("ran %q; configuration %q", b.ran, b.read(configPath))
	}

	b.missing["dpkg"] = false
	b.file("/etc/systemd/system/.keep", "")
	b.answers["dpkg -S /usr/sbin/scan2ban"] = "scan2ban: /usr/sbin/scan2ban\n"
	before := b.tree()
	b.must(b.do(Options{Program: packageProgram, Try: time.Minute}))
	b.runs("systemctl enable --quiet scan2ban-try.service scan2ban-try.timer", "systemctl start scan2ban-try.timer")
	if !strings.Contains(b.read(tryServicePath), "ExecStart=/usr/sbin/scan2ban uninstall") {
		t.Errorf("the trial's unit:\n%s", b.read(tryServicePath))
	}
	b.since += time.Hour
	b.must(b.install(Options{Program: packageProgram}).Uninstall(t.Context(), How{Unconfirmed: true}))
	b.same(before)
	b.tables = 0

	b.must(b.do(Options{Program: packageProgram}))
	b.has(configPath, stateDir)
	b.runs("systemd-sysusers /usr/lib/sysusers.d/scan2ban.conf", "systemctl restart scan2ban-deliver.path scan2ban.timer")
	if _, err := os.Lstat(b.path("/etc/systemd/system/scan2ban.timer")); err == nil {
		t.Error("the package's units are laid down again")
	}

	b.must(b.install(Options{Program: packageProgram}).Uninstall(t.Context(), How{Purge: true}))
	if !strings.Contains(b.out.String(), "belong to the package scan2ban: apt remove scan2ban") || b.tables != 1 {
		t.Errorf("says\n%s", b.out.String())
	}
	before["/etc/passwd"] = b.read("/etc/passwd") // the package's user stays
	b.same(before)
	b.must(b.install(Options{Program: packageProgram}).Uninstall(t.Context(), How{}))
	if b.out.String() != "nothing is installed\n" {
		t.Errorf("a second time it says %q", b.out.String())
	}
}
