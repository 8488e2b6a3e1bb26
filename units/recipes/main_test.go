package recipes

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain starts itself again in network and mount namespaces of its own: nothing a
// script does reaches the host's firewall or another host.
func TestMain(m *testing.M) {
	const inside = "SCAN2BAN_TEST_RECIPES"
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests of units/recipes:", err)
		os.Exit(1)
	}
	again := exec.Command("sh", append([]string{"-c", `ip link set lo up && mount --make-rprivate / && exec "$@"`, "sh", self}, os.Args[1:]...)...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		if again.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "tests of units/recipes: no namespaces:", err)
		}
		os.Exit(1)
	}
}

// needsRoot skips where there is no firewall of our own to be had.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
}

// shells are those that the scripts have to run with.
var shells = map[string][]string{"dash": {"dash"}, "busybox": {"busybox", "sh"}}

// dash tells whether the shell is the one that every row is tried with; what depends on
// the other programs alone needs no second shell.
func (r *runner) dash() bool { return r.shell[0] == "dash" }

// each runs a test with every shell, and a directory where the scripts lie.
func each(t *testing.T, f func(t *testing.T, r *runner)) {
	for name, shell := range shells {
		if name != "dash" && once {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Skip(err)
			}
			r := &runner{shell: shell, dir: t.TempDir()}
			for _, file := range Files(r.dir) {
				if err := os.WriteFile(filepath.Join(r.dir, file.Name), file.Text, file.Mode); err != nil {
					t.Fatal(err)
				}
			}
			f(t, r)
		})
	}
}

// runner runs scripts as scan2ban does, but for the shell.
type runner struct {
	shell  []string
	dir    string
	before []string // a program that starts the shell
	path   string   // of programs; empty: the test's
}

// run gives the exit code and what was printed.
func (r *runner) run(t *testing.T, script, settings string, event map[string]string, stdin string) (int, string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	args := append(append(append([]string{}, r.before...), r.shell...), filepath.Join(r.dir, script))
	if settings != "" {
		file := filepath.Join(r.dir, script+".conf")
		if err := os.WriteFile(file, []byte(settings), 0o640); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	path := os.Getenv("PATH")
	if r.path != "" {
		path = r.path
	}
	c.Env = []string{"PATH=" + path, "HOME=" + r.dir, "LANG=C.UTF-8"}
	for name, value := range event {
		if value != "" {
			c.Env = append(c.Env, "SCAN2BAN_"+name+"="+value)
		}
	}
	var out bytes.Buffer
	c.Dir, c.Stdin, c.Stdout, c.Stderr = "/", strings.NewReader(stdin), &out, &out
	err := c.Run()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

// hostile is a user name that would like to be more than that.
const hostile = `a"b\c$(touch /tmp/owned)` + "`id`" + `';{},<!channel>@everyone%0a&=é漢\\"`

// event is a ban, changed as pairs of names and values say; an empty value leaves away.
func event(changes ...string) map[string]string {
	e := map[string]string{
		"EVENT": "ban", "ID": "0123456789abcdef0123", "TIME": "2026-11-27T18:00:00Z", "HOST": "box", "TEXT": "sshd: banned 192.88.99.7 until tomorrow, user " + hostile,
		"JAIL": "sshd", "ADDRESS": "192.88.99.7", "KEY": "192.88.99.7", "FAMILY": "ipv4", "SINCE": "2026-11-27T18:00:00Z", "UNTIL": "2026-11-28T18:00:00Z",
		"SECONDS": "86400", "FAILURES": "5", "N": "1", "USERS": hostile, "RULE": "failed-password", "PORTS": "22,2222", "PROTOCOL": "tcp",
	}
	for i := 0; i+1 < len(changes); i += 2 {
		e[changes[i]] = changes[i+1]
	}
	return e
}
