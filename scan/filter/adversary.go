package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"scan2ban/state/lazy"
)

// Slowest is an expression that gave up a line which was made to keep it busy.
type Slowest struct {
	Name string // of the rule, "prefix", "ignore-1", or "date pattern 1"
	Line string // such a line
}

// Slowest tries the expressions of a script that backtrack on lines made against them:
// long runs of what each of them repeats, after what must stand before. It gives those
// that took longer than a pass lets them, and how many were not tried to the end by the
// deadline. An expression that is not named is not proven to be fast.
func (m *Matcher) Slowest(deadline time.Time) (slow []Slowest, untried int) {
	m.ready.Do(m.compile)
	if m.memory == nil {
		return nil, 0
	}
	m.script.Lock()
	defer m.script.Unlock()
	s := m.filter.Script
	try := func(name, pattern string, e *expression) {
		if e == nil || e.backtracking(beyondASCII+"\n") == nil {
			return
		}
		end := ""
		if e.slow == nil {
			end = beyondASCII
		}
		for _, line := range adversaries(pattern) {
			if time.Now().After(deadline) {
				untried++
				return
			}
			line += end
			if _, err := e.find(line + "\n"); err != nil {
				slow = append(slow, Slowest{name, line})
				return
			}
		}
	}
	try("prefix", s.Prefix, m.memory.prefix)
	for i, e := range m.memory.failures {
		try(s.Failures[i].Name, s.Failures[i].Pattern, e)
	}
	for i, e := range m.memory.ignore {
		try(fmt.Sprintf("%s%d", ignorePrefix, i+1), s.Ignore[i], e)
	}
	if len(s.Dates) > 0 { // the usual ones are not the filter's
		for i, t := range m.memory.dates.templates {
			try(fmt.Sprintf("date pattern %d", i+1), t.regex, t.e)
		}
	}
	return slow, untried
}

// Backtracks is how many of a script's expressions do, beside the usual date patterns.
func (m *Matcher) Backtracks() (n int) {
	s := m.filter.Script
	if s == nil {
		return 0
	}
	for _, f := range s.Failures {
		if f.Backtracks {
			n++
		}
	}
	return n + len(s.Backtracks)
}

// beyondASCII is the end of a line over which an expression may backtrack that else does not.
const beyondASCII = "é"

// Lengths of the runs that an adversary writes, in bytes: what grows by powers of two
// shows in the short one, what grows by powers of its length in the long one.
var runLengths = []int{40, maxMessage - 1000}

// adversaries makes lines against a pattern.
func adversaries(pattern string) []string {
	a := &adversary{rest: pattern}
	for a.rest != "" { // a ")" that closes nothing
		a.alternatives("", 0)
		a.rest = strings.TrimPrefix(a.rest, ")")
	}
	var lines []string
	for _, n := range runLengths { // the short ones of all are tried first
		for _, r := range a.runs {
			lines = append(lines, r.before+strings.Repeat(r.unit, n/len(r.unit))+"\x01!")
		}
	}
	return lines
}

// adversary reads a pattern and writes what would match it, up to each repetition.
type adversary struct {
	rest string
	runs []run
	full bool // write once what may also be missing, if it may come many times
}

type run struct{ before, unit string }

const (
	maxRuns   = 200
	maxNested = 50
)

// alternatives reads up to the end of a group, and gives what matches its first branch.
func (a *adversary) alternatives(before string, depth int) (example string) {
	example = a.branch(before, depth)
	for strings.HasPrefix(a.rest, "|") {
		a.rest = a.rest[1:]
		a.branch(before, depth)
	}
	return example
}

func (a *adversary) branch(before string, depth int) (example string) {
	for a.rest != "" && a.rest[0] != '|' && a.rest[0] != ')' {
		atom := a.atom(before+example, depth)
		repeated := quantifier().FindString(a.rest)
		a.rest = a.rest[len(repeated):]
		if repeated != "" && repeated[0] != '?' {
			a.repeats(before+example, atom)
		}
		if (!optional().MatchString(repeated) || a.full && repeated[0] != '?') && len(example) < maxMessage/8 {
			n := 1
			if least := atLeast().FindStringSubmatch(repeated); least != nil {
				n, _ = strconv.Atoi(least[1])
			}
			example += strings.Repeat(atom, min(max(n, 1), maxNested, 1+maxMessage/max(len(atom), 1)))
		}
	}
	return example
}

// repeats notes that atom can come many times after what stands before.
func (a *adversary) repeats(before, atom string) {
	for _, unit := range []string{atom, "a", " ", "0", "a "} {
		if r := (run{before, unit}); unit != "" && len(a.runs) < maxRuns && !slices.Contains(a.runs, r) {
			a.runs = append(a.runs, r)
		}
	}
}

var (
	quantifier = lazy.Regexp(`^(?:[*+?]|\{\d*,?\d*\})[?+]?`)
	atLeast    = lazy.Regexp(`^\{(\d+)`)
	optional   = lazy.Regexp(`^(?:[*?]|\{0?,)`)
)

// atom reads one part, and gives what matches it.
func (a *adversary) atom(before string, depth int) (example string) {
	if tag := scriptTag().FindString(a.rest); tag != "" {
		a.rest = a.rest[len(tag):]
		return ExampleHost
	}
	switch a.rest[0] {
	case '(':
		head := groupHead().FindString(a.rest)
		a.rest = a.rest[len(head):]
		if strings.HasSuffix(head, ")") { // flags alone, or a comment
			return ""
		}
		if depth < maxNested {
			example = a.alternatives(before, depth+1)
		} else {
			a.rest = ""
		}
		a.rest = strings.TrimPrefix(a.rest, ")")
		if head == "(?P<content>" {
			return exampleContent
		}
		if looks().MatchString(head) {
			return ""
		}
		return example
	case '[':
		whole := class(a.rest)
		a.rest = a.rest[len(whole):]
		return memberOf(whole)
	case '\\':
		whole := escaped().FindString(a.rest)
		if whole == "" {
			whole = a.rest
		}
		a.rest = a.rest[len(whole):]
		switch {
		case len(whole) == 2 && strings.Contains("bBAZzG123456789", whole[1:]):
			return ""
		case len(whole) == 2 && !isLetter(whole[1]):
			return whole[1:]
		}
		return memberOf(whole)
	case '^', '$':
		a.rest = a.rest[1:]
		return ""
	case '.':
		a.rest = a.rest[1:]
		return "a"
	}
	_, n := utf8.DecodeRuneInString(a.rest)
	example, a.rest = a.rest[:n], a.rest[n:]
	return example
}

// looks is the head of a group that only looks around.
var looks = lazy.Regexp(`^\(\?<?[=!]`)

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// memberOf gives a character of a class.
func memberOf(class string) string {
	for _, c := range "a0 -/:.x_\"'@=,;([<A\t~" {
		if isMember(class, string(c)) {
			return string(c)
		}
	}
	return "a"
}
