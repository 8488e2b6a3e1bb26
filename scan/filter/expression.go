package filter

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"scan2ban/scan/filter/backtrack"
	"scan2ban/state/lazy"
)

// Addresses in the expressions of a [script].
const (
	scriptIP4  = `(?:::f{4,6}:)?(?P<ip4>(?:\p{Nd}{1,3}\.){3}\p{Nd}{1,3})`
	scriptIP6  = `(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:))`
	scriptDNS  = `(?P<dns>[\p{L}\p{N}_\-.^]*[\p{L}\p{N}_])`
	scriptCIDR = `(?P<cidr>\p{Nd}+)`
	scriptAddr = `\[?(?:` + scriptIP4 + `|` + scriptIP6 + `)\]?`
)

var scriptTags = map[string]string{
	"<IP4>": scriptIP4, "<IP6>": scriptIP6, "<DNS>": scriptDNS, "<CIDR>": scriptCIDR, "<ADDR>": scriptAddr,
	"<HOST>":   `(?:` + scriptAddr + `|` + scriptDNS + `)`,
	"<SUBNET>": `\[?(?:` + scriptIP4 + `|` + scriptIP6 + `)(?:/` + scriptCIDR + `)?\]?`,
}

var scriptTag = lazy.Regexp(`^<(?:HOST|ADDR|IP4|IP6|DNS|CIDR|SUBNET)>`)

var anyScriptTag = lazy.Regexp(`<(?:HOST|ADDR|IP4|IP6|DNS|CIDR|SUBNET)>`)

func expandScript(pattern string) string {
	return anyScriptTag().ReplaceAllStringFunc(pattern, func(tag string) string { return scriptTags[tag] })
}

// expression is one of a [script], ready. Its texts end in a line feed.
type expression struct {
	linear *regexp.Regexp
	slow   *backtrack.Regexp // of one that backtracks
	names  []string          // of the groups, by number

	// Texts in which linear would find something else than Python's re are for exact: where
	// wide, those with letters beyond ASCII; where ends, those with more than one line feed.
	wide, ends bool
	pattern    string
	exact      *backtrack.Regexp // nil: not asked for yet
}

func compileExpression(pattern string, backtracks, multiline bool) (e *expression, err error) {
	if multiline {
		pattern = "(?m)" + pattern
	}
	if backtracks {
		slow, err := backtrack.Compile(expandScript(pattern))
		if err != nil {
			return nil, err
		}
		return &expression{slow: slow, names: slow.SubexpNames()}, nil
	}
	e = &expression{pattern: expandScript(pattern), wide: boundary().MatchString(pattern) || ignoresCase().MatchString(pattern)}
	text := e.pattern
	if !multiline {
		text = anyEnd(e.pattern)
		e.ends = text != e.pattern
	}
	if e.linear, err = regexp.Compile(text); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	e.names = e.linear.SubexpNames()
	return e, nil
}

// What is otherwise in Go's regexp beyond ASCII: the boundaries of words, and that case is
// ignored.
var (
	boundary    = lazy.Regexp(`\\[bB]`)
	ignoresCase = lazy.Regexp(`\(\?[a-zA-Z]*i`)
)

// anyEnd writes "$", which stands before the last line feed too, as what stands before any.
func anyEnd(pattern string) string {
	var b strings.Builder
	for pattern != "" {
		part := pattern[:1]
		switch part[0] {
		case '\\':
			if part = pattern[:min(2, len(pattern))]; part == `\Q` {
				part, _, _ = strings.Cut(pattern, `\E`)
			}
		case '[':
			part = class(pattern)
		}
		pattern = pattern[len(part):]
		if part == "$" {
			part = "(?m:$)"
		}
		b.WriteString(part)
	}
	return b.String()
}

// backtracking is what runs the expression over text, nil: linear does.
func (e *expression) backtracking(text string) *backtrack.Regexp {
	if e.slow != nil {
		return e.slow
	}
	if !(e.wide && !isASCII(text)) && !(e.ends && strings.IndexByte(text, '\n') < len(text)-1) {
		return nil
	}
	if e.exact == nil {
		e.exact, _ = backtrack.Compile(strings.ReplaceAll(e.pattern, wordClass, `\w`))
		if e.exact == nil { // it holds what Go alone knows
			e.wide, e.ends = false, false
		}
	}
	return e.exact
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// found is where an expression matches and what its named groups hold; a group that
// took no part is missing.
type found struct {
	start, end int // bytes
	groups     map[string]string
	first      [2]int // of the first group
}

// find looks for the expression in text, which ends in a line feed; the error is
// backtrack.ErrLimit.
func (e *expression) find(text string) (*found, error) {
	at, err := e.places(text)
	if at == nil {
		return nil, err
	}
	f := &found{start: at[0], end: at[1], groups: map[string]string{}}
	for i, name := range e.names {
		if i > 0 && at[2*i] >= 0 {
			if i == 1 {
				f.first = [2]int{at[2], at[3]}
			}
			if name != "" {
				f.groups[name] = text[at[2*i]:at[2*i+1]]
			}
		}
	}
	return f, nil
}

// places gives where the match and the groups stand in text, as regexp does.
func (e *expression) places(text string) ([]int, error) {
	if re := e.backtracking(text); re != nil {
		return re.FindStringSubmatchIndex(text)
	}
	return e.linear.FindStringSubmatchIndex(text), nil
}
