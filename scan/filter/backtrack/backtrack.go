// Package backtrack runs the expressions that RE2 cannot: those with lookahead, lookbehind
// of a fixed width, backreferences, conditions and atomic groups. The expressions are what
// Python's re and .NET agree on:
//
//	(?=...) (?!...) (?<=...) (?<!...)   look around
//	(?<name>...) (?P<name>...)          a group; one of the same name is the same group
//	\1 \k<name> (?P=name)               what a group held
//	(?(name)...|...) (?(1)...|...)      a condition: has the group taken part?
//	(?>...)                             an atomic group
//	\w \b \s                            Unicode's letters, digits and "_", and white space
//	\d                                  0 to 9
//	$ \Z                                the end, or before a last line feed; \z the end alone
//
// and else what regexp/syntax takes, less \Q...\E, (?U) and [[:alpha:]]. Where case is ignored
// characters are the same by Unicode's simple folding, and as in Python İ and ı are an i too.
//
// Of several matches the leftmost is found, and of these the one that a search which tries
// alternatives in order finds first. When a repetition ends whose rounds may match nothing,
// and what its groups then hold, is as in Python.
//
// Such a search can take a time that doubles with each letter. Here a search has a number of
// steps (Steps), so that what is found never depends on how busy the host is; and once it has
// taken many, it remembers from where it has failed before and does not go there again,
// except within a lookaround or an atomic group, and in an expression that holds what makes
// it depend on the way (a backreference, a condition, a repetition that may match nothing,
// a count of thousands of parts). Then its steps grow as the length of the text.
package backtrack

import (
	"errors"
	"sync"
	"unicode/utf8"
)

// Bounds of one search. A step takes some 10 ns; what takes longer counts as more.
const (
	Steps    = 2_000_000
	maxDepth = 1 << 18 // of what is still to be tried: 4 MB
)

// ErrLimit says that a search was given up: whether the text matches is not known.
var ErrLimit = errors.New("it took too many steps or went too deep")

// Regexp is an expression, compiled. It is safe for concurrent use.
type Regexp struct {
	program
	names []string // of the groups, by number; group 0 has none
}

// Compile reads an expression. Errors say what is wrong with it, in words for who wrote it.
func Compile(pattern string) (*Regexp, error) {
	tree, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	re := &Regexp{names: tree.names}
	if re.program, err = compile(tree); err != nil {
		return nil, err
	}
	return re, nil
}

// SubexpNames gives the groups' names by number, as regexp does: empty for one without.
func (re *Regexp) SubexpNames() []string { return re.names }

var machines = sync.Pool{New: func() any { return new(machine) }}

// FindStringSubmatchIndex gives where the leftmost match and its groups stand in text, in
// bytes and in pairs as regexp does; -1 for a group that took no part, nil for no match.
// The error is ErrLimit.
func (re *Regexp) FindStringSubmatchIndex(text string) ([]int, error) {
	m := machines.Get().(*machine)
	defer machines.Put(m)
	m.reset(&re.program, text)
	defer m.forget()
	for at := re.start(text, 0); at >= 0; at = re.start(text, after(text, at)) {
		found, err := m.run(at)
		if err != nil {
			return nil, err
		}
		if found {
			return m.groups(), nil
		}
	}
	return nil, nil
}

// after is the place after the character at at, and after the end the next.
func after(text string, at int) int {
	_, n := utf8.DecodeRuneInString(text[at:])
	return at + max(n, 1)
}
