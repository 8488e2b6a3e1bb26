package backtrack

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// What \w and \s are, in a class. "_" is not the last, or "-" after it would be a range.
const (
	wordClass  = `_\p{L}\p{N}`
	spaceClass = `\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}-\x{3000}`
)

// The complements, for which a class has no word: \W and \S beside other members.
var (
	notWord  = sync.OnceValue(func() string { return complement(wordClass) })
	notSpace = sync.OnceValue(func() string { return complement(spaceClass) })
)

func complement(class string) string {
	re, err := syntax.Parse("[^"+class+"]", syntax.Perl)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	for i := 0; i < len(re.Rune); i += 2 {
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, re.Rune[i], re.Rune[i+1])
	}
	return b.String()
}

// escape reads what begins with a backslash, outside a class.
func (p *parser) escape() error {
	rest := p.rest()
	if len(rest) < 2 {
		return p.fail(`a \ at the end`)
	}
	switch c := rest[1]; {
	case c == 'w':
		p.putAtom(2, "["+wordClass+"]")
	case c == 'W':
		p.putAtom(2, "[^"+wordClass+"]")
	case c == 's':
		p.putAtom(2, "["+spaceClass+"]")
	case c == 'S':
		p.putAtom(2, "[^"+spaceClass+"]")
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
	case strings.IndexByte("AbBdDz", c) >= 0:
		p.putAtom(2, rest[:2])
	default:
		text, n, err := p.character(rest)
		if err != nil {
			return err
		}
		p.putAtom(n, text)
	}
	return nil
}

// character reads an escape that stands for itself, in a class or outside: n bytes.
func (p *parser) character(rest string) (text string, n int, err error) {
	hex := func(n int) (string, int, error) {
		if len(rest) < 2+n {
			return "", 0, p.fail(`\%c wants %d digits`, rest[1], n)
		}
		v, err := strconv.ParseUint(rest[2:2+n], 16, 32)
		if err != nil || v > utf8.MaxRune {
			return "", 0, p.fail(`\%c wants %d digits`, rest[1], n)
		}
		return fmt.Sprintf(`\x{%x}`, v), 2 + n, nil
	}
	switch c := rest[1]; {
	case c == 'x' && strings.HasPrefix(rest[2:], "{"), c == 'p' || c == 'P':
		n = 3
		if len(rest) < 3 {
			return "", 0, p.fail(`\%c at the end`, c)
		}
		if rest[2] == '{' {
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return "", 0, p.fail(`\%c{ without }`, c)
			}
			n = end + 1
		}
		return rest[:n], n, nil
	case c == 'x':
		return hex(2)
	case c == 'u':
		return hex(4)
	case c == 'U':
		return hex(8)
	case c == '0':
		n = 2
		for n < 4 && n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(rest[1:n], 8, 16)
		return fmt.Sprintf(`\x{%x}`, v), n, nil
	case c == 'e':
		return `\x1b`, 2, nil
	case strings.IndexByte("afnrtv", c) >= 0:
		return rest[:2], 2, nil
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '1' && c <= '9':
		return "", 0, p.fail(`\%c is not known`, c)
	case c < utf8.RuneSelf:
		return rest[:2], 2, nil
	}
	_, size := utf8.DecodeRuneInString(rest[1:])
	return rest[1 : 1+size], 1 + size, nil
}

// class reads a class of characters.
func (p *parser) class() error {
	start := p.at
	p.putAtom(1, "[")
	if strings.HasPrefix(p.rest(), "^") {
		p.put(1, "^")
	}
	for first := true; ; first = false {
		rest := p.rest()
		if rest == "" {
			p.at = start
			return p.fail("the class has no end: missing ]")
		}
		switch c := rest[0]; {
		case c == ']' && !first:
			p.put(1, "]")
			return nil
		case c == '[' || c == ']':
			p.put(1, `\`+rest[:1])
		case strings.HasPrefix(rest, "-[") && !first:
			return p.fail("a class cannot be taken from another: write \\[")
		case c == '\\':
			if err := p.escapeInClass(rest); err != nil {
				return err
			}
		default:
			_, n := utf8.DecodeRuneInString(rest)
			p.put(n, rest[:n])
		}
	}
}

func (p *parser) escapeInClass(rest string) error {
	if len(rest) < 2 {
		return p.fail(`a \ at the end`)
	}
	switch rest[1] {
	case 'w':
		p.put(2, wordClass)
	case 'W':
		p.put(2, notWord())
	case 's':
		p.put(2, spaceClass)
	case 'S':
		p.put(2, notSpace())
	case 'd', 'D':
		p.put(2, rest[:2])
	case 'b':
		p.put(2, `\x08`)
	default:
		text, n, err := p.character(rest)
		if err != nil {
			return err
		}
		p.put(n, text)
	}
	return nil
}
