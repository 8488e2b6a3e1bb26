package scan

import (
	"context"
	"fmt"
	"io"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// Trying a filter: the same matching as a pass, one filter, nothing judged.

// Trial is one line or entry that a filter was tried on.
type Trial struct {
	Finding
	N       int    // the number of the line or entry, from 1
	Other   bool   // the line is another program's: the filter does not see it
	Counted bool   // it is a failure not counted before
	Text    []byte // what was tried
	Message []byte // what of it the filter saw
}

// MatchLines tries a filter on the lines of a text, which may be compressed with
// gzip; path is its name, now the clock for times without a year.
func MatchLines(in io.Reader, path string, now time.Time, rules *filter.Filter, matcher *filter.Matcher, tried func(Trial)) error {
	w := Watch{Jail: rules.Name, Matcher: matcher, Program: rules.File.Program, Stream: rules.Stream()}
	lines, err := logfile.NewStream(in, path, []logfile.Group{w.Group()}, now.Unix())
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	count := counter()
	for lines.Next() {
		f, own := w.Line(lines.Line(), 0)
		if !own {
			f.Time = lines.Line().Time / 1e6
		}
		t := Trial{Finding: f, N: lines.Number(), Other: !own, Text: lines.Line().Text, Message: takeApart(lines.Line()).message}
		t.Counted = own && count(&t.Finding)
		tried(t)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// MatchJournal tries a filter on the entries of a journal that it asks for; path
// as in journal.Options.
func MatchJournal(ctx context.Context, path string, now time.Time, rules *filter.Filter, matcher *filter.Matcher, tried func(Trial)) (warnings []string, err error) {
	watches := []Watch{{Jail: rules.Name, Matcher: matcher, Terms: rules.Matches()}}
	if len(watches[0].Terms) == 0 {
		return nil, fmt.Errorf("filter %q has no match in the journal: name a log file", rules.Name)
	}
	r, err := journal.Open(ctx, journal.Options{Path: path, Now: now.UnixMicro(), Fields: Fields(watches), Matches: Matches(watches)})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	count, n := counter(), 0
	Journal(r, watches, Limit{Second: now.Unix()}, func(f Finding) {
		n++
		tried(Trial{Finding: f, N: n, Counted: count(&f), Text: r.Message(), Message: logfile.CutTime(r.Message())})
	})
	return r.Warnings(), r.Err()
}

// counter tells of findings, in their order, which count as failures.
func counter() func(*Finding) bool {
	sessions := state.NewSessions()
	return func(f *Finding) bool {
		e, ok := f.Event()
		switch {
		case !ok:
		case e.Kind == state.KindMark:
			sessions.Mark(&e)
		case e.Kind == state.KindSuccess:
			sessions.Heard(&e)
		case e.Kind == state.KindFailure:
			counts := sessions.Counts(&e)
			if f.Verdict.Addr = e.Addr; !e.Addr.IsValid() { // which the session may have named
				f.Verdict.Kind, f.Verdict.Reason = filter.Refused, "its session has named no client"
			}
			return counts
		}
		return false
	}
}
