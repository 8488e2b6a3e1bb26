package scan

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// Logs are the findings in log files, in the order of time. They are pulled, so
// that they can be judged between those of the journal.
//
// A line that has the prefix of a syslog daemon is its filter's when the program
// is. In a file of such a daemon no other line is: what follows a line feed in a
// message was written by whoever sent the message.
//
// The files are read ahead of what is handed out: what Logs tells of the whole is so after
// Rest.
type Logs struct {
	reader  *logfile.Reader
	entries int // lines that were some jail's
	watches []Watch
	found   [][]Finding     // of the line that each log stands at
	ahead   ahead           // the findings, in order
	undated map[undated]int // failures that were refused for want of a date
	program []byte          // of the line that is being looked at
	session string          // of one looked at before
	tell    func() string
	tallies []tallies
}

// tallies are what a jail has seen, on the day that is being read.
type tallies struct {
	day  int64
	now  state.Tally
	past map[int64]state.Tally // by day
}

// OpenLogs begins to read the log files of the watches. Of the options the groups
// and what to look at are set here.
func OpenLogs(ctx context.Context, watches []Watch, o logfile.Options) *Logs {
	l := &Logs{watches: watches, undated: map[undated]int{}, tallies: make([]tallies, len(watches))}
	l.tell = func() string { return string(l.program) }
	o.Groups = nil
	for _, w := range watches {
		o.Groups = append(o.Groups, w.Group())
	}
	o.Look = l.look
	ctx, l.ahead.stop = context.WithCancel(ctx)
	l.reader = logfile.Open(ctx, o)
	if l.reader.Next() {
		l.ahead.start(l.more)
	}
	return l
}

// Close ends the reading and closes the files.
func (l *Logs) Close() {
	l.ahead.close()
	l.reader.Close()
}

// more adds the findings in the line that the reader stands at, and goes to the next.
func (l *Logs) more(batch []placed) ([]placed, bool) {
	line := l.reader.Line()
	for _, f := range l.found[line.Log] {
		batch = append(batch, placed{line.Time / 1e6, f})
	}
	l.found[line.Log] = l.found[line.Log][:0]
	return batch, l.reader.Next()
}

// Until hands on what was logged up to and in that second.
func (l *Logs) Until(second int64, found func(Finding)) { l.ahead.until(second, found) }

// Rest hands on what is left.
func (l *Logs) Rest(found func(Finding)) { l.Until(math.MaxInt64, found) }

// Tallies gives what each jail has seen, by a second of each day, once all is read.
func (l *Logs) Tallies(add func(jail string, second int64, t state.Tally)) {
	for i := range l.tallies {
		t := &l.tallies[i]
		t.turn(t.day)
		for day, seen := range t.past {
			add(l.watches[i].Jail, day*86400, seen)
		}
	}
}

// turn begins to count for another day.
func (t *tallies) turn(day int64) {
	if t.now.Entries > 0 {
		if t.past == nil {
			t.past = map[int64]state.Tally{}
		}
		sum := t.past[t.day]
		sum.Add(t.now)
		t.past[t.day] = sum
	}
	t.day, t.now = day, state.Tally{}
}

const (
	reasonLong    = "too long: its end was not looked at"
	reasonUndated = "no date in it or before it"
	reasonCut     = "so long that busybox's syslogd may have cut off its end"
	reasonOld     = "so long that syslog may have cut off its end, and with it the address"
)

// undated is where failures have no date.
type undated struct{ jail, path string }

// Entries is how many lines were some jail's.
func (l *Logs) Entries() int { return l.entries }

// Positions are where the next pass is to go on, for logfile.Options.After.
func (l *Logs) Positions() []state.FilePosition { return l.reader.Positions() }

// Bytes is how much was read.
func (l *Logs) Bytes() int64 { return l.reader.Bytes() }

// Unread is what could not be read; a group is the watch of that index.
func (l *Logs) Unread() []logfile.Unread { return l.reader.Unread() }

// Behind are the watches, by index, of whose logs something could not be read, with the second
// of the last line before that.
func (l *Logs) Behind() map[int]int64 {
	seconds := map[int]int64{}
	for g, µs := range l.reader.Behind() {
		seconds[g] = µs / 1e6
	}
	return seconds
}

// Warnings are the reader's, and of the jails' lines that have no date.
func (l *Logs) Warnings() []string {
	warnings := l.reader.Warnings()
	for at, n := range l.undated {
		warnings = append(warnings, fmt.Sprintf("jail %q: %s of %s %s refused: no date in them or before them (see dates in its filter's [script], and scan2ban match)", at.jail, state.Plural(n, "line"), at.path, state.Be(n)))
	}
	slices.Sort(warnings[len(l.reader.Warnings()):])
	return warnings
}

// look asks the filters of the line's jails, and keeps what there is to judge.
func (l *Logs) look(line *logfile.Line) bool {
	for len(l.found) <= line.Log {
		l.found = append(l.found, nil)
	}
	t := takeApart(line)
	t.before = &l.session
	l.program = t.prefix.Program
	owned := false
	found := l.found[line.Log][:0]
	for i, g := range line.Groups {
		w := &l.watches[g]
		if !w.owns(line, &t) {
			continue
		}
		owned = true
		found = append(found, Finding{})
		f := &found[len(found)-1]
		w.find(f, line, i, &t, l.tell)
		if f.Verdict.Reason == reasonUndated {
			l.undated[undated{w.Jail, line.Path}]++
		}
		seen := &l.tallies[g]
		if day := f.Time / 86400; day != seen.day {
			seen.turn(day)
		}
		seen.now.Add(f.Tally())
		switch f.Verdict.Kind {
		case filter.Failure, filter.Success, filter.Mark:
			f.Verdict.User = short(f.Verdict.User)
		default:
			found = found[:len(found)-1]
		}
	}
	l.found[line.Log] = found
	if owned {
		l.entries++
	}
	return len(found) > 0
}

// parts are a line taken apart.
type parts struct {
	prefix  filter.Syslog
	tagged  bool // it has such a prefix
	message []byte
	times   int     // that it was repeated
	before  *string // the session of a line before; nil: that is not known
}

// session names the process that wrote the line. Most write several in a row.
func (t *parts) session() string {
	const begin = "file/"
	pid := t.prefix.PID[:min(len(t.prefix.PID), maxShort)]
	if t.before == nil {
		return begin + string(pid)
	}
	if name, same := strings.CutPrefix(*t.before, begin); !same || name != string(pid) {
		*t.before = begin + string(pid)
	}
	return *t.before
}

func takeApart(line *logfile.Line) (t parts) {
	t.prefix, t.message, t.tagged = filter.CutSyslog(line.Text)
	t.times = 1
	if t.tagged {
		t.message, t.times = repeated(t.message)
	} else {
		t.message = line.Message()
	}
	return t
}

// Group is how the watch reads log files.
func (w *Watch) Group() logfile.Group {
	g := logfile.Group{Paths: w.Paths, Zone: w.Zone}
	if w.Matcher.WholeLine() {
		g.Dates = w.Matcher
	}
	return g
}

// owns tells whether a line of one of its files is the watch's.
func (w *Watch) owns(line *logfile.Line, t *parts) bool {
	if line.Inner && w.Stream != "" && (w.Stream == "stderr") != (line.Stream == 1) {
		return false
	}
	return len(w.Program) == 0 || !t.tagged && !line.Syslog || w.wrote(t.prefix.Program)
}

// find asks the filter and puts what it says into f; program gives the syslog tag. The watch
// is the line's group of that index.
func (w *Watch) find(f *Finding, line *logfile.Line, group int, t *parts, program func() string) {
	at, dated := line.Time, true
	if line.Times != nil {
		at = line.Times[group]
		dated = at != 0
	}
	f.Jail, f.Time, f.Session = w.Jail, at/1e6, ""
	if !dated {
		f.Time = line.Time / 1e6
	}
	switch {
	case line.Long:
		f.Verdict = filter.Verdict{Kind: filter.Refused, Reason: reasonLong}
	case w.Matcher.WholeLine():
		f.Verdict = w.Matcher.MatchLine(line.Text, cmp.Or(line.Name, line.Path), time.UnixMicro(at))
	default:
		w.Matcher.MatchInto(&f.Verdict, t.message, program)
	}
	switch blames := f.Verdict.Kind == filter.Failure || f.Verdict.Kind == filter.Success; {
	case !dated && blames:
		f.Verdict = filter.Verdict{Kind: filter.Refused, Rule: f.Verdict.Rule, Reason: reasonUndated}
	case t.prefix.Cut && (blames || f.Verdict.Kind == filter.Mark):
		f.Verdict = filter.Verdict{Kind: filter.Refused, Rule: f.Verdict.Rule, Reason: reasonCut}
	case t.tagged && len(line.Text) >= filter.OldLeaves && f.Verdict.Addr.IsValid() && f.Verdict.Moves:
		f.Verdict = filter.Verdict{Kind: filter.Refused, Rule: f.Verdict.Rule, Reason: reasonOld}
	}
	f.Verdict.Weight *= t.times
	f.Verdict.PID, f.Verdict.Conn = short(f.Verdict.PID), short(f.Verdict.Conn)
	switch {
	case !sessional(&f.Verdict):
	case len(t.prefix.PID) > 0:
		f.Session = t.session()
	case f.perFile():
		f.Session = line.Path
	}
}

// maxShort is how much of a user's name or a process's number a finding holds that waits to
// be judged, in bytes: the line may be a megabyte of it. The state keeps less of a name.
const maxShort = 128

func short(s string) string {
	if len(s) <= maxShort {
		return s
	}
	return strings.Clone(s[:maxShort])
}

// Line is what the watch makes of one line of a log file; own says whether it is
// the watch's at all. The watch is the line's group of that index.
func (w *Watch) Line(line *logfile.Line, group int) (f Finding, own bool) {
	t := takeApart(line)
	if !w.owns(line, &t) {
		return f, false
	}
	w.find(&f, line, group, &t, func() string { return string(t.prefix.Program) })
	return f, true
}

// perFile tells whether, in a log that names no processes, the whole file is the
// finding's session: it is of one daemon.
func (f *Finding) perFile() bool {
	r := f.Verdict.Rule
	return r != nil && (r.Unless != "" || r.Kind == filter.Mark)
}

// maxTag is how long a tag may be that a name with "*" stands for. It is client text,
// and a long one could push the end of a message off a line that is cut.
const maxTag = 64

// wrote tells whether a program is one of the watch's; "*" in a name is any text.
func (w *Watch) wrote(program []byte) bool {
	for _, name := range w.Program {
		if string(program) == name {
			return true
		}
		begin, end, any := strings.Cut(name, "*")
		if any && len(program) <= maxTag && len(program) >= len(begin)+len(end) && bytes.HasPrefix(program, []byte(begin)) && bytes.HasSuffix(program, []byte(end)) {
			return true
		}
	}
	return false
}

// maxRepeats is how often a line is believed to have been repeated.
const maxRepeats = 1000

// repeated undoes what rsyslog makes of lines that come again and again: "message
// repeated 3 times: [ MESSAGE]".
func repeated(message []byte) (inner []byte, times int) {
	rest, ok := bytes.CutPrefix(message, []byte("message repeated "))
	if !ok {
		return message, 1
	}
	number, rest, ok := bytes.Cut(rest, []byte(" times: ["))
	rest, whole := bytes.CutSuffix(rest, []byte("]"))
	n, err := strconv.Atoi(string(number))
	if !ok || !whole || err != nil || n < 1 {
		return message, 1
	}
	return bytes.TrimPrefix(rest, []byte(" ")), min(n, maxRepeats)
}
