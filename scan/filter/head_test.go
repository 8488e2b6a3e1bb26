package filter

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/BurntSushi/toml"
)

// What readHead reads is what the TOML package reads, and it reads every shipped filter.
func TestHeads(t *testing.T) {
	for _, name := range Names() {
		text, err := catalogue.ReadFile("catalogue/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), "\n[[rule]]")
		got, ok := ReadPlain(head)
		if !ok {
			t.Errorf("%s: its head holds more than ReadPlain reads (a text with escapes, or an empty one?)", name)
			continue
		}
		var want map[string]any
		if _, err := toml.Decode(head, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n\tgot  %v\n\twant %v", name, err, got, want)
		}
	}
}

// What most configurations are is read plainly.
func TestPlainSections(t *testing.T) {
	got, ok := ReadPlain("[defaults]\nbantime = \"1d\"\n[jail.sshd]\nenabled = true\n[jail.nginx-http-auth] # both\nmaxretry = 3\n")
	want := map[string]any{"defaults": map[string]any{"bantime": "1d"}, "jail": map[string]any{"sshd": map[string]any{"enabled": true}, "nginx-http-auth": map[string]any{"maxretry": int64(3)}}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, ok)
	}
}

func FuzzHead(f *testing.F) {
	for _, text := range []string{"a = 1", "a = [\"b\", 'c',]\n[d] # e\nf = [[true], []]\n", "a = \"\"", "a = 01", "[a]\n[a]", "a=1 b=2", "a = \"\"\"x\"\"\"", "a = 'x\ny'",
		"[a.b-1]\nc = true\n[a.d]\n", "[a.b]\n[a]", "[a]\n[a.b]", "a = 1\n[a.b]", "[a.b]\n[a.b]", "[a.b.c]", "[a.b]\nc.d = 1", "[a.b]\n[c]\n[a.c]", "1-a = -1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ReadPlain(text)
		if !ok {
			return
		}
		var want map[string]any
		if _, err := toml.Decode(text, &want); err != nil {
			t.Fatalf("%q is read, and is no TOML: %v", text, err)
		}
		if want == nil {
			want = map[string]any{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	})
}

// The head is the same however much of the file is read at first.
func TestHeadOf(t *testing.T) {
	for text, want := range map[string]string{
		"ports = []\n\n[[rule]]\nname = \"a\"\n[[rule]]\n": "ports = []\n",
		"ports = []\n[script]\n":                           "ports = []\n[script]\n",
		"":                                                 "",
	} {
		for first := range len(text) + 2 {
			if got, err := headOf(strings.NewReader(text), make([]byte, first)); got != want || err != nil {
				t.Errorf("%q, at first %d: %q, %v", text, first, got, err)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := headOf(io.MultiReader(strings.NewReader("ports"), iotest.ErrReader(broken)), make([]byte, 3)); err != broken {
		t.Errorf("error %v", err)
	}
}
