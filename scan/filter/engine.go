package filter

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// engine is a compiled expression, of one of three kinds. All take time linear in
// the message.
type engine struct {
	linear *linear
	split  *split
	re     *regexp.Regexp
}

// find gives the places of the match and its groups as regexp.FindSubmatchIndex
// does, in into where that has room; nil where there is none.
func (e *engine) find(message []byte, into []int) []int {
	if e.split != nil {
		return e.split.find(message, into)
	}
	return e.part(message, into)
}

// part is find for one that is not split: its parts are not.
func (e *engine) part(message []byte, into []int) []int {
	if e.linear != nil {
		return e.linear.find(message, into)
	}
	return e.re.FindSubmatchIndex(message)
}

// Match tells whether the message matches.
func (e *engine) Match(message []byte) bool {
	switch {
	case e.linear != nil:
		return e.linear.match(message)
	case e.split != nil:
		return e.split.match(message)
	}
	return e.re.Match(message)
}

// maxGroups is room for the groups of most patterns, two places each.
const maxGroups = 16

// newEngine compiles a pattern that is anchored at both ends and that Load has
// compiled before.
//
// Most rules are "fixed text, free text, fixed text with the address": for them
// the last place where the end matches is looked for from the right, and Go's
// only some 30 bytes of the line are looked at closely. The result is the one
// that regexp would give for the whole pattern.
func newEngine(tree *syntax.Regexp) *engine {
	parts := between(tree)
	n := len(parts)
	switch {
	case parts == nil:
		return &engine{re: regexp.MustCompile(source(tree))}
	case n > 0 && isAny(parts[n-1]):
		// ".*$": nothing more to see.
		return compileParts(parts[:n-1], false)
	}
	if i := splitAt(parts); i >= 0 {
		return newSplit(parts[:i], parts[i], parts[i+1:])
	}
	return compileParts(parts, true)
}

// between are the parts of an expression between its two anchors; nil where it cannot be
// taken apart.
func between(tree *syntax.Regexp) []*syntax.Regexp {
	if tree.Op != syntax.OpConcat || looksAround(tree.Sub[1:len(tree.Sub)-1]) {
		return nil
	}
	return tree.Sub[1 : len(tree.Sub)-1]
}

// isAny tells whether re is ".*".
func isAny(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && re.Flags&syntax.NonGreedy == 0 &&
		(re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpAnyChar)
}

// looksAround tells whether parts hold an assertion on their surroundings: then
// they cannot be taken apart.
func looksAround(parts []*syntax.Regexp) bool {
	for _, part := range parts {
		switch part.Op {
		case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
			return true
		}
		if looksAround(part.Sub) {
			return true
		}
	}
	return false
}

// compileParts compiles parts, anchored at the beginning and perhaps at the end.
func compileParts(parts []*syntax.Regexp, toEnd bool) *engine {
	if l := newLinear(parts, toEnd); l != nil {
		return &engine{linear: l}
	}
	whole := &syntax.Regexp{Op: syntax.OpConcat, Flags: syntax.Perl, Sub: []*syntax.Regexp{{Op: syntax.OpBeginText}}}
	whole.Sub = append(whole.Sub, parts...)
	if toEnd {
		whole.Sub = append(whole.Sub, &syntax.Regexp{Op: syntax.OpEndText})
	}
	return &engine{re: regexp.MustCompile(source(whole))}
}

// split is the engine of "HEAD.*TAIL", where TAIL begins with a literal and
// each repetition in it stops before that literal's first byte: so that trying
// it at every place of the literal is linear.
type split struct {
	head, tail *engine
	literal    []byte
	mark       int  // in it, a byte that is rarer than spaces
	captured   bool // the free text is a group
}

// splitAt is where in parts the free text of a split is, -1 where they are not of that form.
func splitAt(parts []*syntax.Regexp) int {
	i := slices.IndexFunc(parts, func(part *syntax.Regexp) bool {
		return isAny(part) || part.Op == syntax.OpCapture && isAny(part.Sub[0])
	})
	if i < 0 || isAny(parts[len(parts)-1]) || i == len(parts)-1 || parts[i+1].Op != syntax.OpLiteral || parts[i+1].Flags&syntax.FoldCase != 0 {
		return -1
	}
	for _, part := range parts[i+2:] {
		if repeats(part, parts[i+1].Rune[0]) {
			return -1
		}
	}
	return i
}

// splitBy is the literal that the engine of an expression looks for first; empty: it is no split.
func splitBy(tree *syntax.Regexp) string {
	parts := between(tree)
	if i := splitAt(parts); i >= 0 {
		return string(parts[i+1].Rune)
	}
	return ""
}

func newSplit(head []*syntax.Regexp, any *syntax.Regexp, tail []*syntax.Regexp) *engine {
	s := &split{literal: []byte(string(tail[0].Rune)), captured: any.Op == syntax.OpCapture,
		head: compileParts(head, false), tail: compileParts(tail, true)}
	s.mark = max(0, bytes.IndexFunc(s.literal, func(c rune) bool { return c != ' ' && c < utf8.RuneSelf }))
	return &engine{split: s}
}

// repeats tells whether re repeats something that can hold c.
func repeats(re *syntax.Regexp, c rune) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		return canBe(re.Sub[0], c)
	}
	for _, sub := range re.Sub {
		if repeats(sub, c) {
			return true
		}
	}
	return false
}

// last is where the literal stands last in text, -1 if nowhere: bytes.LastIndex would hash
// all that it passes.
func (s *split) last(text []byte) int {
	behind := len(s.literal) - s.mark - 1
	for end := len(text) - behind; end > s.mark; {
		i := bytes.LastIndexByte(text[:end], s.literal[s.mark]) - s.mark
		if i >= 0 && bytes.HasPrefix(text[i:], s.literal) {
			return i
		}
		end = i + s.mark
	}
	return -1
}

// match is find without the places.
func (s *split) match(message []byte) bool {
	for end := len(message); ; {
		i := s.last(message[:end])
		if i < 0 {
			return false
		}
		if s.tail.Match(message[i:]) {
			return s.head.Match(message[:i]) // if not, nor in less of the message
		}
		end = i + len(s.literal) - 1
	}
}

func (s *split) find(message []byte, into []int) []int {
	var heads, tails [maxGroups]int
	for end := len(message); ; {
		i := s.last(message[:end])
		if i < 0 {
			return nil
		}
		tail := s.tail.part(message[i:], tails[:0])
		if tail == nil {
			end = i + len(s.literal) - 1
			continue
		}
		head := s.head.part(message[:i], heads[:0])
		if head == nil { // nor in less of the message
			return nil
		}
		at := append(into[:0], 0, len(message))
		at = append(at, head[2:]...)
		if s.captured {
			at = append(at, head[1], i)
		}
		for _, n := range tail[2:] {
			if n >= 0 {
				n += i
			}
			at = append(at, n)
		}
		return at
	}
}
