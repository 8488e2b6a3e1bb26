package filter

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"

	"scan2ban/state/lazy"
)

// TimeLimit is how long one expression that backtracks may look at one line; on a busy host
// it is sure of half of it. How deep it may go the library limits too.
const TimeLimit = 50 * time.Millisecond

var errGivenUp = errors.New("it took too long or went too deep")

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
	slow   *regexp2.Regexp
	names  []string
}

func compileExpression(pattern string, backtracks, multiline bool) (e *expression, err error) {
	if multiline {
		pattern = "(?m)" + pattern
	}
	if backtracks {
		slow, err := compileBacktracking(pattern)
		if err != nil {
			return nil, err
		}
		return &expression{slow: slow, names: slow.GetGroupNames()}, nil
	}
	linear, err := regexp.Compile(expandScript(pattern))
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return &expression{linear: linear, names: linear.SubexpNames()}, nil
}

func compileBacktracking(pattern string) (re *regexp2.Regexp, err error) {
	defer func() { // of a parser that strangers feed
		if r := recover(); r != nil {
			err = fmt.Errorf("the expression cannot be compiled: %v", r)
		}
	}()
	re, err = regexp2.Compile(strings.ReplaceAll(expandScript(pattern), "(?P<", "(?<"), regexp2.OptionMaintainCaptureOrder())
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = TimeLimit
	return re, nil
}

// found is where an expression matches and what its named groups hold; a group that
// took no part is missing.
type found struct {
	start, end int // bytes
	groups     map[string]string
	first      [2]int // of the first group
}

// mostTries is how often an expression is tried that has not had its time.
const mostTries = 5

// backtrack searches; the error is errGivenUp. The library's limit is one of the clock
// on the wall: on a host that is busy with something else it is over before the search has
// had the processor for as long, and then it is tried again.
func backtrack(search func() (*regexp2.Match, error)) (*regexp2.Match, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := threadTime()
	try := begun
	for range mostTries {
		m, err := search()
		if err == nil {
			return m, nil
		}
		now := threadTime()
		if errors.Is(err, regexp2.ErrBacktrackingStackLimit) || now-try >= TimeLimit/2 || now-begun >= TimeLimit {
			break
		}
		try = now
	}
	return nil, errGivenUp
}

// find looks for the expression in text, which ends in a line feed; the error is
// errGivenUp.
func (e *expression) find(text string) (f *found, err error) {
	if e.linear != nil {
		// "$" stands before the last line feed too.
		at := e.linear.FindStringSubmatchIndex(strings.TrimSuffix(text, "\n"))
		if at == nil {
			if at = e.linear.FindStringSubmatchIndex(text); at == nil {
				return nil, nil
			}
		}
		f = &found{start: at[0], end: at[1], groups: map[string]string{}}
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
	m, err := backtrack(func() (*regexp2.Match, error) { return e.slow.FindStringMatch(text) })
	if m == nil {
		return nil, err
	}
	start, length := m.ByteRange()
	f = &found{start: start, end: start + length, groups: map[string]string{}}
	for i, g := range m.Groups() {
		if i == 0 || len(g.Captures) == 0 {
			continue
		}
		if i == 1 {
			start, length := g.ByteRange()
			f.first = [2]int{start, start + length}
		}
		if g.Name != "" && !isDigit(g.Name[0]) {
			f.groups[g.Name] = g.String()
		}
	}
	return f, nil
}
