package backtrack

import (
	"regexp/syntax"
	"unicode/utf8"
)

// width is how many characters each match of re has; -1: it differs, or nobody knows.
func (t *tree) width(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return 0
	case syntax.OpConcat:
		sum := 0
		for _, sub := range re.Sub {
			w := t.width(sub)
			if w < 0 {
				return -1
			}
			sum += w
		}
		return sum
	case syntax.OpAlternate:
		w := t.width(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			if t.width(sub) != w {
				return -1
			}
		}
		return w
	case syntax.OpCapture:
		switch m := t.mark(re); m.kind {
		case ahead, notAhead, behind, notBehind:
			return 0
		case class:
			return 1
		case capture, atomic:
			return t.width(re.Sub[0])
		case counted:
			if w := t.width(re.Sub[0]); w >= 0 && m.min == m.max && w*m.min <= maxPattern {
				return w * m.min
			}
		}
	}
	return -1
}

// size is how many instructions re becomes, about; no more than maxCode.
func (t *tree) size(re *syntax.Regexp) int {
	n := 2
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n = min(n+2+t.size(sub), maxCode)
	}
	if re.Op != syntax.OpCapture {
		return n
	}
	if m := t.mark(re); m.kind == counted && !t.isOne(re.Sub[0]) && n*max(m.min, m.max, 1) <= maxSpread {
		n *= max(m.min, m.max, 1)
	}
	return n
}

// mayBeEmpty tells whether re can match nothing; where nobody knows it can.
func mayBeEmpty(t *tree, re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
		return false
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !mayBeEmpty(t, sub) {
				return false
			}
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if mayBeEmpty(t, sub) {
				return true
			}
		}
		return false
	case syntax.OpPlus:
		return mayBeEmpty(t, re.Sub[0])
	case syntax.OpCapture:
		switch m := t.mark(re); m.kind {
		case class:
			return false
		case capture, atomic:
			return mayBeEmpty(t, re.Sub[0])
		case counted:
			return m.min == 0 || mayBeEmpty(t, re.Sub[0])
		}
	}
	return true
}

// beginsText tells whether re matches at the beginning of the text alone.
func beginsText(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return true
	case syntax.OpConcat:
		return len(re.Sub) > 0 && beginsText(re.Sub[0])
	}
	return false
}

// firsts notes the bytes that a match from at may begin with. It is false where that can be
// any, or none.
func (c *compiler) firsts(at int, seen []bool) bool {
	for !seen[at] {
		seen[at] = true
		switch i := &c.code[at]; i.op {
		case opMatch, opReference, opTaken:
			return false
		case opText:
			c.first[i.text[0]] = true
			return true
		case opSet, opLoop:
			for b, in := range i.set.ascii {
				c.first[b] = c.first[b] || in
			}
			for b := utf8.RuneSelf; b < 256; b++ {
				c.first[b] = c.first[b] || i.set.beyond()
			}
			if i.op == opSet || i.min > 0 {
				return true
			}
			at++
		case opSplit:
			if !c.firsts(i.x, seen) {
				return false
			}
			at = i.y
		case opCount:
			if !c.firsts(at+1, seen) {
				return false
			}
			at = i.x
		case opJump:
			at = i.x
		case opEnter:
			at = i.y
		default: // it looks, or notes
			at++
		}
	}
	return true
}

// start is the first place from at on where the text may match; -1: there is none.
func (p *program) start(text string, at int) int {
	switch {
	case at > len(text) || p.anchored && at > 0:
		return -1
	case p.any || p.anchored:
		return at
	}
	for ; at < len(text); at = after(text, at) {
		if p.first[text[at]] {
			return at
		}
	}
	return -1
}
