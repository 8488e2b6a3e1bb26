package backtrack

import (
	"regexp/syntax"
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"

	"scan2ban/state/order"
)

// set is a set of characters. Of ASCII it is a table; what lies beyond is looked up, so
// that a set is as small as it is written.
type set struct {
	ascii   [utf8.RuneSelf]bool
	ranges  []rune // pairs of a first and a last character, in order once it is ready
	tables  []*unicode.RangeTable
	not     []*unicode.RangeTable // all but these
	word    bool                  // \w
	notWord bool                  // \W
	fold    bool                  // and what differs from a member of ranges or tables in case alone
	negate  bool                  // all others
	steps   int                   // that looking one up takes beyond ASCII
	ready   bool
}

// newSet takes pairs of a first and a last character.
func newSet(ranges ...rune) *set {
	return (&set{ranges: ranges}).finish(false)
}

// folded are a character and those that differ from it in case alone.
func folded(r rune) *set {
	return (&set{ranges: []rune{r, r}}).finish(true)
}

var (
	anyChar  = newSet(0, unicode.MaxRune)
	anyNotNL = newSet(0, '\n'-1, '\n'+1, unicode.MaxRune)
)

// isOne tells whether an expression always matches one character.
func (t *tree) isOne(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return len(re.Rune) == 1
	case syntax.OpCapture:
		return t.mark(re).kind == class
	}
	return false
}

// one is the set of an expression that always matches one character, nil for others.
func (t *tree) one(re *syntax.Regexp) *set {
	fold := re.Flags&syntax.FoldCase != 0
	switch {
	case !t.isOne(re):
		return nil
	case re.Op == syntax.OpCapture:
		return t.mark(re).set.finish(fold)
	case re.Op == syntax.OpAnyChar:
		return anyChar
	case re.Op == syntax.OpAnyCharNotNL:
		return anyNotNL
	case re.Op == syntax.OpLiteral && fold:
		return folded(re.Rune[0])
	case re.Op == syntax.OpLiteral:
		return newSet(re.Rune[0], re.Rune[0])
	}
	return newSet(re.Rune...)
}

// add takes a range in.
func (s *set) add(low, high rune) { s.ranges = append(s.ranges, low, high) }

// finish makes the set ready for use; fold says whether case is ignored.
func (s *set) finish(fold bool) *set {
	if s.ready {
		return s
	}
	s.fold, s.ready = fold, true
	pairs := make([][2]rune, 0, len(s.ranges)/2)
	for i := 0; i < len(s.ranges); i += 2 {
		pairs = append(pairs, [2]rune{s.ranges[i], s.ranges[i+1]})
	}
	order.By(pairs, func(a, b [2]rune) int { return int(a[0] - b[0]) })
	s.ranges = nil
	for _, p := range pairs {
		if n := len(s.ranges); n > 0 && p[0] <= s.ranges[n-1]+1 {
			s.ranges[n-1] = max(s.ranges[n-1], p[1])
		} else {
			s.add(p[0], p[1])
		}
	}
	if s.steps = 1 + len(s.tables) + len(s.not); s.word || s.notWord {
		s.steps++
	}
	if fold {
		s.steps *= 2
	}
	for r := range s.ascii {
		s.ascii[r] = s.has(rune(r))
	}
	return s
}

// has tells whether a character is in the set.
func (s *set) has(r rune) bool {
	in := s.holds(r) || s.word && isWord(r) || s.notWord && !isWord(r)
	if s.fold {
		for f := fold(r); f != r && !in; f = fold(f) {
			in = s.holds(f)
		}
	}
	return in != s.negate
}

// fold is the next character that is the same but for its case, as Python sees it: by
// Unicode's simple folding, by _EXTRA_CASES of its re/_casefix.py, and İ, whose lower case is i.
func fold(r rune) rune {
	switch r {
	case 'I':
		return 'İ'
	case 'İ':
		return 'i'
	case 'i':
		return 'ı'
	case 'ı':
		return 'I'
	case '\u0390':
		return '\u1fd3'
	case '\u1fd3':
		return '\u0390'
	case '\u03b0':
		return '\u1fe3'
	case '\u1fe3':
		return '\u03b0'
	case 'ﬅ':
		return 'ﬆ'
	case 'ﬆ':
		return 'ﬅ'
	}
	return unicode.SimpleFold(r)
}

// holds tells whether a character is in the ranges or tables.
func (s *set) holds(r rune) bool {
	if n := len(s.ranges) / 2; n > 0 {
		if i := sort.Search(n, func(i int) bool { return s.ranges[2*i+1] >= r }); i < n && s.ranges[2*i] <= r {
			return true
		}
	}
	return unicode.In(r, s.tables...) || slices.ContainsFunc(s.not, func(t *unicode.RangeTable) bool { return !unicode.Is(t, r) })
}

// beyond tells whether it can hold what is not ASCII.
func (s *set) beyond() bool {
	n := len(s.ranges)
	return s.negate || s.fold || s.word || s.notWord || len(s.tables)+len(s.not) > 0 || n > 0 && s.ranges[n-1] >= utf8.RuneSelf
}
