package units

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// "`./a` One, Two/part": tests of a package
	threatTests = regexp.MustCompile("`(\\./[^`]+)`((?:,? [A-Z][\\w/]*)+)")
	testNames   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(`)
)

// TestThreats: the tests that the README names beside what is tried are there.
func TestThreats(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "\n## Who may try what\n")
	table, _, _ = strings.Cut(table, "\n## ")
	named := 0
	for row := range strings.Lines(table) {
		for _, m := range threatTests.FindAllStringSubmatch(row, -1) {
			tests := testsOf(t, filepath.Join("..", m[1]))
			for name := range strings.SplitSeq(strings.TrimSpace(m[2]), ", ") {
				name, _, _ = strings.Cut(name, "/") // the rest is a subtest
				if named++; !strings.Contains(tests, name) {
					t.Errorf("%s has no test %s: %s", m[1], name, row)
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("the table names %d tests", named)
	}
}

// testsOf are the names of a package's tests, one a line.
func testsOf(t *testing.T, dir string) string {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", dir, err)
	}
	var names strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testNames.FindAllStringSubmatch(string(text), -1) {
			names.WriteString(m[1] + "\n")
		}
	}
	return names.String()
}
