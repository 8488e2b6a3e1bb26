package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter/backtrack"
)

// script parses a filter with that [script], and opens it in UTC.
func openScript(t *testing.T, text string) *Memory {
	t.Helper()
	f, err := Parse("test", "test.toml", "[script]\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Script.Open()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var scriptNow = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestDialect(t *testing.T) {
	for _, c := range []struct {
		python, want string
		linear       bool
	}{
		{`^a\Z`, `^a\z`, true},
		{`(?P<x>a)(?P=x)`, `(?<x>a)\k<x>`, false},
		{`(a)\1`, `(a)(?:\1)`, false},
		{`(?:(?i)a)b`, `(?i:a)b`, true}, {`((?i)a)(b)\1`, `(?i:a)(b)(?:\1)`, false}, {`<HOST>\3`, `<HOST>(?:\3)`, false},
		{`a(?i)b`, `(?i)ab`, true},
		{"(?x) a b # comment\n c", `abc`, true}, {`(?:(?x) a b) c`, `(?:ab) c`, true}, {`(?x:a b) c`, `(?:ab) c`, true},
		{`(?:[^\]"]*|"[^"]*")*\]`, `(?:[^\]"]*|"[^"]*")*\]`, true}, // the next character says whether another round comes
		{`(?:[^"]*|"[^"]*")*\]`, `(?:[^"]*|"[^"]*")*\]`, false}, {`(?:(a*)|b)*\]`, `(?:(a*)|b)*\]`, false}, {`(?:a*|(?:b?)*x)*\]`, `(?:a*|(?:b?)*x)*\]`, true},
		{`(?:a*|b)*`, `(?:a*|b)*`, false}, {`(?:a*|b)*(?i:c)`, `(?:a*|b)*(?i:c)`, false}, {`(?:(?:a*|b)*b|c)*\]`, `(?:(?:a*|b)*b|c)*\]`, false},
		{`a{,3}`, `a{0,3}`, true},
		{`a{`, `a\{`, true}, {`a{}`, `a\{}`, true}, {`a{,}`, `a{0,}`, true},
		{`[][]`, `[\]\[]`, true}, {`[\\s-x]`, `[\\s-x]`, true}, {`[\d-x](?!0-9)[90-9-x]`, `[\p{Nd}\-x](?!0-9)[90-9-x]`, false},
		{`(?#note)a`, `a`, true},
		{`a++b`, `(?>a+)b`, false},
		{`\ua000\x41`, `\x{a000}\x{41}`, true},
		{`a(?=b)`, `a(?=b)`, false},
		{`(x)?(?(1)a|b)`, `(x)?(?(1)a|b)`, false},
	} {
		got, linear, err := Dialect(c.python)
		if err != nil || got != c.want || linear != c.linear {
			t.Errorf("%s: %s, linear %v, %v; want %s", c.python, got, linear, err, c.want)
		}
	}
	for _, bad := range []string{`(`, `a)`, `[a`, `*a`, `\`, `(?P<x>a)(?P<x>b)`, `(?P<x`, `\q`, `(?Z)`, `\2`, `(?a)\w`, `(?i:(?a:\w))`} {
		if got, _, err := Dialect(bad); err == nil {
			t.Errorf("%s: read as %s", bad, got)
		}
	}
}

// However deep they are nested, each is looked at once: this ends.
func TestEmptyRoundsNested(t *testing.T) {
	const deep = 200
	pattern, body := strings.Repeat("(?:", deep)+"a*", ""
	for i := range deep {
		body += "x)*" + string(rune(0x100+i))
	}
	for _, pattern := range []string{pattern + body, pattern + strings.Repeat("x)*x", deep)} {
		if _, linear, err := Dialect(pattern + "]"); !linear || err != nil {
			t.Errorf("linear %v, %v", linear, err)
		}
	}
}

// The lines of a connection: a user who fails and then succeeds is forgiven, and one whose
// address comes later is blamed with it.
func TestScriptConnections(t *testing.T) {
	m := openScript(t, `prefix = '^(?P<mlfid>\d+) (?P<content>.*)$'
[[script.failure]]
name = "connect"
pattern = '^(?P<nofail>connect) from <ADDR>$'
[[script.failure]]
name = "wrong"
pattern = '^wrong (?P<user>\w+)$'
[[script.failure]]
name = "right"
pattern = '^(?P<mlfgained>right) (?P<user>\w+)$'
[[script.failure]]
name = "end"
pattern = '^(?P<nofail>(?P<mlfforget>end))$'
`)
	for _, c := range []struct {
		line, want string
	}{
		{"1 connect from 192.0.2.1", ""},
		{"1 wrong bob", "192.0.2.1"},
		{"1 right bob", ""},
		{"1 end", ""},
		{"1 wrong bob", ""}, // forgotten: nobody knows whose
		{"2 wrong eve", ""},
		{"2 connect from 192.0.2.2", "192.0.2.2"},
		{"3 connect from 192.0.2.3", ""},
		{"3 right eve", ""},
		{"3 right mallory", "192.0.2.3"}, // another user on the same connection
	} {
		f := m.Dated(c.line, scriptNow)
		if got := f.ID; f.Failure != (c.want != "") || f.Failure && got != c.want {
			t.Errorf("%s: %v %q, want %q", c.line, f.Failure, got, c.want)
		}
	}
}

// What is no address blames nobody, and the host itself is never blamed.
func TestScriptBlames(t *testing.T) {
	m := openScript(t, "ignore = ['from 192\\.0\\.2\\.9$']\n[[script.failure]]\nname = \"a\"\npattern = 'from <HOST>$'\n")
	for line, want := range map[string]Kind{
		"x from 192.0.2.1": Failure, "x from ::ffff:192.0.2.1": Failure, "x from 2001:db8::1": Failure, "x from host.example": Benign,
		"x from 127.0.0.1": Refused, "x from 999.0.2.1": Benign, "x from 192.0.2.9": Benign, "x": None,
	} {
		if v := m.Verdict(m.Dated(line, scriptNow)); v.Kind != want {
			t.Errorf("%s: %v (%s), want %v", line, v.Kind, v.Reason, want)
		}
	}
}

// An expression that would run for ever is given up, and the next one is asked; the line is
// counted where no other holds.
func TestScriptTimeLimit(t *testing.T) {
	m := openScript(t, "[[script.failure]]\nname = \"slow\"\nbacktracks = true\npattern = '^(?=(\\w+\\s?)*$)(?:(?:a+)+)+b from <ADDR>'\n[[script.failure]]\nname = \"fast\"\npattern = 'from <ADDR>$'\n")
	began := time.Now()
	f := m.Dated(strings.Repeat("a", 60)+" ! from 192.0.2.1", scriptNow)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if !f.Failure || f.Rule != 1 || len(m.slow.by) != 0 || m.slow.spent < aWhile {
		t.Errorf("%+v, %d times without another", f, len(m.slow.by))
	}
	if f := m.Dated(strings.Repeat("a", 60)+" ! of 192.0.2.1", scriptNow); f.Rule >= 0 || len(m.slow.by) != 1 {
		t.Errorf("%+v, %d times without another", f, len(m.slow.by))
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct {
		pattern, line, rest, want string
	}{
		{"", "2026-11-22 08:14:01,123 x", " x", "2026-11-22T08:14:01Z"},
		{"", "Nov 22 08:14:01 host x", " host x", "0000-11-22T08:14:01Z"},
		{"", "Dec 24 08:14:01 host x", " host x", "0000-12-24T08:14:01Z"}, // it names no year
		{"", "[22/Nov/2026:08:14:01 +0100] x", "[] x", "2026-11-22T08:14:01+01:00"},
		{"{^LN-BEG}EPOCH", "[1795000000] x", "[] x", "2026-11-18T11:06:40Z"},
		{`^%Y:%m:%d-%H:%M:%S`, "2026:11:22-08:14:01 x", " x", "2026-11-22T08:14:01Z"},
		{`^t={DATE}`, "t=2026-11-22T08:14:01+01:00 x", " x", "2026-11-22T08:14:01+01:00"},
		{`ts={LEPOCH}`, `a ts=1795000000123 x`, "a  x", "2026-11-18T11:06:40Z"},
		{"{NONE}", "2026-11-22 08:14:01 x", "2026-11-22 08:14:01 x", ""},
		{`^%d\.%m\.%y %I:%M %p`, "22.11.26 08:14 PM x", " x", "2026-11-22T20:14:00Z"},
		{`^%d/%m/%Y %H:%M`, "04/11/2026 08:14 x", " x", "2026-11-04T08:14:00Z"},
		{`^%m/%d/%Y %H:%M`, "04/11/2026 08:14 x", " x", "2026-04-11T08:14:00Z"},
		{`^%Y %j %H:%M`, "2026 326 08:14 x", " x", "2026-11-22T08:14:00Z"},
		{`^%Y %j`, "2026 366 x", " x", ""},     // 2026 has 365 days
		{`^%j %H:%M`, "326 08:14 x", " x", ""}, // of which year?
		{`^%H:%M:%S`, "08:14:01 x", " x", ""},  // of which day?
	} {
		var patterns []string
		if c.pattern != "" {
			patterns = []string{c.pattern}
		}
		d, err := newDates(patterns)
		if err != nil {
			t.Error(err)
			continue
		}
		at, date, dated := d.find(c.line)
		got := ""
		switch {
		case dated && date.Absolute:
			got = time.UnixMicro(date.Unix).UTC().Format(time.RFC3339)
		case dated:
			zone := time.UTC
			if date.Zoned {
				zone = time.FixedZone("", date.Offset)
			}
			got = time.Date(date.Year, time.Month(date.Month), date.Day, date.Hour, date.Minute, date.Second, 0, zone).Format(time.RFC3339)
		}
		if rest := c.line[:at[0]] + c.line[at[1]:]; got != c.want || rest != c.rest {
			t.Errorf("%q in %q: %q, left %q; want %q, %q", c.pattern, c.line, got, rest, c.want, c.rest)
		}
	}
}

func TestUndatable(t *testing.T) {
	s := Script{Dates: []string{`{NONE}`, `^%H:%M:%S`, `^{DATE}`, `{^LN-BEG}EPOCH`, `^%j %H:%M`, `^%Y %j`, `{^LN-BEG}`, `TAI64N`, `^%d %H:%M`, `%d %b`}}
	if got, want := s.Undatable(), []string{`{NONE}`, `^%H:%M:%S`, `^%j %H:%M`, `^%d %H:%M`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzDialect(f *testing.F) {
	for _, seed := range []string{`^(?P<a>x)(?P=a)$`, `(?x) a # b`, `[^]\w-]{,3}+`, `(?i)(?<!a)b|<HOST>`, `\1(a)`, `(?(a)b|c)`} {
		f.Add(seed, "line from 192.0.2.1")
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		translated, linear, err := Dialect(pattern)
		if err != nil || len(pattern) > 200 {
			return
		}
		e, err := compileExpression(translated, !linear, false)
		if err != nil {
			t.Fatalf("%q became %q: %v", pattern, translated, err)
		}
		e.find(line + "\n")
	})
}

func FuzzDates(f *testing.F) {
	f.Add(`{^LN-BEG}%Y-%m-%d %H:%M:%S`, "2026-11-22 08:14:01 x")
	f.Add(`^a{DATE}**`, "aNov 22 08:14:01 x")
	f.Add(`{EPOCH}`, "1795000000.5")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		if len(pattern) > 200 {
			return
		}
		d, err := newDates([]string{pattern})
		if err != nil {
			return
		}
		if at, _, _ := d.find(line); at[0] > at[1] || at[1] > len(line) {
			t.Fatalf("%q in %q: %v", pattern, line, at)
		}
	})
}

// Slow lines are told of; when they have had their time the rest is refused, and blames
// nobody. What a slow ignore may have said is not taken for a failure.
func TestScriptSlow(t *testing.T) {
	const slow = `^(?=(\w+\s?)*$)(?:(?:a+)+)+b from`
	long := []byte(strings.Repeat("a", 60) + " ! from 192.0.2.1")
	f, err := Parse("test", "test.toml", "[script]\nignore = ['"+slow+"']\nbacktracks = ['ignore-1']\n[[script.failure]]\nname = \"fast\"\npattern = 'from <ADDR>$'\n")
	if err != nil {
		t.Fatal(err)
	}
	m := f.Compile(Normal)
	if v := m.MatchDated(long, "", scriptNow); v.Kind != Refused || v.Reason != reasonSlowSkip {
		t.Errorf("%v (%s)", v.Kind, v.Reason)
	}
	if v := m.MatchDated([]byte("x from 192.0.2.1"), "", scriptNow); v.Kind != Failure {
		t.Errorf("%v (%s)", v.Kind, v.Reason)
	}
	if told := m.Slow(); len(told) != 1 || !strings.Contains(told[0], "1 line was given up, after 2 million steps or as too deep, by the expression ignore-1") {
		t.Errorf("%q", told)
	}
	m.memory.slow.spent = SlowLimit
	if v := m.MatchDated([]byte("x from 192.0.2.1"), "", scriptNow); v.Kind != Refused || v.Addr.IsValid() || len(m.Slow()) != 2 {
		t.Errorf("%v (%s), %q", v.Kind, v.Reason, m.Slow())
	}
	m.Recall(m.Recalled()) // another pass
	if v := m.MatchDated([]byte("x from 192.0.2.1"), "", scriptNow); v.Kind != Failure || len(m.Slow()) != 0 {
		t.Errorf("%v (%s), %q", v.Kind, v.Reason, m.Slow())
	}
}

// Whatever an attacker writes, what is remembered has bounds; and it is forgotten.
func TestScriptRecallIsBounded(t *testing.T) {
	m := openScript(t, "[[script.failure]]\nname = \"a\"\npattern = '^(?P<mlfid>\\d+) (?P<user>.*)$'\n")
	for i := range 3 * maxConnections {
		m.Dated(strings.Repeat("1", 1+i%7)+strings.Repeat("0", i%90)+strings.Repeat("2", i%41)+" "+strings.Repeat("u", i%3000), scriptNow)
		if len(m.order) > maxConnections || len(m.order) != len(m.sessions) || m.bytes > maxRecall {
			t.Fatalf("%d connections of %d bytes", len(m.order), m.bytes)
		}
	}
	m.Dated("5 x", scriptNow.Add((recallSpan+1)*time.Second))
	if left := m.keep(1); len(left.Connections) != 1 {
		t.Errorf("%d connections are left", len(left.Connections))
	}
}

// What goes too deep is given up at once.
func TestTooDeep(t *testing.T) {
	m := openScript(t, "[[script.failure]]\nname = \"deep\"\nbacktracks = true\npattern = '^(?:(?!z)(?:a|b))*(?<!c)Q from <ADDR>'\n")
	line := strings.Repeat("ab", 100_000) + " from 192.0.2.1"
	if _, err := m.failures[0].slow.FindStringSubmatchIndex(line + "\n"); !errors.Is(err, backtrack.ErrLimit) {
		t.Fatalf("error %v: the line is not what the test needs", err)
	}
	f := m.Dated(line, scriptNow)
	if f.Rule >= 0 || len(m.slow.by) != 1 {
		t.Errorf("%+v, given up %d times", f, len(m.slow.by))
	}
}
