package filter

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// The placeholders of a pattern. An address matches host names too: the daemon
// may have written one, and an address earlier in the line must not take its place.
var placeholders = strings.NewReplacer(
	"<ADDR>", `(?P<addr>[0-9A-Za-z_.:%-]+)`,
	"<USER>", `(?P<user>.*)`,
	"<PID>", `(?P<pid>\d+)`,
	"<SESSION>", `(?P<session>[0-9A-Za-z]{1,20})`,
	"<COUNT>", `(?P<count>\d{1,3})`,
	"<FORWARDED>", `(?P<forwarded>[^"]*)`,
)

func expand(pattern string) string { return placeholders.Replace(pattern) }

func addrRune(c rune) bool {
	return c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_.:%-", c))
}

// shape is what a pattern's syntax tree tells before any line is seen.
type shape struct {
	anchored  bool
	hasAddr   bool
	delimited bool // no text before <ADDR> can run into it
	freeLeft  bool // text that can spell an address stands before <ADDR>
	freeRight bool // and after it
	parted    bool // what stands before <ADDR> is parted from it: no text after it can move it

	prefixes []string // every match begins with one of them
	suffix   string   // every match ends with it
	literal  string   // the longest literal that every match has besides; empty where the engine begins with it
}

func shapeOf(tree *syntax.Regexp) shape {
	s := shape{anchored: anchored(tree)}
	if path := pathTo(tree, "addr"); path != nil {
		s.hasAddr = true
		s.delimited, s.freeLeft, s.freeRight = surroundings(path)
		s.parted = parted(path)
	}
	s.prefixes = shortest(prefixes(tree))
	s.suffix = suffix(tree)
	if s.literal = longest(tree, s.prefixes); s.literal != "" && s.literal == splitBy(tree) {
		s.literal = ""
	}
	return s
}

func anchored(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpConcat:
		return re.Sub[0].Op == syntax.OpBeginText && re.Sub[len(re.Sub)-1].Op == syntax.OpEndText
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !anchored(sub) {
				return false
			}
		}
		return true
	case syntax.OpCapture:
		return anchored(re.Sub[0])
	}
	return false
}

// pathTo is the chain of expressions from re down to the named group.
func pathTo(re *syntax.Regexp, name string) []*syntax.Regexp {
	if re.Op == syntax.OpCapture && re.Name == name {
		return []*syntax.Regexp{re}
	}
	for _, sub := range re.Sub {
		if path := pathTo(sub, name); path != nil {
			return append([]*syntax.Regexp{re}, path...)
		}
	}
	return nil
}

// surroundings looks at what stands left and right of the end of path.
func surroundings(path []*syntax.Regexp) (delimited, freeLeft, freeRight bool) {
	touching := true // everything between the address and here can be empty
	delimited = true
	for i := len(path) - 2; i >= 0; i-- {
		if path[i].Op != syntax.OpConcat {
			if path[i].Op != syntax.OpCapture && path[i].Op != syntax.OpAlternate && path[i].Op != syntax.OpQuest {
				delimited = false // repeated: an address beside an address
			}
			continue
		}
		at := 0
		for path[i].Sub[at] != path[i+1] {
			at++
		}
		for j := at - 1; j >= 0; j-- {
			sub := path[i].Sub[j]
			freeLeft = freeLeft || free(sub)
			if touching {
				runsOn, empty := tail(sub)
				named := scheme(sub)
				delimited = delimited && (named || !runsOn)
				touching = (named || empty) && sub.Op != syntax.OpBeginText
			}
		}
		for _, sub := range path[i].Sub[at+1:] {
			freeRight = freeRight || free(sub)
		}
	}
	return delimited, freeLeft, freeRight
}

// scheme tells whether re is text, or nothing, that begins as no address does and ends at
// its only colon, as in "udp4:192.0.2.1": no part of it can be taken for one of the address.
func scheme(re *syntax.Regexp) bool {
	if re.Op == syntax.OpQuest {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpCharClass || string(ending(re)) != ":" {
		return false
	}
	for c := '.'; c <= 'f'; c++ {
		if canBe(re.Sub[0], c) {
			return false
		}
	}
	for _, sub := range re.Sub[:len(re.Sub)-1] {
		if canBe(sub, ':') {
			return false
		}
	}
	return true
}

// parted tells whether what stands before the end of path ends, where there is anything,
// in fixed text with a character that the free text before it cannot hold: then the
// address is the same whatever was cut off the line's end.
func parted(path []*syntax.Regexp) bool {
	var left []*syntax.Regexp
	for i, re := range path[:len(path)-1] {
		for j := 0; re.Op == syntax.OpConcat && re.Sub[j] != path[i+1]; j++ {
			left = append(left, re.Sub[j])
		}
	}
	if len(left) == 0 {
		return false
	}
	last := left[len(left)-1]
	if last.Op == syntax.OpQuest {
		if len(left) > 1 && left[len(left)-2].Op != syntax.OpBeginText {
			return false
		}
		last = last.Sub[0]
	}
	return slices.ContainsFunc(ending(last), func(c rune) bool {
		return !slices.ContainsFunc(left, func(re *syntax.Regexp) bool { return freeWith(re, c) })
	})
}

// ending is the fixed text in which every match of re ends.
func ending(re *syntax.Regexp) []rune {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return re.Rune
		}
	case syntax.OpConcat:
		return ending(re.Sub[len(re.Sub)-1])
	case syntax.OpCapture:
		return ending(re.Sub[0])
	}
	return nil
}

// freeWith tells whether free text in re can hold c.
func freeWith(re *syntax.Regexp, c rune) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		return free(re) && canBe(re.Sub[0], c)
	}
	return slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return freeWith(sub, c) })
}

// free tells whether re can match a text that holds an address.
func free(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		return holds(re.Sub[0], '.', '1') || holds(re.Sub[0], ':', '1') || free(re.Sub[0])
	}
	return slices.ContainsFunc(re.Sub, free)
}

// holds tells whether one character or more of re can be each of want.
func holds(re *syntax.Regexp, want ...rune) bool {
	for _, c := range want {
		if !canBe(re, c) {
			return false
		}
	}
	return true
}

func canBe(re *syntax.Regexp, c rune) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return strings.ContainsRune(string(re.Rune), c)
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= c && c <= re.Rune[i+1] {
				return true
			}
		}
		return false
	}
	for _, sub := range re.Sub {
		if canBe(sub, c) {
			return true
		}
	}
	return false
}

// tail tells whether a match of re can end in a character of an address, and
// whether it can be empty.
func tail(re *syntax.Regexp) (runsOn, empty bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return addrRune(re.Rune[len(re.Rune)-1]), false
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true, false
	case syntax.OpCharClass:
		for c := rune(0); c < unicode.MaxASCII; c++ {
			if addrRune(c) && canBe(re, c) {
				return true, false
			}
		}
		return false, false
	case syntax.OpConcat:
		for i := len(re.Sub) - 1; i >= 0; i-- {
			on, hollow := tail(re.Sub[i])
			if runsOn = runsOn || on; !hollow {
				return runsOn, false
			}
		}
		return runsOn, true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			on, hollow := tail(sub)
			runsOn, empty = runsOn || on, empty || hollow
		}
		return runsOn, empty
	case syntax.OpCapture, syntax.OpPlus:
		return tail(re.Sub[0])
	case syntax.OpStar, syntax.OpQuest:
		runsOn, _ = tail(re.Sub[0])
		return runsOn, true
	case syntax.OpRepeat:
		runsOn, empty = tail(re.Sub[0])
		return runsOn, empty || re.Min == 0
	}
	return false, true
}
