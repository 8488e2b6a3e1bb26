package filter

import (
	"errors"
	"regexp"
	"strings"

	"scan2ban/scan/filter/backtrack"
	"scan2ban/state/lazy"
)

// Addresses in the expressions of a [script].
const (
	scriptIP4  = `(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})`
	scriptIP6  = `(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|))`
	scriptDNS  = `(?P<dns>[\p{L}\p{N}_\-.^]*[\p{L}\p{N}_])`
	scriptCIDR = `(?P<cidr>\d+)`
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

// expression is one of a [script], ready.
type expression struct {
	linear *regexp.Regexp
	slow   *backtrack.Regexp
	names  []string // of the groups, by number
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
	linear, err := regexp.Compile(expandScript(pattern))
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return &expression{linear: linear, names: linear.SubexpNames()}, nil
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
	if e.slow != nil {
		return e.slow.FindStringSubmatchIndex(text)
	}
	// "$" stands before the last line feed too.
	if at := e.linear.FindStringSubmatchIndex(strings.TrimSuffix(text, "\n")); at != nil {
		return at, nil
	}
	return e.linear.FindStringSubmatchIndex(text), nil
}
