package logfile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// thrown is a fataler that ends a round of dice.
type thrown struct{}

func (thrown) Helper()                           {}
func (thrown) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// rounds of dice; each takes some 10 ms.
const rounds = 200

// TestDice: whatever is written, rotated, packed, read in part and in full, in whatever order,
// each line is read once, and in its log's order.
func TestDice(t *testing.T) {
	dirs := t.TempDir()
	for seed := range uint64(rounds) {
		dir := fmt.Sprint(dirs, "/", seed)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if wrong := dice(dir, seed); wrong != "" {
			t.Errorf("seed %d: %s", seed, wrong)
		}
		os.RemoveAll(dir)
	}
}

func dice(dir string, seed uint64) (wrong string) {
	dice := rand.New(rand.NewPCG(seed, 7))
	h := hostIn(thrown{}, dir, "*.log")
	var did []string
	defer func() {
		if r := recover(); r != nil {
			wrong = fmt.Sprintf("%v; %q", r, did)
		}
	}()
	note := func(format string, args ...any) { did = append(did, fmt.Sprintf(format, args...)) }
	copies, packs, stops, long := dice.IntN(2) == 0, dice.IntN(3), dice.IntN(2) == 0, dice.IntN(2) == 0 // packs: not, at once, at the next rotation
	defer func(was int) { mostGzips = was }(mostGzips)
	if dice.IntN(3) == 0 {
		mostGzips = 1 + dice.IntN(3)
	}
	if dice.IntN(2) == 0 {
		h.most = 1500 + dice.Int64N(1500) // a few lines
	}
	h.doubted = dice.IntN(2) == 0
	note("copies %v, packs %d, %d gzips, %d bytes at most", copies, packs, mostGzips, h.most)
	of := map[string]string{}
	write := func(name string, n int) {
		for range n {
			line := h.newLine()
			of[line] = name
			if long {
				h.append(name, line+strings.Repeat(" ", dice.IntN(300))+"\n")
			} else {
				h.append(name, line+"\n")
			}
		}
	}
	exists := func(name string) bool { _, err := os.Stat(h.path(name)); return err == nil }
	rotate := func(name string) {
		for i := 9; i > 0; i-- {
			for _, ext := range []string{"", ".gz"} {
				if from := fmt.Sprintf("%s.%d%s", name, i, ext); exists(from) {
					h.rename(from, fmt.Sprintf("%s.%d%s", name, i+1, ext))
				}
			}
		}
		if packs == 2 && exists(name+".2") {
			h.compress(name + ".2")
		}
		if copies {
			h.copyTruncate(name, name+".1")
		} else {
			h.rename(name, name+".1")
			h.append(name, "")
		}
		if packs == 1 {
			h.compress(name + ".1")
		}
	}
	read := func(r *Reader) bool {
		if !r.Next() {
			return false
		}
		h.read = append(h.read, strings.TrimRight(string(r.Line().Text), " "))
		return true
	}
	pass := func() {
		r := h.open(nil)
		for read(r) {
		}
		h.saved, h.failed = r.Positions(), r.Err()
		r.Close()
	}
	names := []string{"a.log", "b.log"}[:1+dice.IntN(2)]
	for _, name := range names {
		h.append(name, "")
	}
	pass()
	rotations := map[string]int{}
	for range 4 + dice.IntN(14) {
		name := names[dice.IntN(len(names))]
		h.now += int64(dice.IntN(2)) * 61e9
		switch dice.IntN(6) {
		case 0, 1:
			n := 1 + dice.IntN(4)
			note("write %s %d", name, n)
			write(name, n)
		case 2:
			if rotations[name] < 2 {
				rotations[name]++
				note("rotate %s", name)
				rotate(name)
			}
		case 3:
			clear(rotations)
			note("pass")
			pass()
		case 4:
			if stops {
				n := dice.IntN(5)
				note("stop %d", n)
				ctx, cancel := context.WithCancel(context.Background())
				r := h.openUntil(ctx, nil)
				for range n {
					read(r)
				}
				cancel()
				h.saved = r.Positions()
				r.Close()
			}
		case 5:
			if rotations[name] < 2 {
				clear(rotations)
				rotations[name]++
				n := dice.IntN(3)
				note("pass while %s is written %d and rotated", name, n)
				r := h.open(nil)
				for read(r) {
				}
				write(name, n)
				rotate(name)
				h.saved = r.Positions()
				r.Close()
			}
		}
	}
	for passes := 0; passes < 2 || h.failed != nil; passes++ {
		h.now += 61e9
		if pass(); passes > 30 {
			return fmt.Sprintf("no end of %v; %q", h.failed, did)
		}
	}
	got := slices.Sorted(slices.Values(h.read))
	for i := 1; i < len(got); i++ {
		if got[i] == got[i-1] {
			return fmt.Sprintf("%q is read twice; %q", got[i], did)
		}
	}
	if len(got) != len(h.lines) {
		return fmt.Sprintf("%d lines are lost; %q", len(h.lines)-len(got), did)
	}
	last := map[string]string{}
	for _, line := range h.read {
		name := of[line]
		if line < last[name] {
			return fmt.Sprintf("%q comes late; %q", line, did)
		}
		last[name] = line
	}
	return ""
}
