package logfile

import (
	"context"
	"fmt"
	"testing"
)

// TestStopped: what passes that were to end have left of packed logs is read by the next, each
// line once.
func TestStopped(t *testing.T) {
	for _, c := range []struct {
		begun  int  // lines that are read before
		each   int  // lines that a pass reads until it is to end
		drains bool // and those that it holds already
		moved  bool // between two passes they are rotated again
	}{
		{3, 0, true, false}, {3, 1, true, false}, {3, 5, true, false}, {3, 6, true, true},
		{3, 0, false, false}, {3, 1, false, false}, {3, 2, false, true}, {3, 3, false, false}, {3, 4, false, false}, {3, 5, false, true},
		{0, 0, true, false}, {0, 1, true, true}, {0, 2, false, false}, {0, 3, false, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			h := newHost(t)
			h.append("app.log", "")
			h.write("app.log", c.begun)
			h.pass()
			h.write("app.log", 4)
			h.rename("app.log", "app.log.2")
			h.write("app.log", 5)
			h.compress("app.log.2")
			h.rename("app.log", "app.log.1")
			h.compress("app.log.1")
			h.write("app.log", 3)
			for i := range 4 {
				ctx, cancel := context.WithCancel(context.Background())
				if i == 1 {
					cancel() // before anything is looked for
				}
				r := h.openUntil(ctx, nil)
				for range c.each {
					if r.Next() {
						h.read = append(h.read, string(r.Line().Text))
					}
				}
				cancel()
				for c.drains && r.Next() {
					h.read = append(h.read, string(r.Line().Text))
				}
				h.saved = r.Positions()
				h.told = append(h.told, r.Warnings()...)
				r.Close()
				if c.moved {
					h.rename(fmt.Sprintf("app.log.%d.gz", 2+i), fmt.Sprintf("app.log.%d.gz", 3+i))
					h.rename(fmt.Sprintf("app.log.%d.gz", 1+i), fmt.Sprintf("app.log.%d.gz", 2+i))
				}
			}
			h.pass()
			h.pass()
			h.check()
			if len(h.told) > 0 || h.failed != nil {
				t.Errorf("%q, %v", h.told, h.failed)
			}
		})
	}
}

// TestStoppedThenPacked: what such a pass has left of a rotated log is found where that is packed.
func TestStoppedThenPacked(t *testing.T) {
	for n := range 5 {
		h := newHost(t)
		h.write("app.log", 2)
		h.pass()
		h.write("app.log", 4)
		h.rename("app.log", "app.log.1")
		h.write("app.log", 3)
		ctx, cancel := context.WithCancel(context.Background())
		r := h.openUntil(ctx, nil)
		for range n {
			r.Next()
			h.read = append(h.read, string(r.Line().Text))
		}
		cancel()
		h.saved = r.Positions()
		r.Close()
		h.rename("app.log.1", "app.log.2")
		h.compress("app.log.2")
		h.rename("app.log", "app.log.1")
		h.write("app.log", 3)
		h.pass()
		h.pass()
		h.check()
	}
}
