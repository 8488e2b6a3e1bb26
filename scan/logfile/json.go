package logfile

import "bytes"

// timeNames are the members of a JSON line that hold its time. Docker writes
// "time", Caddy "ts", Grafana "t", Traefik "StartUTC", Elastic's "@timestamp"; nginx's are
// mostly called as its variables are.
var timeNames = [...]string{"time", "ts", "timestamp", "@timestamp", "StartUTC", "t", "datetime", "date", "time_iso8601", "time_local"}

// readJSON finds the time of a line that is a JSON object: the first member of it,
// not of an object inside it, that has one of timeNames and can be read.
func readJSON(line []byte) (m moment, sure int, ok bool) {
	s := text{line: line}
	s.blank()
	if !s.take('{') {
		return m, 0, false
	}
	for {
		s.blank()
		name, whole := s.quoted()
		s.blank()
		if !whole || !s.take(':') {
			return m, 0, false
		}
		s.blank()
		value := s.value()
		if isTimeName(name) {
			if m, ok = jsonTime(value); ok {
				return m, 0, true
			}
		}
		s.blank()
		if !s.take(',') {
			return m, 0, false
		}
	}
}

func isTimeName(name []byte) bool {
	for _, known := range timeNames {
		if string(name) == known {
			return true
		}
	}
	return false
}

// jsonTime reads a value: text, a number, or MongoDB's {"$date":"..."}.
func jsonTime(value []byte) (m moment, ok bool) {
	value = bytes.TrimPrefix(value, []byte(`{"$date":`))
	value = bytes.Trim(value, `" }`)
	for _, layout := range [...]func([]byte) (moment, int, bool){readISO, readDayFirst, readSyslog, readCtime} {
		if m, _, ok = layout(value); ok {
			return m, true
		}
	}
	s := text{line: value}
	m, _, ok = s.epoch()
	return m, ok && s.at == len(value)
}

func (s *text) blank() {
	for c := s.peek(); c == ' ' || c == '\t'; c = s.peek() {
		s.at++
	}
}

// quoted steps over a string and gives what stands between its quotes, escapes and
// all.
func (s *text) quoted() (inner []byte, whole bool) {
	if !s.take('"') {
		return nil, false
	}
	begin := s.at
	for ; s.at < len(s.line); s.at++ {
		switch s.line[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return s.line[begin : s.at-1], true
		}
	}
	s.at = len(s.line)
	return nil, false
}

// value steps over a value and gives it.
func (s *text) value() []byte {
	begin, depth := s.at, 0
	for s.at < len(s.line) {
		switch c := s.line[s.at]; c {
		case '"':
			if _, whole := s.quoted(); !whole {
				return nil
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.line[begin:s.at]
			}
			depth--
		case ',':
			if depth == 0 {
				return s.line[begin:s.at]
			}
		}
		s.at++
	}
	return s.line[begin:min(s.at, len(s.line))]
}
