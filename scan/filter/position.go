package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Syntax gives the error of decoding a file as TOML with its place, and the line, from 1; 0
// where it is not one of syntax.
func Syntax(file string, err error) (line int, placed error) {
	var bad toml.ParseError
	if !errors.As(err, &bad) {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	line = bad.Position.Line
	for _, open := range []string{"to end table name", "table array name delimiter ']'"} {
		if strings.Contains(bad.Message, open+`, but got '\n'`) {
			line-- // the package has counted that line feed
		}
	}
	return line, fmt.Errorf("%s:%d:%d: %s", file, line, bad.Position.Col, strings.TrimSuffix(bad.Message, "."))
}

// KeyLine finds the line, from 1, on which key is set in a TOML text that
// parses: the TOML package tells which keys are unknown, not where they are. In
// an array of tables "[n]" after the table's name chooses the n-th, from 0;
// without it the first that has the key is taken. A key inside an inline table
// is answered with the line of that table, a table that only what lies in it names
// ([a.b] names a) with the first such line, an unknown key with its nearest parent's; 0
// when there is no parent either.
func KeyLine(text string, key toml.Key) int {
	best, depth, inside := 0, 0, 0
	found := func(path toml.Key, line int) bool {
		if inside == 0 && len(path) > len(key) && prefixLen(path[:len(key)], key) == len(key) {
			inside = line
		}
		if n := prefixLen(path, key); n > depth {
			best, depth = line, n
		}
		return depth == len(key)
	}
	s := scanner{rest: strings.TrimPrefix(text, "\ufeff"), line: 1}
	var table toml.Key
	arrays := map[string]int{}
	for s.skipBlank(); s.rest != ""; s.skipBlank() {
		line := s.line
		if s.rest[0] == '[' {
			double := strings.HasPrefix(s.rest, "[[")
			s.rest = strings.TrimLeft(s.rest, "[")
			table = s.key("]")
			if double {
				name := strings.Join(table, "\x00")
				table = append(table, "["+strconv.Itoa(arrays[name])+"]")
				arrays[name]++
			}
			s.endOfLine()
			if found(table, line) {
				break
			}
			continue
		}
		path := append(table[:len(table):len(table)], s.key("=")...)
		if found(path, line) {
			break
		}
		s.value()
	}
	if depth < len(key) && inside != 0 {
		return inside
	}
	return best
}

// prefixLen is how much of key path sets: all of path must be in key. An index
// that key leaves out is passed over.
func prefixLen(path, key toml.Key) int {
	n := 0
	for _, part := range path {
		switch {
		case n < len(key) && key[n] == part:
			n++
		case strings.HasPrefix(part, "[") && (n == len(key) || !strings.HasPrefix(key[n], "[")):
		default:
			return 0
		}
	}
	return n
}

// scanner walks a TOML text key by key without understanding the values.
type scanner struct {
	rest string
	line int
}

func (s *scanner) advance(n int) {
	n = min(n, len(s.rest))
	s.line += strings.Count(s.rest[:n], "\n")
	s.rest = s.rest[n:]
}

// skipBlank passes white space, empty lines and comments.
func (s *scanner) skipBlank() {
	for s.rest != "" {
		switch {
		case strings.ContainsRune(" \t\r\n", rune(s.rest[0])):
			s.advance(1)
		case s.rest[0] == '#':
			s.endOfLine()
		default:
			return
		}
	}
}

func (s *scanner) endOfLine() {
	if n := strings.IndexByte(s.rest, '\n'); n >= 0 {
		s.advance(n + 1)
	} else {
		s.rest = ""
	}
}

// key reads a dotted key up to the byte end, which it passes.
func (s *scanner) key(end string) toml.Key {
	var key toml.Key
	for s.rest != "" && s.rest[0] != '\n' {
		switch c := s.rest[0]; {
		case c == end[0]:
			s.advance(1)
			return key
		case c == ' ' || c == '\t' || c == '.':
			s.advance(1)
		case c == '"' || c == '\'':
			key = append(key, s.quoted())
		default:
			n := strings.IndexAny(s.rest, " \t.\"'\n"+end)
			if n < 0 {
				n = len(s.rest)
			}
			key = append(key, s.rest[:n])
			s.advance(n)
		}
	}
	return key
}

// quoted reads one string of any of the four forms and gives its raw inside.
func (s *scanner) quoted() string {
	quote := s.rest[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.rest, triple) {
		quote = triple
	}
	inside := s.rest[len(quote):]
	for i := 0; i < len(inside); i++ {
		if inside[i] == '\\' && quote[0] == '"' {
			i++
			continue
		}
		if strings.HasPrefix(inside[i:], quote) {
			s.advance(len(quote) + i + len(quote))
			return inside[:i]
		}
	}
	s.advance(len(s.rest))
	return inside
}

// value passes a value: to the end of the line that closes every bracket.
func (s *scanner) value() {
	open := 0
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '"' || c == '\'':
			s.quoted()
			continue
		case c == '#':
			s.endOfLine()
			if open <= 0 {
				return
			}
			continue
		case c == '[' || c == '{':
			open++
		case c == ']' || c == '}':
			open--
		case c == '\n' && open <= 0:
			return
		}
		s.advance(1)
	}
}
