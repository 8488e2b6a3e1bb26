package host

import (
	"bytes"
	"regexp"
	"testing"

	"scan2ban/ban/deliver"
)

// Each kind of entry is explained, and nothing else.
func TestCatalog(t *testing.T) {
	for verb, id := range deliver.MessageIDs {
		if !bytes.Contains(Catalog(), []byte("\n-- "+id+"\nSubject: ")) {
			t.Errorf("%s: %s is not explained", verb, id)
		}
	}
	if n := len(regexp.MustCompile(`(?m)^-- `).FindAll(Catalog(), -1)); n != len(deliver.MessageIDs) {
		t.Errorf("%d explanations for %d kinds", n, len(deliver.MessageIDs))
	}
}
