package logfile

import (
	"bytes"
)

// The layouts of times.
//
//	2026-11-22T08:14:01.123456+01:00   RFC 3339, and ISO 8601 with a space, a comma, no zone
//	2026/11/22 08:14:01                nginx's error log
//	Nov 22 08:14:01                    RFC 3164; with a year after the day too
//	Sun Nov 22 08:14:01.123456 2026    ctime(3), Apache's error log, vsftpd
//	22-Nov-2026 08:14:01 +0100         named, PHP; also as in CLF
//	20261122-08:14:01                  xrdp
//	1795335241.123                     seconds, milliseconds, microseconds, nanoseconds
//	{"time":"..."}                     one of the names of timeNames, as text or number
//	[22/Nov/2026:08:14:01 +0100]       CLF, before the request
//	logger=context t=2026-11-22T...    logfmt, before the first quote

func isDigit(c byte) bool { return c-'0' <= 9 }

// front steps over what stands before a time: a syslog priority, brackets, a
// name as logfmt writes it. It gives the number of bytes.
func front(line []byte) (n int) {
	if len(line) > 0 && line[0] == '<' {
		i := 1
		for i < len(line) && i < 5 && isDigit(line[i]) {
			i++
		}
		if i < len(line) && line[i] == '>' && i > 1 {
			n = i + 1
			if bytes.HasPrefix(line[n:], []byte("1 ")) { // RFC 5424
				n += 2
			}
		}
	}
	if n < len(line) && line[n] >= 'a' && line[n] <= 't' {
		for _, name := range [...]string{"time=", "t=", "ts=", "timestamp="} {
			if len(line)-n > len(name) && string(line[n:n+len(name)]) == name {
				n += len(name)
				break
			}
		}
	}
	for n < len(line) && (line[n] == '[' || line[n] == '"' || line[n] == ' ') {
		n++
	}
	return n
}

// text is a line that is read from left to right; once something does not fit,
// nothing fits any more.
type text struct {
	line []byte
	at   int
	bad  bool
}

func (s *text) peek() byte {
	if s.at < len(s.line) {
		return s.line[s.at]
	}
	return 0
}

func (s *text) take(c byte) bool {
	if s.peek() != c || s.at >= len(s.line) {
		return false
	}
	s.at++
	return true
}

func (s *text) want(c byte) {
	if !s.take(c) {
		s.bad = true
	}
}

// number reads n digits; where padded, the first may be a space.
func (s *text) number(n int, padded bool) (value int) {
	if s.bad || s.at+n > len(s.line) {
		s.bad = true
		return 0
	}
	for i, c := range s.line[s.at : s.at+n] {
		switch {
		case isDigit(c):
			value = value*10 + int(c-'0')
		case padded && i == 0 && c == ' ':
		default:
			s.bad = true
		}
	}
	s.at += n
	return value
}

// month reads "Jan" to "Dec".
func (s *text) month() int {
	if s.at+3 > len(s.line) {
		s.bad = true
		return 0
	}
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	a, b, c := s.line[s.at], s.line[s.at+1], s.line[s.at+2]
	s.at += 3
	for i := 0; i < len(names); i += 3 {
		if names[i] == a && names[i+1] == b && names[i+2] == c {
			return i/3 + 1
		}
	}
	s.bad = true
	return 0
}

// clock reads "08:14:01" and a fraction after it.
func (s *text) clock(m *moment) {
	m.hour = s.number(2, true)
	s.want(':')
	m.minute = s.number(2, false)
	s.want(':')
	m.second = s.number(2, false)
	if c := s.peek(); !s.bad && (c == '.' || c == ',') && s.at+1 < len(s.line) && isDigit(s.line[s.at+1]) {
		s.at++
		m.micro = s.fraction()
	}
}

// fraction reads digits after a point, as microseconds.
func (s *text) fraction() (micro int) {
	for scale := 100_000; isDigit(s.peek()); s.at++ {
		micro += int(s.peek()-'0') * scale
		scale /= 10
	}
	return micro
}

// zone reads "Z", "+01:00", "+0100", "+01", "UTC" or "GMT", perhaps after a space.
// Other names of zones have more than one meaning: they are left to the
// configured one.
func (s *text) zone(m *moment) {
	begin := s.at
	spaced := s.take(' ')
	c := s.peek()
	switch {
	case c == 'Z' && !spaced, bytes.HasPrefix(s.line[s.at:], []byte("UTC")), bytes.HasPrefix(s.line[s.at:], []byte("GMT")):
		s.at++
		if c != 'Z' {
			s.at += 2
		}
		if !isWord(s.peek()) {
			m.zoned = true
			return
		}
	case c == '+' || c == '-':
		s.at++
		digits := 0
		for digits < 5 && s.at+digits < len(s.line) && isDigit(s.line[s.at+digits]) {
			digits++
		}
		if digits != 2 && digits != 4 || spaced && digits == 2 && (s.at+2 >= len(s.line) || s.line[s.at+2] != ':') {
			break
		}
		m.offset = s.number(2, false) * 3600
		if s.take(':') || digits == 4 {
			m.offset += s.number(2, false) * 60
		}
		if c == '-' {
			m.offset = -m.offset
		}
		m.zoned = true
		return
	}
	s.at = begin
}

func isWord(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// done closes a reading: what was read stands at the beginning of the line.
func (s *text) done(m moment) (moment, int, bool) {
	return m, s.at, !s.bad && !isDigit(s.peek()) && m.valid()
}

func readISO(line []byte) (m moment, sure int, ok bool) {
	s := text{line: line, at: front(line)}
	if !isDigit(s.peek()) {
		return m, 0, false
	}
	m.year = s.number(4, false)
	separator := s.peek()
	if separator != '-' && separator != '/' {
		return m, 0, false
	}
	s.at++
	m.month = s.number(2, false)
	s.want(separator)
	m.day = s.number(2, false)
	if !s.take('T') && !s.take(' ') {
		return m, 0, false
	}
	s.clock(&m)
	s.zone(&m)
	return s.done(m)
}

func readSyslog(line []byte) (m moment, sure int, ok bool) {
	s := text{line: line, at: front(line)}
	if c := s.peek(); c < 'A' || c > 'S' {
		return m, 0, false
	}
	m.month = s.month()
	s.want(' ')
	if s.at+1 < len(line) && line[s.at+1] == ' ' { // "Feb 7"
		m.day = s.number(1, false)
	} else {
		m.day = s.number(2, true)
	}
	s.want(' ')
	if s.at+4 < len(line) && line[s.at+4] == ' ' {
		m.year = s.number(4, false)
		s.at++
	}
	s.clock(&m)
	return s.done(m)
}

func readCtime(line []byte) (m moment, sure int, ok bool) {
	s := text{line: line, at: front(line)}
	if c := s.peek(); c < 'F' || c > 'W' || s.at+4 > len(line) || line[s.at+3] != ' ' {
		return m, 0, false
	}
	s.at += 4
	m.month = s.month()
	s.want(' ')
	m.day = s.number(2, true)
	s.want(' ')
	s.clock(&m)
	s.zone(&m)
	s.want(' ')
	if !s.bad && !isDigit(s.peek()) { // the name of a zone
		for isWord(s.peek()) {
			s.at++
		}
		s.want(' ')
	}
	m.year = s.number(4, false)
	return s.done(m)
}

func readDayFirst(line []byte) (moment, int, bool) {
	return dayFirst(text{line: line, at: front(line)})
}

// dayFirst reads "22-Nov-2026 08:14:01" and "22/Nov/2026:08:14:01 +0100".
func dayFirst(s text) (m moment, sure int, ok bool) {
	if !isDigit(s.peek()) {
		return m, 0, false
	}
	m.day = s.number(2, false)
	separator := s.peek()
	if separator != '-' && separator != '/' {
		return m, 0, false
	}
	s.at++
	m.month = s.month()
	s.want(separator)
	m.year = s.number(4, false)
	if !s.take(':') {
		s.want(' ')
	}
	s.clock(&m)
	s.zone(&m)
	return s.done(m)
}

func readCompact(line []byte) (m moment, sure int, ok bool) {
	s := text{line: line, at: front(line)}
	if !isDigit(s.peek()) {
		return m, 0, false
	}
	m.year, m.month, m.day = s.number(4, false), s.number(2, false), s.number(2, false)
	if !s.take('-') && !s.take(' ') {
		s.want('T')
	}
	s.clock(&m)
	s.zone(&m)
	return s.done(m)
}

func readEpoch(line []byte) (moment, int, bool) {
	s := text{line: line, at: front(line)}
	return s.epoch()
}

// epoch reads a number that can be a time between 2001 and 2100.
func (s *text) epoch() (m moment, sure int, ok bool) {
	begin, value := s.at, int64(0)
	for isDigit(s.peek()) && s.at-begin < 19 {
		value = value*10 + int64(s.peek()-'0')
		s.at++
	}
	m.absolute = true
	switch s.at - begin {
	case 10:
		m.unix = value * 1e6
		if s.take('.') {
			m.unix += int64(s.fraction())
		}
	case 13:
		m.unix = value * 1000
		if s.take('.') {
			m.unix += int64(s.fraction()) / 1000
		}
	case 16:
		m.unix = value
	case 19:
		m.unix = value / 1000
	default:
		return m, 0, false
	}
	return m, s.at, m.unix >= 1e15 && m.unix < 4.1e15 && !isWord(s.peek())
}

// readCLF finds the time of an access log: in brackets, before the request, which
// is in quotes. A user name stands before it and may look like a time; it cannot
// hold a quote, which both nginx and Apache escape.
func readCLF(line []byte) (m moment, sure int, ok bool) {
	const length = len("22/Nov/2026:08:14:01 +0100")
	from := 0
	for {
		i := bytes.Index(line[from:], []byte(`] "`))
		if i < 0 {
			break
		}
		end := from + i
		if open := bytes.LastIndexByte(line[:end], '['); open >= 0 && end-open-1 >= length-6 && end-open-1 <= length+8 {
			if m, _, ok = dayFirst(text{line: line[:end], at: open + 1}); ok {
				return m, 0, true
			}
		}
		if end > 0 && line[end-1] != '\\' { // the request has begun
			break
		}
		from = end + 3
	}
	for from = 0; ; { // a format of somebody's own
		i := bytes.IndexByte(line[from:], '[')
		if i < 0 || bytes.IndexByte(line[:from+i], '"') >= 0 {
			return m, 0, false
		}
		from += i + 1
		if m, _, ok = dayFirst(text{line: line, at: from}); ok {
			return m, 0, true
		}
	}
}

// readLogfmt finds the time among the members of a line in logfmt (as Grafana's),
// before the first text in quotes.
func readLogfmt(line []byte) (m moment, sure int, ok bool) {
	head, _, _ := bytes.Cut(line, []byte{'"'})
	for _, name := range [...]string{" t=", " ts=", " time="} {
		if i := bytes.Index(head, []byte(name)); i > 0 {
			if m, _, ok = readISO(line[i+1:]); ok {
				return m, 0, true
			}
		}
	}
	return m, 0, false
}
