package filter

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// linear is the engine of a pattern in which the next byte always decides: of
// two alternatives, or of going on with a repetition and leaving it, at most one
// can begin with it (LL(1), as parsers call it). There is then one way to match
// and nothing to try again. Most rules' fixed parts are of that form, and cost a
// tenth of what they cost in regexp.
type linear struct {
	root   *node
	toEnd  bool
	base   int // groups before the parts, of the whole pattern
	groups int // in the parts
}

// node is one piece of the pattern.
type node struct {
	op      nodeOp
	literal []byte
	set     *[256]bool // of a class; of alternatives their first bytes are in subs
	min     int
	max     int // -1: no limit
	group   int
	inside  []int // of a piece that may be left out: the groups in it
	subs    []*node
	first   [256]bool // bytes that a match may begin with
	empty   bool      // it may match nothing
}

type nodeOp uint8

const (
	opLiteral nodeOp = iota
	opRepeat         // of a class, min to max times
	opConcat
	opChoice
	opMaybe
	opGroup
)

// newLinear gives nil where the parts are not of that form.
func newLinear(parts []*syntax.Regexp, toEnd bool) *linear {
	l := &linear{toEnd: toEnd, base: firstGroup(parts) - 1}
	var follow [256]bool // nothing need follow
	if l.root = l.concat(parts, &follow); l.root == nil {
		return nil
	}
	return l
}

// firstGroup is the lowest number of a group in parts, 1 where there is none.
func firstGroup(parts []*syntax.Regexp) int {
	for _, re := range parts {
		if re.Op == syntax.OpCapture {
			return re.Cap
		}
		if n := firstGroup(re.Sub); hasGroup(re) {
			return n
		}
	}
	return 1
}

func hasGroup(re *syntax.Regexp) bool {
	return re.Op == syntax.OpCapture || slices.ContainsFunc(re.Sub, hasGroup)
}

// concat reads parts from right to left, for each must know what may follow it.
func (l *linear) concat(parts []*syntax.Regexp, follow *[256]bool) *node {
	n := &node{op: opConcat, subs: make([]*node, len(parts)), empty: true}
	after := *follow
	for i := len(parts) - 1; i >= 0; i-- {
		sub := l.read(parts[i], &after)
		if sub == nil {
			return nil
		}
		n.subs[i] = sub
		if !sub.empty {
			after, n.empty = sub.first, false
		} else {
			after = union(&after, &sub.first)
		}
	}
	for _, sub := range n.subs {
		n.first = union(&n.first, &sub.first)
		if !sub.empty {
			break
		}
	}
	return n
}

func (l *linear) read(re *syntax.Regexp, follow *[256]bool) *node {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return &node{op: opConcat, empty: true}
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return nil
		}
		n := &node{op: opLiteral, literal: []byte(string(re.Rune))}
		n.first[n.literal[0]] = true
		return n
	case syntax.OpConcat:
		return l.concat(re.Sub, follow)
	case syntax.OpCapture:
		sub := l.read(re.Sub[0], follow)
		if sub == nil {
			return nil
		}
		group := re.Cap - l.base
		l.groups = max(l.groups, group)
		return &node{op: opGroup, group: group, subs: []*node{sub}, first: sub.first, empty: sub.empty}
	case syntax.OpCharClass, syntax.OpAnyCharNotNL, syntax.OpAnyChar, syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		return repeat(re, follow)
	case syntax.OpQuest:
		sub := l.read(re.Sub[0], follow)
		if sub == nil || sub.empty || re.Flags&syntax.NonGreedy != 0 || overlap(&sub.first, follow) {
			return nil
		}
		return &node{op: opMaybe, subs: []*node{sub}, first: sub.first, empty: true, inside: sub.groups(nil)}
	case syntax.OpAlternate:
		n := &node{op: opChoice}
		for _, alternative := range re.Sub {
			sub := l.read(alternative, follow)
			if sub == nil || sub.empty || overlap(&sub.first, &n.first) {
				return nil
			}
			n.first = union(&n.first, &sub.first)
			n.subs = append(n.subs, sub)
		}
		return n
	}
	return nil
}

// groups lists those in n after more.
func (n *node) groups(more []int) []int {
	if n.op == opGroup {
		more = append(more, n.group)
	}
	for _, sub := range n.subs {
		more = sub.groups(more)
	}
	return more
}

// repeat reads a class, once or repeated.
func repeat(re *syntax.Regexp, follow *[256]bool) *node {
	n := &node{op: opRepeat, min: 1, max: 1}
	class := re
	if len(re.Sub) > 0 {
		class = re.Sub[0]
		switch re.Op {
		case syntax.OpStar:
			n.min, n.max = 0, -1
		case syntax.OpPlus:
			n.min, n.max = 1, -1
		case syntax.OpRepeat:
			n.min, n.max = re.Min, re.Max
		}
	}
	switch {
	case class.Op == syntax.OpLiteral && len(class.Rune) == 1 && class.Rune[0] < utf8.RuneSelf && class.Flags&syntax.FoldCase == 0:
		n.set = &[256]bool{}
		n.set[class.Rune[0]] = true
	case class.Op == syntax.OpCharClass:
		n.set = bytesOf(class.Rune)
	case class.Op == syntax.OpAnyCharNotNL, class.Op == syntax.OpAnyChar:
		n.set = &[256]bool{}
		for b := range n.set {
			n.set[b] = b != '\n' || class.Op == syntax.OpAnyChar
		}
	}
	if n.set != nil && n.set[utf8.RuneSelf] && (n.max >= 0 || n.min > 1) {
		return nil // counts runes, not bytes
	}
	if n.set == nil || re.Flags&syntax.NonGreedy != 0 || n.min != n.max && overlap(n.set, follow) {
		return nil
	}
	n.first, n.empty = *n.set, n.min == 0
	return n
}

// bytesOf gives a class of runes as one of bytes: nil where it holds some of the
// runes past ASCII and not others. A byte that is no valid UTF-8 counts as U+FFFD.
func bytesOf(ranges []rune) *[256]bool {
	var set [256]bool
	for i := 0; i < len(ranges); i += 2 {
		low, high := ranges[i], ranges[i+1]
		if high >= utf8.RuneSelf {
			if high != utf8.MaxRune || low > utf8.RuneSelf {
				return nil
			}
			for b := utf8.RuneSelf; b < 256; b++ {
				set[b] = true
			}
			high = utf8.RuneSelf - 1
		}
		for r := low; r <= high; r++ {
			set[r] = true
		}
	}
	return &set
}

func union(a, b *[256]bool) (u [256]bool) {
	for i := range u {
		u[i] = a[i] || b[i]
	}
	return u
}

func overlap(a, b *[256]bool) bool {
	for i := range a {
		if a[i] && b[i] {
			return true
		}
	}
	return false
}

// match gives the place after the match that begins at at, -1 for none. groups
// may be nil.
func (n *node) match(text []byte, at int, groups []int) int {
	switch n.op {
	case opLiteral:
		if !bytes.HasPrefix(text[at:], n.literal) {
			return -1
		}
		return at + len(n.literal)
	case opRepeat:
		return n.repeat(text, at)
	case opConcat:
		for _, sub := range n.subs {
			switch sub.op { // the two that need no groups, without a call to here
			case opLiteral:
				if !bytes.HasPrefix(text[at:], sub.literal) {
					return -1
				}
				at += len(sub.literal)
				continue
			case opRepeat:
				at = sub.repeat(text, at)
			default:
				at = sub.match(text, at, groups)
			}
			if at < 0 {
				return -1
			}
		}
		return at
	case opChoice:
		for _, sub := range n.subs {
			if at < len(text) && sub.first[text[at]] {
				return sub.match(text, at, groups)
			}
		}
		return -1
	case opMaybe:
		if at < len(text) && n.first[text[at]] {
			if end := n.subs[0].match(text, at, groups); end >= 0 {
				return end
			}
		}
		if groups != nil {
			for _, group := range n.inside {
				groups[2*group], groups[2*group+1] = -1, -1
			}
		}
		return at
	}
	end := n.subs[0].match(text, at, groups)
	if end >= 0 && groups != nil {
		groups[2*n.group], groups[2*n.group+1] = at, end
	}
	return end
}

// repeat is match for opRepeat.
func (n *node) repeat(text []byte, at int) int {
	from, end := at, len(text)
	if n.max >= 0 {
		end = min(end, at+n.max)
	}
	for set := n.set; at < end && set[text[at]]; {
		at++
	}
	if at-from < n.min {
		return -1
	}
	return at
}

func (l *linear) match(message []byte) bool {
	end := l.root.match(message, 0, nil)
	return end >= 0 && (!l.toEnd || end == len(message))
}

func (l *linear) find(message []byte, into []int) []int {
	groups := slices.Grow(into[:0], 2*l.groups+2)[:2*l.groups+2]
	for i := range groups {
		groups[i] = -1
	}
	end := l.root.match(message, 0, groups)
	if end < 0 || l.toEnd && end != len(message) {
		return nil
	}
	groups[0], groups[1] = 0, end
	return groups
}
