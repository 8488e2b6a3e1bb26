package container

import (
	"bytes"
	"path/filepath"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Format is how a file wraps the lines of a container.
type Format uint8

const (
	Plain Format = iota // it does not
	// JSON is Docker's json-file:
	//	{"log":"MESSAGE\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-24T04:04:49.292802691Z"}
	// A part of a line that goes on has no \n.
	JSON
	// CRI is podman's k8s-file (and Kubernetes'), with P for a part of a line that goes on:
	//	2026-11-24T04:02:05.749601955+00:00 stdout F MESSAGE
	CRI
)

// Wrap tells how the log at a path is wrapped, rotated ones and compressed ones
// included. The names are those that the engines give; who may write there is root.
func Wrap(path string) Format {
	dir, name := filepath.Split(path)
	dir = filepath.Base(dir)
	switch base, _, ok := strings.Cut(name, "-json.log"); {
	case ok && base == dir && isID(base):
		return JSON
	case dir == "userdata" && strings.HasPrefix(name, "ctr.log"):
		return CRI
	}
	return Plain
}

// Line is a line of such a log without its wrapper.
type Line struct {
	Message []byte
	Stream  int    // 0: stdout, 1: stderr
	Time    []byte // as it stands there, RFC 3339
	Last    bool   // the container's line ends with it
}

// Streams is how many of them a container has.
const Streams = 2

// Unwrapper takes lines out of their wrapper; its memory is used again.
type Unwrapper struct {
	Format Format
	plain  []byte
}

// Shrink lets go of the line that was unwrapped last, if that may be longer than n bytes;
// done: so it was.
func (u *Unwrapper) Shrink(n int) (done bool) {
	if cap(u.plain) <= n {
		return false
	}
	u.plain = nil
	return true
}

// Line unwraps one; it is valid until the next. ok is false for a line that no engine
// writes.
func (u *Unwrapper) Line(text []byte) (l Line, ok bool) {
	switch u.Format {
	case JSON:
		return u.json(text)
	case CRI:
		return cri(text)
	}
	return Line{Message: text, Last: true}, true
}

func cri(text []byte) (l Line, ok bool) {
	var stream, tag []byte
	l.Time, text, _ = bytes.Cut(text, []byte{' '})
	stream, text, _ = bytes.Cut(text, []byte{' '})
	tag, l.Message, ok = bytes.Cut(text, []byte{' '})
	l.Last = string(tag) == "F"
	ok = ok && (l.Last || string(tag) == "P") && l.stream(stream) && len(l.Time) >= len("2006-01-02T15:04:05Z")
	return l, ok
}

func (l *Line) stream(name []byte) bool {
	if string(name) == "stderr" {
		l.Stream = 1
	}
	return l.Stream == 1 || string(name) == "stdout"
}

// json reads the members in the order in which dockerd writes them, each once.
func (u *Unwrapper) json(text []byte) (l Line, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(`{`))
	if !ok {
		return l, false
	}
	if inner, found := bytes.CutPrefix(rest, []byte(`"log":"`)); found { // an empty message is left out
		if l.Message, rest, ok = u.quoted(inner); !ok {
			return l, false
		}
		if rest, ok = bytes.CutPrefix(rest, []byte{','}); !ok {
			return l, false
		}
	}
	l.Message, l.Last = bytes.CutSuffix(l.Message, []byte{'\n'})
	rest, ok = bytes.CutPrefix(rest, []byte(`"stream":"`))
	name, rest, ended := bytes.Cut(rest, []byte(`",`))
	if !ok || !ended || !l.stream(name) {
		return l, false
	}
	if attrs, found := bytes.CutPrefix(rest, []byte(`"attrs":{`)); found {
		if rest, ok = object(attrs); !ok {
			return l, false
		}
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`"time":"`))
	l.Time, ended = bytes.CutSuffix(rest, []byte(`"}`))
	return l, ok && ended && bytes.IndexByte(l.Time, '"') < 0
}

// object steps over the rest of an object of strings and the comma behind it.
func object(text []byte) (rest []byte, ok bool) {
	quoted, escaped := false, false
	for i, c := range text {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			return nil, false
		case c == '}':
			return bytes.CutPrefix(text[i+1:], []byte{','})
		}
	}
	return nil, false
}

// quoted reads a JSON string behind its first quote. What needs no copy is not copied.
func (u *Unwrapper) quoted(text []byte) (value, rest []byte, ok bool) {
	plain := bytes.IndexAny(text, `"\`)
	if plain < 0 || control(text[:plain]) {
		return nil, nil, false
	}
	if text[plain] == '"' {
		return text[:plain], text[plain+1:], true
	}
	b := append(u.plain[:0], text[:plain]...)
	for i := plain; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			u.plain = b
			return b, text[i+1:], true
		case c == '\\':
			var n int
			if b, n = escape(b, text[i:]); n == 0 {
				return nil, nil, false
			}
			i += n
		case c < ' ':
			return nil, nil, false
		default:
			b = append(b, c)
			i++
		}
	}
	return nil, nil, false
}

func control(text []byte) bool {
	for _, c := range text {
		if c < ' ' {
			return true
		}
	}
	return false
}

// escape appends what the escape at the beginning of text stands for, and gives the
// bytes that it takes; 0: it is none.
func escape(b, text []byte) ([]byte, int) {
	if len(text) < 2 {
		return b, 0
	}
	const names, values = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(names, text[1]); i >= 0 {
		return append(b, values[i]), 2
	}
	r, ok := unicode16(text)
	if !ok {
		return b, 0
	}
	if utf16.IsSurrogate(r) {
		low, ok := unicode16(text[6:])
		if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
			return utf8.AppendRune(b, pair), 12
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(b, r), 6
}

// unicode16 reads "\u" and four hexadecimal digits.
func unicode16(text []byte) (r rune, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		i := strings.IndexByte("0123456789abcdef", c|0x20)
		if i < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(i)
	}
	return r, true
}
