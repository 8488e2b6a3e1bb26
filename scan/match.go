package scan

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// Trying a filter: the same matching as a pass, one filter, nothing judged.

// maxLine is the longest line that is looked at, in bytes; the rest of a longer
// one is dropped, and such a line proves nothing.
const maxLine = 64 << 10

// File tries a filter on the lines of a file, "-" for standard input. Lines with
// the prefix of a syslog daemon whose program is not the filter's are passed over.
func File(path string, rules *filter.Filter, matcher *filter.Matcher, found func(Finding)) error {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	count := counter()
	lines := bufio.NewReaderSize(in, maxLine)
	for {
		line, long, err := lines.ReadLine()
		for long && err == nil {
			_, long, err = lines.ReadLine()
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		program, pid, message, tagged := filter.SplitSyslog(line)
		if !tagged {
			message = logfile.CutTime(message)
		}
		if program != "" && !writes(rules, program) {
			continue
		}
		v := matcher.Match(message, func() string { return program })
		f := Finding{Jail: rules.Name, Verdict: v, Line: line}
		if pid != "" {
			f.Session = session("", pid)
		}
		found(count(f))
	}
}

// MatchJournal tries a filter on the entries of a journal that it asks for; path
// as in journal.Options.
func MatchJournal(ctx context.Context, path string, now time.Time, rules *filter.Filter, matcher *filter.Matcher, found func(Finding)) (warnings []string, err error) {
	watches := []Watch{{Jail: rules.Name, Matcher: matcher, Terms: rules.Matches()}}
	r, err := journal.Open(ctx, journal.Options{Path: path, Now: now.UnixMicro(), Fields: Fields(watches), Matches: Matches(watches)})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	count := counter()
	Journal(r, watches, Limit{Second: now.Unix()}, func(f Finding) {
		f.Line = r.Message()
		found(count(f))
	})
	return r.Warnings(), r.Err()
}

// counter tells of findings, in their order, which count as failures.
func counter() func(Finding) Finding {
	sessions := state.NewSessions()
	return func(f Finding) Finding {
		e, ok := f.Event()
		switch {
		case !ok:
		case e.Kind == state.KindMark:
			sessions.Mark(&e)
		case e.Kind == state.KindSuccess:
			sessions.Heard(&e)
		case e.Kind == state.KindFailure:
			f.Counted = sessions.Counts(&e)
		}
		return f
	}
}

// writes tells whether lines of that program are the filter's.
func writes(rules *filter.Filter, program string) bool {
	return len(rules.File.Program) == 0 || slices.Contains(rules.File.Program, program)
}
