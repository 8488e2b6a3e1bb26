package filter

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state/lazy"
)

// Place is one in a line where an expression lets other text stand.
type Place struct {
	Start, End int  // bytes
	User       bool // it is the group of a user
	Spaced     bool // the text may hold spaces
}

// Free gives the places in a line where the expressions of the script that make it a
// failure let text of somebody else's choice stand: what repetitions of many characters
// have matched, and the groups of users. nil: no failure's expression holds.
//
// It is for who looks for lines that blame the wrong one; no pass asks.
func (m *Matcher) Free(line string) (places []Place) {
	m.ready.Do(m.compile)
	s := m.filter.Script
	at, _, _ := m.memory.dates.find(line)
	text, from := line[:at[0]]+line[at[1]:], 0
	add := func(found []Place) {
		for _, p := range found {
			p.Start, p.End = p.Start+from, p.End+from
			if p.Start >= at[0] {
				p.Start += at[1] - at[0]
			}
			if p.End > at[0] {
				p.End += at[1] - at[0]
			}
			if !slices.Contains(places, p) {
				places = append(places, p)
			}
		}
	}
	multiline := s.Lines > 1
	if s.Prefix != "" {
		spans, content, ok := freeIn(s.Prefix, slices.Contains(s.Backtracks, "prefix"), multiline, text+"\n")
		if !ok {
			return nil
		}
		add(spans)
		if content[1] > content[0] {
			text, from = text[content[0]:min(content[1], len(text))], content[0]
		}
	}
	for _, f := range s.Failures {
		if spans, _, ok := freeIn(f.Pattern, f.Backtracks, multiline, text+"\n"); ok {
			add(spans)
			return places
		}
	}
	return nil
}

// freeIn gives the free places of one expression in text, and that of its group content.
func freeIn(pattern string, backtracks, multiline bool, text string) (places []Place, content [2]int, ok bool) {
	e, err := compileExpression(markFree(pattern), backtracks, multiline)
	if err != nil {
		e, err = compileExpression(pattern, backtracks, multiline)
	}
	if err != nil {
		return nil, content, false
	}
	take := func(name string, at [2]int) {
		switch {
		case name == "content":
			content = at
		case at[1] > at[0] && (strings.HasPrefix(name, freeGroup) || isUser(name) && !fixedUser().MatchString(pattern)):
			places = append(places, Place{at[0], at[1], isUser(name), strings.HasPrefix(name, spacedGroup)})
		}
	}
	at, err := e.places(text)
	if err != nil || at == nil {
		return nil, content, false
	}
	for i, name := range e.names {
		if at[2*i] >= 0 {
			take(name, [2]int{at[2*i], min(at[2*i+1], len(text)-1)}) // less the line feed
		}
	}
	return places, content, true
}

func isUser(name string) bool { return name == "user" || strings.HasPrefix(name, "alt_user") }

// fixedUser is a user's group that holds one name alone.
var fixedUser = lazy.Regexp(`\(\?P<(?:alt_)?user\w*>\w+\)`)

// Names of the groups around what is repeated; the second where it can hold a space.
const (
	freeGroup   = "free__"
	spacedGroup = freeGroup + "s"
)

var (
	numbered   = lazy.Regexp(`\\[1-9]|\(\?\(\d`)
	repetition = lazy.Regexp(`^(?:[*+]|\{\d*,\})[?+]?`)
	oneOfMany  = lazy.Regexp(`^\[(?:\^|.*(?:a-z|A-Z|\\S|\\w|\\W|\\D|\\P))`)
	escaped    = lazy.Regexp(`^\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|x[0-9a-fA-F]{2}|.)`)
	groupHead  = lazy.Regexp(`^\((?:\?(?:P?<[A-Za-z_]\w*>|<?[=!]|[:>|]|[a-zA-Z\-]+[:)]|#[^)]*\)|\([^)]*\)))?`)
)

// markFree puts a group around each repetition of a class of many characters. A pattern
// that names groups by number is left alone.
func markFree(pattern string) string {
	if numbered().MatchString(pattern) {
		return pattern
	}
	var b strings.Builder
	for n := 0; pattern != ""; {
		atom, many := pattern[:1], false
		switch pattern[0] {
		case '\\':
			if atom = escaped().FindString(pattern); atom == "" {
				atom = pattern
			}
			many = slices.Contains([]string{`\S`, `\w`, `\W`, `\D`, `\P{Nd}`}, atom)
		case '[':
			atom = class(pattern)
			many = oneOfMany().MatchString(atom)
		case '(':
			atom = groupHead().FindString(pattern)
		case '.':
			many = true
		}
		pattern = pattern[len(atom):]
		repeated := repetition().FindString(pattern)
		if !many || repeated == "" {
			b.WriteString(atom)
			continue
		}
		pattern = pattern[len(repeated):]
		n++
		name := freeGroup
		if isMember(atom, " ") {
			name = spacedGroup
		}
		b.WriteString("(?P<" + name + strconv.Itoa(n) + ">" + atom + repeated + ")")
	}
	return b.String()
}

// isMember tells whether a class has that character.
func isMember(class, c string) bool {
	re, err := regexp.Compile("^" + class + "$")
	return err == nil && re.MatchString(c)
}

// class is the class at the beginning of a pattern.
func class(pattern string) string {
	i := 1
	if i < len(pattern) && pattern[i] == '^' {
		i++
	}
	for first := i; i < len(pattern); i++ {
		switch {
		case pattern[i] == '\\':
			i++
		case strings.HasPrefix(pattern[i:], "[:"):
			if end := strings.Index(pattern[i:], ":]"); end > 0 {
				i += end + 1
			}
		case pattern[i] == ']' && i > first:
			return pattern[:i+1]
		}
	}
	return pattern
}
