package backtrack

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// regexp/syntax reads all but what RE2 lacks. So each group is given to it as a group whose
// name is the number of a mark, which says what it is; a backreference is an empty group, and
// so is a class, of which regexp/syntax would make thousands of ranges.
type mark struct {
	kind     markKind
	group    int    // a capture's or backreference's number, a condition's group
	name     string // of the group that is meant, until the end has been read; empty: by number
	min, max int    // of a count; -1: no limit
	lazy     bool
	other    int // of a condition: the mark of the other branch, -1: none
	set      *set
}

type markKind uint8

const (
	capture markKind = iota
	reference
	condition
	otherwise // the second branch of the condition before it
	ahead
	notAhead
	behind
	notBehind
	atomic
	counted
	class // a set of characters
)

// tree is an expression, read.
type tree struct {
	*syntax.Regexp
	marks []mark
	names []string
}

func (t *tree) mark(re *syntax.Regexp) *mark {
	n, _ := strconv.Atoi(re.Name[1:])
	return &t.marks[n]
}

const maxPattern = 64 << 10 // bytes

func parse(pattern string) (*tree, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the expression has more than %d bytes", maxPattern)
	}
	if !utf8.ValidString(pattern) {
		return nil, errors.New("the expression is not UTF-8")
	}
	p := parser{in: pattern, atom: -1, tree: tree{names: []string{""}}}
	if err := p.run(); err != nil {
		return nil, err
	}
	for i := range p.marks {
		if err := p.resolve(&p.marks[i]); err != nil {
			return nil, err
		}
	}
	var err error
	if p.Regexp, err = syntax.Parse(string(p.out), syntax.Perl); err != nil {
		if known, ok := err.(*syntax.Error); ok { // its Expr shows marks
			err = fmt.Errorf("%s", known.Code)
		}
		return nil, err
	}
	return &p.tree, nil
}

// resolve finds the group that a mark means.
func (p *parser) resolve(m *mark) error {
	if m.kind != reference && m.kind != condition {
		return nil
	}
	if m.name != "" {
		if m.group = slices.Index(p.names, m.name); m.group < 0 {
			return fmt.Errorf("there is no group %q", m.name)
		}
	}
	if m.group >= len(p.names) || m.group < 1 {
		return fmt.Errorf("there is no group %d", m.group)
	}
	return nil
}

// parser writes an expression anew, token by token, for regexp/syntax.
type parser struct {
	tree
	in   string
	at   int
	out  []byte
	atom int // where in out the last atom begins; -1: there is none to repeat
	open []group

	folds bool // case may be ignored
}

type group struct {
	start int // in out
	at    int // in in
	mark  int // of a condition whose other branch has not come; -1: another group
	cond  bool
}

func (p *parser) rest() string { return p.in[p.at:] }

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("at %d of the expression: %s", p.at, fmt.Sprintf(format, args...))
}

// put writes text for the next n bytes.
func (p *parser) put(n int, text string) {
	p.out = append(p.out, text...)
	p.at += n
}

// putAtom is put of what can be repeated.
func (p *parser) putAtom(n int, text string) {
	p.atom = len(p.out)
	p.put(n, text)
}

// putRune writes a character that stands for itself. Where case is ignored, one that Python
// and regexp/syntax see differently is a class.
func (p *parser) putRune(n int, r rune, text string) {
	if p.folds && fold(r) != unicode.SimpleFold(r) {
		p.putClass(n, &set{ranges: []rune{r, r}})
		return
	}
	p.putAtom(n, text)
}

// opening is how a group of a mark begins.
func (p *parser) opening(m mark) string {
	p.marks = append(p.marks, m)
	return "(?P<m" + strconv.Itoa(len(p.marks)-1) + ">"
}

func (p *parser) run() error {
	for p.at < len(p.in) {
		var err error
		switch c := p.in[p.at]; c {
		case '\\':
			err = p.escape()
		case '[':
			err = p.class()
		case '(':
			err = p.group()
		case ')':
			err = p.close()
		case '|':
			err = p.alternative()
		case '*', '+', '?', '{':
			err = p.repeat()
		default:
			r, n := utf8.DecodeRuneInString(p.rest())
			p.putRune(n, r, p.in[p.at:p.at+n])
		}
		if err != nil {
			return err
		}
	}
	if n := len(p.open); n > 0 {
		p.at = p.open[n-1].at
		return p.fail("the group has no end: missing )")
	}
	return nil
}

// group reads what begins with "(".
func (p *parser) group() error {
	rest := p.rest()
	named := func(head int, end string) (name string, err error) {
		name, _, ok := strings.Cut(rest[head:], end)
		if !ok || name == "" {
			return "", p.fail("the name of a group has no end")
		}
		return name, nil
	}
	looks := func(n int, kind markKind) error {
		p.enter(n, p.opening(mark{kind: kind}))
		return nil
	}
	switch {
	case !strings.HasPrefix(rest, "(?"):
		p.capture(1, "")
		return nil
	case strings.HasPrefix(rest, "(?="):
		return looks(3, ahead)
	case strings.HasPrefix(rest, "(?!"):
		return looks(3, notAhead)
	case strings.HasPrefix(rest, "(?<="):
		return looks(4, behind)
	case strings.HasPrefix(rest, "(?<!"):
		return looks(4, notBehind)
	case strings.HasPrefix(rest, "(?>"):
		return looks(3, atomic)
	case strings.HasPrefix(rest, "(?P="):
		name, err := named(4, ")")
		if err != nil {
			return err
		}
		p.putAtom(len(name)+5, p.opening(mark{kind: reference, name: name})+")")
		return nil
	case strings.HasPrefix(rest, "(?("):
		name, err := named(3, ")")
		if err != nil {
			return err
		}
		m := mark{kind: condition, name: name, other: -1}
		if number, err := strconv.Atoi(name); err == nil {
			m.name, m.group = "", number
		}
		p.enter(len(name)+4, "(?:"+p.opening(m))
		g := &p.open[len(p.open)-1]
		g.mark, g.cond = len(p.marks)-1, true
		return nil
	case strings.HasPrefix(rest, "(?<"), strings.HasPrefix(rest, "(?P<"):
		head := strings.IndexByte(rest, '<') + 1
		name, err := named(head, ">")
		if err != nil {
			return err
		}
		if isNumber(name) || strings.ContainsAny(name, "-()") {
			return p.fail("%q is no name for a group", name)
		}
		p.capture(head+len(name)+1, name)
		return nil
	case strings.HasPrefix(rest, "(?#"):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return p.fail("a comment without its end")
		}
		p.at += end + 1
		return nil
	}
	return p.flags()
}

// flags reads "(?:", "(?i)" or "(?i-s:".
func (p *parser) flags() error {
	rest := p.rest()
	n := 2
	for n < len(rest) && strings.IndexByte("ims-", rest[n]) >= 0 {
		n++
	}
	p.folds = p.folds || strings.Contains(rest[:n], "i")
	switch {
	case n < len(rest) && rest[n] == ':':
		p.enter(n+1, rest[:n+1])
	case n < len(rest) && rest[n] == ')' && n > 2:
		p.put(n+1, rest[:n+1])
		p.atom = -1
	default:
		return p.fail("%q is not known", rest[:min(n+1, len(rest))])
	}
	return nil
}

// capture opens a group. One that has a name again is the same group.
func (p *parser) capture(n int, name string) {
	number := slices.Index(p.names, name)
	if name == "" || number < 0 {
		number = len(p.names)
		p.names = append(p.names, name)
	}
	p.enter(n, p.opening(mark{kind: capture, group: number}))
}

// enter opens a group whose head has n bytes, and is written as text.
func (p *parser) enter(n int, text string) {
	p.open = append(p.open, group{start: len(p.out), at: p.at, mark: -1})
	p.put(n, text)
	p.atom = -1
}

func (p *parser) close() error {
	if len(p.open) == 0 {
		return p.fail("unbalanced )")
	}
	g := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	end := ")"
	if g.cond {
		end = "))"
	}
	p.put(1, end)
	p.atom = g.start
	return nil
}

func (p *parser) alternative() error {
	p.atom = -1
	if len(p.open) == 0 || !p.open[len(p.open)-1].cond {
		p.put(1, "|")
		return nil
	}
	g := &p.open[len(p.open)-1]
	if g.mark < 0 {
		return p.fail("a condition has more than two branches")
	}
	p.marks[g.mark].other = len(p.marks)
	g.mark = -1
	p.put(1, ")"+p.opening(mark{kind: otherwise}))
	return nil
}

// repeat reads a quantifier. A count is a mark: regexp/syntax would write the atom as often
// as it says, up to 1,000 times in all.
func (p *parser) repeat() error {
	rest := p.rest()
	n, m := 1, mark{kind: counted}
	if rest[0] == '{' {
		var ok bool
		if m.min, m.max, n, ok = count(rest); !ok {
			p.putAtom(1, `\{`)
			return nil
		}
		if m.min > maxCount || m.max > maxCount {
			return p.fail("a repetition has more than %d", maxCount)
		}
		if m.max >= 0 && m.min > m.max {
			return p.fail("a repetition has at least %d and at most %d", m.min, m.max)
		}
	}
	if p.atom < 0 {
		return p.fail("nothing to repeat")
	}
	atom := p.atom
	p.atom = -1
	if m.lazy = strings.HasPrefix(rest[n:], "?"); m.lazy {
		n++
	}
	if rest[0] != '{' {
		p.put(n, rest[:n])
		return nil
	}
	p.out = slices.Insert(p.out, atom, []byte(p.opening(m))...)
	p.put(n, ")")
	return nil
}

const maxCount = 10_000

// count reads "{2}", "{2,}" or "{2,5}", n bytes of text.
func count(text string) (least, most, n int, ok bool) {
	inside, _, closed := strings.Cut(text[1:], "}")
	first, second, ranged := strings.Cut(inside, ",")
	if !closed || !isNumber(first) || second != "" && !isNumber(second) {
		return 0, 0, 0, false
	}
	number := func(digits string) int {
		if v, err := strconv.Atoi(digits); err == nil && v <= maxCount {
			return v
		}
		return maxCount + 1
	}
	least = number(first)
	switch {
	case !ranged:
		most = least
	case second == "":
		most = -1
	default:
		most = number(second)
	}
	return least, most, len(inside) + 2, true
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
