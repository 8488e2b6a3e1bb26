package journal

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// TestRandomHosts goes through so many hosts:
//
//	go test ./scan/journal -run RandomHosts -hosts 500 -hosts.seed 1000
var (
	hosts    = flag.Uint64("hosts", 8, "random hosts")
	hostSeed = flag.Uint64("hosts.seed", 4, "the seed of the first")
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
// once.
func TestRandomHosts(t *testing.T) {
	for seed := *hostSeed; seed < *hostSeed+*hosts; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &host{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), boot: 1, start: t0, mono: 1e6, next: 1}
			journaltest.Write(t, filepath.Join(h.dir, "user-1000.journal"), nil)
			readings := map[string]*reading{}
			for _, kind := range kinds() {
				readings[kind+", all"] = &reading{o: Options{Path: h.dir, Reader: kind}}
				readings[kind+", some"] = &reading{o: Options{Path: h.dir, Reader: kind, Matches: []Match{{"_UID=0"}}}}
			}
			clocked, booted, many := h.rnd.IntN(3) > 0, h.rnd.IntN(2) == 0, 1+h.rnd.IntN(6)
			before := 40 * h.rnd.IntN(2) // what happened before the first pass
			for i := range 12 {
				var written []journaltest.Entry
				for range before + 1 + h.rnd.IntN(many) {
					if before = 0; i < 10 {
						written = append(written, h.happen()...)
					}
				}
				if h.mono += h.rnd.Int64N(4e6); i >= 10 {
					h.mono += 1e7
				}
				h.story = append(h.story, "pass")
				for name, r := range readings {
					if clocked {
						r.o.Now = h.start + h.mono
					}
					if booted {
						r.o.Boot = journaltest.Boot(h.boot)
					}
					r.pass(t, written)
					for line, n := range r.due {
						if n < 0 || n > 0 && (!clocked || i >= 10) {
							t.Fatalf("%s: %q %d times too few\nafter %+v: %s", name, line, n, r.before.After, strings.Join(h.story, ", "))
						}
					}
				}
			}
		})
	}
}

// reading is a row of passes.
type reading struct {
	o, before Options
	due       map[string]int // lines that were written and not handed out
}

func (r *reading) pass(t *testing.T, written []journaltest.Entry) {
	if r.due == nil {
		r.due = map[string]int{}
	}
	for _, e := range written {
		if r.o.Matches == nil || e.Fields != nil {
			r.due[lines([]journaltest.Entry{e})[0]]++
		}
	}
	p := read(t, r.o)
	for _, line := range p.entries {
		r.due[line]--
	}
	for _, w := range p.warnings {
		if Lacking(w) {
			t.Errorf("a sound host is told of: %s", w)
		}
	}
	r.before, r.o = r.o, p.goOn(r.o)
}
