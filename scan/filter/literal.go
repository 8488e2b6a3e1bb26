package filter

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// prefix is a text that a match can begin with; closed when more may follow
// that is not known.
type prefix struct {
	text   string
	closed bool
}

// maxPrefixes bounds the texts that alternatives multiply into.
const maxPrefixes = 64

// prefixes are the texts of which every match of re begins with one. An
// expression that can begin with anything has the single prefix "".
func prefixes(re *syntax.Regexp) []prefix {
	unknown := []prefix{{"", true}}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText:
		return []prefix{{"", false}}
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []prefix{{string(re.Rune), false}}
		}
	case syntax.OpCharClass:
		return classPrefixes(re)
	case syntax.OpCapture:
		return prefixes(re.Sub[0])
	case syntax.OpQuest:
		return append(prefixes(re.Sub[0]), prefix{"", false})
	case syntax.OpPlus:
		all := prefixes(re.Sub[0])
		for i := range all {
			all[i].closed = true
		}
		return all
	case syntax.OpAlternate:
		var all []prefix
		for _, sub := range re.Sub {
			all = append(all, prefixes(sub)...)
		}
		if len(all) <= maxPrefixes {
			return all
		}
	case syntax.OpConcat:
		return concatPrefixes(re)
	}
	return unknown
}

// shortest leaves out the texts that begin with another one.
func shortest(all []prefix) []string {
	texts := make([]string, 0, len(all))
	for _, p := range all {
		texts = append(texts, p.text)
	}
	slices.Sort(texts)
	var kept []string
	for _, text := range texts {
		if n := len(kept); n == 0 || !strings.HasPrefix(text, kept[n-1]) {
			kept = append(kept, text)
		}
	}
	return kept
}

// classPrefixes spells out a class of a few characters.
func classPrefixes(re *syntax.Regexp) []prefix {
	var all []prefix
	for i := 0; i < len(re.Rune); i += 2 {
		for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
			if all = append(all, prefix{string(c), false}); len(all) > 4 {
				return []prefix{{"", true}}
			}
		}
	}
	return all
}

func concatPrefixes(re *syntax.Regexp) []prefix {
	all := []prefix{{"", false}}
	for _, sub := range re.Sub {
		more, open := prefixes(sub), false
		var longer []prefix
		for _, p := range all {
			if p.closed {
				longer = append(longer, p)
				continue
			}
			for _, q := range more {
				longer = append(longer, prefix{p.text + q.text, q.closed})
				open = open || !q.closed
			}
		}
		if len(longer) > maxPrefixes {
			return all // shorter ones are right too
		}
		if all = longer; !open {
			break
		}
	}
	return all
}

// suffix is the literal that every match of re ends with, if there is one.
func suffix(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture:
		return suffix(re.Sub[0])
	case syntax.OpConcat:
		for i := len(re.Sub) - 1; i >= 0; i-- {
			if re.Sub[i].Op != syntax.OpEndText {
				return suffix(re.Sub[i])
			}
		}
	}
	return ""
}

// longest is the longest literal that every match of re has somewhere, its end
// and what stands in each of the prefixes left out.
func longest(re *syntax.Regexp, prefixes []string) string {
	best := ""
	var visit func(re *syntax.Regexp)
	visit = func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpLiteral:
			text := string(re.Rune)
			known := !slices.ContainsFunc(prefixes, func(p string) bool { return !strings.Contains(p, text) })
			if re.Flags&syntax.FoldCase == 0 && len(text) > len(best) && !known {
				best = text
			}
		case syntax.OpCapture, syntax.OpPlus:
			visit(re.Sub[0])
		case syntax.OpConcat:
			for _, sub := range re.Sub {
				visit(sub)
			}
		}
	}
	if re.Op != syntax.OpConcat {
		return ""
	}
	for _, sub := range re.Sub {
		visit(sub)
	}
	if strings.HasSuffix(suffix(re), best) {
		return ""
	}
	return best
}
