package logfile

import (
	"bytes"

	"scan2ban/scan/container"
)

// A container's log is one of an engine that wraps each line, and cuts those that are
// too long for it into parts. Positions in it are of the engine's lines; what is handed
// out are the container's.

// stream is where a container's log stands in one of its streams.
type stream struct {
	container.Stream
	from *file // in which the line begins that goes on; nil: that is not known
	at   int64 // its offset there
}

// wrapped is what a file of a container's log has beside others.
type wrapped struct {
	wrap    container.Unwrapper
	streams *[container.Streams]stream // of its log
	stream  int                        // of the part that was read last
	judged  int64                      // the offset before which only parts of lines are wanted that go on behind it
	odd     int                        // lines that no engine writes
}

func (w *wrapped) format() container.Format { return w.wrap.Format }

// What positions say of a stream that stands inside a line beside where that begins.
const (
	unknown  = -1 // that is not known
	asBefore = -2 // nothing of the file was read: it goes on as the one before ends
)

// unbegun notes in the position that nothing of the file was read.
func (f *file) unbegun(l *log) {
	if f.cut.src == nil && f.pos.Offset == 0 && f.pos.Stdout == 0 && f.pos.Stderr == 0 && l.isContainer() && f != l.files[0] {
		f.pos.Stdout, f.pos.Stderr = asBefore, asBefore
	}
}

// isContainer tells whether it is a container's log.
func (l *log) isContainer() bool {
	return container.Wrap(l.name) != container.Plain || container.Wrap(l.files[0].pos.Path) != container.Plain
}

// farBack is how far back, in bytes, the beginning of a line is looked for that was
// not at its end in the last pass.
const farBack = 2 * container.MaxLine

// unwrap finds out how the file is wrapped, and gives the offset to read from: where the
// first line begins that was not at its end at the position.
func (f *file) unwrap(l *log) (from int64) {
	if f.wrap.Format = container.Wrap(f.pos.Log); f.format() == container.Plain {
		f.wrap.Format = container.Wrap(f.pos.Path)
	}
	from = f.pos.Offset
	if f.format() == container.Plain {
		return from
	}
	f.streams, f.judged = &l.streams, f.pos.Offset
	if f.pos.Offset == 0 { // the file before it may go on here
		f.known(l)
		return 0
	}
	for i, begun := range [...]int64{f.pos.Stdout, f.pos.Stderr} {
		s := &l.streams[i]
		s.Reset()
		s.from = nil
		switch begun--; {
		case begun >= 0 && begun <= f.pos.Offset && f.pos.Offset-begun <= farBack:
			s.from, s.at = f, begun
			from = min(from, begun)
		case begun != -1: // it was not 0
			s.Lose()
		}
	}
	return from
}

// inner is the beginning of a file without wrappers.
func inner(head []byte, wrap *container.Unwrapper) []byte {
	if wrap.Format == container.Plain {
		return head
	}
	var plain []byte
	for line := range bytes.Lines(head) {
		l, _ := wrap.Line(bytes.TrimSuffix(line, []byte{'\n'}))
		plain = append(append(plain, l.Message...), '\n')
	}
	return plain
}

// known takes over what is known of the streams at the beginning of the file.
func (f *file) known(l *log) {
	for i, begun := range [...]int64{f.pos.Stdout, f.pos.Stderr} {
		if begun == unknown {
			l.streams[i].lose()
		}
	}
	f.pos.Stdout, f.pos.Stderr = l.streams[0].begun(f), l.streams[1].begun(f)
}

// skipped says that the file is not read from its beginning.
func (f *file) skipped() {
	if f.format() == container.Plain || f.cut.offset == 0 {
		return
	}
	f.lose()
}

// lose says that what was read last is not what stands before what is read next.
func (w *wrapped) lose() {
	if w.streams != nil {
		w.streams[0].lose()
		w.streams[1].lose()
	}
}

func (s *stream) lose() {
	s.Lose()
	s.from = nil
}

// part takes one of the engine's lines, which begins at that offset, and gives the
// container's line that ends with it, and its time; nothing where none does.
func (f *file) part(text []byte, long bool, begin int64) (line, stamp []byte, cut bool) {
	w, ok := f.wrap.Line(text)
	if long || !ok {
		f.odd++
		f.lose()
		return nil, nil, false
	}
	s := &f.streams[w.Stream]
	f.stream = w.Stream
	if begin < f.judged && (s.from != f || begin < s.at) {
		return nil, nil, false
	}
	if !s.Open() {
		s.from, s.at = f, begin
	}
	line, cut, _ = s.Add(w.Message, w.Last)
	if w.Last {
		s.end(f, w.Stream)
	}
	if n := len(line); n > 0 && line[n-1] == '\r' { // of a container with a terminal
		line = line[:n-1]
	}
	return line, w.Time, cut
}

// end takes note that a line has ended which may have begun in another file than f.
func (s *stream) end(f *file, number int) {
	switch {
	case s.from == nil, s.from == f:
	case number == 0:
		s.from.pos.Stdout = 0
	default:
		s.from.pos.Stderr = 0
	}
	s.from = nil
}

// keep notes in the position which lines go on.
func (f *file) keep() {
	if f.format() != container.Plain {
		f.pos.Stdout, f.pos.Stderr = f.streams[0].begun(f), f.streams[1].begun(f)
	}
}

// begun is where the stream's line begins that goes on, as a position in f has it.
func (s *stream) begun(f *file) int64 {
	switch {
	case !s.Open():
		return 0
	case s.Lost() || s.from != f:
		return unknown
	}
	return s.at + 1
}

// goOn says what is known of the streams at the beginning of a log's first file, where
// that is read from there: it may go on with lines of the one before, which is not read
// in this pass, or is gone.
func (p *plan) goOn(l *log) {
	f := l.files[0]
	if f.pos.Offset > 0 || !l.isContainer() {
		return
	}
	defer f.known(l)
	for _, e := range p.lost {
		if e.pos.Log == l.name && !e.kept {
			l.streams[0].lose()
			l.streams[1].lose()
			return
		}
	}
	var before *entry // the last of the files before, in which nothing is new
	for _, e := range p.entries {
		if e.pos.Log == l.name && e.kept && e.read == nil && e.pos.Print != "" && (before == nil || e.changed > before.changed) {
			before = e
		}
	}
	if before == nil {
		if f.fresh && !f.pos.Current || f.pos.Stdout == asBefore { // there have been others before, perhaps
			l.streams[0].lose()
			l.streams[1].lose()
		}
		return
	}
	for i, begun := range [...]int64{before.pos.Stdout, before.pos.Stderr} {
		if begun != 0 {
			l.streams[i].lose()
		}
	}
}
