// Minute measures what an idle minute of scan2ban costs under systemd, and prints
// it beside Fail2Ban's. .ci/minute runs it; see there.
//
// Each Debian is a copy below /var/tmp, booted with systemd-nspawn in a network
// namespace and a control group of its own. What is counted is the processor time
// of that whole group, less what it takes when nothing happens. Passes are started
// by the timer, once a second instead of once a minute.
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

// options are what the command line says.
type options struct {
	passes  int           // in one block
	rounds  int           // blocks of each variant
	peer    time.Duration // how long Fail2Ban is watched
	ablate  bool
	light   bool // ablate the light unit
	day     bool
	only    string // names of Debian releases, comma-separated
	journal int    // bytes
}

// release is a Debian that is measured on.
type release struct{ name, number string }

var releases = []release{{"bookworm", "12"}, {"trixie", "13"}}

func main() {
	o := options{journal: 40e6}
	flag.IntVar(&o.passes, "passes", 15, "`N` passes in one block")
	flag.IntVar(&o.rounds, "rounds", 3, "`N` blocks of each variant")
	flag.DurationVar(&o.peer, "peer", 3*time.Minute, "watch Fail2Ban for that `TIME`")
	flag.BoolVar(&o.ablate, "ablate", false, "leave out each line of scan2ban.service in turn, instead")
	flag.BoolVar(&o.light, "light", false, "with --ablate: of the light unit")
	flag.BoolVar(&o.day, "day", false, "what a day costs, idle and attacked, beside Fail2Ban and SSHGuard, instead")
	flag.StringVar(&o.only, "debian", "12,13", "the `RELEASES`")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "Usage: sudo .ci/minute [OPTION]... (see the script's first lines)")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "minute: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, to boot containers (sudo .ci/minute)")
	}
	if err := needs("systemd-nspawn", "systemd-container"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/var/tmp", "scan2ban-minute-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for build, cgo := range map[string]string{"cgo": "1", "static": "0"} {
		progress("building %s", build)
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, build), ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", build, err, text)
		}
	}
	var errs []error
	for _, r := range releases {
		if !strings.Contains(","+o.only+",", ","+r.number+",") {
			continue
		}
		if err := measure(ctx, o, r, dir); err != nil {
			errs = append(errs, fmt.Errorf("on Debian %s: %w", r.number, err))
		}
	}
	return errors.Join(errs...)
}

// measure boots one Debian and prints its table.
func measure(ctx context.Context, o options, r release, dir string) error {
	root, err := prepare(ctx, o, r, dir)
	if err != nil {
		return err
	}
	m, err := boot(ctx, root)
	if err != nil {
		return err
	}
	defer m.stop()
	switch {
	case o.ablate:
		return ablate(ctx, o, m)
	case o.day:
		return day(ctx, o, m)
	}
	return table(ctx, o, m)
}

func needs(program, from string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%s is missing (apt install %s)", program, from)
	}
	return nil
}

var begun = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "minute: %3.0f s: "+format+"\n", append([]any{time.Since(begun).Seconds()}, args...)...)
}
