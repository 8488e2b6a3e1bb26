package filter

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"scan2ban/scan/filter/backtrack"
	"scan2ban/state/lazy"
)

// Dialect translates an expression of Python's re into one of Go's regexp; where it
// holds what that lacks (lookaround, backreferences, conditionals, atomic groups) or finds
// otherwise (emptyRounds, letters beyond ASCII in any case) into one of backtrack's, and
// linear is false. What the two print alike is left alone.
func Dialect(pattern string) (translated string, linear bool, err error) {
	t := translator{in: pattern, linear: true, names: map[string]int{}}
	if err := t.run(); err != nil {
		return "", false, err
	}
	if t.linear {
		tree, err := syntax.Parse(expandScript(t.finish()), syntax.Perl)
		if err == nil && !emptyRounds(tree) && !(t.beyondASCII && ignoresCase().MatchString(t.finish())) {
			return t.finish(), true, nil
		}
	}
	if translated, err = dialectBacktracking(pattern, false); err == nil {
		_, err = backtrack.Compile(expandScript(translated))
	}
	return translated, false, err
}

// dialectBacktracking translates an expression of Python's re into one of backtrack's. In
// that of a date \d is 0 to 9.
func dialectBacktracking(pattern string, date bool) (string, error) {
	t := translator{in: pattern, date: date, names: map[string]int{}}
	if err := t.run(); err != nil {
		return "", err
	}
	return t.finish(), nil
}

// translator copies an expression token by token.
type translator struct {
	in          string
	at          int
	out         strings.Builder
	linear      bool   // nothing that RE2 lacks was met
	date        bool   // a date's
	beyondASCII bool   // a character beyond ASCII is written in it
	flags       string // for the whole expression
	atom        int    // where in out the last atom begins; -1: there is none to repeat
	open        []openGroup
	groups      int
	names       map[string]int
}

// openGroup is a group that is open.
type openGroup struct {
	start   int  // in out
	verbose bool // the state outside it
}

func (t *translator) finish() string {
	text := t.out.String()
	if t.flags != "" {
		text = "(?" + t.flags + ")" + text
	}
	return text
}

func (t *translator) fail(format string, args ...any) error {
	return fmt.Errorf("at %d of the expression: %s", t.at, fmt.Sprintf(format, args...))
}

// rest is what is not translated yet. It is called in many places, and not inlined there.
//
//go:noinline
func (t *translator) rest() string { return t.in[t.at:] }

func (t *translator) run() error {
	verbose := false
	t.atom = -1
	t.beyondASCII = !isASCII(t.in)
	// A verbose expression says so at its beginning, or in a group of flags.
	if m := leadingFlags().FindStringSubmatch(t.in); m != nil && strings.Contains(m[1], "x") {
		verbose = true
	}
	for t.at < len(t.in) {
		c := t.in[t.at]
		switch {
		case verbose && strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			t.at++
		case verbose && c == '#':
			end := strings.IndexByte(t.rest(), '\n')
			if end < 0 {
				end = len(t.rest())
			}
			t.at += end
		case c == '\\':
			if err := t.escape(false); err != nil {
				return err
			}
		case c == '[':
			if err := t.class(); err != nil {
				return err
			}
		case c == '(':
			if err := t.group(&verbose); err != nil {
				return err
			}
		case c == ')':
			if len(t.open) == 0 {
				return t.fail("unbalanced )")
			}
			g := t.open[len(t.open)-1]
			t.open = t.open[:len(t.open)-1]
			verbose = g.verbose
			t.put(1, ")")
			t.atom = g.start
		case c == '*' || c == '+' || c == '?' || c == '{':
			if err := t.repeat(); err != nil {
				return err
			}
		case c == '$' || c == '^':
			t.atom = t.out.Len()
			t.put(1, string(c))
		case c == '|':
			t.atom = -1
			t.put(1, "|")
		default:
			if tag := scriptTag().FindString(t.rest()); tag != "" {
				t.atom = t.out.Len()
				t.groups += strings.Count(scriptTags[tag], "(?P<")
				t.put(len(tag), tag)
				continue
			}
			_, n := utf8.DecodeRuneInString(t.rest())
			t.atom = t.out.Len()
			t.put(n, t.in[t.at:t.at+n])
		}
	}
	if len(t.open) > 0 {
		return t.fail("missing )")
	}
	return nil
}

var (
	leadingFlags = lazy.Regexp(`^\s*\(\?([aiLmsux]+)\)`)
	beginsFlags  = lazy.Regexp(`^\((?:\?:)?(\(\?[a-z]+)\)`)
	groupFlags   = lazy.Regexp(`^\(\?([aiLmsux]*)(?:-([imsx]+))?([:)])`)
	counts       = lazy.Regexp(`^\{(\d*)(,?)(\d*)\}`)
)

// group reads what begins with "(".
func (t *translator) group(verbose *bool) error {
	rest := t.rest()
	enter := func(in, out string) { t.enter(in, out, *verbose) }
	// Fail2Ban makes of "((?i)a)" and "(?:(?i)a)" a "(?i:a)"; other flags are the expression's.
	if m := beginsFlags().FindStringSubmatch(rest); m != nil {
		t.in = t.in[:t.at] + m[1] + ":" + rest[len(m[0]):]
		return t.setFlags(verbose)
	}
	switch {
	case !strings.HasPrefix(rest, "(?"):
		t.groups++
		enter("(", "(")
	case strings.HasPrefix(rest, "(?P<"):
		end := strings.IndexByte(rest, '>')
		if end < 0 {
			return t.fail("a group's name without its end")
		}
		name := rest[4:end]
		if _, twice := t.names[name]; twice || name == "" {
			return t.fail("the name %q of a group stands there twice", name)
		}
		t.groups++
		t.names[name] = t.groups
		if t.linear {
			enter(rest[:end+1], "(?P<"+name+">")
		} else {
			enter(rest[:end+1], "(?<"+name+">")
		}
	case strings.HasPrefix(rest, "(?P="):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return t.fail("a backreference without its end")
		}
		t.linear = false
		t.atom = t.out.Len()
		t.put(end+1, `\k<`+rest[4:end]+">")
	case strings.HasPrefix(rest, "(?#"):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return t.fail("a comment without its end")
		}
		t.at += end + 1
	case strings.HasPrefix(rest, "(?:"):
		enter("(?:", "(?:")
	case strings.HasPrefix(rest, "(?="), strings.HasPrefix(rest, "(?!"), strings.HasPrefix(rest, "(?>"):
		t.linear = false
		enter(rest[:3], rest[:3])
	case strings.HasPrefix(rest, "(?<="), strings.HasPrefix(rest, "(?<!"):
		t.linear = false
		enter(rest[:4], rest[:4])
	case strings.HasPrefix(rest, "(?("):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return t.fail("a condition without its end")
		}
		t.linear = false
		enter(rest[:end+1], rest[:end+1])
	default:
		return t.setFlags(verbose)
	}
	return nil
}

// enter opens a group that begins with in, and is to begin with out.
func (t *translator) enter(in, out string, verbose bool) {
	t.open = append(t.open, openGroup{t.out.Len(), verbose})
	t.put(len(in), out)
	t.atom = -1
}

// setFlags reads "(?i)", or the beginning of a group that has flags of its own.
func (t *translator) setFlags(verbose *bool) error {
	rest := t.rest()
	m := groupFlags().FindStringSubmatch(rest)
	if m == nil {
		return t.fail("%q is not known", rest[:min(4, len(rest))])
	}
	if strings.Contains(m[1], "a") {
		return t.fail("the flag a (letters, digits and spaces of ASCII alone) is not known")
	}
	on, off := flagsOf(m[1]), flagsOf(m[2])
	if m[3] == ":" {
		flags := on
		if off != "" {
			flags += "-" + off
		}
		if flags != "" {
			flags = "(?" + flags + ":"
		} else {
			flags = "(?:"
		}
		t.enter(m[0], flags, *verbose)
		*verbose = *verbose && !strings.Contains(m[2], "x") || strings.Contains(m[1], "x")
		return nil
	}
	t.at += len(m[0])
	*verbose = *verbose || strings.Contains(m[1], "x")
	for _, flag := range on {
		if !strings.ContainsRune(t.flags, flag) {
			t.flags += string(flag)
		}
	}
	return nil
}

// flagsOf leaves those out that say nothing here: "u" is how it is, "L" is for bytes, and "x"
// has been obeyed.
func flagsOf(flags string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("ims", c) {
			return c
		}
		return -1
	}, flags)
}

// repeat reads a quantifier.
func (t *translator) repeat() error {
	rest := t.rest()
	quantifier := rest[:1]
	n := 1
	if rest[0] == '{' {
		m := counts().FindStringSubmatch(rest)
		if m == nil || m[0] == "{}" { // "{" itself
			t.atom = t.out.Len()
			t.put(1, `\{`)
			return nil
		}
		least := m[1]
		if least == "" {
			least = "0"
		}
		quantifier, n = "{"+least+m[2]+m[3]+"}", len(m[0])
	}
	if t.atom < 0 {
		return t.fail("nothing to repeat")
	}
	switch {
	case strings.HasPrefix(rest[n:], "?"):
		quantifier, n = quantifier+"?", n+1
	case strings.HasPrefix(rest[n:], "+"): // possessive
		t.linear = false
		atom := t.out.String()
		t.out.Reset()
		t.put(n+1, atom[:t.atom]+"(?>"+atom[t.atom:]+quantifier+")")
		return nil
	}
	t.put(n, quantifier)
	return nil
}

// wordClass and spaceClass are \w and \s, which are Unicode's in Python.
const (
	wordClass  = `\p{L}\p{N}_`
	spaceClass = `\s\v\x1c-\x1f\x{85}\p{Z}`
)

// escape reads what begins with a backslash.
func (t *translator) escape(inClass bool) error {
	rest := t.rest()
	if len(rest) < 2 {
		return t.fail(`a \ at the end`)
	}
	if !inClass {
		t.atom = t.out.Len()
	}
	c := rest[1]
	switch {
	case c == 'Z' && !inClass:
		t.put(2, `\z`)
	case c == 'w' && t.linear && inClass:
		t.put(2, wordClass)
	case c == 'w' && t.linear:
		t.put(2, "["+wordClass+"]")
	case c == 'W' && t.linear && !inClass:
		t.put(2, "[^"+wordClass+"]")
	case c == 's' && t.linear && inClass:
		t.put(2, spaceClass)
	case c == 's' && t.linear:
		t.put(2, "["+spaceClass+"]")
	case c == 'S' && t.linear && !inClass:
		t.put(2, "[^"+spaceClass+"]")
	case (c == 'W' || c == 'S') && t.linear: // a complement within a class
		t.linear = false
		t.put(2, rest[:2])
	case c == 'd' && t.date && inClass:
		t.put(2, "0-9")
	case c == 'd' && t.date:
		t.put(2, "[0-9]")
	case c == 'd':
		t.put(2, `\p{Nd}`)
	case c == 'D' && !t.date:
		t.put(2, `\P{Nd}`)
	case c == '0':
		n := 2
		for n < 4 && n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(rest[1:n], 8, 32)
		t.put(n, fmt.Sprintf(`\x%02x`, v&0xff))
	case c >= '1' && c <= '9':
		return t.number(inClass)
	case c == 'u' || c == 'U' || c == 'x':
		return t.codePoint(inClass)
	case strings.IndexByte("AbBdDsSwWafnrtv", c) >= 0:
		if c == 'b' && inClass {
			t.put(2, `\x08`)
			return nil
		}
		t.put(2, rest[:2])
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return t.fail(`\%c is not known`, c)
	default:
		r, n := utf8.DecodeRuneInString(rest[1:])
		t.put(1+n, escapeRune(r, inClass))
	}
	return nil
}

// put writes text for the next n bytes. Inlined it would be in the binary forty times.
//
//go:noinline
func (t *translator) put(n int, text string) {
	t.out.WriteString(text)
	t.at += n
}

// number reads a backreference, or a character by its octal number.
func (t *translator) number(inClass bool) error {
	rest, n := t.rest(), 2
	for n < 4 && n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if octal := rest[1:n]; inClass || n == 4 && strings.Trim(octal, "01234567") == "" && rest[1] <= '3' {
		v, err := strconv.ParseUint(octal, 8, 32)
		if err != nil {
			return t.fail(`\%s is no octal number`, octal)
		}
		t.beyondASCII = t.beyondASCII || v&0xff >= utf8.RuneSelf
		t.put(n, fmt.Sprintf(`\x%02x`, v&0xff))
		return nil
	}
	n = min(n, 3)
	number, _ := strconv.Atoi(rest[1:n])
	if number > t.groups {
		return t.fail("there is no group %d", number)
	}
	t.linear = false
	t.put(n, fmt.Sprintf(`(?:\%d)`, number))
	return nil
}

// codePoint reads \xHH, \uHHHH or \UHHHHHHHH.
func (t *translator) codePoint(inClass bool) error {
	rest := t.rest()
	c := rest[1]
	n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if len(rest) < 2+n {
		return t.fail(`\%c wants %d digits`, c, n)
	}
	v, err := strconv.ParseUint(rest[2:2+n], 16, 32)
	if err != nil || v > utf8.MaxRune {
		return t.fail(`\%c wants %d digits`, c, n)
	}
	t.beyondASCII = t.beyondASCII || v >= utf8.RuneSelf
	if t.linear {
		t.put(2+n, fmt.Sprintf(`\x{%x}`, v))
	} else {
		t.put(2+n, escapeRune(rune(v), inClass))
	}
	return nil
}

// escapeRune writes one character that stands for itself.
func escapeRune(r rune, inClass bool) string {
	if inClass && strings.ContainsRune(`]-\^[&~`, r) {
		return `\` + string(r)
	}
	if r < ' ' {
		return fmt.Sprintf(`\x%02x`, r)
	}
	if r < utf8.RuneSelf && strings.ContainsRune(`\.+*?()|[]{}^$#`, r) {
		return `\` + string(r)
	}
	return string(r)
}

// class reads a class of characters.
func (t *translator) class() error {
	t.atom = t.out.Len()
	t.put(1, "[")
	if strings.HasPrefix(t.rest(), "^") {
		t.put(1, "^")
	}
	set := false // the last member stands for several characters: "-" after it is itself
	for first := true; ; first = false {
		if t.at >= len(t.in) {
			return t.fail("missing ]")
		}
		switch c := t.in[t.at]; {
		case c == ']' && !first:
			t.put(1, "]")
			return nil
		case c == '\\':
			set = len(t.rest()) > 1 && strings.IndexByte("dswDSW", t.rest()[1]) >= 0
			if err := t.escape(true); err != nil {
				return err
			}
			continue
		case c == '[' || c == ']':
			t.put(1, `\`+string(c))
		case c == '-' && (first || strings.HasPrefix(t.rest(), "-]") || set):
			t.put(1, `\-`)
		default:
			_, n := utf8.DecodeRuneInString(t.rest())
			t.put(n, t.in[t.at:t.at+n])
		}
		set = false
	}
}
