package filter

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// source writes a parsed pattern as one that parses to the same.
// syntax.Regexp.String does that too, and takes half a millisecond for each
// negated class, for it looks at every rune that the class holds.
func source(re *syntax.Regexp) string {
	var b strings.Builder
	writeSource(&b, re)
	return b.String()
}

func writeSource(b *strings.Builder, re *syntax.Regexp) {
	lazy := ""
	if re.Flags&syntax.NonGreedy != 0 {
		lazy = "?"
	}
	each := func(open, between, close string) {
		b.WriteString(open)
		for i, sub := range re.Sub {
			if i > 0 {
				b.WriteString(between)
			}
			writeSource(b, sub)
		}
		b.WriteString(close)
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		b.WriteString("(?:)")
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			b.WriteString("(?i:" + regexp.QuoteMeta(string(re.Rune)) + ")")
		} else {
			b.WriteString("(?:" + regexp.QuoteMeta(string(re.Rune)) + ")")
		}
	case syntax.OpCharClass:
		b.WriteByte('[')
		for i := 0; i < len(re.Rune); i += 2 {
			fmt.Fprintf(b, `\x{%x}-\x{%x}`, re.Rune[i], re.Rune[i+1])
		}
		b.WriteByte(']')
	case syntax.OpAnyCharNotNL:
		b.WriteString("(?-s:.)")
	case syntax.OpAnyChar:
		b.WriteString("(?s:.)")
	case syntax.OpBeginText:
		b.WriteString(`\A`)
	case syntax.OpEndText:
		b.WriteString(`\z`)
	case syntax.OpCapture:
		each("(", "", ")")
	case syntax.OpStar:
		each("(?:", "", ")*"+lazy)
	case syntax.OpPlus:
		each("(?:", "", ")+"+lazy)
	case syntax.OpQuest:
		each("(?:", "", ")?"+lazy)
	case syntax.OpRepeat:
		most := fmt.Sprint(re.Max)
		if re.Max < 0 {
			most = ""
		}
		each("(?:", "", fmt.Sprintf("){%d,%s}%s", re.Min, most, lazy))
	case syntax.OpConcat:
		each("", "", "")
	case syntax.OpAlternate:
		each("(?:", "|", ")")
	default: // begin and end of a line, word boundaries, no match: rare
		b.WriteString("(?:" + re.String() + ")")
	}
}
