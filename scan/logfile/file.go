package logfile

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/scan/container"
	"scan2ban/state"
)

// file is one file that is read in this pass.
type file struct {
	pos    state.FilePosition // what is judged; brought up to date by commit
	begun  state.FilePosition // where the reading begins, with the print of what is there
	groups []int
	log    int  // its number
	fresh  bool // read from its beginning
	syslog bool

	f  *os.File
	gz bool // a rotated file, compressed
	wrapped
	limit int64
	cut   cutter
	clock Clock
	dates datings
	times []int64 // by dates, of the line cut last
	of    []int   // the groups that it is handed out for
	last  int64   // the time of the line cut last, in microseconds since the Unix epoch

	ahead    int   // lines later than the clock
	aheadBy  int64 // the last of them, in seconds
	untimed  bool  // a line that mattered had no time
	finished bool
	enough   bool // more of it is left for the next pass
}

// begin makes the file ready to be read at its position.
func (f *file) begin(r *Reader, l *log) error {
	f.clock = Clock{Zone: l.zone, Now: r.o.Now * 1e6, Last: f.pos.Time}
	f.last = f.pos.Time
	from := f.unwrap(l)
	f.syslog = f.isSyslog()
	if f.format() == container.Plain { // else its engine has the time
		f.dates = newDatings(r.o.Groups, f.groups, r.o.Now*1e6, f.pos.Time)
	}
	share := r.plan.share(l.name)
	f.cut = cutter{src: &counted{f, r, share}, offset: from, inside: f.pos.Inside && from == f.pos.Offset, final: f.cut.final}
	if r.manyLogs() {
		f.cut.most, f.cut.grow = r.size, r.larger
	}
	if f.gz {
		unpacked, err := gzip.NewReader(io.NewSectionReader(f.f, 0, f.limit))
		if err == nil {
			source := &unpacking{r: r, from: unpacked}
			_, err = io.CopyN(io.Discard, source, from) // was read by an earlier pass
			source.share = share
			f.cut.src = source
		}
		return err
	}
	if f.fresh && r.o.Since > 0 {
		f.cut.offset = f.begins(r, l.zone)
		f.skipped()
	}
	f.cut.hole = f.hole
	f.cut.buf = r.buffer(f.limit - f.cut.offset)
	return nil
}

// printAsBegun notes what the file is while it is whole; of a packed one its first bytes tell.
func (f *file) printAsBegun() {
	f.begun = f.pos
	switch n := int(min(f.limit, printed)); {
	case f.gz && f.pos.Print == "":
		f.begun.Print, f.begun.Bytes, _ = packedPrint(f.f)
	case !f.gz && (f.pos.Print == "" || f.pos.Bytes < n):
		if print, err := fingerprint(f.f, n, f.pos.Offset); err == nil { // else it was truncated already
			f.begun.Print, f.begun.Bytes, f.begun.Printed = print, n, 0
		}
	}
}

// unpackMost is how much a pass unpacks, in bytes: a thousandth of it, packed, may be what
// somebody made to keep passes busy. A test has it smaller.
var unpackMost int64 = 8 << 30

// unpacking reads what is unpacked until the pass is to end or has unpacked enough.
type unpacking struct {
	r     *Reader
	from  io.Reader
	share *share // nil: it is not counted
}

func (u *unpacking) Read(p []byte) (int, error) {
	if err := u.r.ctx.Err(); err != nil {
		return 0, err
	}
	if u.r.unpacked >= unpackMost {
		return 0, fmt.Errorf("%d bytes are unpacked, more than a pass may", u.r.unpacked)
	}
	if u.share != nil {
		if room := u.share.room(u.r); room <= 0 {
			return 0, errEnough
		} else if room < int64(len(p)) {
			p = p[:room]
		}
	}
	n, err := u.from.Read(p)
	u.r.unpacked += int64(n)
	if u.share != nil {
		u.share.read += int64(n)
	}
	return n, err
}

// counted reads the file from where its cutter is, up to the limit.
type counted struct {
	f     *file
	r     *Reader
	share *share
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.r.ctx.Err(); err != nil {
		return 0, err
	}
	f := c.f
	at := f.cut.offset + int64(f.cut.end-f.cut.start)
	if at >= f.limit {
		return 0, io.EOF
	}
	room := c.share.room(c.r) // asked once: time goes on
	if room <= 0 {
		return 0, errEnough
	}
	n, err := f.f.ReadAt(p[:min(int64(len(p)), f.limit-at, room)], at)
	c.r.read += int64(n)
	c.share.read += int64(n)
	return n, err
}

// hole finds the end of a hole in a sparse file.
func (f *file) hole(offset int64) (int64, bool) {
	at, err := unix.Seek(int(f.f.Fd()), offset, unix.SEEK_DATA)
	if err == unix.ENXIO { // nothing but the hole
		return f.limit, true
	}
	return min(at, f.limit), err == nil
}

// isSyslog tells whether one of the file's first lines has a syslog daemon's prefix.
// Its beginning was written before anybody could think of this line.
func (f *file) isSyslog() bool {
	head := make([]byte, 4096)
	if f.gz {
		z, err := gzip.NewReader(io.NewSectionReader(f.f, 0, f.limit))
		if err != nil {
			return false
		}
		n, _ := io.ReadFull(z, head)
		head = head[:n]
	} else {
		n, _ := f.f.ReadAt(head, 0)
		head = head[:n]
	}
	return isSyslog(inner(head, &f.wrap))
}

// next puts the next line that is to be looked at into line.
func (f *file) next(r *Reader, line *Line) (ok bool, err error) {
	for {
		f.commit()
		begin := f.cut.offset
		text, long, ok, err := f.cut.next()
		if err != nil || !ok {
			f.finished = err == nil
			return false, err
		}
		stamp := text
		if f.format() != container.Plain {
			text, stamp, long = f.part(text, long, begin)
		}
		if len(text) == 0 {
			continue
		}
		if f.dates != nil {
			if f.dated(r, text, line) {
				line.Long = long
				if r.o.Look == nil || r.o.Look(line) {
					return true, nil
				}
			}
			continue
		}
		t, timed := f.clock.Read(stamp)
		if !timed {
			t = f.before(r)
		}
		if ahead := t/1e6 - r.o.Now; ahead > MaxAhead {
			f.ahead++
			f.aheadBy = ahead
			continue
		}
		f.last = t
		if f.fresh && t < r.o.Since*1e6 {
			continue
		}
		*line = Line{Log: f.log, Name: f.pos.Log, Text: text, head: f.clock.head, Time: t, Groups: f.groups, Path: f.pos.Path, Syslog: f.syslog, Long: long, Inner: f.format() != container.Plain, Stream: f.stream}
		if r.o.Look == nil || r.o.Look(line) {
			f.untimed = f.untimed || !timed
			return true, nil
		}
	}
}

// dated puts a line into line whose times its groups read by themselves; false where it is
// for none of them.
func (f *file) dated(r *Reader, text []byte, line *Line) bool {
	f.times = f.dates.read(text, cmp.Or(f.pos.Log, f.pos.Path), f.times, func() int64 {
		t, ok := f.clock.Read(text)
		if !ok {
			t = f.before(r)
		}
		return t
	})
	f.of = f.of[:0]
	late, set := false, false
	for i, t := range f.times {
		switch ahead := t/1e6 - r.o.Now; {
		case ahead > MaxAhead:
			late = true
			f.aheadBy = ahead
			continue
		case t != 0 && !set: // the first group's
			f.last, set = t, true
		}
		if t == 0 || !f.fresh || t >= r.o.Since*1e6 {
			f.times[len(f.of)] = t
			f.of = append(f.of, f.groups[i])
		}
	}
	if late {
		f.ahead++
	}
	f.times = f.times[:len(f.of)]
	t := first(f.times)
	if t == 0 {
		t = f.before(r)
	}
	*line = Line{Log: f.log, Name: f.pos.Log, Text: text, head: f.clock.head, Time: t, Times: f.times, Groups: f.of, Path: f.pos.Path, Syslog: f.syslog}
	return len(f.of) > 0
}

// before is the time of a line that has none: that of the line before, at the
// beginning of a file that of its last change.
func (f *file) before(r *Reader) int64 {
	switch {
	case f.clock.Last != 0:
		return f.clock.Last
	case f.last != 0:
		return f.last
	}
	return min(f.pos.Changed/1000, r.o.Now*1e6)
}

// commit takes what was cut so far as judged.
func (f *file) commit() {
	if f.cut.offset < f.judged {
		return // at parts of a line, among lines that are judged
	}
	f.keep()
	f.pos.Offset, f.pos.Inside, f.pos.Time = f.cut.offset, f.cut.inside, f.last
}

// end tells what an admin should know, and lets the buffer be used again.
func (f *file) end(r *Reader) {
	r.put(f.cut.buf)
	f.cut.buf, f.cut.start, f.cut.end = nil, 0, 0
	if f.ahead > 0 && !r.o.Past {
		r.warn("%s of %s %s later than the clock, the last by %s: they do not count (is its zone right? see logtimezone)",
			state.Plural(f.ahead, "line"), f.pos.Path, state.Be(f.ahead), state.Duration(time.Duration(f.aheadBy)*time.Second))
	}
	if f.odd > 0 && f.pos.Told == "" {
		f.pos.Told = "odd lines"
		r.warn("%s has lines that no container engine writes: they are left out", f.pos.Path)
	}
	if f.untimed && f.pos.Told == "" {
		f.pos.Told = "no time"
		r.warn("%s has lines without a time: they count as logged with the line before them", f.pos.Path)
	}
}

// buffer gives one for n bytes more to read.
func (r *Reader) buffer(n int64) []byte {
	if last := len(r.spare) - 1; last >= 0 {
		b := r.spare[last]
		r.spare = r.spare[:last]
		return b
	}
	return make([]byte, min(max(n, minBuffer)+1, int64(r.size)))
}

// put takes a buffer that no file needs any more.
func (r *Reader) put(b []byte) {
	switch {
	case !r.manyLogs() || len(b) <= r.size:
		r.spare = append(r.spare, b)
	case len(b) > len(r.large):
		r.large = b
	}
}

// larger gives a buffer of at least n bytes.
func (r *Reader) larger(n int) []byte {
	if b := r.large; len(b) >= n {
		r.large = nil
		return b
	}
	return make([]byte, n)
}

// fewLogs is how many may each hold a line of MaxLine while they wait for their turn.
const fewLogs = 16

// manyLogs tells whether logs hold no more than a buffer while they wait.
func (r *Reader) manyLogs() bool { return r.o.Look != nil && len(r.plan.logs) > fewLogs }

// wait lets go of what a line has taken that is longer than a buffer. It has been looked at.
func (l *log) wait(r *Reader) {
	if !r.manyLogs() {
		return
	}
	if f := l.files[0]; len(f.cut.buf) > r.size {
		c := &f.cut // what it holds behind the line was read in one go
		b := r.buffer(int64(r.size))
		if len(b) < c.end-c.start {
			b = make([]byte, r.size)
		}
		l.line.Text = nil
		n := copy(b, c.buf[c.start:c.end])
		r.put(c.buf)
		c.buf, c.start, c.end = b, 0, n
	}
	if f := l.files[0]; f.streams != nil && f.wrap.Shrink(r.size) {
		l.line.Text = nil
	}
	for i := range l.streams {
		if l.streams[i].Shrink(r.size) {
			l.line.Text = nil
		}
	}
}
