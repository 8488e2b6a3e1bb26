package logfile

import (
	"os"
	"slices"
	"testing"
)

// TestTruncatedWhileRead: a log that is copied and truncated between the reading and the taking
// of its position is read on in the copy, each line once.
func TestTruncatedWhileRead(t *testing.T) {
	for name, after := range map[string]struct {
		empty    bool // an earlier pass has found nothing in it
		begun    bool // and read a part
		compress bool
		copied   bool
		again    int // lines that are in the truncated log by the next pass
	}{
		"first pass":                    {false, false, false, true, 1},
		"later pass":                    {false, true, false, true, 1},
		"grown beyond":                  {false, true, false, true, 30},
		"compressed":                    {false, true, true, true, 1},
		"compressed after a first pass": {false, false, true, true, 1},
		"empty before":                  {true, false, false, true, 1},
		"no copy":                       {false, true, false, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			if after.empty {
				h.append("app.log", "")
				h.pass()
			}
			h.write("app.log", 10)
			if after.begun {
				h.pass()
				h.write("app.log", 5)
			}
			r := h.open(nil)
			for r.Next() {
				h.read = append(h.read, string(r.Line().Text))
			}
			if after.copied {
				h.write("app.log", 2) // which the copy alone holds
				h.copyTruncate("app.log", "app.log.1")
			} else {
				h.must(os.Truncate(h.path("app.log"), 0))
				h.tick("app.log")
			}
			h.saved = r.Positions()
			r.Close()
			if after.compress {
				h.compress("app.log.1")
			}
			h.write("app.log", after.again)
			h.pass()
			h.pass()
			if got := slices.Compact(slices.Sorted(slices.Values(h.read))); len(got) != len(h.read) {
				t.Fatalf("%d lines were read twice", len(h.read)-len(got))
			}
			h.check()
		})
	}
}
