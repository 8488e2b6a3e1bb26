package logfile

import (
	"errors"
	"fmt"
	"time"

	"scan2ban/scan/container"
	"scan2ban/state/order"
)

// log is a log file with those that it was rotated into, in the order in which
// they were written.
type log struct {
	number int
	name   string
	zone   *time.Location
	files  []*file // that are to be read; the first is being read
	line   Line    // where it stands
	taken  bool    // the line has been handed out

	streams [container.Streams]stream // of a container's log
}

// advance goes to the next line that matters; false at the end of the log.
func (l *log) advance(r *Reader) bool {
	l.taken = false
	for len(l.files) > 0 {
		f := l.files[0]
		ok, err := false, error(nil)
		if f.cut.src == nil {
			err = f.begin(r, l)
		}
		if err == nil {
			ok, err = f.next(r, &l.line)
		}
		if ok {
			l.wait(r)
			return true
		}
		if err != nil {
			f.lose()
			r.plan.late(l.name, f.pos.Time)
			if errors.Is(err, errEnough) {
				f.enough = true
				r.tellEnough(l.name)
			} else {
				r.fail(l.name, fmt.Errorf("read log file %s: %w", f.pos.Path, err))
			}
		}
		f.end(r)
		l.files = l.files[1:]
	}
	return false
}

// tellEnough says once of each glob that the rest of its logs waits.
func (r *Reader) tellEnough(log string) {
	s := r.plan.share(log)
	if s.enough {
		return
	}
	s.enough = true
	glob, groups := r.globOf(log)
	r.many.Add(glob, fmt.Errorf("log files %s: more than %d MB are new, and reading them takes long: the rest waits for the next passes", glob, r.o.Most>>20), groups...)
}

// push puts a log into the heap at its first line that matters.
func (r *Reader) push(l *log) {
	if l.advance(r) {
		r.logs = order.Push(r.logs, l, earlier)
	}
}

// pull goes on with the log whose line was handed out.
func (r *Reader) pull() {
	if len(r.logs) == 0 || !r.logs[0].taken {
		return
	}
	if r.logs[0].advance(r) {
		order.Sink(r.logs, earlier)
	} else {
		r.logs = order.Pop(r.logs, earlier)
	}
}

// earlier tells whether the line of a log comes first.
func earlier(a, b *log) bool {
	if a.line.Time != b.line.Time {
		return a.line.Time < b.line.Time
	}
	return a.number < b.number
}
