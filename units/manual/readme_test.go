package manual

import (
	"os"
	"strings"
	"testing"
)

// TestReadme: the README lists the keys in the words of the manual.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(reference) {
		if strings.HasPrefix(line, "| `") && !strings.Contains(line, "/etc/scan2ban/conf.d") && !strings.HasPrefix(line, "| `/") {
			rows++
			if !strings.Contains(string(readme), line) {
				t.Errorf("the README has no row %s", line)
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows in the manual", rows)
	}
}
