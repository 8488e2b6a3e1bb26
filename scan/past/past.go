// Package past judges what was logged, from its beginning, by one policy or by several:
// what happened, and what a policy would have done.
//
//	found, err := past.Run(ctx, past.Options{Setup: setup, Policies: policies})
//	found.Write(os.Stdout)
//
// # What it promises
//
// One reading, one engine. Entries and lines are matched by the code of a pass (package
// scan) and judged by the code of a pass (state.Judge), in log time: expiry, escalation
// and recidive included. It begins with nothing, so bans of before the first entry are
// unknown to it. No state is read, none is written, and the kernel is not asked.
//
// A journal that several hosts wrote (systemd-journal-remote) is judged host by host, as
// each would have judged its own.
//
// # The pass's delay
//
// A ban takes hold with the pass after its failure: here, with the next full minute of
// log time. A failure that was logged from then on while the ban lasted is prevented; all
// others are let through. Where bans were in force when the log was written, what they
// prevented is not in it.
//
// # Bounds
//
// Addresses beyond 100,000 and names beyond 20,000 are counted in the sums alone, and the
// report says so.
package past

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/report"
)

// ErrInterrupted comes with a report of what was read before its context ended.
var ErrInterrupted = errors.New("interrupted: the report is of what was read until then")

// Options say what to read and how to judge it.
type Options struct {
	Setup    pass.Setup // by the configuration: what the jails read; Now is the clock
	Since    int64      // seconds since the Unix epoch; 0: from the beginning
	Until    int64      // and to the end, that second included; 0, or later than the clock: no end
	Files    []string   // log files, plain or .gz, that are read instead of what the jails name
	Policies []Policy   // what to compare; the first is what the report is about
	Networks report.Networks
	Notes    []string                         // of the configuration, to be told with the warnings
	Step     func(second int64, done float64) // called now and then, with the time read and how much of the span that is
}

// Policy is a way to judge.
type Policy struct {
	Name  string
	Rules map[string]*state.Rules // by jail
}

// Run reads and judges. What cannot be read is among the errors, and the rest is reported;
// when ctx ends, what was read so far is.
func Run(ctx context.Context, o Options) (*report.Past, error) {
	begun := time.Now()
	if o.Until > o.Setup.Now.Unix()+logfile.MaxAhead {
		o.Until = 0
	}
	s := newSurvey(o)
	r := &reading{Options: o, ctx: ctx}
	s.line = func() string { return r.line() }
	r.all(s.add)
	p := s.finish()
	p.Seconds = time.Since(begun).Seconds()
	if p.Interrupted = ctx.Err() != nil; p.Interrupted {
		r.errs = slices.DeleteFunc(r.errs, func(err error) bool { return errors.Is(err, ctx.Err()) })
		r.errs = append(r.errs, ErrInterrupted)
	}
	p.Warnings = slices.Concat(o.Notes, p.Warnings, r.warnings, r.gaps)
	for _, w := range o.Setup.Watches {
		for _, what := range w.Matcher.Slow() {
			p.Warnings = append(p.Warnings, fmt.Sprintf("jail %q: %s", w.Jail, what))
		}
	}
	return p, errors.Join(r.errs...)
}

// maxTime is after everything, in microseconds.
const maxTime = 1 << 62

// reading is one run.
type reading struct {
	Options
	ctx      context.Context
	begun    time.Time // by the real clock
	take     func(host string, f scan.Finding)
	line     func() string // what the finding was read from
	logs     []*log        // a heap by the time of the line that each stands at
	warnings []string
	gaps     []string
	errs     []error
	unread   logfile.Unreadable // log files
	read     int
}

// all hands every finding of the span to take, in the order of time.
func (r *reading) all(take func(host string, f scan.Finding)) {
	r.take, r.begun = take, time.Now()
	if r.Step == nil {
		r.Step = func(int64, float64) {}
	}
	for _, w := range r.Setup.Watches {
		w.Matcher.Recall(nil) // it is read from another place than a pass has left
	}
	r.openFiles()
	if entered := r.entered(); len(entered) > 0 {
		if err := r.readJournal(entered); err != nil {
			r.errs = append(r.errs, err)
		}
	}
	r.filesUntil(maxTime)
	for _, u := range r.unread.List() {
		r.errs = append(r.errs, u.Err)
	}
}

// entered are the watches that read the journal.
func (r *reading) entered() []scan.Watch {
	if len(r.Files) > 0 {
		return nil
	}
	return slices.DeleteFunc(scan.InJournal(r.Setup.Watches), func(w scan.Watch) bool { return !r.inJournal(w) })
}

// inJournal tells whether a jail's past lies in the journal: unless it is to read files, or
// may, there are some, and the journal has never held an entry of it.
func (r *reading) inJournal(w scan.Watch) bool {
	switch {
	case w.Backend == filter.File, len(w.Terms) == 0:
		return false
	case w.Backend == filter.Journal, len(w.Paths) == 0, r.Setup.JournalPath != "":
		return true
	}
	files := logfile.Any(w.Paths)
	if files && !journal.Written() { // as a pass decides
		return false
	}
	held, err := journal.Held(r.ctx, journal.Options{Now: r.Setup.Now.UnixMicro(), Matches: scan.Terms(w.Terms)})
	return held || err == nil && !files
}

// fieldHost is who wrote an entry, as its own journald has it.
const fieldHost = "_HOSTNAME"

func (r *reading) readJournal(watches []scan.Watch) error {
	fields := scan.Fields(watches)
	if r.Setup.JournalPath != "" {
		fields = append(fields, fieldHost)
	}
	until := r.Setup.Now.Unix() + 60
	if r.Until > 0 {
		until = r.Until
	}
	in, err := journal.Open(r.ctx, journal.Options{Path: r.Setup.JournalPath, Since: r.Since * 1e6, Now: r.Setup.Now.UnixMicro(), Fields: fields, Matches: scan.Matches(watches)})
	if err != nil {
		return err
	}
	defer in.Close()
	r.line = func() string { return string(in.Message()) }
	span, first, host := float64(0), int64(0), ""
	scan.JournalFrom(in, watches, scan.Limit{Second: until, Drop: r.Until > 0}, scan.Streams{}, func(f scan.Finding) {
		if len(r.logs) > 0 {
			r.filesUntil(in.Time())
		}
		if r.Setup.JournalPath != "" && f.Verdict.Kind != filter.None {
			if name, ok := in.Field(fieldHost); ok && host != string(name) {
				host = string(name)
			}
		}
		r.take(host, f) // what no filter understands blames nobody: whose it is does not matter
		if r.read++; r.read%4096 == 0 {
			if first == 0 {
				first = f.Time
				span = float64(max(min(until, r.Setup.Now.Unix())-first, 1))
			}
			r.Step(f.Time, float64(f.Time-first)/span)
		}
	})
	r.warnings = append(r.warnings, in.Warnings()...)
	for _, g := range in.Gaps() {
		gap := report.NewGap(g.From/1e6, g.To/1e6, g.Lost, g.Unit, g.Reason)
		r.gaps = append(r.gaps, gap.String())
	}
	return in.Err()
}
