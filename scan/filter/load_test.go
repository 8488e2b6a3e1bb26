package filter

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// Every shipped filter passes the checks that Load spares the passes, compiles in
// every mode, and has a description.
func TestCatalogue(t *testing.T) {
	for _, name := range Names() {
		text, err := catalogue.ReadFile("catalogue/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(name, name+".toml", string(text))
		if err != nil {
			t.Fatal(err)
		}
		if f.Description == "" || len(f.Ports) == 0 {
			t.Errorf("%s: no description or no ports", name)
		}
		for _, mode := range Modes {
			m := f.Compile(mode)
			m.Match([]byte("x"), nil)
			for _, r := range m.rules {
				if r.Pattern != "" {
					r.engine()
				}
				for _, c := range r.conditions {
					if c.like != nil {
						c.like.engine()
					}
				}
			}
		}
	}
}

func TestMatches(t *testing.T) {
	f, err := Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range f.Matches() {
		if len(term) != 3 || !slices.Contains(term, "_UID=0") || !slices.Contains(term, "_TRANSPORT=syslog") {
			t.Errorf("term %v lacks a requirement", term)
		}
	}
	for want, term := range map[string][]string{
		"":                      {"_COMM=x"},
		"empty match term":      {},
		"is not FIELD=value":    {"sshd"},
		"is not a journal":      {"comm=x"},
		"names _UID twice":      {"_COMM=x", "_UID=1"},
		"names _COMM twice":     {"_COMM=x", "_COMM=y"},
		"\"\" is not a journal": {"=x"},
	} {
		err := CheckTerm(term, []string{"_UID=0"})
		if len(term) == 0 {
			err = CheckTerm(nil, nil)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", term, err, want)
		}
	}
}

// A file of a later directory replaces one of an earlier, and the shipped one.
func TestLoadDirs(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	write := func(dir, name, description string) {
		text := "description = \"" + description + "\"\n[[rule]]\nname = \"r\"\npattern = '^x <ADDR>$'\n"
		if err := os.WriteFile(filepath.Join(dir, name+".toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "sshd", "first")
	write(b, "sshd", "second")
	write(a, "own", "own")
	for name, want := range map[string]string{"sshd": "second", "own": "own"} {
		f, err := Load(name, a, b, filepath.Join(a, "missing"))
		if err != nil || f.Description != want || len(f.Rules()) != 1 {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if got := Names(a, b); !slices.Contains(got, "own") || !slices.IsSorted(got) {
		t.Errorf("Names: %v", got)
	}
	for _, name := range []string{"shd", "", "../filter/catalogue/sshd"} {
		var unknown *UnknownError
		if _, err := Load(name, a); !errors.As(err, &unknown) {
			t.Errorf("Load(%q): %v", name, err)
		}
	}
	if _, err := Load("ssdh"); err == nil || !strings.Contains(err.Error(), `did you mean "sshd"?`) {
		t.Errorf("%v", err)
	}
}

// All that is wrong is said at once, each with its line.
func TestErrors(t *testing.T) {
	_, err := Parse("bad", "bad.toml", `descripton = "x"
ports = [ "nowhere" ]
spoofable = "yes"
[journal]
match = [
  ["_UID"],
]
require = "x"
[[rule]]
name = "one"
kind = "failur"
pattern = '^a <ADDR>$'
[[rule]]
name = "one"
modes = ["ddo"]
pattern = '^no address$'
[[rule]]
name = "three"
after = "on"
weight = 0
pattern = '(<ADDR>'
[[rule]]
name = "four"
pattern = 'from <ADDR>$'
[[rule]]
pattern = '^.*<ADDR>$'
[[rule]]
name = "six"
alone = true
once = true
pattrn = 1
[[rule]]
name = "seven"
kind = "mark"
lingers = true
pattern = '^x$'
[[rule]]
name = "eight"
pattern = '^refused <USER> from <HOST>$'
`)
	want := []string{
		`bad.toml:1: unknown key "descripton" (did you mean "description"?)`,
		`bad.toml:2: "nowhere" is not a port`,
		`bad.toml:3: spoofable wants true or false, not a string`,
		`bad.toml:5: match "_UID" is not FIELD=value`,
		`bad.toml:8: require wants a list of strings, not a string`,
		`bad.toml:11: "failur" is not a kind (did you mean "failure"?)`,
		`bad.toml:14: two rules are named "one"`,
		`bad.toml:15: "ddo" is not a mode (did you mean "ddos"?)`,
		`bad.toml:16: rule "one" has no <ADDR>`,
		`bad.toml:19: after names no other rule: "on" (did you mean "one"?)`,
		`bad.toml:20: weight = 0 is out of range`,
		`bad.toml:21: rule "three": missing closing )`,
		`bad.toml:24: rule "four": it is not anchored`,
		`bad.toml:25: a rule without a name`,
		`bad.toml:26: rule "": what stands before <ADDR> could be a part of it`,
		`bad.toml:27: rule "six" has no pattern`,
		`bad.toml:29: rule "six" is alone`,
		`bad.toml:31: unknown key "pattrn" (did you mean "pattern"?)`,
		`bad.toml:35: rule "seven" lingers`,
		`bad.toml:39: rule "eight": <HOST> is Fail2Ban's word: write <ADDR>`,
	}
	got := strings.Split(err.Error(), "\n")
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("too much: %s", got[i])
		case !strings.HasPrefix(got[i], want[i]):
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	if _, err := Parse("bad", "bad.toml", "a = 1\nb = [\n"); err == nil || !strings.HasPrefix(err.Error(), "bad.toml:") {
		t.Errorf("syntax: %v", err)
	}
}

func TestKeyLine(t *testing.T) {
	const text = `a = 1 # a.b
"quoted key" = 2
list = [ # [x]
  "b = 3", """
b = 4""",
]
[jail.sshd] # comment
maxretry = 3
escalation = { factor = 2, max = "4w" }
ignore.ip = []
[ jail . "nginx" ]
maxretry = 4
text = '''
maxretry = 9
'''
last = 1
[[rule]]
name = "x"
[[rule]]
name = "y"
modes = ["a", "]"]
[rule.sub]
z = 1
`
	for want, keys := range map[int][]toml.Key{
		1:  {{"a"}, {"a", "b"}},
		2:  {{"quoted key"}},
		3:  {{"list"}},
		7:  {{"jail"}, {"jail", "sshd"}, {"jail", "sshd", "unknown"}},
		8:  {{"jail", "sshd", "maxretry"}},
		9:  {{"jail", "sshd", "escalation"}, {"jail", "sshd", "escalation", "factro"}},
		10: {{"jail", "sshd", "ignore"}, {"jail", "sshd", "ignore", "ip"}},
		12: {{"jail", "nginx", "maxretry"}},
		16: {{"jail", "nginx", "last"}},
		17: {{"rule"}, {"rule", "[0]"}, {"rule", "[0]", "modes"}},
		18: {{"rule", "name"}, {"rule", "[0]", "name"}},
		20: {{"rule", "[1]", "name"}},
		21: {{"rule", "[1]", "modes"}, {"rule", "modes"}},
		0:  {{"nothing"}, {"b"}, nil},
	} {
		for _, key := range keys {
			if got := KeyLine(text, key); got != want {
				t.Errorf("%v: line %d, want %d", key, got, want)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	valid := []string{"maxretry", "findtime", "bantime", "ports"}
	for word, want := range map[string]string{
		"maxrety": "maxretry", "MaxRetry": "maxretry", "bantiem": "bantime", "port": "ports", "xyzzy": "", "": "",
	} {
		if got := nearest(word, valid); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestCutSyslog(t *testing.T) {
	for _, c := range []struct {
		line, program, pid, message string
		ok                          bool
	}{
		{"Nov 22 08:14:01 host sshd[123]: Invalid user x", "sshd", "123", "Invalid user x", true},
		{"Nov  2 08:14:01 host sshd-session[1]: a: b", "sshd-session", "1", "a: b", true},
		{"<38>Nov 22 08:14:01 host sshd: x", "sshd", "", "x", true},
		{"2026-11-22T08:14:01.123+01:00 host sshd[123]: x", "sshd", "123", "x", true},
		{"2026-11-22T08:14:01Z host postfix/smtpd[9]: x", "postfix/smtpd", "9", "x", true},
		{"Nov 22 08:14:01 host kernel: x", "kernel", "", "x", true},
		{"Invalid user x from 203.0.113.1 port 1", "", "", "Invalid user x from 203.0.113.1 port 1", false},
		{"Nov 22 08:14:01 host sshd[123] x", "", "", "Nov 22 08:14:01 host sshd[123] x", false},
		{"", "", "", "", false},
	} {
		prefix, message, ok := CutSyslog([]byte(c.line))
		if string(prefix.Program) != c.program || string(prefix.PID) != c.pid || string(message) != c.message || ok != c.ok {
			t.Errorf("%q: %+v %q %v", c.line, prefix, message, ok)
		}
	}
}

func FuzzLoad(f *testing.F) {
	shipped, err := catalogue.ReadFile("catalogue/sshd.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(shipped))
	f.Add("[[rule]]\nname='a'\npattern='^(<ADDR>|x)+ <USER>$'\n")
	f.Add("rule = [{name='a', pattern='''^a<ADDR>$'''}]\njournal.match=[['A=1']]")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse("fuzz", "fuzz.toml", text)
		if err != nil {
			return
		}
		m := parsed.Compile(Aggressive)
		m.Match([]byte("Invalid user x from 203.0.113.1 port 22"), nil)
	})
}

// TestShippedInParts: what is read of a shipped filter at once, and then on demand,
// is what its whole text says.
func TestShippedInParts(t *testing.T) {
	for _, name := range Names() {
		text, err := catalogue.ReadFile("catalogue/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Parse(name, name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		parts, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(parts.Rules(), whole.Rules()) {
			t.Errorf("%s: other rules", name)
		}
		parts.Rules, whole.Rules = nil, nil
		if !reflect.DeepEqual(parts, whole) {
			t.Errorf("%s: %+v, want %+v", name, parts, whole)
		}
	}
}
