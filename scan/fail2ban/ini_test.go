package fail2ban

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func lay(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTree(t *testing.T) {
	dir := lay(t, map[string]string{
		"jail.conf":     "[INCLUDES]\nbefore = paths.conf\n[DEFAULT]\nbantime = 10m ; short\nport = 0:65535\nignore = a\n  # no\n\n  b\n[sshd]\nport = ssh\nlogpath = %(log)s/x%%\nname = %(__name__)s\n",
		"paths.conf":    "[DEFAULT]\nlog = /var/log\n",
		"jail.d/a.conf": "[sshd]\nport: %(known/port)s,2222\nother = %(web/port)s %(default/bantime)s\n[web]\nport = http#not a comment\n",
		"jail.local":    "[DEFAULT]\nbantime = 1d\n",
	})
	tree, found, err := readTree(dir, "jail")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	for _, c := range []struct{ option, want, where string }{
		{"bantime", "1d", "jail.local:2"},
		{"port", "ssh,2222", "jail.d/a.conf:2"},
		{"logpath", "/var/log/x%", "jail.conf:12"},
		{"name", "sshd", "jail.conf:13"},
		{"other", "http#not a comment 1d", "jail.d/a.conf:3"},
		{"ignore", "a\n\nb", "jail.conf:6"},
	} {
		v, ok, err := tree.get("sshd", c.option, nil)
		if err != nil || !ok || v.text != c.want || v.where() != filepath.Join(dir, c.where) {
			t.Errorf("%s: got %q at %s (%v), want %q at %s", c.option, v.text, v.where(), err, c.want, c.where)
		}
	}
}

func TestBroken(t *testing.T) {
	for text, want := range map[string]string{
		"x = 1\n":             "f:1: an option before",
		"[a]\nx = 1\nx = 2\n": "f:3: x is given in [a] already, in line 2",
		"[a]\n[a]\n":          "f:2: section [a] is there twice",
		"[a]\nnonsense\n":     "f:2: \"nonsense\" is neither",
		"[a\n":                "f:1: a section's name",
		"[a]\nx = %(nobody)s": "f:2: %(nobody)s: there is no such option in [a]",
		"[a]\nx = %(x)s":      "f:2: %(name)s leads on",
		"[a]\nx = 5%":         "f:2: a % wants",
	} {
		s, err := parse("f", []byte(text))
		if err == nil {
			_, _, err = (&tree{sections: s}).get("a", "x", nil)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestParseCall(t *testing.T) {
	name, o, err := parseCall("sshd[mode=aggressive,\n x=\"a, b\", y='c'][z=]")
	if err != nil || name != "sshd" || o["mode"] != "aggressive" || o["x"] != "a, b" || o["y"] != "c" || len(o) != 4 {
		t.Error(name, o, err)
	}
	if _, _, err := parseCall("sshd[mode"); err == nil {
		t.Error("a bracket that is not closed is taken")
	}
}

func TestReadFilter(t *testing.T) {
	dir := lay(t, map[string]string{
		"filter.d/common.conf": "[DEFAULT]\nlogtype = file\n_pre_file = ^file\n_pre_journal = ^journal\n__prefix = <_pre_<logtype>>\n",
		"filter.d/x.conf":      "[INCLUDES]\nbefore = common.conf\n[Definition]\nfailregex = %(__prefix)s <cmn> from <HOST>\n            <mdre-<mode>>\nmdre-normal =\nmdre-hard = ^hard <ADDR>\n[Init]\nmode = normal\ncmn = bad\nmaxlines = 3\n",
		"filter.d/x.local":     "[Definition]\nfailregex = %(known/failregex)s\n  ^more <HOST>\n",
	})
	for _, c := range []struct {
		options map[string]string
		want    string
	}{
		{nil, "^file bad from <HOST>|^more <HOST>"},
		{map[string]string{"mode": "hard", "logtype": "journal"}, "^journal bad from <HOST>|^hard <ADDR>|^more <HOST>"},
	} {
		src, err := readFilter(dir, "x", c.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(src.Failregex, "|"); got != c.want || src.Maxlines != 3 {
			t.Errorf("got %s, %d lines; want %s", got, src.Maxlines, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[DEFAULT]\na = 1 ; c\n b\n[x]\nc: %(a)s%%\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse("f", []byte(text))
		if err != nil {
			return
		}
		tr := &tree{sections: sections{defaults: {}}, known: sections{}}
		tr.merge(s)
		for section := range tr.sections {
			for option := range tr.sections[section] {
				_, _, _ = tr.get(section, option, nil)
			}
		}
	})
}

func FuzzParseCall(f *testing.F) {
	f.Add("sshd[mode=aggressive, x=\"a, b\", y='c'][z=]")
	f.Fuzz(func(t *testing.T, text string) {
		if name, _, err := parseCall(text); err == nil && name == "" {
			t.Errorf("%q has no name", text)
		}
		split(text)
		seconds(text)
		journalTerms(text)
	})
}

func FuzzDefinition(f *testing.F) {
	f.Add("[INCLUDES]\nbefore = x.conf\n[Definition]\nfailregex = %(p)s <cmn> from <HOST>\n  <mdre-<mode>>\nmdre-a = <F-ID>x</F-ID>\n[Init]\nmode = a\ncmn = bad\np = ^\n", "a")
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "filter.d"), 0o755); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "filter.d/x.conf")
	f.Fuzz(func(t *testing.T, text, mode string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if src, err := readFilter(dir, "x", map[string]string{"mode": mode}); err == nil {
			_, _, _ = convert(src)
		}
	})
}

// TestEveryRunTheSame: of several faults the same is told by every run, and what is left out in
// the same order.
func TestEveryRunTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"failregex = %(c)s\nignoreregex = %(b)s\nmaxlines = %(a)s\n": "%(c)s: there is no such option",
		"b = <c>x\nc = <b>x\na = <d>x\nd = <a>x\n":                   "c: its <tag>s lead into one another",
	} {
		dir := lay(t, map[string]string{"filter.d/x.conf": "[Definition]\n" + text})
		for range 20 {
			if _, err := readFilter(dir, "x", nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%q: %v, want %q", text, err, want)
			}
		}
	}
	for range 20 {
		_, left := section(t, "filter = sshd[d=4, b=2, mode=ddos, c=3, a=1]")
		if want := []string{"a = 1", "b = 2", "c = 3", "d = 4"}; !slices.EqualFunc(left, want, strings.HasSuffix) {
			t.Fatalf("left out %q, want %q", left, want)
		}
	}
}
