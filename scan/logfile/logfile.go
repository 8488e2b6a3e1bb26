// Package logfile reads log files from where the last pass ended.
//
//	r := logfile.Open(ctx, logfile.Options{Groups: g, After: saved.Files, Since: floor, Now: now, Look: matters})
//	for r.Next() {
//		judge(r.Line())
//	}
//	// r.Unread, r.Warnings; then save r.Positions
//
// # What it promises
//
// Every line is handed out once, however the logs are cut into passes and
// whatever logrotate does to them in between: renamed (name.1, name-20261122)
// and made anew, copied and truncated, compressed at once or later. A file is
// known by device, inode and a fingerprint of its content, never by its name; one
// that several names lead to is read once. Lines come in the order of their times
// over all files, those of one log in the order in which they stand there.
// A pass reads what stood in a file when it was opened; the last line waits for
// the pass that finds its end.
//
// Of a container's log (package container) the lines are those that the container
// wrote, without the engine's wrapper, put together where they came in parts; the
// time is the engine's. A line whose beginning is not known is left out.
//
// # In which order things happen
//
// [Open] expands the globs, finds each file of the last pass again, opens those
// that have grown, and lines them up as logs: what is left of the rotated files
// first, then the current one. [Reader.Next] looks at each line (Options.Look)
// and stops at those that matter. Of a file that is read from its beginning only
// the lines from Options.Since on are looked at; in a large one they are searched
// for.
//
// The time of a line is that at its beginning, in one of a dozen layouts; a group may read
// it by itself (Group.Dates), and then a line may be of another time, or of none, to each of
// the groups. It takes its place among the lines of other logs by the first group's.
//
// # What costs what
//
// An idle pass costs an open, an fstat and a close a file; where a link is on the way, or
// the system has no openat2, an open for each name of the path. A line costs the search
// for its end, its time (the same second is not read twice), and what Look does; nothing
// is allocated.
// A file takes 128 kB while it is read, less where more than 128 logs are, and more only for
// a line that is longer, up to MaxLine; where more than 16 logs are that ends when Look has
// seen the line. A pass opens 4,096 files at most (crowd.go).
//
// # What it never does
//
// It does not write, does not ask what time it is (Options.Now), does not open
// what is no regular file, and waits for nothing. It follows no link by which a stranger
// has a file read that is not his (link.go). Of compressed files only the one (.gz) is
// read that a rotation made of a log before the pass came.
package logfile

import (
	"context"
	"fmt"
	"time"

	"scan2ban/state"
)

// MaxLine is the longest line, in bytes, that is looked at as a whole. Of a longer
// one the beginning is looked at, marked as Long.
const MaxLine = 1 << 20

// MaxAhead is how many seconds a line may be later than the clock: what is later does not
// count, for it is of a wrong zone.
const MaxAhead = 60

// Options say what to read.
type Options struct {
	Groups []Group
	After  []state.FilePosition // where the last pass ended; nil: this is the first
	// Doubted says that another user may have written After: a position that is of no directory
	// with logs is not looked at. What is read there would be told by the next one's print.
	Doubted bool

	Since  int64         // seconds since the Unix epoch: where to begin in a file without a position
	Now    int64         // seconds since the Unix epoch, the clock of the pass
	Past   bool          // Now is a moment of the past: what is later is left out without a word
	Most   int64         // bytes that are read of the logs of one glob, the rest waits for the next pass; 0: no limit
	Freely time.Duration // for so long more than Most is read

	// Look is shown every line of the groups' files and tells whether it matters:
	// the others are not handed out. nil: all do, and each log holds the line that it stands
	// at, however long. The line is valid during the call.
	Look func(*Line) bool
}

// Group is what belongs together: the logs of one jail.
type Group struct {
	Paths []string       // globs, as filepath.Match has them
	Zone  *time.Location // of times that name none; nil: the host's
	Dates Dates          // reads the times; nil: they are in one of the layouts
}

// Line is one line of a log.
type Line struct {
	Text   []byte  // without its end ("\n" or "\r\n")
	Time   int64   // microseconds since the Unix epoch
	Groups []int   // that the file belongs to, by index in Options.Groups
	Times  []int64 // by index in Groups, as Time; 0: of that group there is none. nil: all are Time
	Path   string  // of the file
	Name   string  // of the log, whatever its files were renamed to; empty: Path
	Log    int     // the number of the log, in which lines keep their order
	Syslog bool    // the file is a syslog daemon's: its lines have that prefix
	Long   bool    // only the beginning of the line
	Inner  bool    // a container's: Time is its engine's, and another may stand at its beginning
	Stream int     // of a container's line: 0 its stdout, 1 its stderr

	head int // where the time at its beginning ends
}

// Message is the line without the time at its beginning, where one stands there.
func (l *Line) Message() []byte {
	if l.Inner {
		return CutTime(l.Text)
	}
	return cut(l.Text, l.head)
}

// Reader reads the log files of one pass. It is for one goroutine.
type Reader struct {
	ctx   context.Context
	o     Options
	plan  *plan
	logs  []*log // a heap by the time of the line that each stands at
	line  Line
	read  int64
	spare [][]byte   // buffers that no file needs any more
	size  int        // of a buffer, in bytes
	large []byte     // one that no file needs any more, for a longer line
	many  Unreadable // that are left for the next pass

	opened   time.Time
	unpacked int64 // bytes, see unpackMost

	warnings  []string
	unread    Unreadable
	calledOff Unreadable // because the pass was to end
}

// Open finds the files and opens those that may hold something new. What cannot
// be read is told by Unread and Warnings, and the others are read.
func Open(ctx context.Context, o Options) *Reader {
	r := &Reader{ctx: ctx, o: o, opened: time.Now()}
	r.plan = newPlan(r)
	r.size = min(max(allBuffers/max(len(r.plan.logs), 1), minBuffer), firstBuffer)
	for _, l := range r.plan.logs {
		r.push(l)
	}
	return r
}

// Next goes to the next line that matters, in the order of time.
func (r *Reader) Next() bool {
	r.pull()
	if len(r.logs) == 0 {
		return false
	}
	l := r.logs[0]
	r.line = l.line
	l.taken = true
	return true
}

// Line is the line that Next went to. Its Text is valid until the next Next; of a long line
// that Options.Look has seen it may be nil.
func (r *Reader) Line() *Line { return &r.line }

// Positions are where this pass ended, for Options.After of the next one. They
// stand before every line that has not been handed out.
func (r *Reader) Positions() []state.FilePosition { return r.plan.positions() }

// Behind are the groups of whose logs something could not be read, by index in Options.Groups,
// with the time of the last line before that, in microseconds since the Unix epoch. A log of
// which no line was ever read is as one that is not there yet.
func (r *Reader) Behind() map[int]int64 { return r.plan.behind }

// Bytes is how much was read.
func (r *Reader) Bytes() int64 { return r.read }

// Warnings name what is odd and does not keep the pass from its work.
func (r *Reader) Warnings() []string { return r.warnings }

func (r *Reader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// Close closes the files.
func (r *Reader) Close() { r.plan.close() }
