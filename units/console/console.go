// Package console is how a command tells what came of it.
//
//	os.Exit(console.ExitCode(err, os.Stderr))   what failed, and the code that tells it
//	console.Usage(err), Wrong(err), Known       what is wrong with a command line or a configuration
//	Console                                     by the global flags: what a pass did, warnings, steps
//
// Results stand on standard output, all else on standard error. With --json the former is
// JSON alone, and warnings that it holds are not said again.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"scan2ban/ban/deliver"
	"scan2ban/scan/filter"
	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/report"
)

// ExitCode says on w what failed, a line an error, and what code tells it.
func ExitCode(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "%sscan2ban: %s\n", report.Level(w, 3), report.Clean(strings.TrimSuffix(line, "\n")))
	}
	switch {
	case errors.Is(err, state.ErrLocked):
		return 3
	case errors.As(err, new(usage)):
		return 2
	}
	return 1
}

type usage struct{ error }

// Usage marks an error as one of usage or configuration: exit code 2. It is called in many
// places, and not inlined there.
//
//go:noinline
func Usage(err error) error { return usage{err} }

// Wrong is Usage of an error, and nil of none; a file that takes no more is no such error.
func Wrong(err error) error {
	if writing := (*fs.PathError)(nil); err == nil || errors.As(err, &writing) && writing.Op == "write" {
		return err
	}
	return usage{err}
}

// Known finds that a first argument names no command.
func Known(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, of := range c.Commands() {
		names = append(names, of.Name())
	}
	return fmt.Errorf("unknown command %q%s", args[0], filter.DidYouMean(args[0], names))
}

// Console is what is asked of the output.
type Console struct {
	JSON, Quiet, Verbose bool
	Guards               bool // say also what the first pass found and what is guarded
}

// Flags adds what it can be told.
func (o *Console) Flags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.JSON, "json", false, "print JSON")
	flags.BoolVarP(&o.Quiet, "quiet", "q", false, "print errors only")
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, "say more about what is done")
}

// Read reads and judges, and shows on a terminal how far it is.
func Read(ctx context.Context, p *pass.Pass) {
	progress := report.NewProgress(os.Stderr)
	p.Step = progress.Step
	p.Read(ctx)
	progress.Done()
}

// Tell prints what a pass did and gives the error of all that failed.
func (o *Console) Tell(w io.Writer, p *pass.Pass, dry bool) error {
	r := p.Report(dry)
	var err error
	switch {
	case o.JSON:
		err = report.JSON(w, r)
	case o.Quiet:
	case dry:
		r.WriteDry(w)
	case o.Guards:
		r.WriteFirst(w)
		report.Each(w, p.Guards())
	default:
		deliver.Tell(w, r.Lines())
	}
	if o.Verbose {
		for _, line := range p.Trace {
			fmt.Fprintln(os.Stderr, report.Clean(line))
		}
	}
	o.Warn(true, r.Warnings, r.Gaps)
	return errors.Join(append(p.Errs, err)...)
}

// Warn puts warnings on standard error, unless JSON is printed that holds them.
func (o *Console) Warn(held bool, warnings []string, gaps []report.Gap) {
	if o.JSON && held || o.Quiet {
		return
	}
	for _, g := range gaps {
		warnings = append(warnings, g.String())
	}
	deliver.Tell(os.Stderr, report.Warnings(warnings))
}

// Steps is where is told what is done step by step: not among JSON.
func (o *Console) Steps(c *cobra.Command) io.Writer {
	switch {
	case o.Quiet:
		return io.Discard
	case o.JSON:
		return c.ErrOrStderr()
	}
	return c.OutOrStdout()
}

// Whole has what a command does step by step go on when nobody reads of it any more: a write
// fails instead of ending the process.
func Whole() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
