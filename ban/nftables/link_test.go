package nftables

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestLeastLinux: an error that nf_tables is lacking and the README name the same kernel.
func TestLeastLinux(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"README.md": string(readme), "the error": explain(errors.ErrUnsupported).Error()} {
		if !strings.Contains(text, leastLinux+" or ") {
			t.Errorf("%s does not name %s", where, leastLinux)
		}
	}
}
