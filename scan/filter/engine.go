package filter

import (
	"bytes"
	"regexp"
	"regexp/syntax"
)

// engine is all that a rule asks of its regular expression. Both kinds take
// time linear in the message, which holds no line feed.
type engine interface {
	FindSubmatchIndex(message []byte) []int
	Match(message []byte) bool
}

// newEngine compiles a pattern that is anchored at both ends and that Load has
// compiled before.
//
// Most rules are "fixed text, free text, fixed text with the address": for them
// the last place where the end matches is looked for from the right, and Go's
// only some 30 bytes of the line are looked at closely. The result is the one
// that regexp would give for the whole pattern.
func newEngine(tree *syntax.Regexp) engine {
	if tree.Op == syntax.OpConcat && !looksAround(tree.Sub[1:len(tree.Sub)-1]) {
		parts := tree.Sub[1 : len(tree.Sub)-1]
		if n := len(parts); n > 0 && isAny(parts[n-1]) {
			// ".*$": nothing more to see.
			return compileParts(parts[:n-1], false)
		}
		for i, part := range parts {
			if isAny(part) || part.Op == syntax.OpCapture && isAny(part.Sub[0]) {
				if e := newSplit(parts[:i], part, parts[i+1:]); e != nil {
					return e
				}
				break
			}
		}
		return compileParts(parts, true)
	}
	return regexp.MustCompile(source(tree))
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
func compileParts(parts []*syntax.Regexp, toEnd bool) engine {
	if l := newLinear(parts, toEnd); l != nil {
		return l
	}
	whole := &syntax.Regexp{Op: syntax.OpConcat, Flags: syntax.Perl, Sub: []*syntax.Regexp{{Op: syntax.OpBeginText}}}
	whole.Sub = append(whole.Sub, parts...)
	if toEnd {
		whole.Sub = append(whole.Sub, &syntax.Regexp{Op: syntax.OpEndText})
	}
	return regexp.MustCompile(source(whole))
}

// split is the engine of "HEAD.*TAIL", where TAIL begins with a literal and
// each repetition in it stops before that literal's first byte: so that trying
// it at every place of the literal is linear.
type split struct {
	head, tail engine
	literal    []byte
	captured   bool // the free text is a group
}

// newSplit gives nil where the parts are not of that form.
func newSplit(head []*syntax.Regexp, any *syntax.Regexp, tail []*syntax.Regexp) engine {
	if len(tail) == 0 || tail[0].Op != syntax.OpLiteral || tail[0].Flags&syntax.FoldCase != 0 {
		return nil
	}
	for _, part := range tail[1:] {
		if repeats(part, tail[0].Rune[0]) {
			return nil
		}
	}
	return &split{literal: []byte(string(tail[0].Rune)), captured: any.Op == syntax.OpCapture,
		head: compileParts(head, false), tail: compileParts(tail, true)}
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

func (s *split) FindSubmatchIndex(message []byte) []int {
	for end := len(message); ; {
		i := bytes.LastIndex(message[:end], s.literal)
		if i < 0 {
			return nil
		}
		tail := s.tail.FindSubmatchIndex(message[i:])
		if tail == nil {
			end = i + len(s.literal) - 1
			continue
		}
		head := s.head.FindSubmatchIndex(message[:i])
		if head == nil { // nor in less of the message
			return nil
		}
		at := make([]int, 0, len(head)+2+len(tail))
		at = append(at, 0, len(message))
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

func (s *split) Match(message []byte) bool { return s.FindSubmatchIndex(message) != nil }
