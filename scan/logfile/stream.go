package logfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"scan2ban/scan/container"
	"scan2ban/scan/filter"
)

// Stream reads the lines of one text, compressed with gzip or not, from its
// beginning to its end: those of a file that no position is kept of.
type Stream struct {
	cut   cutter
	clock Clock
	dates datings
	line  Line
	n     int
	tags  bool // it is a syslog daemon's
	err   error

	wrap  container.Unwrapper
	parts [container.Streams]container.Stream // of a container's log
}

// NewStream reads from r; path is the Line's, now in seconds since the Unix epoch,
// for times without a year. The lines are of all the groups, whatever their paths are.
func NewStream(r io.Reader, path string, groups []Group, now int64) (*Stream, error) {
	in := bufio.NewReaderSize(r, firstBuffer)
	_, _ = in.Peek(1) // of a pipe no more is waited for; an error comes again
	head, _ := in.Peek(min(in.Buffered(), headSize))
	for _, p := range packers {
		if bytes.HasPrefix(head, []byte(p.magic)) {
			return nil, fmt.Errorf("packed by %s, which is not unpacked here (%s -dc FILE, and read it from standard input)", p.name, p.name)
		}
	}
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		packed := &counting{from: in}
		unpacked, err := gzip.NewReader(bufio.NewReader(packed))
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(&bounded{counting{from: unpacked}, packed}, firstBuffer)
		head, _ = in.Peek(headSize)
	}
	s := &Stream{cut: cutter{src: in, final: true}, clock: Clock{Now: now * 1e6}, line: Line{Path: path}}
	for i, g := range groups {
		s.line.Groups = append(s.line.Groups, i)
		if s.clock.Zone == nil && g.Dates == nil {
			s.clock.Zone = g.Zone
		}
	}
	s.wrap.Format = container.Wrap(path)
	s.tags, s.line.Inner = isSyslog(inner(head, &s.wrap)), s.wrap.Format != container.Plain
	if !s.line.Inner { // else the engine has the time
		s.dates = newDatings(groups, s.line.Groups, now*1e6, 0)
	}
	return s, nil
}

// counting counts what is read.
type counting struct {
	from io.Reader
	n    int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// bounded ends where much was unpacked from so little that no log was packed: gzip makes at
// most 1,032 bytes of one, and of the lines of logs some tens.
type bounded struct {
	counting
	packed *counting
}

const unpackRatio = 200

func (b *bounded) Read(p []byte) (int, error) {
	if b.n >= unpackMost && b.n/unpackRatio > b.packed.n {
		return 0, fmt.Errorf("%d bytes are unpacked from %d: that is no log", b.n, b.packed.n)
	}
	return b.counting.Read(p)
}

// headSize is how much of a beginning tells whether a log is a syslog daemon's, in
// bytes.
const headSize = 4096

// packers are programs that pack logs otherwise, by what their files begin with.
var packers = []struct{ magic, name string }{{"\xfd7zXZ\x00", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"BZh", "bzip2"}, {"\x04\x22\x4d\x18", "lz4"}}

// Next goes to the next line; false at the end, and where reading fails.
func (s *Stream) Next() bool {
	var text, stamp []byte
	var long bool
	for ok := false; !ok; { // to the end of a container's line
		var err error
		if text, long, ok, err = s.cut.next(); !ok {
			s.err = err
			return false
		}
		s.n++
		stamp = text
		if s.line.Inner {
			var w container.Line
			if w, ok = s.wrap.Line(text); ok {
				text, long, ok = s.parts[w.Stream].Add(w.Message, w.Last)
				stamp, s.line.Stream = w.Time, w.Stream
			}
		}
	}
	s.line.Text, s.line.Long, s.line.Time, s.line.head = text, long, 0, 0
	byLayout := func() int64 {
		t, timed := s.clock.Read(stamp)
		if !timed {
			return 0
		}
		s.line.head = s.clock.head
		return t
	}
	if s.dates == nil {
		s.line.Time = byLayout()
	} else {
		s.line.Times = s.dates.read(stamp, s.line.Path, s.line.Times, byLayout)
		s.line.Time = first(s.line.Times)
	}
	// In a collection of samples a line with a time of its own is of another file.
	s.line.Syslog = s.tags && s.line.head == 0
	return true
}

// Line is the line that Next went to, its Time 0 where it has none. It is valid
// until the next Next.
func (s *Stream) Line() *Line { return &s.line }

// Number is the line's, from 1.
func (s *Stream) Number() int { return s.n }

// Err is why reading ended early.
func (s *Stream) Err() error { return s.err }

// isSyslog tells whether one of a file's first lines has a syslog daemon's prefix.
// Its beginning was written before anybody could think of this line.
func isSyslog(head []byte) bool {
	for line := range bytes.Lines(bytes.TrimLeft(head, "\x00")) {
		if _, _, ok := filter.CutSyslog(line); ok {
			return true
		}
	}
	return false
}
