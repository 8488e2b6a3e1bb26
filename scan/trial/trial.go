// Package trial tries a filter on logs, for who writes one: what each line proves,
// how often each rule holds, which lines no rule understands. Nothing is judged, and
// nothing kept.
package trial

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/state/report"
)

// Options say what to try on what.
type Options struct {
	Filter  *filter.Filter
	Mode    filter.Mode
	Paths   []string // files, journals, "-" for standard input; none: the journal
	Journal string   // that is read where no path is named; empty: the host's
	Now     time.Time
	JSON    bool
	Lines   bool // show every line in the text too
}

// Run tries the filter and prints on w. A path that cannot be read does not keep the
// others from it.
func Run(ctx context.Context, o Options, w io.Writer) (warnings []string, err error) {
	var names []string
	for _, r := range o.Filter.Rules() {
		names = append(names, r.Name)
	}
	if o.Filter.Script != nil {
		for _, e := range o.Filter.Script.Failures {
			names = append(names, e.Name)
		}
	}
	out := report.NewMatches(w, o.JSON, o.Lines, names)
	matcher := o.Filter.Compile(o.Mode)
	before, last := 0, 0 // numbers go on from path to path
	tried := func(t scan.Trial) {
		n := before + t.N
		last = n
		if t.Other {
			out.Add(report.Other(n), t.Verdict.Addr, t.Time, t.Text, t.Message)
			return
		}
		out.Add(report.Match{N: n, Verdict: t.Verdict.Kind.String(), Rule: t.Rule(), User: t.Verdict.User,
			Reason: t.Verdict.Reason, Session: t.Session, Counted: t.Counted}, t.Verdict.Addr, t.Time, t.Text, t.Message)
	}
	journal := func(path string) error {
		more, err := scan.MatchJournal(ctx, path, o.Now, o.Filter, matcher, tried)
		warnings = append(warnings, more...)
		return err
	}
	var errs []error
	if len(o.Paths) == 0 {
		errs = append(errs, journal(o.Journal))
	}
	for _, path := range o.Paths {
		before = last
		if isJournal(path) {
			errs = append(errs, journal(path))
			continue
		}
		errs = append(errs, file(ctx, path, o.Now, o.Filter, matcher, tried))
		if ctx.Err() != nil {
			break
		}
	}
	return append(warnings, matcher.Slow()...), errors.Join(append(errs, out.Done())...)
}

// isJournal tells whether a path is that of a journal: a directory, or a file whose
// name says so.
func isJournal(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || strings.HasSuffix(path, ".journal") || strings.HasSuffix(path, ".journal~"))
}

func file(ctx context.Context, path string, now time.Time, rules *filter.Filter, matcher *filter.Matcher, tried func(scan.Trial)) error {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return scan.MatchLines(logfile.Until(ctx, in), path, now, rules, matcher, tried)
}
