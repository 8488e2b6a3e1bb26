package filter

import (
	"strings"
	"testing"
)

// What Fail2Ban 1.0.2 on Python 3.11 finds with these expressions in these lines, which it
// decodes and to which it adds a line feed: the match and each group, "-" where it took no
// part, "none" where there is no match.
func TestAsPython(t *testing.T) {
	for _, c := range []struct{ python, line, want string }{
		// the end of an address, and digits
		{`from <HOST>`, "from 2001:db8::1: x", "from 2001:db8::1|-|2001:db8::1|-"},
		{`from <HOST>`, "from 1:2:3:4:5:6:7: x", "from 1:2:3:4:5:6:7|-|1:2:3:4:5:6:7|-"},
		{`^<ADDR>`, "::", "none"},
		{`^<ADDR>`, "2001:db8::", "2001:db8::|-|2001:db8::"},
		{`from <HOST>`, "from 192.0.2.1٣", "from 192.0.2.1٣|192.0.2.1٣|-|-"},
		{`from <ADDR>`, "from ١.0.2.1", "from ١.0.2.1|١.0.2.1|-"},
		{`<SUBNET>`, "192.0.2.0/2٤", "192.0.2.0/2٤|192.0.2.0|-|2٤"},
		{`(\d+)(\D*)`, "x7٣a²", "7٣a²\n|7٣|a²\n"},
		{`([^\d]+)([\d:]+)`, "a٣:", "a٣:|a|٣:"},
		{`(?!x)(\d+)([\D-]*)`, "7٣a", "7٣a\n|7٣|a\n"},
		// white space
		{`(\S+)(\s)`, "a\x1cb", "a\x1c|a|\x1c"},
		{`([^\s]+)([\s-]+)`, "a\u00a0\u2003-b", "a\u00a0\u2003-|a|\u00a0\u2003-"},
		{`(\s\S)`, "\x85\x1fb", "\x1fb|\x1fb"},
		{`(\S*)`, "\u200b\ufeff\u180e", "\u200b\ufeff\u180e|\u200b\ufeff\u180e"},
		// ends
		{`a\Z`, "a", "none"},
		{`a\s\Z`, "a", "a\n"},
		{`(?:a\Z|b)`, "ab", "b"},
		{`a$|b a\s`, "b a", "b a\n"},
		{`(a\s*)$`, "a ", "a \n|a \n"},
		{`(.*?)(\s|$)`, "a", "a\n|a|\n"},
		{`x([^a]*?)$`, "xb", "xb|b"},
		{`(?:x|(\W))$`, "a", "\n|\n"},
		{`a$`, "a\n", "none"},
		{`a\s$`, "a\n", "a\n"},
		{`a\s*?$`, "a\n", "a\n"},
		{`[$](a\$)$`, "$a$", "$a$|a$"},
		// rounds that may match nothing
		{`(?:(a)|b*)*`, "abb", "abb|a"},
		{`(a|b*)+`, "ab", "ab|"},
		{`(?:(x*)|y)*<HOST>`, "y192.0.2.1", "y192.0.2.1||-|-|y192.0.2.1"},
		{`(|a)+`, "aa", "|"},
		{`(?:(\s*)\w?)*$`, "a b", "a b\n|"},
		{`(a??)*`, "aa", "|"},
		{`(a|){2}`, "a", "a|"},
		{`(a|){1,2}`, "a", "a|"},
		{`(a|){1,3}`, "a", "a|"},
		{`(^|\w)*?(b)`, "ab", "ab|a|b"},
		{`(?:[^\]"]*|"[^"]*")*\]`, `a"]"b]`, `a"]"b]`},
		{`(?:x?(?:|y)|z)*w`, "xzw", "xzw"},
		{`(?:x?(?:|y)|z)*z`, "xzz", "xz"},
		{`(?:a*|b)+?c`, "abac", "abac"},
		// boundaries of words
		{`\bx`, "éx x", "x"},
		{`(\B.)`, "éa", "a|a"},
		{`\b<HOST>\b`, "é192.0.2.1 192.0.2.2é 192.0.2.3", "é192.0.2.1|-|-|é192.0.2.1"},
		{`\b(\w+)\b`, "\u0301é٣a", "é٣a|é٣a"},
		{`user\b(.*) from`, "useré from x user from", "user from|"},
		// case
		{`(?i)fail(ed)`, "FAİLED faıled", "FAİLED|ED"},
		{`(?i)([^i]+)`, "İıa", "a\n|a\n"},
		{`(?i)([a-z]+)`, "ſKıİ", "ſKıİ|ſKıİ"},
		{`(?i)(\w+)`, "\u0345é", "é|é"},
		{`(?i)([^\w]+)`, "é\u0345", "\u0345\n|\u0345\n"},
		{`(?i)(?:a|I)x`, "İx", "İx"},
		{`(?i)(İ)`, "i", "i|i"},
		{`(?i)([à-ž])`, "xi", "i|i"},
		{`(?i)(\u0131)(?:a|\x1f)`, "IA", "IA|I"},
		{`(?i)(ﬅ|ΐ)+`, "ﬆΐ", "ﬆΐ|ΐ"},
		{`(?i:é)(k)`, "Ék", "Ék|k"},
		{`(?i)(é)`, "É", "É|É"},
		{`a|(?i:ı)`, "I", "I"},
		// what is no UTF-8
		{`^(.)(.)$`, "\xff\xfe", "\ufffd\ufffd|\ufffd|\ufffd"},
		{`^(.)(.)$`, "\xe2\x82a", "\ufffda|\ufffd|a"},
		{`^(.{3})$`, "\xed\xa0\x80", "\ufffd\ufffd\ufffd|\ufffd\ufffd\ufffd"},
		{`^(.{3})a`, "\xf0\x9f\x98\xf4\x90a", "\ufffd\ufffd\ufffda|\ufffd\ufffd\ufffd"},
		{`^(\W)(\w)`, "\xc3\xc3\xa9", "\ufffdé|\ufffd|é"},
	} {
		e := asPython(t, c.python)
		text := decodeLine(c.line) + "\n"
		at, err := e.places(text)
		got := "none"
		if at != nil {
			var groups []string
			for i := 0; i < len(at); i += 2 {
				if groups = append(groups, "-"); at[i] >= 0 {
					groups[i/2] = text[at[i]:at[i+1]]
				}
			}
			got = strings.Join(groups, "|")
		}
		if err != nil || got != c.want {
			t.Errorf("%s in %q: %q, %v; want %q", c.python, c.line, got, err, c.want)
		}
	}
}

// asPython converts an expression of one line.
func asPython(t *testing.T, pattern string) *expression {
	t.Helper()
	translated, linear, err := Dialect(pattern)
	if err != nil {
		t.Fatal(err)
	}
	e, err := compileExpression(translated, !linear, false)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Only where Go's regexp would find something else an expression backtracks that need not.
func TestBacktracksWhereItMust(t *testing.T) {
	for _, c := range []struct {
		python, text string
		want         bool
	}{
		{`^(?i)user\b \w+ from <HOST>\s*$`, "user a from 192.0.2.1\n", false},
		{`^(?i)user \w+ from <HOST>\s*$`, "user é from 192.0.2.1\n", true},
		{`^user\b \w+ from <HOST>\s*$`, "user é from 192.0.2.1\n", true},
		{`^user \w+ from <HOST>\s*$`, "user é from 192.0.2.1\n", false},
		{`^é from <HOST>(?:,\d+)*$`, "é from 192.0.2.1\n", false},
		{`^user \w+ from <HOST>$`, "user é from 192.0.2.1\n\n", true},
		{`^user \w+ from <HOST>`, "user é from 192.0.2.1\n\n", false},
	} {
		if got := asPython(t, c.python).backtracking(c.text) != nil; got != c.want {
			t.Errorf("%s in %q: %v", c.python, c.text, got)
		}
	}
	e, err := compileExpression("(?m)^[[:alpha:]]+$|\\b\\Qa$\\E", false, true) // what Go alone knows
	if err != nil {
		t.Fatal(err)
	}
	if at, err := e.places("é a$\nab\n"); err != nil || at == nil || at[0] != 3 {
		t.Errorf("%v, %v", at, err)
	}
}

// Several lines at once have many ends, and need not backtrack for that.
func TestEndsOfLines(t *testing.T) {
	e, err := compileExpression(`^b$`, false, true)
	if err != nil {
		t.Fatal(err)
	}
	const text = "a\nb\nc\n"
	if at, err := e.places(text); err != nil || at == nil || at[0] != 2 || e.backtracking(text) != nil {
		t.Errorf("%v, %v", at, err)
	}
}

// A line is decoded before its date is cut out: what stands around that makes no letter.
func TestDecodedFirst(t *testing.T) {
	m := openScript(t, "dates = ['{UNB}%Y-%m-%d']\n[[script.failure]]\nname = \"a\"\npattern = '^é from <HOST>$'\n")
	if f := m.Line("\xc32026-11-27\xa9 from 192.0.2.1", scriptNow); f.Rule >= 0 {
		t.Errorf("%+v", f)
	}
}
