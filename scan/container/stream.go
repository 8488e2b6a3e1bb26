package container

// MaxLine is how long, in bytes, a line gets that is put together of parts; of a
// longer one its beginning is given.
const MaxLine = 1 << 20

// Stream puts lines together that come in parts.
type Stream struct {
	begun []byte
	state int
}

const (
	between = iota // the next part begins a line
	inside
	over // inside a line longer than MaxLine
	lost // inside a line whose beginning is not known
)

// Lose says that the next part is not known to begin a line.
func (s *Stream) Lose() { s.state, s.begun = lost, s.begun[:0] }

// Open tells whether the next part continues a line.
func (s *Stream) Open() bool { return s.state != between }

// Lost tells whether it continues one whose beginning is not known.
func (s *Stream) Lost() bool { return s.state == lost }

// Reset says that the next part begins a line.
func (s *Stream) Reset() { s.state, s.begun = between, s.begun[:0] }

// Shrink lets go of the line that was put together last, if that is longer than n bytes;
// done: so it was.
func (s *Stream) Shrink(n int) (done bool) {
	if s.Open() || cap(s.begun) <= n {
		return false
	}
	s.begun = nil
	return true
}

// Add takes a part. With the last one it gives the line, unless its beginning is not
// known; long says that this is only the beginning. The line is valid until the next
// part of it or of another line.
func (s *Stream) Add(part []byte, last bool) (line []byte, long, ok bool) {
	switch s.state {
	case between:
		if last {
			return part, false, true
		}
		s.begun, s.state = s.begun[:0], inside
		fallthrough
	case inside:
		if room := MaxLine - len(s.begun); len(part) > room {
			part, s.state = part[:room], over
		}
		s.begun = append(s.begun, part...)
	}
	if !last {
		return nil, false, false
	}
	was := s.state
	s.state = between
	return s.begun, was == over, was != lost
}
