// Scene plays what happens to a real host and says whether it holds: Debian booted
// with systemd-nspawn, scan2ban installed on it, attackers and honest clients in
// network namespaces beside it. .ci/scene runs it; see there.
//
// It builds what it installs, then starts itself again in mount and process
// namespaces of its own, where the copies of the roots are overlays in memory and
// the network namespaces have no name outside: nothing on the host is changed but
// the build cache, the roots kept in /var/tmp/scan2ban-scene, and a directory and a
// control group that are removed at the end. When it ends, so does all it started.
//
//	main.go      options, building, going inside
//	prepare.go   the Debian roots
//	house.go     one host: its root, its network, its boots
//	street.go    the clients outside: connects, log-ins, wrong passwords
//	act.go       what a step can ask of a house
//	plays.go     which steps are played in which house, and the table
//	play_*.go    the steps
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the command line asks for.
type options struct {
	debian  string // "11" to "14", or empty for 12 and 13
	only    string // names of plays, separated by commas
	keep    bool
	prepare bool
	inside  string
}

func main() {
	o := &options{}
	flag.StringVar(&o.debian, "debian", "", "only on this `VERSION` of Debian, 11 to 14 (testing)")
	flag.StringVar(&o.only, "only", "", "only these `PLAYS`, separated by commas: "+strings.Join(playNames(), ", "))
	flag.BoolVar(&o.keep, "keep", false, "when a step fails, wait before its house is torn down")
	flag.BoolVar(&o.prepare, "prepare", false, "only make the roots of Debian")
	flag.StringVar(&o.inside, "inside", "", "used by scene itself: the working `DIR`, in the namespaces")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "Usage: sudo .ci/scene [OPTION]... (see the script's first lines)")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("no arguments are taken, but there is %q", flag.Arg(0))
	case o.debian != "" && codenames[o.debian] == "":
		err = fmt.Errorf("--debian %s: one of %s is meant", o.debian, strings.Join(slices.Sorted(maps.Keys(codenames)), ", "))
	case os.Geteuid() != 0:
		err = errors.New("needs root, for namespaces and containers (sudo .ci/scene)")
	case o.inside != "":
		err = o.play(ctx)
	default:
		err = o.outside(ctx)
	}
	if err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) || o.inside != "" { // else it has said so itself
			fmt.Fprintf(os.Stderr, "scene: %v\n", err)
		}
		os.Exit(1)
	}
}

// chosen are the versions of Debian to play on.
func (o *options) chosen() []string {
	if o.debian != "" {
		return []string{o.debian}
	}
	return debians
}

// outside makes the roots, builds, and goes inside.
func (o *options) outside(ctx context.Context) error {
	list, err := o.plays()
	if err != nil {
		return err
	}
	if err := needs(); err != nil {
		return err
	}
	if err := prepare(ctx, o.chosen()); err != nil || o.prepare {
		return err
	}
	dir, err := os.MkdirTemp("/var/tmp", "scan2ban-scene-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir); err != nil {
		return err
	}
	if slices.ContainsFunc(list, func(p play) bool { return p.name == packaged.name }) {
		if err := wrapped(ctx, dir); err != nil {
			return err
		}
	}
	groups, err := controlGroup(filepath.Base(dir))
	if err != nil {
		return err
	}
	defer removeGroup(groups)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"--inside", dir}, os.Args[1:]...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "SCENE_CGROUP="+groups)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// A process namespace ends with its first process. Unshareflags also makes the
	// mounts private.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}

// needs tells all that is missing at once, and where it comes from.
func needs() error {
	var missing []string
	for _, t := range []struct{ name, from string }{
		{"gcc", "gcc libc6-dev"}, {"mmdebstrap", "mmdebstrap"}, {"systemd-nspawn", "systemd-container"}, {"nsenter", "util-linux"},
		{"ip", "iproute2"}, {"ssh", "openssh-client"}, {"mount", "mount"},
	} {
		if _, err := exec.LookPath(t.name); err != nil {
			missing = append(missing, fmt.Sprintf("%s is missing (apt install %s)", t.name, t.from))
		}
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, "\nscene: "))
	}
	return nil
}

// build makes the two builds that the README tells of, cgo and static.
func build(ctx context.Context, dir string) error {
	for _, name := range []string{"cgo", "static"} {
		progress("building scan2ban, %s", name)
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "scan2ban-"+name), ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+map[string]string{"cgo": "1", "static": "0"}[name])
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build scan2ban, %s: %w\n%s", name, err, text)
		}
	}
	return nil
}

// controlGroup makes the group below which every house gets one of its own: two
// containers in one group would take each other's processes for their own.
func controlGroup(name string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			path := filepath.Join(f[1], name)
			return path, os.Mkdir(path, 0o755)
		}
	}
	return "", errors.New("no cgroup2 file system is mounted, which containers need (mount -t cgroup2 cgroup2 /sys/fs/cgroup)")
}

// removeGroup ends what still runs in a group and removes it with those below it.
func removeGroup(path string) {
	os.WriteFile(filepath.Join(path, "cgroup.kill"), []byte("1"), 0)
	for range 100 {
		var below []string
		filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, p)
			}
			return nil
		})
		for _, p := range slices.Backward(below) {
			syscall.Rmdir(p)
		}
		if _, err := os.Stat(path); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond) // until the last process is gone
	}
}

var begun = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "scene: %3.0f s: "+format+"\n", append([]any{time.Since(begun).Seconds()}, args...)...)
}
