package filter

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// object reads a message that is a JSON object (RFC 8259) in one go: it gives the
// values of the members that were asked for, by their place in paths ("a.b" for b
// in a; a member that is itself called "a.b" is found too), and builds nothing else.
//
// It is strict, since a daemon that writes JSON escapes what its clients send, and
// whatever can be read in two ways was not written by it: the object is the whole
// message, no member that was asked for is there twice, and no string holds a
// control character.
type object struct {
	paths  map[string]int
	values [][]byte // as they stand in the message; nil where there is none

	rest []byte
	path []byte // of the member that is being read
	bad  bool
}

const (
	maxDepth = 64  // objects and lists inside one another
	maxPath  = 512 // bytes; a longer path is no one's
)

// read reads message anew; false where it is not one strict object.
func (o *object) read(message []byte) bool {
	o.rest, o.path, o.bad = message, o.path[:0], false
	clear(o.values)
	o.blank()
	if o.peek() != '{' {
		return false
	}
	o.value(true, maxDepth)
	o.blank()
	return !o.bad && len(o.rest) == 0
}

func (o *object) peek() byte {
	if len(o.rest) == 0 {
		return 0
	}
	return o.rest[0]
}

func (o *object) blank() {
	for len(o.rest) > 0 && (o.rest[0] == ' ' || o.rest[0] == '\t' || o.rest[0] == '\n' || o.rest[0] == '\r') {
		o.rest = o.rest[1:]
	}
}

// take consumes c when it comes next, after white space.
func (o *object) take(c byte) bool {
	o.blank()
	if o.bad || o.peek() != c {
		return false
	}
	o.rest = o.rest[1:]
	return true
}

// value reads one value. wanted says whether what it holds can have been asked for.
func (o *object) value(wanted bool, depth int) {
	if depth == 0 {
		o.bad = true
	}
	switch c := o.peek(); {
	case o.bad:
	case c == '{':
		o.rest = o.rest[1:]
		o.list('}', func() { o.member(wanted, depth-1) })
	case c == '[':
		o.rest = o.rest[1:]
		o.list(']', func() { o.blank(); o.value(false, depth-1) })
	case c == '"':
		o.text()
	default:
		o.scalar()
	}
}

// list reads what stands between commas, up to close.
func (o *object) list(close byte, element func()) {
	if o.take(close) {
		return
	}
	for !o.bad {
		element()
		if o.take(close) {
			return
		}
		if !o.take(',') {
			o.bad = true
		}
	}
}

// member reads "name": value.
func (o *object) member(wanted bool, depth int) {
	o.blank()
	name := o.text()
	if !o.take(':') {
		o.bad = true
		return
	}
	o.blank()
	if !wanted {
		o.value(false, depth)
		return
	}
	outer := len(o.path)
	if outer > 0 {
		o.path = append(o.path, '.')
	}
	if len(o.path)+len(name) > maxPath {
		wanted = false
	} else if bytes.IndexByte(name, '\\') >= 0 {
		o.path = append(o.path, decodeText(name)...)
	} else if len(name) >= 2 {
		o.path = append(o.path, name[1:len(name)-1]...)
	}
	place, asked := -1, false
	if wanted {
		place, asked = o.paths[string(o.path)]
	}
	begin := o.rest
	o.value(wanted, depth)
	o.path = o.path[:outer]
	if asked && !o.bad {
		if o.values[place] != nil { // which one holds?
			o.bad = true
			return
		}
		o.values[place] = begin[:len(begin)-len(o.rest)]
	}
}

// text reads a string and gives it with its quotes.
func (o *object) text() []byte {
	if o.peek() != '"' {
		o.bad = true
		return nil
	}
	for i := 1; i < len(o.rest); i++ {
		switch c := o.rest[i]; {
		case c == '"':
			text := o.rest[:i+1]
			o.rest = o.rest[i+1:]
			return text
		case c < ' ':
			o.bad = true
			return nil
		case c == '\\':
			n := escapeLength(o.rest[i+1:])
			if n == 0 {
				o.bad = true
				return nil
			}
			i += n
		}
	}
	o.bad = true
	return nil
}

// escapeLength is how many bytes follow a backslash; 0 where they are no escape.
func escapeLength(rest []byte) int {
	if len(rest) == 0 {
		return 0
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		for i := 1; i <= 4; i++ {
			if i >= len(rest) || !isHex(rest[i]) {
				return 0
			}
		}
		return 5
	}
	return 0
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// scalar reads a number, true, false or null.
func (o *object) scalar() {
	n := 0
	for n < len(o.rest) && (isDigit(o.rest[n]) || o.rest[n] >= 'a' && o.rest[n] <= 'z' || bytes.IndexByte([]byte("+-.E"), o.rest[n]) >= 0) {
		n++
	}
	if n == 0 || !json.Valid(o.rest[:n]) {
		o.bad = true
	}
	o.rest = o.rest[n:]
}

// textOf gives a value as text: a string without quotes and escapes, a number, true
// and false as they stand, null as nothing, of a list its elements with ", " between
// them, "[]" where it has none: something is there. Objects have none.
func textOf(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	switch value[0] {
	case '"':
		inner := value[1 : len(value)-1]
		if bytes.IndexByte(inner, '\\') < 0 {
			return inner
		}
		return decodeText(value)
	case '{', 'n':
		return nil
	case '[':
		var elements []json.RawMessage
		if json.Unmarshal(value, &elements) != nil {
			return nil
		}
		if len(elements) == 0 {
			return []byte("[]")
		}
		var all [][]byte
		for _, element := range elements {
			all = append(all, textOf(element))
		}
		return bytes.Join(all, []byte(", "))
	}
	return value
}

// decodeText gives what a string with escapes says.
func decodeText(quoted []byte) []byte {
	var text string
	if json.Unmarshal(quoted, &text) != nil || !utf8.ValidString(text) {
		return nil
	}
	return []byte(text)
}
