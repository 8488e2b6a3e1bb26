// Package install lays scan2ban down on a host, and takes it away again.
//
//	in, err := install.New(options)
//	in.Run(ctx, pass)    program, units, user, configuration, recipes, manual; the first
//	                     pass, which is main's business; then the timer, or the lines for cron
//	in.Uninstall(ctx, …) everything away, the bans too
//	in.Pause(ctx)        and Resume: stop what starts passes, and start it again
//	in.Find(ctx)         what is installed
//
// What is laid down is one list of files (layout.go), used by the install, by the
// uninstall and for packages (Options.Dest). Every file is written beside its
// place and renamed. What is there and was not written by this program is never
// replaced: the step fails and names it. Configuration and state are never
// touched once they are there. Running it again replaces what is ours.
//
// Each step that changed something is said in one line. An error ends the work:
// what was said is done, nothing else is, and the same command goes on from there.
package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"scan2ban/state"
	"scan2ban/units/manual"
)

// Options say what is to be installed, and how.
type Options struct {
	Prefix string        // where program and manual go; "": /usr/local
	Dest   string        // only lay the files, below this directory, as a package has them
	Cron   bool          // cron starts the passes, as root, instead of systemd
	Light  *bool         // the cheap sandbox; nil: as it is
	Force  bool          // ban although Fail2Ban runs here
	Try    time.Duration // taken back after this time unless confirmed; 0: for good

	Confirm bool // only keep what a trial has installed

	Manual []manual.File
	Host   Host
	Out    io.Writer                   // one line a step; nil: none
	Table  func(context.Context) error // takes our table out of the kernel
	LetGo  func(context.Context) error // has hooks release the bans that they enforce

	// For tests: files below a directory, commands recorded, the program to lay down.
	Root    string
	Runner  Runner
	Program string // "": the one that runs
	Clock   func() (boot string, since time.Duration)
}

// Host is what has to be known of the host.
type Host struct {
	Systemd   bool     // systemd is init
	SSHPorts  []uint16 // sshd's; empty: unknown
	PortsFrom string   // how they are known
	Fail2Ban  bool     // it bans here too
}

// Install is one use of the package.
type Install struct {
	Options
	note    note // what is kept about this install
	program string
}

// errRoot is the answer to everybody else.
var errRoot = errors.New("only root can install and uninstall (try it with sudo)")

// New checks the options.
func New(o Options) (*Install, error) {
	o.Prefix = filepath.Clean(cmp.Or(o.Prefix, "/usr/local"))
	if !filepath.IsAbs(o.Prefix) {
		return nil, fmt.Errorf("--prefix %s is not an absolute path", o.Prefix)
	}
	if o.Dest == "" && o.Root == "" && os.Geteuid() != 0 {
		return nil, errRoot
	}
	if o.Try < 0 || o.Try > 0 && o.Try < 5*time.Second {
		return nil, errors.New("--try is at least 5s")
	}
	if o.Dest != "" {
		o.Root, o.Cron, o.Try = o.Dest, false, 0
	}
	if o.Runner == nil {
		o.Runner = commands{}
	}
	if o.Clock == nil {
		o.Clock = clock
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	in := &Install{Options: o, program: o.Program}
	if in.program == "" {
		path, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the program that runs: %w", err)
		}
		in.program = path
	}
	in.note = in.readNote()
	in.note.Trial = in.readTrial()
	return in, nil
}

// path is where a path of the host lies. It and say are called in thirty places each, and
// not inlined there.
//
//go:noinline
func (in *Install) path(name string) string { return filepath.Join(in.Root, name) }

//go:noinline
func (in *Install) say(format string, args ...any) { fmt.Fprintf(in.Out, format+"\n", args...) }

func (in *Install) exists(name string) bool {
	_, err := os.Lstat(in.path(name))
	return err == nil
}

// ErrNoPass says that no pass could begin, so that there is nothing to start.
var ErrNoPass = errors.New("no pass can begin")

// Run is the whole of it. pass is the first pass, and tells whether a jail reads log
// files; unless its error is ErrNoPass later ones may go well, and are started.
func (in *Install) Run(ctx context.Context, pass func(context.Context) (readsFiles bool, err error)) error {
	if in.Confirm {
		return in.keep(ctx)
	}
	if err := in.layDown(ctx); err != nil || in.Dest != "" {
		return err
	}
	readsFiles, err := pass(ctx)
	paused := (*state.PausedError)(nil)
	if errors.As(err, &paused) {
		if !in.Find(ctx).Enabled {
			return unfinished(paused) // resuming does not have it started at boot
		}
		in.say("%v", paused)
		return nil
	}
	if errors.Is(err, ErrNoPass) {
		return unfinished(err)
	}
	return errors.Join(err, unfinished(errors.Join(in.start(ctx, readsFiles), in.writeNote())))
}

// layDown writes what is to lie on the host and starts nothing, but for the clock of
// a trial. Afterwards the configuration is there to be read.
func (in *Install) layDown(ctx context.Context) error {
	if in.Dest != "" {
		return in.layFiles(true)
	}
	found := in.Find(ctx)
	if err := in.fits(found); err != nil {
		return err
	}
	if in.Cron {
		if _, err := in.readCrontab(ctx); errors.Is(err, errNoCrontab) && !in.hasCronDir() {
			return errors.New("no cron was found on this host: neither /etc/cron.d nor crontab(1) (install cron, busybox's will do)")
		}
	}
	err := in.lay(ctx, found)
	err = errors.Join(err, in.writeNote())
	if err == nil && in.Try > 0 {
		if err = in.arm(ctx); err != nil {
			in.note.Trial = nil // its clock does not run
			err = errors.Join(err, in.writeTrial(nil))
		}
	}
	return unfinished(err)
}

// fits tells why what is found rules out what is asked for.
func (in *Install) fits(found Found) error {
	switch {
	case found.Trial != nil:
		return fmt.Errorf("a trial is running, %s (\"scan2ban install --confirm\" keeps it, \"scan2ban uninstall\" takes it back)", found.Trial.left(in.Clock()))
	case !in.Host.Systemd && !in.Cron:
		return errors.New("systemd is not init here, so there is no timer (--cron has cron start the passes)")
	case in.Try > 0 && found.By != "" && (found.Package == "" || found.Enabled):
		return fmt.Errorf("--try is for a host without scan2ban: it is installed here (started by %s), and taking back what was there before the trial would take that too", found.By)
	case in.Try > 0 && found.By == "" && in.exists(state.DefaultPath):
		return fmt.Errorf("--try is for a host without scan2ban: %s is there, and would be taken back too (\"scan2ban uninstall\" removes it)", state.DefaultPath)
	case in.Cron && found.By == systemd:
		return errors.New("a timer of systemd starts the passes here already (\"scan2ban uninstall\" first, then install --cron)")
	case !in.Cron && (found.By == cronFile || found.By == crontab):
		return errors.New("cron starts the passes here already (install --cron upgrades it; \"scan2ban uninstall\" first for a timer)")
	case found.Package != "" && !in.fromPackage():
		return fmt.Errorf("the package %s has scan2ban installed: upgrade that, or remove it first", found.Package)
	}
	return nil
}

func (in *Install) lay(ctx context.Context, found Found) error {
	if found.By == "" || found.Package != "" && !found.Enabled {
		in.note = note{User: !in.hasUser(), Wrote: map[string]string{}}
	}
	if in.fromPackage() {
		in.say("program, units and manual are those of the package %s", cmp.Or(found.Package, "scan2ban"))
		if in.Try > 0 && !in.Cron {
			for _, f := range in.trialUnits() {
				if err := in.put(f); err != nil {
					return err
				}
			}
		}
	} else if err := in.layFiles(false); err != nil {
		return err
	}
	if !in.Cron {
		if err := in.makeUser(ctx); err != nil {
			return err
		}
	}
	if err := in.layStateDir(); err != nil {
		return err
	}
	if err := in.layConfig(found.Enabled); err != nil {
		return err
	}
	if in.Cron {
		return nil
	}
	if err := in.dropIns(ctx); err != nil {
		return err
	}
	in.updateCatalog(ctx)
	return in.systemctl(ctx, "daemon-reload")
}

// start has the passes started from now on, and at every boot. logFiles says that
// a jail reads log files, which the passes' user may not.
func (in *Install) start(ctx context.Context, logFiles bool) error {
	if in.Cron {
		return in.startCron(ctx)
	}
	before := in.exists(dropInPath("logfiles"))
	if err := in.dropIn("logfiles", logFiles); err != nil {
		return err
	}
	if before != logFiles {
		if err := in.systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	if err := in.systemctl(ctx, "enable", "--quiet", "scan2ban.timer", "scan2ban-restore.service", "scan2ban-deliver.path"); err != nil {
		return err
	}
	if err := in.systemctl(ctx, "restart", "scan2ban-deliver.path", "scan2ban.timer"); err != nil {
		return err
	}
	in.say("started scan2ban.timer: a pass every minute, and the bans brought back at boot")
	return nil
}

// Pause stops the timer; the mark in the state, which main makes, keeps passes
// that something else starts from doing anything. With cron there is nothing to
// stop.
func (in *Install) Pause(ctx context.Context) error {
	if in.Find(ctx).By != systemd {
		return nil
	}
	return in.systemctl(ctx, "stop", "scan2ban.timer")
}

// Resume starts the timer again.
func (in *Install) Resume(ctx context.Context) error {
	if in.Find(ctx).By != systemd {
		return nil
	}
	return in.systemctl(ctx, "start", "scan2ban.timer")
}

// unfinished tells how to go on after an error.
func unfinished(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\nthe install is not finished: what is said above is done; mend this and run it again, or take it back with \"scan2ban uninstall\"", err)
}
