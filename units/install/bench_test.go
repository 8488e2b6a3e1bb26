package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/units/manual"
)

// bench is a host below a directory, with its programs recorded.
type bench struct {
	t       *testing.T
	root    string
	host    Host
	out     strings.Builder
	ran     []string
	missing map[string]bool   // programs that are not there
	answers map[string]string // output, by command
	crontab string
	boot    string
	since   time.Duration
	tables  int // how often the kernel was emptied
}

const program = "\x7fELF ... scan2ban/units/install ... v1"

func newBench(t *testing.T) *bench {
	b := &bench{t: t, root: t.TempDir(), host: Host{Systemd: true, SSHPorts: []uint16{22, 2222}, PortsFrom: "sshd -T: 22,\n2222"},
		missing: map[string]bool{"dpkg": true, "rpm": true, "crontab": true, "busybox": true}, answers: map[string]string{}, boot: "one", since: time.Hour}
	b.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	b.file("/etc/group", "root:x:0:\n")
	b.file("/new/scan2ban", program)
	b.file("/run/systemd/system/.keep", "")
	return b
}

func (b *bench) path(name string) string { return filepath.Join(b.root, name) }

func (b *bench) file(name, text string) {
	b.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(b.path(name)), 0o755), os.WriteFile(b.path(name), []byte(text), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) exists(name string) bool {
	_, err := os.Lstat(b.path(name))
	return err == nil
}

func (b *bench) read(name string) string {
	text, _ := os.ReadFile(b.path(name))
	return string(text)
}

// Run records, and does what the programs would to the files that matter.
func (b *bench) Run(ctx context.Context, input string, name string, args ...string) (string, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	b.ran = append(b.ran, line)
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if b.missing[name] {
		return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	ids := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	switch {
	case name == "systemd-sysusers" || name == "useradd":
		b.file("/etc/passwd", b.read("/etc/passwd")+"scan2ban:x:"+ids+"::/:/\n")
	case name == "userdel":
		b.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	case line == "crontab -l":
		return b.crontab, nil
	case line == "crontab -":
		b.crontab = input
	case line == "crontab -r":
		b.crontab = ""
	case name == "systemctl" && args[0] == "enable":
		for _, unit := range args[2:] {
			if filepath.Ext(unit) == ".timer" {
				b.file("/etc/systemd/system/timers.target.wants/"+unit, "")
			}
		}
	case name == "systemctl" && args[0] == "disable":
		os.RemoveAll(b.path("/etc/systemd/system/timers.target.wants"))
	}
	return b.answers[line], nil
}

// install begins a use of the package on this host.
func (b *bench) install(o Options) *Install {
	b.t.Helper()
	b.ran = nil
	b.out.Reset()
	o.Root, o.Runner, o.Host, o.Out = b.root, b, b.host, &b.out
	o.Clock = func() (string, time.Duration) { return b.boot, b.since }
	o.Table = func(context.Context) error { b.tables++; return nil }
	o.Manual = []manual.File{{Path: "man/man8/scan2ban.8", Text: []byte("scan2ban")}, {Path: "zsh/site-functions/_scan2ban", Text: []byte("#compdef scan2ban")}}
	if o.Program == "" {
		o.Program = b.path("/new/scan2ban")
	}
	in, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	return in
}

// do is an install with a first pass that goes well.
func (b *bench) do(o Options) error {
	b.t.Helper()
	return b.install(o).Run(b.t.Context(), func(context.Context) (bool, error) {
		b.file("/var/lib/scan2ban/state.json", "{}")
		return false, nil
	})
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// tree lists every file and directory with its content.
func (b *bench) tree() map[string]string {
	all := map[string]string{}
	b.must(filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, b.root)
		if !d.IsDir() {
			text, _ := os.ReadFile(path)
			all[name] = string(text)
		} else {
			all[name] = "directory"
		}
		return err
	}))
	return all
}

func (b *bench) same(before map[string]string) {
	b.t.Helper()
	after := b.tree()
	for name, text := range after {
		if old, ok := before[name]; !ok {
			b.t.Errorf("left behind: %s", name)
		} else if old != text {
			b.t.Errorf("changed: %s", name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			b.t.Errorf("gone: %s", name)
		}
	}
}

func (b *bench) has(want ...string) {
	b.t.Helper()
	for _, name := range want {
		if _, err := os.Lstat(b.path(name)); err != nil {
			b.t.Errorf("not there: %s", name)
		}
	}
}

func (b *bench) runs(want ...string) {
	b.t.Helper()
	at := 0
	for _, line := range want {
		i := slices.Index(b.ran[at:], line)
		if i < 0 {
			b.t.Errorf("no %q, or not in this order, in\n%s", line, strings.Join(b.ran, "\n"))
			return
		}
		at += i + 1
	}
}
