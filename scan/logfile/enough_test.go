package logfile

import (
	"strings"
	"testing"
)

// TestEnough: of a glob's logs a pass reads so much and no more, says so once, and goes on with
// those of others; the next passes read the rest, each line once.
func TestEnough(t *testing.T) {
	h := newHost(t, "flood*.log", "other.log")
	for _, name := range []string{"flood1.log", "flood2.log", "other.log"} {
		h.append(name, "")
	}
	h.pass()
	h.write("flood1.log", 200)
	h.write("flood2.log", 200)
	h.write("other.log", 1)
	want := h.lines[len(h.lines)-1]
	h.most = 4000
	got := h.pass()
	if len(got) < 80 || len(got) > 160 || got[len(got)-1] != want {
		t.Errorf("%d lines are read, the last is %q, not %q", len(got), got[len(got)-1], want)
	}
	if h.failed == nil || strings.Count(h.failed.Error(), "the rest waits") != 1 || !strings.Contains(h.failed.Error(), "flood*.log") {
		t.Errorf("error %v", h.failed)
	}
	for h.failed != nil && h.passes < 30 {
		h.pass()
	}
	if seen := map[string]bool{}; len(h.read) != len(h.lines) {
		t.Errorf("%d of %d lines are read", len(h.read), len(h.lines))
	} else {
		for _, line := range h.read {
			if seen[line] {
				t.Errorf("%q is read twice", line)
			}
			seen[line] = true
		}
	}
}
