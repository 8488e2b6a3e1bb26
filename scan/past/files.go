package past

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/state"
	"scan2ban/state/order"
)

// openFiles finds the log files, each with those that it was rotated into.
func (r *reading) openFiles() {
	if len(r.Files) > 0 {
		var watches []int
		for i := range r.Setup.Watches {
			watches = append(watches, i)
		}
		for i, path := range r.Files {
			if !slices.Contains(r.Files[:i], path) {
				r.open(path, watches)
			}
		}
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
	beside := map[string][]string{}
	for _, path := range slices.Sorted(maps.Keys(by)) {
		if rotated(path, by) {
			continue
		}
		for _, older := range rotations(path, beside) {
			if info, err := os.Stat(older); err == nil && info.Mode().IsRegular() && info.ModTime().Unix() >= r.Since-86400 {
				r.open(older, by[path])
			}
		}
		if !r.spare(path, by[path]) {
			r.open(path, by[path])
		}
	}
}

// spare tells whether a log is not there and need not be: those who read it have another.
func (r *reading) spare(path string, watches []int) bool {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return !slices.ContainsFunc(watches, func(i int) bool { return !logfile.Any(r.Setup.Watches[i].Paths) })
}

// rotated tells whether a file is an older one of another that is read.
func rotated(path string, read map[string][]int) bool {
	for i := range len(path) {
		if path[i] == '.' || path[i] == '-' {
			if _, ok := read[path[:i]]; ok {
				return true
			}
		}
	}
	return false
}

// rotations are the files that a log was rotated into: NAME.1, NAME-20261122, NAME.2.gz. Of
// each directory the names are listed once, in beside.
func rotations(path string, beside map[string][]string) (older []string) {
	dir, base := filepath.Split(path)
	names, listed := beside[dir]
	if !listed {
		entries, _ := os.ReadDir(cmp.Or(dir, ".")) // one that may not be listed shows nothing older
		for _, e := range entries {
			names = append(names, e.Name()) // sorted
		}
		beside[dir] = names
	}
	from, _ := slices.BinarySearch(names, base)
	for _, name := range names[from:] {
		rest, ok := strings.CutPrefix(name, base)
		if !ok {
			break
		}
		rest = strings.TrimSuffix(rest, ".gz")
		if n := len(rest); n > 0 && (rest[0] == '.' || rest[0] == '-') && rest[n-1] >= '0' && rest[n-1] <= '9' {
			older = append(older, dir+name)
		}
	}
	return older
}

// filesUntil judges the lines of the log files up to that microsecond, in the order of
// time, however the files are named and whatever order they came in.
func (r *reading) filesUntil(t int64) {
	journal := r.line
	for len(r.logs) > 0 && r.ctx.Err() == nil {
		first := r.logs[0]
		if first.time > t {
			break
		}
		if first.in != nil {
			first.judge()
			if r.read++; r.read%4096 == 0 {
				r.Step(first.time/1e6, -1)
			}
		}
		if first.next() {
			order.Sink(r.logs, earlier)
		} else {
			r.logs = order.Pop(r.logs, earlier)
		}
	}
	r.line = journal
}

// earlier tells whether the line of a log comes first.
func earlier(a, b *log) bool {
	if a.time != b.time {
		return a.time < b.time
	}
	return a.number < b.number
}

// log is one log file. It is open from its first line's turn to its last.
type log struct {
	*reading
	path    string
	number  int   // of the logs, in the order in which they were found
	watches []int // by index, whose log it is
	file    *os.File
	in      *logfile.Stream // nil: not begun
	time    int64           // µs, of the line that it stands at
	ahead   int             // lines later than the clock, which do not count
	latest  int64           // µs, of the last of them
}

// zoneRight is the likely cause of lines later than the clock.
const zoneRight = " (is its zone right? see logtimezone)"

// open takes up a log file by the time of its first line. What is not of the span, and
// what has no line with a time, is left.
func (r *reading) open(path string, watches []int) {
	l := &log{reading: r, path: path, watches: watches}
	if !l.begin() {
		return
	}
	why := ""
	for l.in.Next() {
		t := l.in.Line().Time
		if t > 0 && !l.early(t/1e6) {
			l.time, l.number = t, len(r.logs)
			r.logs = order.Push(r.logs, l, earlier)
			break
		}
		if t > 0 {
			why = "its lines are later than the clock" + zoneRight
		} else {
			why = cmp.Or(why, "no line of it has a time that is understood")
		}
	}
	if l.end(); why != "" && l.time == 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("log file %s is left out: %s", path, why))
	}
}

// next goes to the next line of the span; false at the end.
func (l *log) next() bool {
	if l.in == nil && !l.begin() {
		return false
	}
	for l.in.Next() {
		if t := l.in.Line().Time; t > 0 {
			l.time = t
		}
		if l.early(l.time / 1e6) {
			l.ahead++
			l.latest = l.time
		} else if l.within(l.time / 1e6) {
			return true
		}
	}
	if l.end(); l.ahead > 0 {
		l.warnings = append(l.warnings, fmt.Sprintf("%s of %s %s later than the clock, the last is of %s: they do not count%s",
			state.Plural(l.ahead, "line"), l.path, state.Be(l.ahead), time.UnixMicro(l.latest).UTC().Format(time.RFC3339), zoneRight))
	}
	return false
}

// early tells whether a pass would refuse that second as later than the clock, which has gone
// on since the reading began.
func (l *log) early(s int64) bool {
	ahead := s - l.Setup.Now.Unix() - logfile.MaxAhead
	return ahead > 0 && ahead > int64(time.Since(l.begun).Seconds())
}

// within tells whether a second is of the span.
func (l *log) within(s int64) bool {
	return s >= l.Since && (l.Until == 0 || s <= l.Until) && !l.early(s)
}

// begin opens the file.
func (l *log) begin() bool {
	open := logfile.OpenFile
	if len(l.Files) > 0 {
		open = logfile.OpenNamed
	}
	file, err := open(l.path)
	if err != nil {
		l.unread.Add("", fmt.Errorf("read log file: %w", err))
		return false
	}
	info, err := file.Stat()
	if err == nil {
		// A time without a year is of the last one before the file was written to.
		l.in, err = logfile.NewStream(logfile.Until(l.ctx, file), l.path, l.groups(), min(info.ModTime().Unix()+86400, l.Setup.Now.Unix()))
	}
	if err != nil {
		if l.ctx.Err() == nil {
			l.unread.Add("", fmt.Errorf("read log file %s: %w", l.path, err))
		}
		file.Close()
		return false
	}
	l.file = file
	return true
}

// end closes it.
func (l *log) end() {
	if err := l.in.Err(); err != nil && l.ctx.Err() == nil {
		l.unread.Add("", fmt.Errorf("read log file %s: %w", l.path, err))
	}
	l.file.Close()
	l.in = nil
}

func (l *log) groups() (groups []logfile.Group) {
	for _, i := range l.watches {
		groups = append(groups, l.Setup.Watches[i].Group())
	}
	return groups
}

// judge hands on what the jails make of the line.
func (l *log) judge() {
	line := l.in.Line()
	line.Time = l.time
	l.line = func() string { return string(line.Text) }
	for group, i := range l.watches {
		w := &l.Setup.Watches[i]
		if line.Times != nil && !w.Matcher.WholeLine() {
			line.Times[group] = cmp.Or(line.Times[group], l.time) // a layout's: without one, as the line before
		}
		f, own := w.Line(line, group)
		if own && l.within(f.Time) {
			l.take("", f)
		}
	}
}
