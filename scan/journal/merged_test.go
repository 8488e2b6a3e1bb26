package journal

import (
	"fmt"
	"path/filepath"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// A first entry may come before a second by its number, this before a third by the clock of their
// boot, and the third before the first by the time of day: the clock was ahead, and was set right.
func TestClocksThatGoBack(t *testing.T) {
	at := func(bootN int, start, second int64) journaltest.Entry {
		return journaltest.Entry{Boot: journaltest.Boot(bootN), Time: start + second*1e6, Monotonic: second * 1e6, Message: fmt.Sprint("m ", bootN, " ", second)}
	}
	const ahead = t0 + 1e12
	old := []journaltest.Entry{at(1, t0, 1), at(1, ahead, 2), at(1, ahead, 3)}
	system := []journaltest.Entry{at(2, t0, 1), at(2, t0, 4), at(2, t0, 6)}
	user := []journaltest.Entry{at(2, t0, 2), at(2, t0, 3), at(2, t0, 5), at(2, t0, 7)}
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		journaltest.Renumber(t, journaltest.Write(t, filepath.Join(dir, "system@a.journal"), old), numbering, 1)
		journaltest.Renumber(t, journaltest.Write(t, filepath.Join(dir, "system.journal"), system), numbering, 4)
		journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), user)
		journaltest.Write(t, filepath.Join(dir, "user-1001.journal"), append([]journaltest.Entry{at(3, ahead, 9)}, user...)) // copies
		p := read(t, Options{Path: dir, Reader: kind})
		got := map[string]int{}
		for _, line := range p.entries {
			got[line]++
		}
		for _, line := range lines(old, system, user, []journaltest.Entry{at(3, ahead, 9)}) {
			if got[line] != 1 {
				t.Errorf("%q %d times, of %q", line, got[line], p.entries)
			}
		}
		same(t, read(t, p.goOn(Options{Path: dir, Reader: kind})).entries, nil)
	})
}

// The same with a file for each, of which none tells that a clock went back: they are sound.
func TestClocksInACircle(t *testing.T) {
	at := func(bootN int, mono, time int64) journaltest.Entry {
		return journaltest.Entry{Boot: journaltest.Boot(bootN), Time: t0 + time, Monotonic: mono, Message: fmt.Sprint("m ", bootN, " ", mono)}
	}
	files := map[string][]journaltest.Entry{
		"system.journal":    {at(2, 5e6, 9e6), at(2, 6e6, 9_500_000)},
		"user-1000.journal": {at(1, 5e6, 2e6), at(2, 7e6, 3e6)},
		"user-1001.journal": {at(1, 4e6, 1e6), at(3, 1e6, 6e6)},
	}
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		o := Options{Path: dir, Reader: kind, Now: t0 + 1e9}
		for i := range 2 {
			for name, e := range files {
				journaltest.Write(t, filepath.Join(dir, name), e[i:i+1])
			}
			p := read(t, o)
			if len(p.entries) != len(files) {
				t.Errorf("%q", p.entries)
			}
			warned(t, p.warnings)
			o = p.goOn(o)
		}
		same(t, read(t, o).entries, nil)
	})
}

// A time of the last entry of one file that is damaged lies behind all that is to come in others,
// which is read all the same.
func TestTimeFarAhead(t *testing.T) {
	e := entries(30, "m")
	eachReader(t, func(t *testing.T, kind string) {
		for name, part := range map[string]uint64{"realtime": 24, "monotonic": 32} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				system, user := filepath.Join(dir, "system.journal"), filepath.Join(dir, "user-1000.journal")
				journaltest.Write(t, system, e[:5])
				change(t, journaltest.Write(t, user, e[5:10]), func(b []byte) { b[objects(b, objectEntry)[4]+part+6] ^= 1 })
				o := Options{Path: dir, Reader: kind}
				p := read(t, o)
				if len(p.entries) != 10 {
					t.Errorf("%q", p.entries)
				}
				warned(t, p.warnings, user, "header contradicts")
				for from := 10; from < 30; from += 10 {
					journaltest.Write(t, system, e[from:from+10])
					p = read(t, p.goOn(o))
					same(t, p.entries, lines(e[from:from+10]))
				}
			})
		}
	})
}

// A time that is damaged may be centuries ahead.
func TestClockOfCenturies(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries(5, "m"))
		change(t, file, func(b []byte) { b[objects(b, objectEntry)[2]+24+6] |= 1 << 6 })
		warned(t, read(t, Options{Path: file, Reader: kind}).warnings, "stepped back by 2540400h0m0s")
	})
}

// The time of day goes back from one file of a numbering to the next.
func TestClockBetweenFiles(t *testing.T) {
	file := func(id string, head, tail uint64, from, to int64) FileInfo {
		return FileInfo{SeqnumID: id, HeadSeqnum: head, TailSeqnum: tail, HeadRealtime: from, TailRealtime: to}
	}
	for name, c := range map[string]struct {
		a, b FileInfo
		want bool
	}{
		"on":                {file("x", 1, 4, 10, 40), file("x", 5, 9, 41, 90), false},
		"back":              {file("x", 1, 4, 10, 40), file("x", 5, 9, 39, 90), true},
		"another numbering": {file("x", 1, 4, 10, 40), file("y", 5, 9, 39, 90), false},
		"beside each other": {file("x", 1, 6, 10, 40), file("x", 5, 9, 39, 90), false},
	} {
		for _, open := range [][]FileInfo{{c.a, c.b}, {c.b, c.a}} {
			if p := (plan{open: open}); p.wentBack() != c.want {
				t.Errorf("%s: %v, want %v", name, !c.want, c.want)
			}
		}
	}
}
