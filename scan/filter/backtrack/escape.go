package backtrack

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape reads what begins with a backslash, outside a class.
func (p *parser) escape() error {
	rest := p.rest()
	if len(rest) < 2 {
		return p.fail(`a \ at the end`)
	}
	s := &set{}
	if n, err := p.several(s, rest); n > 0 || err != nil {
		p.putClass(n, s)
		return err
	}
	switch c := rest[1]; {
	case c == 'Z':
		p.putAtom(2, "(?-m:$)")
	case c == 'k':
		name, _, ok := strings.Cut(strings.TrimPrefix(rest[2:], "<"), ">")
		if !ok || name == "" || rest[2] != '<' {
			return p.fail("a backreference without a name")
		}
		p.putAtom(len(name)+4, p.opening(mark{kind: reference, name: name})+")")
	case c >= '1' && c <= '9':
		n := 2
		if n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		number, _ := strconv.Atoi(rest[1:n])
		p.putAtom(n, p.opening(mark{kind: reference, group: number})+")")
	case strings.IndexByte("AbBz", c) >= 0:
		p.putAtom(2, rest[:2])
	default:
		r, n, err := p.character(rest)
		if err != nil {
			return err
		}
		p.putRune(n, r, fmt.Sprintf(`\x{%x}`, r))
	}
	return nil
}

// character reads an escape that stands for itself, in a class or outside: n bytes.
func (p *parser) character(rest string) (r rune, n int, err error) {
	if len(rest) < 2 {
		return 0, 0, p.fail(`a \ at the end`)
	}
	hex := func(head, digits int) (rune, int, error) {
		if len(rest) >= head+digits {
			if v, err := strconv.ParseUint(rest[head:head+digits], 16, 32); err == nil && v <= utf8.MaxRune {
				return rune(v), head + digits, nil
			}
		}
		return 0, 0, p.fail(`\%c wants %d digits`, rest[1], digits)
	}
	switch c := rest[1]; {
	case c == 'x' && strings.HasPrefix(rest[2:], "{"):
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return 0, 0, p.fail(`\x{ without }`)
		}
		r, n, err = hex(3, end-3)
		return r, n + 1, err
	case c == 'x':
		return hex(2, 2)
	case c == 'u':
		return hex(2, 4)
	case c == 'U':
		return hex(2, 8)
	case c == '0':
		n = 2
		for n < 4 && n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(rest[1:n], 8, 16)
		return rune(v), n, nil
	case strings.IndexByte("aefnrtv", c) >= 0:
		return rune("\a\x1b\f\n\r\t\v"[strings.IndexByte("aefnrtv", c)]), 2, nil
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '1' && c <= '9':
		return 0, 0, p.fail(`\%c is not known`, c)
	}
	r, n = utf8.DecodeRuneInString(rest[1:])
	return r, 1 + n, nil
}
