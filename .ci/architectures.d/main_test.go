package main

import (
	"os"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		arch  string
		files map[string]string
		want  string // of the error
	}{
		"right":                {"mips", map[string]string{"main.go": "package main\nimport \"fmt\"\nfunc main() { fmt.Println(1 << 30) }\n"}, ""},
		"too large an int":     {"mips", map[string]string{"main.go": "package main\nvar _ = 1 << 40\nfunc main() {}\n"}, "main.go:2:9: "},
		"it fits in 64 bits":   {"arm64", map[string]string{"main.go": "package main\nvar _ = 1 << 40\nfunc main() {}\n"}, ""},
		"no such architecture": {"arm65", map[string]string{"main.go": "package main\nfunc main() {}\n"}, "no such architecture"},
		"of one architecture alone": {"arm64", map[string]string{"main.go": "package main\nvar _ = page\nfunc main() {}\n", "main_amd64.go": "package main\nconst page = 1\n"},
			"undefined: page"},
		"in a body":           {"arm", map[string]string{"main.go": "package main\nfunc main() { return 1 }\n"}, "too many return values"},
		"assembly is missing": {"arm64", map[string]string{"main.go": "package main\nfunc sum() int\nfunc main() { sum() }\n", "sum_amd64.s": ""}, "sum has no body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c.files["go.mod"] = "module wrong\n\ngo 1.26\n"
			for name, text := range c.files {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			n, err := check(c.arch)
			if c.want == "" && (err != nil || n == 0) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%d packages, error %v, want %q", n, err, c.want)
			}
		})
	}
}
