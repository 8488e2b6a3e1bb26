package backtrack

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// one is the set of an expression that always matches one character, nil for others.
func one(re *syntax.Regexp) *set {
	switch {
	case re.Op == syntax.OpLiteral && len(re.Rune) == 1:
		if re.Flags&syntax.FoldCase != 0 {
			return folded(re.Rune[0])
		}
		return newSet([]rune{re.Rune[0], re.Rune[0]})
	case re.Op == syntax.OpCharClass, re.Op == syntax.OpAnyChar, re.Op == syntax.OpAnyCharNotNL:
		return setOf(re)
	}
	return nil
}

// set is a set of characters.
type set struct {
	ascii [utf8.RuneSelf]bool
	rest  *unicode.RangeTable // beyond; nil: none
	all   bool                // all beyond
}

func setOf(re *syntax.Regexp) *set {
	switch re.Op {
	case syntax.OpAnyChar:
		return newSet([]rune{0, unicode.MaxRune})
	case syntax.OpAnyCharNotNL:
		return newSet([]rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune})
	}
	return newSet(re.Rune)
}

// folded are a character and those that differ from it in case alone.
func folded(r rune) *set {
	ranges := []rune{r, r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		ranges = append(ranges, f, f)
	}
	return newSet(ranges)
}

// newSet takes pairs of a first and a last character.
func newSet(ranges []rune) *set {
	s := &set{}
	table := &unicode.RangeTable{}
	for i := 0; i < len(ranges); i += 2 {
		low, high := ranges[i], ranges[i+1]
		for ; low <= high && low < utf8.RuneSelf; low++ {
			s.ascii[low] = true
		}
		switch {
		case low > high:
		case low == utf8.RuneSelf && high == unicode.MaxRune:
			s.all = true
		default:
			table.R32 = append(table.R32, unicode.Range32{Lo: uint32(low), Hi: uint32(high), Stride: 1})
		}
	}
	if len(table.R32) > 0 {
		s.rest = table
	}
	return s
}

// has tells whether a character beyond ASCII is in the set.
func (s *set) has(r rune) bool {
	return s.all || s.rest != nil && unicode.Is(s.rest, r)
}
