package filter

import (
	"regexp/syntax"
	"slices"
)

// emptyRounds tells whether an expression repeats what may match nothing, so that it shows:
// when that ends, and what its groups then hold, is otherwise in Go's regexp than in Python's
// re. It does not show where there are no groups and the next character alone says whether
// another round comes.
func emptyRounds(re *syntax.Regexp) bool {
	for i, sub := range re.Sub {
		if re.Op == syntax.OpConcat && i+1 < len(re.Sub) && endsBefore(sub, re.Sub[i+1]) {
			sub = sub.Sub[0]
		}
		if emptyRounds(sub) {
			return true
		}
	}
	return isRepetition(re) && mayBeEmpty(re.Sub[0])
}

// isRepetition tells whether re is a repetition of more than one round that is not due.
func isRepetition(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar || re.Op == syntax.OpPlus || re.Op == syntax.OpRepeat && (re.Max < 0 || re.Max > re.Min+1)
}

// endsBefore tells whether a repetition without groups ends where the literal next begins, and
// nowhere else.
func endsBefore(re, next *syntax.Regexp) bool {
	return isRepetition(re) && re.Max < 1 && re.Min < 2 && re.MaxCap() == 0 &&
		next.Op == syntax.OpLiteral && next.Flags&syntax.FoldCase == 0 && !mayBeginWith(re, next.Rune[0])
}

// mayBeginWith tells whether a match of re may begin with a character.
func mayBeginWith(re *syntax.Regexp, r rune) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return re.Rune[0] == r || re.Flags&syntax.FoldCase != 0
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= r && r <= re.Rune[i+1] {
				return true
			}
		}
	}
	for _, sub := range re.Sub {
		if mayBeginWith(sub, r) {
			return true
		}
		if re.Op == syntax.OpConcat && !mayBeEmpty(sub) {
			break
		}
	}
	return false
}

// mayBeEmpty tells whether re can match nothing.
func mayBeEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
		return false
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, mayBeEmpty)
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !mayBeEmpty(sub) })
	case syntax.OpPlus, syntax.OpCapture:
		return mayBeEmpty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || mayBeEmpty(re.Sub[0])
	}
	return true
}
