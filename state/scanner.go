package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) as this package writes it, in one go and
// without building what nobody asks for. state.json holds windows and bans of
// a hundred thousand keys; an idle pass steps over them.
type scanner struct {
	data  []byte
	at    int
	known map[string]string // texts read before: names and users repeat
}

// intern gives text as a string, the same one each time while there are few.
func (s *scanner) intern(text []byte) string {
	if known, ok := s.known[string(text)]; ok {
		return known
	}
	if s.known == nil {
		s.known = map[string]string{}
	}
	made := strings.ToValidUTF8(string(text), "\uFFFD") // else it would be written in another way than it was read
	if len(s.known) < 1000 {
		s.known[made] = made
	}
	return made
}

var errSyntax = errors.New("not the JSON that scan2ban writes")

// peek skips white space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take consumes c when it comes next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// object calls member at each value of an object; member must consume it.
func (s *scanner) object(member func(name string) error) error {
	return s.list('{', '}', func() error {
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return errSyntax
		}
		return member(name)
	})
}

// keys is object for names that are keys.
func (s *scanner) keys(member func(key Key) error) error {
	return s.list('{', '}', func() error {
		raw, plain, err := s.quoted()
		if err != nil || !plain {
			return errSyntax
		}
		key, err := parseKey(raw[1 : len(raw)-1])
		if err != nil {
			return err
		}
		if !s.take(':') {
			return errSyntax
		}
		return member(key)
	})
}

// parseKey is Key.UnmarshalText with a short way for IPv4 addresses.
func parseKey(text []byte) (key Key, err error) {
	if addr, ok := ParseIPv4(text); ok {
		return Key{netip.PrefixFrom(addr, 32)}, nil
	}
	return key, key.UnmarshalText(text)
}

// array calls element at each value of an array; element must consume it.
func (s *scanner) array(element func() error) error { return s.list('[', ']', element) }

func (s *scanner) list(open, close byte, element func() error) error {
	if !s.take(open) {
		return errSyntax
	}
	if s.take(close) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.take(close) {
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
	}
}

// text reads a string.
func (s *scanner) text() (string, error) {
	raw, plain, err := s.quoted()
	if err != nil {
		return "", err
	}
	if plain {
		return s.intern(raw[1 : len(raw)-1]), nil
	}
	var text string
	err = json.Unmarshal(raw, &text)
	return text, err
}

// quoted steps over a string and gives it with its quotes; plain when it holds
// no escape.
func (s *scanner) quoted() (raw []byte, plain bool, err error) {
	if s.peek() != '"' {
		return nil, false, errSyntax
	}
	start := s.at
	plain = true
	for i := start + 1; i < len(s.data); i++ {
		switch s.data[i] {
		case '\\':
			plain = false
			i++
		case '"':
			s.at = i + 1
			return s.data[start:s.at], plain, nil
		}
	}
	return nil, false, errSyntax
}

// integer reads a whole number.
func (s *scanner) integer() (int64, error) {
	s.peek()
	start := s.at
	for s.at < len(s.data) && (s.data[s.at] == '-' || s.data[s.at]-'0' <= 9) {
		s.at++
	}
	if digits := s.data[start:s.at]; len(digits) > 0 && len(digits) < 19 && digits[0] != '-' {
		n := int64(0)
		for _, c := range digits {
			if c == '-' {
				return 0, errSyntax
			}
			n = n*10 + int64(c-'0')
		}
		return n, nil
	}
	n, err := strconv.ParseInt(string(s.data[start:s.at]), 10, 64)
	if err != nil {
		return 0, errSyntax
	}
	return n, nil
}

// raw steps over any value and gives its bytes. It only looks for the end: what
// lies within is checked when it is read.
func (s *scanner) raw() ([]byte, error) {
	switch s.peek() {
	case '"':
		raw, _, err := s.quoted()
		return raw, err
	case '{', '[':
		return s.nested()
	}
	start := s.at
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case ',', ' ', '\n', '}', ']':
			if s.at == start {
				return nil, errSyntax
			}
			return s.data[start:s.at], nil
		case '"', '{', '[', ':':
			return nil, errSyntax
		}
	}
	if s.at == start {
		return nil, errSyntax
	}
	return s.data[start:], nil
}

// structure are the bytes that tell where an object or a list ends.
var structure = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true}

// nested is raw of an object or a list: most of a state is stepped over by it, in every
// pass.
func (s *scanner) nested() ([]byte, error) {
	data, at, depth := s.data, s.at, 0
	for at < len(data) {
		c := data[at]
		at++
		if !structure[c] {
			continue
		}
		switch c {
		case '"':
			end := bytes.IndexByte(data[at:], '"')
			if end < 0 {
				return nil, errSyntax
			}
			if bytes.IndexByte(data[at:at+end], '\\') < 0 {
				at += end + 1
				continue
			}
			for at < len(data) && data[at] != '"' {
				if data[at] == '\\' {
					at++
				}
				at++
			}
			at++
		case '{', '[':
			depth++
		default:
			if depth--; depth == 0 {
				raw := data[s.at:at]
				s.at = at
				return raw, nil
			}
		}
	}
	return nil, errSyntax
}

// value reads any value with encoding/json.
func (s *scanner) value(into any) error {
	raw, err := s.raw()
	if err != nil {
		return err
	}
	switch flag, isFlag := into.(*bool); {
	case isFlag && string(raw) == "true":
		*flag = true
		return nil
	case isFlag && string(raw) == "false", string(raw) == "{}": // most often
		return nil
	}
	return json.Unmarshal(raw, into)
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(strings.ToValidUTF8(text, "\uFFFD")) // of a string: cannot fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// lazy is a part of the state that stays as it lies in the file until it is
// asked for.
type lazy[T any] struct {
	raw   []byte
	value T
	read  func(raw []byte) (T, error)
	ready bool
}

func (l *lazy[T]) set(value T) { *l = lazy[T]{value: value, ready: true} }

// later keeps raw until get.
func (l *lazy[T]) later(raw []byte, read func([]byte) (T, error)) { *l = lazy[T]{raw: raw, read: read} }

// sound gives the error of reading the part, and keeps nothing of it.
func (l *lazy[T]) sound() error {
	if l.ready {
		return nil
	}
	_, err := l.read(l.raw)
	return err
}

// get reads the part. Load has found it sound, or a pass of this user wrote it, so what
// cannot be read is a mistake in this program.
func (l *lazy[T]) get() T {
	if !l.ready {
		value, err := l.read(l.raw)
		if err != nil {
			panic("state: a part that was found sound cannot be read: " + err.Error())
		}
		l.set(value)
	}
	return l.value
}
