package backtrack

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What \s and \d are, as pairs.
var (
	space = []rune{'\t', '\r', 0x1c, ' ', 0x85, 0x85, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000}
	digit = []rune{'0', '9'}
)

// complement is all that pairs in order leave out.
func complement(pairs []rune) []rune {
	others := []rune{0}
	for i := 0; i < len(pairs); i += 2 {
		others = append(others, pairs[i]-1, pairs[i+1]+1)
	}
	return append(others, unicode.MaxRune)
}

// class reads a class of characters.
func (p *parser) class() error {
	start := p.at
	s := &set{}
	p.at++
	if s.negate = strings.HasPrefix(p.rest(), "^"); s.negate {
		p.at++
	}
	for first := true; ; first = false {
		rest := p.rest()
		switch {
		case rest == "":
			p.at = start
			return p.fail("the class has no end: missing ]")
		case rest[0] == ']' && !first:
			n := p.at + 1 - start
			p.at = start
			p.putClass(n, s)
			return nil
		case strings.HasPrefix(rest, "-[") && !first:
			return p.fail("a class cannot be taken from another: write \\[")
		}
		if n, err := p.several(s, rest); n > 0 || err != nil {
			p.at += n
			if err != nil {
				return err
			}
			continue
		}
		low, n, err := p.member(rest)
		if err != nil {
			return err
		}
		high := low
		if to := rest[n:]; len(to) > 1 && to[0] == '-' && to[1] != ']' {
			var more int
			if high, more, err = p.member(to[1:]); err != nil {
				return err
			}
			if n += 1 + more; low > high {
				return p.fail("%s is no range: it ends before it begins", rest[:n])
			}
		}
		p.at += n
		s.add(low, high)
	}
}

// putClass writes the set of the next n bytes.
func (p *parser) putClass(n int, s *set) {
	p.putAtom(n, p.opening(mark{kind: class, set: s})+")")
}

// member reads one character of a class.
func (p *parser) member(rest string) (r rune, n int, err error) {
	switch {
	case strings.HasPrefix(rest, `\b`):
		return '\b', 2, nil
	case rest[0] == '\\':
		return p.character(rest)
	}
	r, n = utf8.DecodeRuneInString(rest)
	return r, n, nil
}

// several takes what an escape that stands for many characters means into s, and gives its
// length: 0 where rest begins with none.
func (p *parser) several(s *set, rest string) (n int, err error) {
	if len(rest) < 2 || rest[0] != '\\' {
		return 0, nil
	}
	switch rest[1] {
	case 'w':
		s.word = true
	case 'W':
		s.notWord = true
	case 's':
		s.ranges = append(s.ranges, space...)
	case 'S':
		s.ranges = append(s.ranges, complement(space)...)
	case 'd':
		s.ranges = append(s.ranges, digit...)
	case 'D':
		s.ranges = append(s.ranges, complement(digit)...)
	case 'p', 'P':
		return p.property(s, rest)
	default:
		return 0, nil
	}
	return 2, nil
}

// property reads "\pL", "\p{Greek}", "\p{^Greek}" or "\P{Greek}".
func (p *parser) property(s *set, rest string) (n int, err error) {
	name, n := rest[2:min(3, len(rest))], 3
	if name == "{" {
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return 0, p.fail(`\%c{ without }`, rest[1])
		}
		name, n = rest[3:end], end+1
	}
	bare, negated := strings.CutPrefix(name, "^")
	table, ok := unicode.Categories[bare]
	if !ok {
		table, ok = unicode.Scripts[bare]
	}
	into := &s.tables
	if negated != (rest[1] == 'P') {
		into = &s.not
	}
	switch {
	case !ok:
		return 0, p.fail(`\%c{%s} is not known`, rest[1], name)
	case !slices.Contains(*into, table):
		*into = append(*into, table)
	}
	return n, nil
}
