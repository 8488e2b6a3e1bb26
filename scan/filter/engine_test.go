package filter

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"testing"
)

// sameAsRegexp compares a pattern's engine with Go's regexp on the whole pattern.
func sameAsRegexp(t *testing.T, pattern string, messages ...string) {
	t.Helper()
	tree, err := syntax.Parse(expand(pattern), syntax.Perl)
	if err != nil || !anchored(tree) {
		return
	}
	e := newEngine(tree)
	whole := regexp.MustCompile(expand(pattern))
	for _, message := range messages {
		got, want := e.find([]byte(message), nil), whole.FindSubmatchIndex([]byte(message))
		if (got == nil) != (want == nil) || want != nil && !slices.Equal(got[2:], want[2:]) || e.Match([]byte(message)) != (want != nil) {
			t.Errorf("%s\non %q: got %v, want %v", pattern, message, got, want)
		}
	}
}

func TestEngine(t *testing.T) {
	var messages []string
	for _, l := range lines(t, "../../testdata/sshd/lines.txt") {
		messages = append(messages, l.message)
	}
	for _, template := range templates {
		messages = append(messages, fill(template, "203.0.113.7", "x from 8.8.8.8 port 22 ssh2"), fill(template, "h", " "))
	}
	f, err := Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Rules() {
		sameAsRegexp(t, r.Pattern, messages...)
	}
	for _, pattern := range []string{
		`^a(?:b )?<USER> b <ADDR>$`, `^a.* b.* <ADDR>$`, `^a.*\b <ADDR>$`, `^(?:a|a b )<USER> b <ADDR>.*$`, `^a<USER>(?: b|b) <ADDR>$`, `^<USER> <ADDR>( x)?$`, `^a.*$|^b$`,
		`^a(?: (?P<x>b+)(?: .*)?)?$`, `^a(?: (b)c)?.*$`, `^<ADDR>(?: +(?:b=<USER>)?)?$`,
		`^a<USER> aba <ADDR>$`, `^<USER>  <ADDR>$`, `^a<USER>é <ADDR>$`, `^a<USER>aab<ADDR>$`,
	} {
		sameAsRegexp(t, pattern, " aba 1", "aba aba aba 1", "a aba aba", "  1", "    ", "a b  1", "aé é é 1", "a\xa9 é 1", "aaaabaab1", "aaab", "aab1")
		sameAsRegexp(t, pattern, "", "a", "a b ", "ab b 1", "a b x b 1.2.3.4", "a b b b b 1.2.3.4 b 5", "a b  b 1 x", "ab b b 1 ", "b", "a b x", "a bc", "a bd", "1.2.3.4  b=x y", "1.2.3.4 ", "a bb")
	}
}

// The literals that are looked for before the pattern are in every match.
func TestShape(t *testing.T) {
	for _, c := range []struct {
		pattern, suffix, literal string
		prefixes                 []string
	}{
		{`^Failed (?:password|none) for <USER> from <ADDR> ssh2$`, " ssh2", "", []string{"Failed none for ", "Failed password for "}},
		{`^(?:error: )?PAM: <USER>$`, "", "", []string{"PAM: ", "error: PAM: "}},
		{`^[ab]c+d <ADDR>$`, "", "d ", []string{"ac", "bc"}},
		{`^.* x <ADDR>$`, "", "", []string{""}}, // its engine looks for " x " first
		{`^.*x <ADDR>$`, "", "x ", []string{""}},
		{`^.*x <ADDR>.*$`, "", "x ", []string{""}},
		{`^<USER> of x <ADDR> long$`, " long", "", []string{""}},
		{`^<USER>[ab] of x <ADDR> long$`, " long", " of x ", []string{""}},
		{`^(?i)abc <ADDR>$`, "", "", []string{""}},
		{`^(?:ab|a)c? <ADDR>$`, "", "", []string{"a ", "ab ", "abc ", "ac "}},
	} {
		tree, err := syntax.Parse(expand(c.pattern), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		s := shapeOf(tree)
		if s.suffix != c.suffix || s.literal != c.literal || !slices.Equal(s.prefixes, c.prefixes) {
			t.Errorf("%s: %q %q %q", c.pattern, s.prefixes, s.suffix, s.literal)
		}
	}
}

// FuzzEngine: no pattern has an engine that differs from Go's regexp.
func FuzzEngine(f *testing.F) {
	f.Add(`^a(?:b )?<USER> b <ADDR>$`, "a b x b 1.2.3.4")
	f.Add(`^(?:a|ab)(.*) (b|bc)*<ADDR>x$`, "ab c 1x")
	f.Add(`^a<USER> [é] b é <ADDR>$`, "a é b é é b é 1.2.3.4")
	f.Fuzz(func(t *testing.T, pattern, message string) {
		if len(pattern) > 200 || len(message) > 200 || slices.Contains([]byte(message), '\n') {
			return
		}
		sameAsRegexp(t, pattern, message)
	})
}
