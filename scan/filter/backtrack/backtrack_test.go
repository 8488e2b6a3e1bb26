package backtrack

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What is found, group by group: "-" is a group that took no part.
func TestFind(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{`(?<=\baudit\()\d+`, "audit(17:", "17"},
		{`(?<=\baudit\()\d+`, "xaudit(17:", ""},
		{`(?<!\d)\d{2}(?!\d)`, "123 45", "45"},
		{`(?<=(?:ab|cd)e)f`, "cdef", "f"},
		{`(?<=^..)c`, "äöc", "c"},
		{`(?<q>["'])(\w+)\k<q>`, `"a' 'b'`, `'b' ' b`},
		{`(?P<q>a)(?P=q)`, "aa", "aa a"},
		{`(?i)(?P<q>ä)(?P=q)`, "äÄ", "äÄ ä"}, {`(?i)(?P<q>[kſ])(?P=q)`, "sſkK", "kK k"},
		{`(a)?(?(1)b|c)`, "ab", "ab a"},
		{`(a)?(?(1)b|c)`, "xc", "c -"},
		{`(?<x>a)?(?(x)b)c`, "abc", "abc a"},
		{`(?:by (?<h>\d)|of (?<h>\w)) \k<h>`, "of a by 1 1", "by 1 1 1"}, {`(?:by (?<h>\d)|of (?<h>\w)) \k<h>`, "of a a", "of a a a"},
		{`(?>a+)ab`, "aaab", ""},
		{`(?:(?=(a+))b?a)*c`, "aac", "aac a"},
		{`(?!(a))b`, "b", "b -"},
		{`^(?:(\w)|-)*$`, "a-", "a- a"},
		{`(?:\b|a){900}b`, "ab", "ab"}, {`(?:(?=(.))|a){0,2}b`, "ab", "ab b"}, {`^(?:\b(?=(.))|a)+b`, "ab", "ab a"}, // rounds that match nothing
		{`a$`, "a\n", "a"}, {`a$`, "a\n\n", ""}, {`a\Z`, "a\n", "a"}, {`a\z`, "a\n", ""},
		{`(?m)^b$`, "a\nb\nc", "b"},
		{`a.c`, "a\nc", ""}, {`(?s)a.c`, "a\nc", "a\nc"},
		{`(?i)straße`, "STRAßE", "STRAßE"}, {`(?i:a)b`, "AB Ab", "Ab"},
		{`\w+`, "-é٣_", "é٣_"}, {`\bé`, "xé é", "é"}, {`[^\W\d]+`, "1é", "é"}, {`\d+`, "٣3", "3"},
		{`\s`, "a\u00a0", "\u00a0"}, {`[\S]+`, " \u2003b", "b"},
		{`[]a]+[^]]`, "]ab", "]ab"}, {`[a\-z]+`, "b-", "-"}, {`[\w-.]+`, " a-.", "a-."}, {`[[]`, "[", "["},
		{`(?i)[^k]`, "kK\u212a", ""}, {`(?i)[\W]+`, "\u03b9\u0345", "\u0345"}, {`(?i)\p{Lu}[^\P{Greek}]`, "aaσ", "aσ"}, {`[a-c-e\d-x]+`, " d-be9x", "-be9x"},
		{`(?i)(?:a|i)+[^i]`, "aİıIxi", "aİıIx"}, {`(?i)ﬅ(?:\u1fd3|b)x|(ΰ)`, "ﬆΐx", "ﬆΐx -"}, {`i(?i:i)i`, "iİI iıi", "iıi"},
		{`\x41\u0042\x{43}\U00000044\0101\e?`, "ABCD\x081", "ABCD\x081"}, {`\x41\u0042\x{43}\U00000044\101`, "", "error"},
		{`a{2}b{1,}c{,2}`, "aabc{,2}", "aabc{,2}"}, {`(?:ab){2,3}?`, "ababab", "abab"}, {`(?:\w{1,3}\.){1,200}x`, strings.Repeat("ab.", 150) + "x", strings.Repeat("ab.", 150) + "x"},
		{`a(?#b)c`, "ac", "ac"},
		{`\/\-\_\"\é`, `/-_"é`, `/-_"é`},
		{"a\xff", "a\xff", "error"},
	} {
		got := ""
		re, err := Compile(c.pattern)
		if err != nil {
			got = "error"
		} else if at, err := re.FindStringSubmatchIndex(c.text); err != nil {
			got = err.Error()
		} else {
			var groups []string
			for i := 0; i < len(at); i += 2 {
				if at[i] < 0 {
					groups = append(groups, "-")
				} else {
					groups = append(groups, c.text[at[i]:at[i+1]])
				}
			}
			got = strings.Join(groups, " ")
		}
		if got != c.want {
			t.Errorf("%s in %q: %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	re, err := Compile(`(?:(a)|(?<b>c))(?P<d>e)(?=f)`)
	if err != nil || !slices.Equal(re.SubexpNames(), []string{"", "", "b", "d"}) {
		t.Errorf("%q, %v", re.SubexpNames(), err)
	}
}

func TestErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		`(a`:                      "at 0 of the expression: the group has no end: missing )",
		`a)`:                      "at 1 of the expression: unbalanced )",
		`[a`:                      "at 0 of the expression: the class has no end: missing ]",
		`a**`:                     "at 2 of the expression: nothing to repeat",
		`a{2}{3}`:                 "at 4 of the expression: nothing to repeat",
		`a{3,2}`:                  "at 1 of the expression: a repetition has at least 3 and at most 2",
		`a{99999999999999999999}`: "at 1 of the expression: a repetition has more than 10000",
		`(a)\2`:                   "there is no group 2",
		`\k<x>`:                   `there is no group "x"`,
		`(?(x)a)`:                 `there is no group "x"`,
		`(a)(?(1)b|c|d)`:          "at 11 of the expression: a condition has more than two branches",
		`(?<1>b)`:                 `at 0 of the expression: "1" is no name for a group`,
		`(?<=a+)b`:                "what lookbehind looks for must have a fixed width",
		`(?<=a|bc)d`:              "what lookbehind looks for must have a fixed width",
		`(?x)a`:                   `at 0 of the expression: "(?x" is not known`,
		`[a-z-[b]]`:               `at 4 of the expression: a class cannot be taken from another: write \[`,
		`\Q`:                      `at 0 of the expression: \Q is not known`,
		`\`:                       `at 0 of the expression: a \ at the end`,
		`[z-a]`:                   "at 1 of the expression: z-a is no range: it ends before it begins",
		`[a-\w]`:                  `at 1 of the expression: \w is not known`, `\p{Greeek}`: `at 0 of the expression: \p{Greeek} is not known`,
		"[\xff]":                               "the expression is not UTF-8",
		`(?:(?:(?:(?:a{9}b){9}c){9}d){9}e){9}`: "",
		strings.Repeat(`a|b+`, maxCode):        "the expression has more than 65536 bytes",
		strings.Repeat(`[ab]c`, maxCode/2):     "the expression is too large",
	} {
		_, err := Compile(pattern)
		if got := fmt.Sprint(err); got != want && (want != "" || err != nil) {
			t.Errorf("%.60s: %s, want %s", pattern, got, want)
		}
	}
}

// What takes a time that doubles with each letter elsewhere is given up here only where
// the way to a place decides what can follow.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		pattern, unit string
		err           error
	}{
		{`^(?:a+)+b(?!c)`, "a", nil},
		{`(?!c)(?:a|aa)+b`, "a", nil},
		{`(?:\w+\s?)+(?<=x)`, "a ", nil},
		{`"(?:"+[^"]*(?="))*?" x`, `"`, nil},
		{`\d+\d+\d+x(?!y)`, "1", nil},
		{`(?:\w{1,3}){1,3}?-(?=x)`, "a", nil},
		{`(a+)+\1b`, "a", ErrLimit},
		{`(?=(?:a+)+b)c?`, "a", ErrLimit},
		{`(?:a*)*b(?!c)`, "a", ErrLimit},
		{`(?>(?:a|aa)+b)`, "a", ErrLimit},
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		if at, err := re.FindStringSubmatchIndex(strings.Repeat(c.unit, 8000) + "!"); at != nil || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; want %v", c.pattern, at, err, c.err)
		}
	}
}

// An instruction that does much counts as many steps.
func TestStepsOfOne(t *testing.T) {
	for _, c := range []struct {
		pattern, unit string
		least         int
	}{
		{`^a{8000}(?<!.{8000}b)$`, "a", 2000},
		{`^(?i:(a{4000})\1)$`, "a", 4000},
		{`^(\w{4000})$`, "é", 8000}, {`^\w+\b$`, "a", 1000},
		{`^b?.*ab`, "a", 1000},
		{strings.Repeat(`(?>`, 500) + `(?:()a)+` + strings.Repeat(`)`, 500) + "x", "a", 1_000_000},
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		m := new(machine)
		m.reset(&re.program, strings.Repeat(c.unit, 8000))
		if _, err := m.run(0); err != nil || m.steps < c.least {
			t.Errorf("%.40s: %d steps, %v; want %d at least", c.pattern, m.steps, err, c.least)
		}
	}
}

// What Compile needs grows as the expression, whatever it is made of.
func TestCompileIsBounded(t *testing.T) {
	for _, part := range []string{`[\W]`, `\w`, `\pL`, `(?i)[\W\S]`, "(?i)[\u0800-\U0001ffff]", `(?:a{2}b){9}`, `(?=a)`} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Compile(strings.Repeat(part, maxPattern/len(part)))
		runtime.ReadMemStats(&after)
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 50 {
			t.Errorf("%s: %d MB", part, took)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`(?<a>x)(?(a)y|z)\k<a>`, `(?i-s:[^\W_-]{2,}?)$`, `(?<=a{2})(?>b|c)*+`, `((a)*?)*\2{3}`, `(?m)^\S+\Z|[\]\[-]`} {
		f.Add(seed, "aab xyx\nb")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := Compile(pattern)
		if err != nil {
			return
		}
		at, err := re.FindStringSubmatchIndex(text)
		if err != nil && !errors.Is(err, ErrLimit) || at != nil && len(at) != 2*len(re.SubexpNames()) {
			t.Fatalf("%v, %v", at, err)
		}
		for i := 0; i < len(at); i += 2 {
			if (at[i] < 0) != (at[i+1] < 0) || at[i] > len(text) || at[i+1] > len(text) {
				t.Fatalf("%v", at)
			}
		}
		again, _ := re.FindStringSubmatchIndex(text)
		if !slices.Equal(at, again) {
			t.Fatalf("%v, then %v", at, again)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	line := "Nov 30 21:04:05 host sshd[4711]: Failed password for invalid user admin from 192.0.2.7 port 4711 ssh2"
	for _, pattern := range []string{
		`(?=^|\b|\W)((?<=\s)\d{2}:\d{2}:\d{2})(?=\b|\W|$)`,
		`^.*Failed \S+ for (?P<x>invalid user )?(?P<user>(?P<u>\S+)|(?(x)(?:(?! from ).)*?|[^:]+)) from (?P<ip>[\d.]+)(?: port \d+)?(?: ssh\d*)?$`,
	} {
		re, err := Compile(pattern)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(pattern[:8], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if at, err := re.FindStringSubmatchIndex(line); at == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
