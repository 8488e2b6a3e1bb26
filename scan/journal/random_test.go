package journal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// host writes a journal as journald would on a host to which things happen.
type host struct {
	t           testing.TB
	rnd         *rand.Rand
	dir         string
	boot        int
	start, mono int64 // µs: when the clock says that the boot began; since then
	numbering   int
	next        uint64 // sequence number
	archived    int    // files put aside
	active      bool   // there is a system.journal
	written     int
	story       []string
}

func (h *host) entries() (e []journaltest.Entry) {
	for range 1 + h.rnd.IntN(4) {
		h.mono += 1 + h.rnd.Int64N(3e6)
		h.written++
		x := journaltest.Entry{Boot: journaltest.Boot(h.boot), Monotonic: h.mono, Time: h.start + h.mono, Message: fmt.Sprint("e", h.written)}
		if h.rnd.IntN(2) == 0 {
			x.Fields = map[string]string{"_UID": "0"}
		}
		e = append(e, x)
	}
	return e
}

func (h *host) archive(suffix string) {
	h.archived++
	h.active = false
	to := filepath.Join(h.dir, fmt.Sprintf("system@%d.%s", h.archived, suffix))
	if err := os.Rename(filepath.Join(h.dir, "system.journal"), to); err != nil {
		h.t.Fatal(err)
	}
}

// happen does one thing and gives what was written.
func (h *host) happen() (e []journaltest.Entry) {
	switch op := h.rnd.IntN(10); {
	case op < 5:
		e = h.entries()
		file := journaltest.Write(h.t, filepath.Join(h.dir, "system.journal"), e)
		if !h.active {
			journaltest.Renumber(h.t, file, fmt.Sprintf("5e%030x", h.numbering), h.next)
			h.active = true
		}
		h.next += uint64(len(e))
		h.story = append(h.story, fmt.Sprint("written ", len(e)))
	case op < 6:
		e = h.entries()
		journaltest.Write(h.t, filepath.Join(h.dir, "user-1000.journal"), e)
		h.story = append(h.story, fmt.Sprint("written for a user ", len(e)))
	case op < 7 && h.active:
		h.archive("journal")
		h.story = append(h.story, "rotated")
	case op < 8:
		h.boot, h.mono = h.boot+1, 1e6
		if h.rnd.IntN(2) == 0 {
			h.start += 1e9 // this time the clock was set
		}
		if h.rnd.IntN(2) == 0 && h.active { // found unclean: a new numbering
			h.archive("journal~")
			h.numbering, h.next = h.numbering+1, 1
		}
		h.story = append(h.story, fmt.Sprint("booted at ", h.start))
	case op < 9:
		h.start -= 1e8
		h.story = append(h.story, "clock stepped back")
	}
	return e
}

// Whatever happens to a host between the passes, each entry is handed out
// once. More seeds have been tried; these keep the test short.
func TestRandomHosts(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &host{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), boot: 1, start: t0, mono: 1e6, next: 1}
			journaltest.Write(t, filepath.Join(h.dir, "user-1000.journal"), nil)
			options := map[string]Options{}
			for range 10 {
				var written []journaltest.Entry
				for range 1 + h.rnd.IntN(2) {
					written = append(written, h.happen()...)
				}
				h.story = append(h.story, "pass")
				for _, kind := range kinds() {
					for name, matches := range map[string][]Match{"all": nil, "some": {{"_UID=0"}}} {
						o := options[kind+name]
						o.Path, o.Reader, o.Matches = h.dir, kind, matches
						p := read(t, o)
						got := map[string]int{}
						for _, line := range p.entries {
							got[line]++
						}
						for _, e := range written {
							if matches == nil || e.Fields != nil {
								got[lines([]journaltest.Entry{e})[0]]--
							}
						}
						for line, n := range got {
							if n != 0 {
								t.Fatalf("%s, %s: %q %d times too often\nafter %+v: %s", kind, name, line, n, o.After, strings.Join(h.story, ", "))
							}
						}
						options[kind+name] = p.goOn(o)
					}
				}
			}
		})
	}
}
