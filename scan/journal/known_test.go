package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// What was read of a numbering is known by its numbers, whatever the clocks of other boots say, and
// though the last entry was written just before the pass.
func TestNumbersOfOtherBoots(t *testing.T) {
	at := func(bootN int, second int64) journaltest.Entry {
		return journaltest.Entry{Boot: journaltest.Boot(bootN), Time: t0 + second*1e6, Monotonic: second * 1e6, Message: fmt.Sprint("m ", bootN, " ", second)}
	}
	type step map[string][]journaltest.Entry // what is written, by file
	rows := []struct {
		name  string
		steps []step
	}{
		{"a file that was empty", []step{
			{"system.journal": {at(1, 8), at(1, 9)}, "user.journal": nil},
			{"user.journal": {at(2, 1), at(2, 2)}}}},
		{"entries of a boot before that of the position", []step{
			{"user.journal": {at(1, 9)}},
			{"system.journal": {at(3, 8)}},
			{}}},
		{"a boot without a clock, and the position in another file", []step{
			{"system.journal": {at(1, 7), at(1, 8)}, "user.journal": {at(1, 9)}},
			{"system.journal": {at(2, 1), at(2, 2)}},
			{}}},
		{"a clock that was ahead", []step{
			{"user.journal": {at(1, 9)}, "system.journal": {at(2, 100)}},
			{}}},
		{"the last entry but one of the position's file", []step{
			{"user.journal": {at(1, 7), at(1, 9)}},
			{"system.journal": {at(2, 8)}},
			{},
			{"system.journal": {at(2, 9)}, "user.journal": {at(2, 10)}}}},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				dir := t.TempDir()
				o := Options{Path: dir, Reader: kind, Now: t0 + 9_500_000}
				for i, s := range row.steps {
					var want []string
					for name, e := range s {
						journaltest.Write(t, filepath.Join(dir, name), e)
						want = append(want, lines(e)...)
					}
					p := read(t, o)
					slices.Sort(p.entries)
					slices.Sort(want)
					if !slices.Equal(p.entries, want) {
						t.Errorf("pass %d: got %q, want %q", i, p.entries, want)
					}
					if slices.ContainsFunc(p.warnings, Lacking) {
						t.Errorf("pass %d: %q", i, p.warnings)
					}
					o = p.goOn(o)
				}
			})
		}
	})
}

// An entry that is in the making when a pass looks is the next one's.
func TestEntryInTheMaking(t *testing.T) {
	e := entries(4, "m")
	e[3].Boot = journaltest.Boot(2)
	path := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), e)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := binary.LittleEndian.PutUint64
	rows := []struct {
		name string
		make func(b []byte)
		want uint64 // the last number that was complete
	}{
		{"none is", func(b []byte) {}, 4},
		{"its number is taken", func(b []byte) { put(b[atTailSeqnum:], 5) }, 4},
		{"its times are not in the header", func(b []byte) {
			put(b[atTailRealtime:], uint64(e[2].Time))
			put(b[atTailMono:], uint64(e[2].Monotonic))
		}, 3},
	}
	for _, row := range rows {
		b := slices.Clone(whole)
		row.make(b)
		b[atState] = byte(Online)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		now := t0 + 3_100_000 // long after the times in the header, or just after the entry's
		if row.want == 4 {
			now += 1e9
		}
		p := &plan{now: int64(now)}
		info, err := readInfo(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = surveyFile(&info, 0, question{}); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		p.files = []FileInfo{info}
		got := p.newExhausted("t=1", nil).Files[0]
		if got.Seqnum != row.want || (got.Entries > 0) != (row.want == 4) {
			t.Errorf("%s: %+v, want number %d", row.name, got, row.want)
		}
	}
}

// What is lost before a file is told of when it is read, and not again while the position stays.
func TestGapIsToldOnce(t *testing.T) {
	e := entries(9, "m")
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		old, file := filepath.Join(dir, "system@a.journal"), filepath.Join(dir, "system.journal")
		journaltest.Renumber(t, journaltest.Write(t, old, e[:2]), numbering, 1)
		o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
		o = read(t, o).goOn(o)
		if err := os.Remove(old); err != nil {
			t.Fatal(err)
		}
		journaltest.Write(t, file, e[8:]) // one entry, which nobody asks for
		p := read(t, o)
		warned(t, p.warnings, "no longer in the journal")
		for range 2 {
			p = read(t, p.goOn(o))
			warned(t, p.warnings)
		}
	})
}

// A first number that is damaged is no loss.
func TestDamagedFirstNumber(t *testing.T) {
	file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries(9, "m"))
	o := Options{Path: file, Now: t0 + 1e12}
	o = read(t, o).goOn(o)
	change(t, file, func(b []byte) { b[atHeadSeqnum+1] = 1 })
	if p := read(t, o); len(p.warnings)+len(p.gaps) > 0 {
		t.Errorf("%q, %v", p.warnings, p.gaps)
	}
}

// Where the boot of what comes first has nothing that is asked for, what is in the next boot is
// looked for to the last entry, also where the clock of the pass is not known.
func TestLastEntryOfTheNextBoot(t *testing.T) {
	at := func(bootN int, second int64, uid string) journaltest.Entry {
		return journaltest.Entry{Boot: journaltest.Boot(bootN), Time: t0 + second*1e6, Monotonic: second * 1e6, Message: fmt.Sprint("m ", bootN, " ", second), Fields: map[string]string{"_UID": uid}}
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, now := range []int64{0, t0 + 1e12} {
			dir := t.TempDir()
			journaltest.Write(t, filepath.Join(dir, "system.journal"), []journaltest.Entry{at(1, 5, "0")})
			o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: now}
			p := read(t, o)
			next := []journaltest.Entry{at(2, 1, "0"), at(2, 2, "0")}
			journaltest.Write(t, filepath.Join(dir, "user.journal"), append([]journaltest.Entry{at(1, 9, "1")}, next...))
			p = read(t, p.goOn(o))
			same(t, p.entries, lines(next))
			same(t, read(t, p.goOn(o)).entries, nil)
		}
	})
}

// An entry that is later than the clock of the pass may be in the making: that began a while before, or
// the clock was set back. It counts as read once a pass met it that was not the first to.
func TestEntryLaterThanThePass(t *testing.T) {
	e := entries(4, "m")
	path := journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), e[:3])
	var known *Exhausted
	for i, row := range []struct {
		entries, seqnum uint64
	}{{0, 2}, {3, 3}, {0, 3}, {4, 4}} {
		if i == 2 {
			journaltest.Write(t, path, e[3:])
		}
		info, err := readInfo(path)
		if err != nil {
			t.Fatal(err)
		}
		info.State = Online
		p := &plan{now: t0 - 10e6, known: known}
		if _, err = surveyFile(&info, p.known.file(0, info).Surveyed, question{}); err != nil {
			t.Fatal(err)
		}
		p.files = []FileInfo{info}
		known = p.newExhausted("t=1", nil)
		if got := known.Files[0]; got.Entries != row.entries || got.Seqnum != row.seqnum {
			t.Errorf("pass %d: %+v, want %+v", i, got, row)
		}
	}
}

// Where the last entry is later than the clock of the pass and its field does not list it, as its writer
// died meanwhile, it is looked for in all that the file holds once a pass met it that was not the first to;
// at once in a file that was put aside.
func TestUnlistedEntryLaterThanThePass(t *testing.T) {
	e := ofRoot(3)
	for name, want := range map[string][][]string{"system.journal": {nil, lines(e[2:]), nil}, "system@0006.journal~": {lines(e[2:]), nil, nil}} {
		eachReader(t, func(t *testing.T, kind string) {
			dir := t.TempDir()
			file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:2])
			o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 - 10e6}
			p := read(t, o)
			same(t, p.entries, lines(e[:2]))
			change(t, journaltest.Write(t, file, e[2:]), func(b []byte) {
				all := objects(b, objectData)
				at := all[slices.IndexFunc(all, func(at uint64) bool { return bytes.Contains(b[at:][:dataPayload+16], []byte("_UID=0")) })]
				binary.LittleEndian.PutUint64(b[at+56:], 2)
			})
			if err := os.Rename(file, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			for _, want := range want {
				p = read(t, p.goOn(o))
				same(t, p.entries, want)
			}
		})
	}
}

// Where nobody writes to a numbering its headers are not read again for each entry that has a higher number
// than they.
func TestNumberThatNoHeaderComesTo(t *testing.T) {
	info, err := readInfo(journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), entries(9, "m")))
	if err != nil {
		t.Fatal(err)
	}
	c := Cursor{SeqnumID: info.SeqnumID, Seqnum: 8}
	for _, over := range []bool{false, true} {
		r := &Reader{plan: &plan{open: []FileInfo{info}, tails: map[string]uint64{c.SeqnumID: 5}, over: map[string]bool{c.SeqnumID: over}}}
		if r.note(c); (r.read[c.SeqnumID] == 8) == over {
			t.Errorf("nobody writes: %v: read up to %d", over, r.read[c.SeqnumID])
		}
	}
}

// Of the absent files of a numbering the one that was read furthest is kept, in whichever order they
// were known.
func TestAbsentFiles(t *testing.T) {
	files := []ExhaustedFile{{ID: "a", SeqnumID: "n", Seqnum: 2}, {ID: "b", SeqnumID: "n", Seqnum: 4}, {ID: "c", SeqnumID: "n", Seqnum: 3}}
	for range files {
		files = append(files[1:], files[0])
		x := &Exhausted{}
		if x.keepAbsent(&Exhausted{Files: files}); len(x.Files) != 1 || x.Files[0].ID != "b" {
			t.Errorf("of %+v: %+v", files, x.Files)
		}
	}
}

// A gap ends with the oldest entry that is left, whichever file holds it.
func TestGapEndsWithTheOldest(t *testing.T) {
	files := []FileInfo{{Entries: 1, HeadRealtime: 20e6}, {Entries: 1, HeadRealtime: 10e6}, {Entries: 1, HeadRealtime: 30e6}}
	for at, want := range map[uint64]int64{5e6: 10e6, 15e6: 0} {
		p := plan{files: files}
		if p.findGap(Cursor{SeqnumID: idA, Seqnum: 1, Realtime: at, HasRealtime: true}); want == 0 && len(p.gaps) > 0 || want > 0 && (len(p.gaps) != 1 || p.gaps[0].To != want) {
			t.Errorf("from %d: %+v, want %d", at, p.gaps, want)
		}
	}
}

// Where one of two entries names no boot, that of the other says nothing of their order.
func TestUnknownBoot(t *testing.T) {
	p := plan{boot: idA}
	old, last := Cursor{BootID: idA, Realtime: 1, HasRealtime: true}, Cursor{Realtime: 2, HasRealtime: true}
	if p.later(old, last) || !p.later(last, old) {
		t.Error("an entry of the running boot is later than one of no boot")
	}
}
