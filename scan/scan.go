// Package scan reads what services logged and says what it means.
//
// The packages below it each know one thing: journal and logfile where entries
// come from, filter what a line says, jail what the admin wants
// watched. This one puts the first two together: it takes every entry once,
// finds the jails that it belongs to, asks their filters, and hands on what
// package state judges. It reads no clock and decides nothing.
package scan

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// Watch is what one jail reads: in the journal by its terms, or in log files.
type Watch struct {
	Jail    string
	Matcher *filter.Matcher
	Backend filter.Backend // which of the two; "" and auto leave the choice to package pass
	Terms   [][]string     // OR of ANDs of FIELD=value
	Paths   []string       // globs of log files
	Program []string       // syslog tags of the lines that are the jail's; empty: all
	Zone    *time.Location // of times in the files that name none; nil: the host's

	Container bool   // what the terms ask for are lines of containers
	Stream    string // of a container that holds the jail's lines: "stdout" or "stderr"; empty: both
	Err       error  // what keeps the jail from its logs, beside what reading them tells
	Missing   string // why there may be nothing to read; "": nothing is known against it
}

// InJournal are the watches that can read the journal.
func InJournal(watches []Watch) []Watch {
	return slices.DeleteFunc(slices.Clone(watches), func(w Watch) bool { return w.Backend == filter.File || len(w.Terms) == 0 })
}

// Entries are log entries, one after another; *journal.Reader has them.
type Entries interface {
	Next() bool                       // false at the end
	Time() int64                      // microseconds since the Unix epoch
	Message() []byte                  // valid until Next
	Field(name string) ([]byte, bool) // of the entry; valid until Next
}

// Finding is what one jail makes of one entry.
type Finding struct {
	Jail    string
	Time    int64 // seconds since the Unix epoch
	Verdict filter.Verdict
	Session string // "BOOT/PID"; set where the verdict may need it
}

// The fields that a finding may need, beside those of the matches.
const (
	fieldProgram = "SYSLOG_IDENTIFIER"
	fieldPID     = "_PID"
	fieldBoot    = "_BOOT_ID"
)

// Fields lists the journal fields that reading for these watches may ask for.
func Fields(watches []Watch) []string {
	fields := []string{fieldProgram, fieldPID, fieldBoot}
	for _, w := range watches {
		if w.Container {
			fields = append(fields, containerFields...)
		}
		for _, term := range w.Terms {
			for _, match := range term {
				fields = append(fields, field(match))
			}
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

func field(match string) string { name, _, _ := strings.Cut(match, "="); return name }

// Matches are the terms of all watches, as the journal is to be asked for them.
func Matches(watches []Watch) []journal.Match {
	var matches []journal.Match
	for _, w := range watches {
		matches = append(matches, Terms(w.Terms)...)
	}
	return matches
}

// Terms are an OR of ANDs as the journal is to be asked for it.
func Terms(terms [][]string) []journal.Match {
	matches := make([]journal.Match, len(terms))
	for i, term := range terms {
		matches[i] = term
	}
	return matches
}

// Limit is where the present ends. A journal entry later than that was written
// before the clock was set back: it counts as logged at that second, unless it
// is to be dropped because the pass is tried at a moment of the past.
type Limit struct {
	Second int64 // since the Unix epoch
	Drop   bool
}

// slack is how many seconds an entry may be ahead of the clock without a word.
const slack = 60

// Journal reads entries to their end and calls found with each jail's finding
// about each of them; it gives the number of entries.
//
// With one watch every entry is its own: the journal has proven the match. With
// several, the fields of an entry tell whose it is.
func Journal(entries Entries, watches []Watch, limit Limit, found func(Finding)) (n int) {
	return JournalFrom(entries, watches, limit, Streams{}, found)
}

// JournalFrom is Journal for who keeps from pass to pass where the streams of containers
// stand.
func JournalFrom(entries Entries, watches []Watch, limit Limit, streams Streams, found func(Finding)) (n int) {
	program := func() string { return text(entries, fieldProgram) }
	for entries.Next() {
		second := entries.Time() / 1e6
		switch {
		case limit.Drop && second > limit.Second:
			continue
		case second > limit.Second+slack:
			second = limit.Second
		}
		n++
		var line logfile.Line // of a container
		joined, whole := false, false
		for i := range watches {
			w := &watches[i]
			if len(watches) > 1 && !owns(w.Terms, entries) {
				continue
			}
			if w.Container {
				if !joined {
					line, whole = streams.line(entries)
					line.Time, joined = second*1e6, true
				}
				if f, own := w.Line(&line, 0); own && whole {
					found(f)
				}
				continue
			}
			f := Finding{Jail: w.Jail, Time: second}
			switch {
			case len(entries.Message()) > journal.MaxMessage:
				f.Verdict = filter.Verdict{Kind: filter.Refused, Reason: reasonLong}
			case w.Matcher.WholeLine():
				f.Verdict = w.Matcher.MatchDated(syslogLine(entries), "journal", time.Unix(second, 0))
			default:
				w.Matcher.MatchInto(&f.Verdict, logfile.CutTime(entries.Message()), program)
			}
			if sessional(&f.Verdict) {
				f.Session = session(text(entries, fieldBoot), text(entries, fieldPID))
			}
			found(f)
		}
	}
	return n
}

// sessional tells whether judging needs to know the session of the verdict's
// line; fetching it costs.
func sessional(v *filter.Verdict) bool {
	switch v.Kind {
	case filter.Success:
		return v.Rule.Unless != ""
	case filter.Failure:
		return v.Rule.Unless != "" || !v.Rule.Alone && (v.Rule.Stage > 0 || v.Rule.Once || v.Rule.After != "")
	case filter.Mark:
		return true
	}
	return false
}

// syslogLine is an entry as a syslog daemon would have written it, without the time.
func syslogLine(entries Entries) []byte {
	message := bytes.Clone(entries.Message())
	line := text(entries, "_HOSTNAME")
	program, pid := text(entries, fieldProgram), text(entries, "SYSLOG_PID")
	if program == "" {
		program = text(entries, "_COMM")
	}
	if pid == "" {
		pid = text(entries, fieldPID)
	}
	if pid != "" {
		pid = "[" + pid + "]"
	}
	return append([]byte(strings.TrimSpace(line+" "+program+pid)+": "), message...)
}

func text(entries Entries, name string) string {
	value, _ := entries.Field(name)
	return string(value)
}

// session names a server process: its boot, shortened, and its pid. Without a
// pid there is none.
func session(boot, pid string) string {
	if pid == "" {
		return ""
	}
	return boot[:min(8, len(boot))] + "/" + pid
}

// owns tells whether the entry fulfils one of the terms.
func owns(terms [][]string, entries Entries) bool {
	return slices.ContainsFunc(terms, func(term []string) bool {
		return !slices.ContainsFunc(term, func(match string) bool {
			name, want, _ := strings.Cut(match, "=")
			have, ok := entries.Field(name)
			return !ok || !bytes.Equal(have, []byte(want))
		})
	})
}

// Event is what the finding hands to the judging; ok is false where there is
// nothing to judge.
func (f *Finding) Event() (e state.Event, ok bool) {
	return f.Verdict.Event(f.Jail, f.Time, f.Session)
}

// Tally counts the finding.
func (f *Finding) Tally() state.Tally {
	t := state.Tally{Entries: 1}
	switch {
	case f.Verdict.Understood():
		t.Understood = 1
	case f.Verdict.Kind == filter.Refused:
		t.Refused = map[string]int64{f.Verdict.Reason: 1}
	}
	return t
}

// Rule is the name of the rule that decided, "" where none did.
func (f Finding) Rule() string {
	if f.Verdict.Rule == nil {
		return ""
	}
	return f.Verdict.Rule.Name
}
