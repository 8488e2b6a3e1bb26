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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/report"
)

// Options say what to read and how to judge it.
type Options struct {
	Setup    pass.Setup // by the configuration: what the jails read; Now is the clock
	Since    int64      // seconds since the Unix epoch; 0: from the beginning
	Until    int64      // and to the end, that second included; 0: no end
	Files    []string   // log files, plain or .gz, that are read instead of what the jails name
	Policies []Policy   // what to compare; the first is what the report is about
	Networks report.Networks
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
	s := newSurvey(o)
	r := &reading{Options: o, ctx: ctx}
	s.line = func() string { return r.line() }
	r.all(s.add)
	p := s.finish()
	p.Seconds = time.Since(begun).Seconds()
	if p.Interrupted = ctx.Err() != nil; p.Interrupted {
		r.errs = slices.DeleteFunc(r.errs, func(err error) bool { return errors.Is(err, ctx.Err()) })
	}
	p.Warnings = append(p.Warnings, r.warnings...)
	return p, errors.Join(r.errs...)
}

// maxTime is after everything, in microseconds.
const maxTime = 1 << 62

// reading is one run.
type reading struct {
	Options
	ctx      context.Context
	take     func(host string, f scan.Finding)
	line     func() string // what the finding was read from
	logs     []*chain      // of files, by the time at which each stands
	warnings []string
	errs     []error
	read     int
}

// all hands every finding of the span to take, in the order of time.
func (r *reading) all(take func(host string, f scan.Finding)) {
	r.take = take
	if r.Step == nil {
		r.Step = func(int64, float64) {}
	}
	r.openFiles()
	if entered := r.entered(); len(entered) > 0 {
		if err := r.readJournal(entered); err != nil {
			r.errs = append(r.errs, err)
		}
	}
	r.filesUntil(maxTime)
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
	held, err := journal.Held(r.ctx, journal.Options{Now: r.Setup.Now.UnixMicro(), Matches: scan.Terms(w.Terms)})
	return held || err == nil && !logfile.Any(w.Paths)
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
		r.warnings = append(r.warnings, gap.String())
	}
	return in.Err()
}

// openFiles finds the log files, each with those that it was rotated into.
func (r *reading) openFiles() {
	if len(r.Files) > 0 {
		var watches []int
		for i := range r.Setup.Watches {
			watches = append(watches, i)
		}
		r.chain(r.Files, watches)
		return
	}
	by := map[string][]int{}
	for i, w := range r.Setup.Watches {
		if len(w.Paths) == 0 || w.Backend == filter.Journal || r.inJournal(w) || r.Setup.JournalPath != "" {
			continue
		}
		for _, glob := range w.Paths {
			paths, err := logfile.Expand(glob)
			if err != nil {
				r.errs = append(r.errs, err)
			}
			for _, path := range paths {
				if !slices.Contains(by[path], i) {
					by[path] = append(by[path], i)
				}
			}
		}
	}
	taken := map[string]bool{}
	for path := range by {
		taken[path] = true
	}
	for path, watches := range by {
		if !rotated(path, taken) {
			r.chain(history(path), watches)
		}
	}
}

// rotated tells whether a file is an older one of another that is read.
func rotated(path string, taken map[string]bool) bool {
	for base := range taken {
		if rest, ok := strings.CutPrefix(path, base); ok && rest != "" && (rest[0] == '.' || rest[0] == '-') {
			return true
		}
	}
	return false
}

// history is a log file behind those that it was rotated into, the oldest first.
func history(path string) []string {
	older, _ := filepath.Glob(escape(path) + `[.\-]*`) // the pattern is well-formed
	changed := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortStableFunc(older, func(a, b string) int { return int(changed(a)/1e9 - changed(b)/1e9) })
	older = slices.DeleteFunc(older, func(path string) bool {
		rest := strings.TrimSuffix(path[len(path)-min(len(path), 24):], ".gz")
		digit := rest[max(len(rest)-1, 0):]
		return changed(path) == 0 || digit < "0" || digit > "9" // not NAME.1, NAME-20261122, NAME.2.gz
	})
	return append(older, path)
}

// escape makes a path a pattern that matches it alone.
func escape(path string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`).Replace(path)
}

func (r *reading) chain(paths []string, watches []int) {
	c := &chain{reading: r, paths: paths, watches: watches}
	if c.next() {
		r.logs = append(r.logs, c)
	}
}

// filesUntil judges the lines of the log files up to that microsecond, in the order of
// time.
func (r *reading) filesUntil(t int64) {
	journal := r.line
	for len(r.logs) > 0 && r.ctx.Err() == nil {
		first := slices.MinFunc(r.logs, func(a, b *chain) int { return compare(a.time, b.time) })
		if first.time > t {
			break
		}
		first.judge()
		if r.read++; r.read%4096 == 0 {
			r.Step(first.time/1e6, -1)
		}
		if !first.next() {
			r.logs = slices.DeleteFunc(r.logs, func(c *chain) bool { return c == first })
		}
	}
	r.line = journal
}

func compare(a, b int64) int {
	if a < b {
		return -1
	} else if a > b {
		return 1
	}
	return 0
}

// chain is a log: a file and those that it was rotated into.
type chain struct {
	*reading
	paths   []string // still to be opened
	watches []int    // by index, whose log it is
	file    *os.File
	in      *logfile.Stream
	time    int64 // µs, of the line that it stands at
}

// next goes to the next line of the span; false at the end of the last file.
func (c *chain) next() bool {
	for c.ctx.Err() == nil {
		if c.in == nil && !c.open() {
			return false
		}
		if !c.in.Next() {
			if err := c.in.Err(); err != nil {
				c.errs = append(c.errs, fmt.Errorf("read log file %s: %w", c.file.Name(), err))
			}
			c.file.Close()
			c.in = nil
			continue
		}
		if t := c.in.Line().Time; t > 0 {
			c.time = t
		}
		if s := c.time / 1e6; s >= c.Since && (c.Until == 0 || s <= c.Until) {
			return true
		}
	}
	return false
}

// open opens the next file that can be read.
func (c *chain) open() bool {
	for len(c.paths) > 0 {
		path := c.paths[0]
		c.paths = c.paths[1:]
		file, err := os.Open(path)
		if err != nil {
			c.errs = append(c.errs, fmt.Errorf("read log file: %w", err))
			continue
		}
		info, err := file.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("read log file %s: it is no regular file", path)
		}
		if err == nil {
			// A time without a year is of the last one before the file was written to.
			c.in, err = logfile.NewStream(logfile.Until(c.ctx, file), path, c.zone(), min(info.ModTime().Unix()+86400, c.Setup.Now.Unix()))
		}
		if err != nil {
			c.errs = append(c.errs, err)
			file.Close()
			continue
		}
		c.file = file
		return true
	}
	return false
}

func (c *chain) zone() *time.Location {
	for _, i := range c.watches {
		if zone := c.Setup.Watches[i].Zone; zone != nil {
			return zone
		}
	}
	return time.Local
}

// judge hands on what the jails make of the line.
func (c *chain) judge() {
	line := c.in.Line()
	line.Time = c.time
	c.line = func() string { return string(line.Text) }
	for _, i := range c.watches {
		if f, own := c.Setup.Watches[i].Line(line); own {
			f.Time = c.time / 1e6
			if f.Time > 0 {
				c.take("", f)
			}
		}
	}
}
