// Scan2ban bans addresses that keep failing to log in, without a daemon: a
// timer starts it, it reads what was logged since the last pass, judges it,
// brings the bans into nftables, saves, and exits.
//
// This file is the table of contents: the commands, their flags, and how the
// packages are put together to make a pass.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"scan2ban/ban/deliver"
	"scan2ban/ban/nftables"
	"scan2ban/scan/check"
	"scan2ban/scan/fail2ban"
	"scan2ban/scan/filter"
	"scan2ban/scan/host"
	"scan2ban/scan/jail"
	"scan2ban/scan/journal"
	"scan2ban/scan/pass"
	"scan2ban/scan/past"
	"scan2ban/scan/trial"
	"scan2ban/state"
	"scan2ban/state/report"
	"scan2ban/units"
	"scan2ban/units/console"
	"scan2ban/units/install"
	"scan2ban/units/manual"
)

func main() {
	host.Spare()
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c, out := command(), report.NewOutput(os.Stdout)
	c.SetOut(out)
	os.Exit(console.ExitCode(out.Check(c.ExecuteContext(ctx)), os.Stderr))
}

// options are the global flags.
type options struct {
	console.Console
	config, state, journal string
}

func command() *cobra.Command {
	o := &options{}
	root := units.Describe(&cobra.Command{Use: "scan2ban", Short: "Ban addresses that keep failing to log in",
		SilenceErrors: true, SilenceUsage: true, Args: console.Known,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}, console.Wrong)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return console.Usage(fmt.Errorf("%w (see \"%s --help\")", err, c.CommandPath()))
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&o.config, "config", "c", "", "configuration `FILE`; conf.d beside it is read too (default "+jail.DefaultPath+")")
	flags.StringVar(&o.state, "state", state.DefaultPath, "state `FILE`; the history lies beside it")
	flags.StringVar(&o.journal, "journal", "", "read this journal `PATH`, a directory or a file, instead of the host's")
	o.Flags(flags)
	root.AddCommand(runCommand(o), reportCommand(o), whyCommand(o), statusCommand(o), bannedCommand(o), exportCommand(o),
		banCommand(o), unbanCommand(o), matchCommand(o), filtersCommand(o), checkCommand(o),
		installCommand(o), uninstallCommand(o), pauseCommand(o), resumeCommand(o), importCommand(o), deliverCommand(o), versionCommand(o))
	for _, c := range root.Commands() {
		units.Describe(c, console.Wrong)
		units.Complete(c, func() []string { return jail.Names(o.config) }, func() []string { return jail.Filters(o.config) })
	}
	return root
}

func runCommand(o *options) *cobra.Command {
	var dry, restoring bool
	at := time.Now()
	c := &cobra.Command{Use: "run", Short: "One pass: read, judge, ban, save", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if restoring && dry {
			return console.Usage(errors.New("--restore reads nothing that could be tried: leave --dry-run away"))
		} else if restoring {
			return restore(c.Context(), o)
		}
		then := c.Flags().Changed("now")
		if then && !dry {
			return console.Usage(errors.New("--now goes with --dry-run"))
		}
		p, err := begin(o, at, !dry, then, nil)
		if paused := (*state.PausedError)(nil); errors.As(err, &paused) {
			if report.Level(os.Stderr, 4) == "" { // the journal need not hear it every minute
				o.Warn(false, []string{paused.Error()}, nil)
			}
			return nil
		}
		if err != nil {
			return err
		}
		return finish(c.Context(), c.OutOrStdout(), o, p, dry)
	}}
	c.Flags().BoolVar(&dry, "dry-run", false, "write nothing, show who would be banned")
	c.Flags().BoolVar(&restoring, "restore", false, "read no log: bring the bans of the last pass back into the kernel")
	c.Flags().Func("now", "with --dry-run: the time `T` of the pass (RFC 3339, 2026-11-20, or 30d for that long ago)", past.Moment(&at))
	return c
}

// finish ends a pass that has begun: reads, judges, bans, saves and tells.
func finish(ctx context.Context, w io.Writer, o *options, p *pass.Pass, dry bool) error {
	defer p.Close()
	console.Read(ctx, p)
	if !dry {
		p.Commit(ctx)
	}
	return o.Tell(w, p, dry)
}

// restore needs no configuration, but for [kernel] and the lists.
func restore(ctx context.Context, o *options) error {
	setup := jail.Restoring(o.config)
	setup.StatePath, setup.Now = o.state, time.Now()
	bans, warnings, err := pass.Restore(ctx, setup)
	o.Warn(false, warnings, nil)
	if o.Verbose {
		fmt.Fprintf(os.Stderr, "%s in the kernel\n", state.Plural(bans, "ban"))
	}
	return err
}

// begin reads the configuration and begins a pass by it; shield are those whom it
// leaves alone, nil for nobody.
func begin(o *options, now time.Time, write, past bool, shield *state.Ignored) (*pass.Pass, error) {
	config, err := jail.Load(o.config)
	if err != nil {
		return nil, console.Usage(err)
	}
	setup := config.Setup()
	setup.StatePath, setup.JournalPath, setup.Version = o.state, o.journal, units.Version().Version
	setup.Now, setup.Past, setup.Write, setup.Shield = now, past, write, shield
	return pass.Begin(setup)
}

func reportCommand(o *options) *cobra.Command {
	var ask past.Flags
	c := &cobra.Command{Use: "report", Short: "What happened, and what a policy would have done", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		options, err := jail.Report(o.config, &ask)
		if ask.CSV && o.JSON {
			err = errors.New("--csv and --json: one of them")
		}
		if err != nil {
			return console.Usage(err)
		}
		options.Setup.JournalPath, options.Setup.Now = o.journal, time.Now()
		progress := report.NewProgress(os.Stderr)
		options.Step = progress.Share
		found, err := past.Run(c.Context(), options)
		progress.Done()
		o.Warn(true, found.Warnings, nil)
		return errors.Join(ask.Print(c.OutOrStdout(), found, o.JSON), err)
	}}
	ask.Add(c.Flags())
	return c
}

func whyCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "why ADDRESS", Short: "Why an address is banned, or is not", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		addr, err := netip.ParseAddr(args[0])
		if err != nil {
			return console.Usage(fmt.Errorf("%q is not an address (as 203.0.113.7 or 2001:db8::1)", args[0]))
		}
		return show(c, o, func(p *pass.Pass) (any, func(io.Writer), error) {
			w, err := past.Why(c.Context(), p, addr)
			p.Errs = append(p.Errs, err)
			return w, w.Write, nil
		})
	}}
}

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "status [JAIL]", Short: "The jails and their health", Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return show(c, o, func(p *pass.Pass) (any, func(io.Writer), error) {
			s, err := p.Status(args)
			return s, func(w io.Writer) { s.Write(w, len(args) == 1) }, err
		})
	}}
}

func bannedCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "banned [JAIL]", Short: "The bans in force", Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return show(c, o, func(p *pass.Pass) (any, func(io.Writer), error) {
			bans, err := p.Bans(c.Context(), args)
			return bans, func(w io.Writer) { report.WriteBans(w, bans, p.Known()) }, err
		})
	}}
}

// show is a pass that changes nothing, so that what is shown is never stale; what
// gives it as a value for JSON and as text.
func show(c *cobra.Command, o *options, what func(*pass.Pass) (any, func(io.Writer), error)) error {
	p, err := begin(o, time.Now(), false, false, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	if closed := p.Closed(); closed != nil {
		return closed
	}
	console.Read(c.Context(), p)
	value, text, err := what(p)
	if err != nil {
		return console.Usage(err)
	}
	if o.JSON {
		err = report.JSON(c.OutOrStdout(), value)
	} else {
		text(c.OutOrStdout())
	}
	_, held := value.(*report.Status)
	o.Warn(held, p.Warnings, nil)
	return errors.Join(append(p.Errs, err)...)
}

func exportCommand(o *options) *cobra.Command {
	form := report.Plain
	c := &cobra.Command{Use: "export [JAIL]", Short: "The bans in force, for another program or host", Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return show(c, o, func(p *pass.Pass) (any, func(io.Writer), error) {
			bans, err := p.Live(args)
			return report.Enforced(bans), func(w io.Writer) { p.Errs = append(p.Errs, form.Export(w, bans, p.Now.Unix())) }, err
		})
	}}
	c.Flags().Var(&form, "form", "plain, a line each, nft, csv or json")
	return c
}

func banCommand(o *options) *cobra.Command {
	by := pass.ByHand{For: state.Permanent}
	c := &cobra.Command{Use: "ban ADDRESS|CIDR...|--from FILE", Short: "Ban by hand", Args: cobra.ArbitraryArgs, RunE: func(c *cobra.Command, args []string) error {
		by.Shield = host.Guests()
		return byHand(c, o, args, &by, (*pass.Pass).Ban)
	}}
	by.BanFlags(c.Flags())
	return c
}

func unbanCommand(o *options) *cobra.Command {
	by := pass.ByHand{}
	c := &cobra.Command{Use: "unban ADDRESS|CIDR...|--all", Short: "Take bans back", Args: cobra.ArbitraryArgs, RunE: func(c *cobra.Command, args []string) error {
		return byHand(c, o, args, &by, (*pass.Pass).Unban)
	}}
	by.UnbanFlags(c.Flags())
	return c
}

// byHand is a pass with decisions of an admin in it.
func byHand(c *cobra.Command, o *options, args []string, by *pass.ByHand, decide func(*pass.Pass, pass.ByHand) error) error {
	if err := by.Take(args, c.InOrStdin()); err != nil {
		return console.Usage(err)
	}
	p, err := begin(o, time.Now(), true, false, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	console.Read(c.Context(), p)
	if err := decide(p, *by); err != nil {
		return console.Usage(err)
	}
	p.Commit(c.Context())
	return o.Tell(c.OutOrStdout(), p, false)
}

func matchCommand(o *options) *cobra.Command {
	try := trial.Options{Mode: filter.Normal}
	c := &cobra.Command{Use: "match FILTER [FILE|-]...", Short: "Try a filter on lines or on a journal", Args: cobra.MinimumNArgs(1)}
	c.Flags().TextVar(&try.Mode, "mode", try.Mode, "rules that count: normal, ddos, extra or aggressive")
	c.RunE = func(c *cobra.Command, args []string) error {
		var err error
		if try.Filter, err = filter.Open(args[0], jail.FilterDir(o.config)); err != nil {
			return console.Usage(err)
		}
		try.Paths, try.Journal, try.Now, try.JSON, try.Lines = args[1:], o.journal, time.Now(), o.JSON, o.Verbose
		warnings, err := trial.Run(c.Context(), try, c.OutOrStdout())
		o.Warn(false, warnings, nil)
		return err
	}
	return c
}

func filtersCommand(o *options) *cobra.Command {
	text := false
	c := &cobra.Command{Use: "filters [FILTER]...", Short: "The catalogue, and what of it this host has", Args: cobra.ArbitraryArgs}
	c.Flags().BoolVar(&text, "toml", false, "print the filter's file")
	c.RunE = func(c *cobra.Command, args []string) error {
		if text {
			return console.Wrong(filter.Print(c.OutOrStdout(), args, jail.FilterDir(o.config)))
		}
		subject := jail.Subject(o.config)
		subject.JournalPath, subject.Now = o.journal, time.Now()
		list, err := check.Services(c.Context(), subject, jail.FilterDir(o.config), args...)
		if err != nil {
			return console.Usage(err)
		}
		return report.Show(c.OutOrStdout(), list, o.JSON)
	}
	return c
}

func checkCommand(o *options) *cobra.Command {
	asUnit := false
	c := &cobra.Command{Use: "check", Short: "What would fail tonight", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		subject := jail.Subject(o.config)
		subject.StatePath, subject.JournalPath, subject.Now, subject.AsUnit = o.state, o.journal, time.Now(), asUnit
		return check.Run(c.Context(), subject).Write(c.OutOrStdout(), o.JSON)
	}}
	c.Flags().BoolVar(&asUnit, "as-unit", false, "this process has the rights of the unit's user")
	c.Flags().Lookup("as-unit").Hidden = true
	return c
}

func installCommand(o *options) *cobra.Command {
	var in install.Options
	c := &cobra.Command{Use: "install", Short: "Set this host up, or upgrade it", Args: cobra.NoArgs}
	in.Flags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withInstall(c, o, in, func(i *install.Install) error {
			return i.Run(c.Context(), func(ctx context.Context) (readsFiles bool, err error) {
				shield := host.Guests()
				if in.Force {
					shield = nil
				}
				p, err := begin(o, time.Now(), true, false, shield)
				if err != nil {
					return false, fmt.Errorf("%w: %w", install.ErrNoPass, err)
				}
				o.Guards = true
				err = finish(ctx, c.OutOrStdout(), o, p, false)
				return p.ReadsFiles(), err
			})
		})
	}
	return c
}

func uninstallCommand(o *options) *cobra.Command {
	var how install.How
	c := &cobra.Command{Use: "uninstall", Short: "Take everything away, the bans too", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return withInstall(c, o, install.Options{}, func(i *install.Install) error { return i.Uninstall(c.Context(), how) })
	}}
	how.Flags(c.Flags())
	return c
}

// withInstall gives do an install that knows this host.
func withInstall(c *cobra.Command, o *options, in install.Options, do func(*install.Install) error) (err error) {
	console.Whole()
	if in.Manual, err = manual.Files(c.Root()); err != nil {
		return err
	}
	in.Table = nftables.Remove
	in.LetGo = func(ctx context.Context) error { return jail.LetGo(ctx, o.config, o.state) }
	if err := in.Here(c.Name() == "install" && in.Dest == ""); err != nil {
		o.Warn(false, []string{err.Error()}, nil)
	}
	in.Out = o.Steps(c)
	i, err := install.New(in)
	if err != nil {
		return console.Usage(err)
	}
	return do(i)
}

func pauseCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "pause", Short: "Take the bans out of the kernel and stop the timer", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		console.Whole()
		paused, err := pass.Pause(c.Context(), o.state)
		if paused == nil { // the passes go on, and would bring back what is released here
			return err
		}
		held := jail.LetGo(c.Context(), o.config, o.state)
		if held != nil {
			err = errors.Join(err, fmt.Errorf("paused, and %w (%srun \"scan2ban pause\" again)", held, deliver.Before(held)))
		}
		if held == nil {
			fmt.Fprintln(o.Steps(c), paused)
		}
		return errors.Join(err, timer(c, o, (*install.Install).Pause))
	}}
}

func resumeCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "resume", Short: "Bring both back", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		console.Whole()
		if err := pass.Resume(o.state); err != nil {
			return err
		}
		fmt.Fprintln(o.Steps(c), "resumed")
		p, err := begin(o, time.Now(), true, false, host.Guests())
		if err == nil {
			err = finish(c.Context(), c.OutOrStdout(), o, p, false)
		}
		return errors.Join(err, timer(c, o, (*install.Install).Resume))
	}}
}

// timer stops or starts it, if its passes are those of this state.
func timer(c *cobra.Command, o *options, do func(*install.Install, context.Context) error) error {
	if o.state != state.DefaultPath {
		return nil
	}
	return withInstall(c, o, install.Options{}, func(i *install.Install) error { return do(i, c.Context()) })
}

func importCommand(o *options) *cobra.Command {
	in := fail2ban.Options{Dir: fail2ban.DefaultDir}
	c := &cobra.Command{Use: "import [DIR]", Short: "Convert Fail2Ban's configuration", Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			in.Dir = args[0]
		}
		in.JSON = o.JSON
		return console.Wrong(in.Run(c.OutOrStdout()))
	}}
	in.Flags(c.Flags())
	return c
}

func deliverCommand(o *options) *cobra.Command {
	var how deliver.How
	c := &cobra.Command{Use: "deliver", Short: "Send the mail and run the hooks that are due", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		what, err := jail.Deliveries(o.config, o.state, o.journal)
		if err != nil {
			return console.Usage(err)
		}
		return how.Do(c.Context(), c.OutOrStdout(), what)
	}}
	how.Flags(c.Flags())
	return c
}

func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "The version", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		v := units.Version()
		v.Journal = journal.Default()
		return report.Show(c.OutOrStdout(), v, o.JSON)
	}}
}
