package logfile

import (
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// TestWhateverLogrotateDoes writes, rotates and reads at random: every line is read
// once, in order.
func TestWhateverLogrotateDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "logfile")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		glob := rapid.SampledFrom([]string{"app.log", "*.log", "app.log*", "app*"}).Draw(t, "glob")
		h := &rotating{host: hostIn(t, dir, glob), keep: rapid.IntRange(3, 5).Draw(t, "keep"),
			dated: rapid.Bool().Draw(t, "dateext"), copying: rapid.Bool().Draw(t, "copytruncate"),
			compress: rapid.SampledFrom([]string{"", "", "at once", "delayed"}).Draw(t, "compress")}
		h.write("app.log", 1)
		h.holds = "app.log"
		if h.compress != "" || h.copying { // what is compressed before the first pass is none of its business
			h.pass()
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) { h.write(h.holds, rapid.IntRange(1, 4).Draw(t, "lines")) },
			"half a line": func(t *rapid.T) {
				line := h.newLine()
				h.append(h.holds, line[:28])
				if rapid.Bool().Draw(t, "a pass comes between") {
					h.pass()
					h.rotations = 0
				}
				h.append(h.holds, line[28:]+"\r\n")
			},
			"rotate": func(t *rapid.T) { h.rotate(rapid.Bool().Draw(t, "reopened at once")) },
			"reopen": func(*rapid.T) { h.holds = "app.log" },
			"pass":   func(*rapid.T) { h.pass(); h.rotations = 0 },
			"a pass that dies": func(*rapid.T) {
				saved, read := h.saved, h.read
				h.pass()
				h.saved, h.read = saved, read
			},
		})
		h.holds = "app.log"
		h.pass()
		h.check()
		if len(h.told) > 0 || h.failed != nil {
			t.Fatalf("warnings: %q, %v", h.told, h.failed)
		}
		if again := h.pass(); again != nil || h.bytes != 0 {
			t.Fatalf("an idle pass read %d bytes and gave %q", h.bytes, again)
		}
	})
}

// rotating is a host with logrotate.
type rotating struct {
	*host
	keep            int
	dated, copying  bool
	compress, holds string // the file that the daemon has open
	rotations       int    // since the last pass
	dates           int
}

func (h *rotating) rotate(reopened bool) {
	switch {
	case h.rotations >= h.keep-1:
		return // lines that were never there for a pass
	case h.holds != "app.log":
		return
	}
	h.rotations++
	first := "app.log.1"
	if h.dated {
		h.dates++
		first = fmt.Sprintf("app.log-%d", 20261100+h.dates)
		last := fmt.Sprintf("app.log-%d", 20261100+h.dates-1)
		if _, err := os.Stat(h.path(last)); err == nil && h.compress == "delayed" {
			h.host.compress(last)
		}
		for _, suffix := range []string{"", ".gz"} {
			os.Remove(h.path(fmt.Sprintf("app.log-%d", 20261100+h.dates-h.keep)) + suffix)
		}
	} else {
		for n := h.keep; n > 0; n-- {
			for _, suffix := range []string{"", ".gz"} {
				from, to := fmt.Sprintf("app.log.%d", n), fmt.Sprintf("app.log.%d", n+1)
				if _, err := os.Stat(h.path(from + suffix)); err != nil {
					continue
				}
				if n == h.keep {
					h.must(os.Remove(h.path(from + suffix)))
					continue
				}
				h.rename(from+suffix, to+suffix)
				if suffix == "" && h.compress == "delayed" {
					h.host.compress(to)
				}
			}
		}
	}
	if h.copying {
		h.copyTruncate("app.log", first)
	} else {
		h.rename("app.log", first)
		h.append("app.log", "")
		if !reopened && h.compress == "" { // the daemon goes on with the file that it has
			h.holds = first
			return
		}
	}
	if h.compress == "at once" {
		h.host.compress(first)
	}
}
