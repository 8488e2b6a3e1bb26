package pass

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedJournal: where nothing of the journal can be read, passes say so once.
func TestDamagedJournal(t *testing.T) {
	h := newHost(t)
	if err := os.MkdirAll(filepath.Dir(h.journal), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.journal, []byte(strings.Repeat("no journal ", 500)), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		told := h.pass(begin + 60*int64(i)).Warnings
		if n := strings.Count(strings.Join(told, "\n"), h.journal+" is passed over"); n != max(0, 1-i) {
			t.Errorf("pass %d: told %d times: %q", i, n, told)
		}
	}
}
