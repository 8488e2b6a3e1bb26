// Budgets measures the rows of the README's table of budgets and prints them as a
// Markdown table. .ci/budgets runs it; see there.
//
// It builds what it measures, then starts itself again in a network and a mount
// namespace of its own, where journals lie on a tmpfs: nothing on the host is
// read or changed but the build cache and a directory under /tmp that it removes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	b := &bench{sizes: fullSizes}
	quick := flag.Bool("quick", false, "small sizes, a few repetitions")
	only := flag.String("only", "", "measure only the rows whose number is in this comma-separated `LIST`")
	disk := flag.String("dir", "", "put the journals into a directory under `DIR` instead of into memory")
	flood := flag.Int("flood", 0, "let the flood in the journal be of `N` entries: 6000000 are ten minutes of it, and take 6 GB")
	inside := flag.String("inside", "", "used by budgets itself: the working `DIR`, in the namespaces")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "Usage: sudo .ci/budgets [OPTION]... (see the script's first lines)")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *quick {
		b.sizes = quickSizes
	}
	if *flood > 0 {
		b.flood = *flood
		b.memory += uint64(*flood) * 1000
	}
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	var err error
	if *inside == "" {
		err = outside(b.sizes, *disk)
	} else {
		b.dir = *inside
		err = b.run(*disk == "")
	}
	if err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) { // it has said so itself
			fmt.Fprintf(os.Stderr, "budgets: %v\n", err)
		}
		os.Exit(1)
	}
}

// outside builds and then goes inside.
func outside(s sizes, disk string) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, for namespaces and nftables of its own (sudo .ci/budgets)")
	}
	if err := needs(); err != nil {
		return err
	}
	if free := memoryAvailable(); disk == "" && free < s.memory {
		return fmt.Errorf("the journals need %.1f GB of memory and %.1f are available (--dir /var/tmp puts them on the disk, --quick makes them small)",
			float64(s.memory)/1e9, float64(free)/1e9)
	}
	dir, err := os.MkdirTemp(disk, "scan2ban-budgets-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // leaves time to remove it
	defer stop()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return err
	}
	if err := compile(ctx, dir); err != nil {
		return err
	}
	fetch(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"--inside", dir}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// Unshareflags also makes the mounts private, so that the tmpfs stays unseen.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}

// needs tells all that is missing at once, and where it comes from.
func needs() error {
	var missing []string
	for _, t := range []struct{ name, from string }{
		{"gcc", "gcc libc6-dev"}, {"journalctl", "systemd"}, {"nft", "nftables"}, {"jq", "jq"},
	} {
		if _, err := exec.LookPath(t.name); err != nil {
			missing = append(missing, fmt.Sprintf("%s is missing (apt install %s)", t.name, t.from))
		}
	}
	if remote() == "" {
		missing = append(missing, "systemd-journal-remote, which writes the journals, is missing (apt install systemd-journal-remote)")
	}
	if _, err := os.Stat("/usr/include/systemd/sd-journal.h"); err != nil {
		missing = append(missing, "systemd/sd-journal.h, for the cgo build, is missing (apt install libsystemd-dev)")
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, "\nbudgets: "))
	}
	return nil
}

// build is one of the two ways to build what is measured.
type build struct {
	name            string
	cgo             string // CGO_ENABLED
	scan2ban, probe string // paths
}

func builds(dir string) []build {
	list := []build{{name: "cgo", cgo: "1"}, {name: "static", cgo: "0"}}
	for i, b := range list {
		list[i].scan2ban = filepath.Join(dir, "scan2ban-"+b.name)
		list[i].probe = filepath.Join(dir, "probe-"+b.name)
	}
	return list
}

func compile(ctx context.Context, dir string) error {
	for _, b := range builds(dir) {
		for out, pkg := range map[string]string{b.scan2ban: ".", b.probe: "./.ci/budgets.d/probe"} {
			progress("building %s", filepath.Base(out))
			// Without VCS data: root may not ask git about a checkout of somebody else's.
			cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+b.cgo)
			if text, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build %s: %w\n%s", filepath.Base(out), err, text)
			}
		}
	}
	return nil
}

var begun = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "budgets: %3.0f s: "+format+"\n", append([]any{time.Since(begun).Seconds()}, args...)...)
}
