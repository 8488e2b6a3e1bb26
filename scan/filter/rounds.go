package filter

import (
	"regexp/syntax"
	"slices"
)

// emptyRounds tells whether an expression repeats what may match nothing. When that ends,
// and what its groups then hold, is otherwise in Go's regexp than in Python's re.
func emptyRounds(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpRepeat:
		if re.Max >= 0 && re.Max <= re.Min+1 {
			break
		}
		fallthrough
	case syntax.OpStar, syntax.OpPlus:
		if mayBeEmpty(re.Sub[0]) {
			return true
		}
	}
	return slices.ContainsFunc(re.Sub, emptyRounds)
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
