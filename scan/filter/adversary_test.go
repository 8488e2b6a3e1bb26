package filter

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Expressions that take exponential or high polynomial time are found out, whatever stands
// before what they repeat; simple ones are not, nor those whose failures are remembered.
func TestSlowest(t *testing.T) {
	for _, c := range []struct {
		pattern string
		slow    bool
	}{
		{`^(?=(?:a+x?)+b)\w+ from <HOST>$`, true},
		{`^host sshd\[\d+\]: (?P<q>x)(?:(?:\w+\s?)*)(?P=q) from <HOST>$`, true},
		{`^user=(?!(?:[^"]+|\\")*(?<=x)x)\w+ from <HOST>$`, true},
		{`^(?P<q>["'])(?:[ab]+|[a-c])*(?P=q) from <HOST>$`, true},
		{`^(?:one|two: (?:(?:\d+x?)*)*;) from (?=<HOST>)<HOST>$`, true},
		{`^(?=.)(?:a+x?)+b from <HOST>$`, false},
		{`^host sshd\[\d+\]: (?=x)x(?:(?:\w+\s?)*) from <HOST>$`, false},
		{`^(?!ok)user=(?P<user>(?:[^"]+|\\")*)" from <HOST>$`, false},
		{`^(?!ok)\s*\S+ wrong <HOST>$`, false},
		{`^(?P<q>["'])[^"']*(?P=q) from <HOST>$`, false},
		{`^wrong (?=<HOST>)<HOST>(?: port \d+)?$`, false},
	} {
		translated, linear, err := Dialect(c.pattern)
		if err != nil || linear {
			t.Errorf("%s: linear %v, %v", c.pattern, linear, err)
			continue
		}
		f, err := Parse("test", "test.toml", "[script]\n[[script.failure]]\nname = 'one'\nbacktracks = true\npattern = '''"+translated+"'''\n[[script.failure]]\nname = 'host'\npattern = 'of <HOST>'\n")
		if err != nil {
			t.Error(err)
			continue
		}
		slow, untried := f.Compile(Normal).Slowest(time.Now().Add(time.Minute))
		if (len(slow) > 0) != c.slow || untried > 0 {
			t.Errorf("%s: %.100q, %d untried", c.pattern, slow, untried)
		}
	}
}

// There is no time: that is said.
func TestSlowestIsBounded(t *testing.T) {
	m := scriptMatcher(t, "backtracks = ['ignore-1']\nignore = ['(?=(?:a+b?)+c)a']\n[[script.failure]]\nname = 'one'\npattern = 'of <HOST>'\n")
	if slow, untried := m.Slowest(time.Now().Add(-time.Second)); len(slow) != 0 || untried != 1 {
		t.Errorf("%q, %d untried", slow, untried)
	}
	slow, _ := m.Slowest(time.Now().Add(time.Minute))
	if len(slow) != 1 || slow[0].Name != "ignore-1" {
		t.Errorf("%q", slow)
	}
}

// One that backtracks over letters beyond ASCII alone is tried with one.
func TestSlowestBeyondASCII(t *testing.T) {
	const many = `(?:(?:[a-c]|b){1,29}x?){1,29}! from <HOST>$`
	for pattern, want := range map[string]int{`^(?i)` + many: 1, `^` + many: 0} {
		m := scriptMatcher(t, "[[script.failure]]\nname = 'one'\npattern = '"+pattern+"'\n")
		slow, untried := m.Slowest(time.Now().Add(time.Minute))
		if len(slow) != want || untried > 0 {
			t.Errorf("%s: %.100q, %d untried", pattern, slow, untried)
		}
		for _, s := range slow { // the line does it
			if m.MatchLine([]byte(s.Line), "log", scriptNow); len(m.Slow()) != 1 {
				t.Errorf("%s: %.100q is given up by none", pattern, s.Line)
			}
		}
	}
}

// What backtracks over a line beyond ASCII is compiled when the first such line comes, from
// whichever log.
func TestBacktracksConcurrently(t *testing.T) {
	m := scriptMatcher(t, "[[script.failure]]\nname = 'one'\npattern = '(?i)^user \\w+ from <HOST>$'\n")
	var done sync.WaitGroup
	for _, log := range []string{"a", "b", "c", "d"} {
		done.Go(func() {
			if v := m.MatchLine([]byte("USER é from 192.0.2.1"), log, scriptNow); v.Kind != Failure {
				t.Errorf("%s: %+v", log, v)
			}
			m.Slowest(time.Time{})
		})
	}
	done.Wait()
}

func scriptMatcher(t *testing.T, script string) *Matcher {
	f, err := Parse("test", "test.toml", "[script]\n"+script)
	if err != nil {
		t.Fatal(err)
	}
	return f.Compile(Normal)
}

func FuzzAdversaries(f *testing.F) {
	for _, seed := range []string{`^(?P<a>x+)(?P=a)$`, `(?i)(?<!a)b*|<HOST>+`, `[^]\w-]{,3}+)`, `((((((`, `\`, `[`, `é+`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		if len(pattern) > 500 {
			return
		}
		for _, line := range adversaries(pattern) {
			if len(line) > 4*maxMessage {
				t.Fatalf("%q: a line of %d bytes", pattern, len(line))
			}
		}
		markFree(pattern)
	})
}

// The text that a pattern leaves open is found by what it repeats.
func TestFree(t *testing.T) {
	for _, c := range []struct{ script, line, want string }{
		{`pattern = '^\s*wrong (?P<user>.*) from <HOST>$'`, "Nov 22 08:14:01 wrong a b from 192.0.2.1", "a b"},
		{`pattern = '^\[\d+\] user=[^"]* \w+ (?=x)x <HOST>'` + "\nbacktracks = true", `[12] user=u v x 192.0.2.1`, "u|v"},
		{`pattern = '^wrong (?P<user>root) from <HOST>$'`, "wrong root from 192.0.2.1", ""},
		{`pattern = 'never (.*) <HOST>'`, "wrong root from 192.0.2.1", ""},
	} {
		m := scriptMatcher(t, "[[script.failure]]\nname = 'one'\n"+c.script+"\n")
		var got []string
		for _, at := range m.Free(c.line) {
			if text := c.line[at.Start:at.End]; !slices.Contains(got, text) {
				got = append(got, text)
			}
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s in %q: %q, want %q", c.script, c.line, got, c.want)
		}
	}
}

// An example is a line that its expression takes.
func TestExamples(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{`pattern = '^\s*wrong (?P<user>.*) (?:from|by) <HOST>(?: port \d+)?$'`, " wrong a from 192.0.2.1"},
		{`pattern = '^(?!x)\[[^\]]+\] (?:"|\x27)\w{3} <ADDR>$'` + "\nbacktracks = true", `[a] "aaa 192.0.2.1`},
		{`pattern = '^(?=x)wrong <HOST>$'` + "\nbacktracks = true", ""}, // there is none
	} {
		m := scriptMatcher(t, "[[script.failure]]\nname = 'one'\n"+c.script+"\n")
		if got := strings.Join(m.Examples(), "|"); got != c.want {
			t.Errorf("%s: %q, want %q", c.script, got, c.want)
		}
	}
	m := scriptMatcher(t, "prefix = '^\\S* ?app: (?P<content>.+)$'\n[[script.failure]]\nname = 'one'\npattern = '^wrong <HOST>$'\n")
	if got := m.Examples(); len(got) != 1 || got[0] != "aapp: wrong 192.0.2.1" {
		t.Errorf("%q", got)
	}
}
