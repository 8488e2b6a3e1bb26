package logfile

import (
	"os"
	"testing"
)

// TestInodeAgain: a log that has got the inode of another, whose rest is not looked for yet, is
// read once, and so is that rest.
func TestInodeAgain(t *testing.T) {
	for name, names := range map[string][2]string{"before": {"b.log", "a.log"}, "after": {"a.log", "b.log"}} {
		t.Run(name, func(t *testing.T) {
			files(t, 400, 0)
			h := newHost(t, "*.log")
			gone, again := names[0], names[1]
			h.write(gone, 3)
			h.pass()
			h.write(gone, 1)
			text, err := os.ReadFile(h.path(gone))
			h.must(err)
			h.must(os.WriteFile(h.path(gone+".1"), text, 0o644))
			h.tick(gone + ".1")
			h.compress(gone + ".1")
			h.rename(gone, again)
			h.must(os.Truncate(h.path(again), 0))
			rest := h.lines[3]
			h.lines = h.lines[:3]
			h.write(again, 2)
			for range 4 {
				h.now += 61e9
				h.pass()
			}
			h.check()
			mostGzips = 10
			for range 3 {
				h.now += 61e9
				h.pass()
			}
			h.lines = append(h.lines, rest)
			h.check()
		})
	}
}
