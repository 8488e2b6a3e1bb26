package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// A message that is not what was written blames nobody behind damage either that hides where the next
// object begins, nor does an entry whose fields cannot be told from what follows; those that are whole
// are read.
func TestMessageBehindDamage(t *testing.T) {
	e := attack(100)
	left := slices.Concat(lines(e[20:21]), lines(e[50:51]), lines(e[99:])) // out
	want := slices.DeleteFunc(lines(e), func(line string) bool { return slices.Contains(left, line) })
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e)
		change(t, file, func(b []byte) {
			entries := objects(b, objectEntry)
			b[entries[20]+12] = 7 // its size
			b[entries[99]+10] = 8 // 512 KiB more
			text := []byte("MESSAGE=" + e[50].Message)
			b[bytes.Index(b, text)+strings.Index(string(text), "198.")+2] = '9'
		})
		p := read(t, Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}})
		same(t, p.entries, want)
		warned(t, p.warnings, file, "impossible size")
	})
}

// A pass looks at what was written since the one before, and not again at all that stands behind
// such damage.
func TestSurveyGoesOnBehindDamage(t *testing.T) {
	e := ofRoot(30)
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e[:10])
		o := Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
		p := read(t, o)
		for from := 10; from < 30; from += 5 {
			journaltest.Write(t, file, e[from:from+5])
			if from == 10 {
				change(t, file, func(b []byte) { b[objects(b, objectEntry)[5]+12] = 7 }) // the size of an entry
				p.known.Files = nil                                                      // else nobody comes to it
			}
			p = read(t, p.goOn(o))
			same(t, p.entries, lines(e[from:from+5]))
			info, err := readInfo(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.known.Files[0].Surveyed; got+300 < info.tailObject { // an entry has less
				t.Errorf("looked at up to byte %d of %d", got, info.tailObject)
			}
		}
	})
}

// However large a file is that damage hides the next object of, it is looked at for a while only.
func TestBehindDamageInASparseFile(t *testing.T) {
	file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries(9, "m"))
	change(t, file, func(b []byte) { b[objects(b, objectEntry)[5]+12] = 7 }) // the size of an entry
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Skip(err)
	}
	info, err := readInfo(file)
	if err != nil {
		t.Fatal(err)
	}
	info.tailObject = 1<<40 - 64
	if _, err := surveyFile(&info, 0, question{}); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
}

// Of a file whose lists are damaged, that of all entries too, a first pass reads as much as any of them leads to.
func TestFirstPassOverDamagedLists(t *testing.T) {
	e := ofRoot(40)
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e)
		want := 0
		change(t, file, func(b []byte) {
			u64 := binary.LittleEndian.Uint64
			first := u64(b[atEntryArray:])
			want = int(u64(b[first+8:])-arrayItems) / 4
			asked := uint64(bytes.Index(b, []byte("_UID=0"))) - dataPayload - 8
			b[u64(b[first+16:])], b[u64(b[asked+48:])] = 9, 9 // of no kind: the second list of all, and the field's
		})
		o := Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}}
		p := read(t, o)
		same(t, p.entries, lines(e[:want]))
		warned(t, p.warnings, file, "no object")
		o.Since = e[1].Time
		same(t, read(t, o).entries, lines(e[1:want]))
		same(t, read(t, p.goOn(o)).entries, nil)
	})
}

// readOn is the pass over a file with e that is damaged after a pass has read the first n of it.
func readOn(t *testing.T, kind string, e []journaltest.Entry, n int, damage func(b []byte)) (file string, p pass) {
	t.Helper()
	file = journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e[:n])
	o := Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
	p = read(t, o)
	journaltest.Write(t, file, e[n:])
	change(t, file, damage)
	return file, read(t, p.goOn(o))
}

// What was read is not read again where a list that leads nowhere has all looked through once more; nor
// does that make the clock step back.
func TestLookedForOnce(t *testing.T) {
	e := ofRoot(30)
	eachReader(t, func(t *testing.T, kind string) {
		for damaged := 11; damaged < 16; damaged++ { // whichever libsystemd comes to as it looks for its place
			file, p := readOn(t, kind, e, 10, func(b []byte) {
				binary.LittleEndian.PutUint64(b[objects(b, objectEntry)[damaged]+16:], 1) // its number
			})
			slices.Sort(p.entries)
			same(t, p.entries, slices.Concat(lines(e[10:damaged]), lines(e[damaged+1:])))
			warned(t, p.warnings, file, "an entry that is none")
		}
	})
}

// Where a match does not find all, what libsystemd does not come to from its place in the file is looked
// for from its beginning too.
func TestLookedForWithoutMatches(t *testing.T) {
	e := ofRoot(30)
	eachReader(t, func(t *testing.T, kind string) {
		for damaged := 14; damaged < 18; damaged++ { // libsystemd comes to it as it looks for its place
			_, p := readOn(t, kind, e, 20, func(b []byte) {
				b[objects(b, objectEntry)[damaged]] = 0
				asked := uint64(bytes.Index(b, []byte("_UID=0"))) - dataPayload - 8
				b[binary.LittleEndian.Uint64(b[asked+48:])] = 0 // its list
			})
			same(t, p.entries, lines(e[20:]))
		}
	})
}

// What a header has not come to, by a number of its own that is damaged, waits until it has, and is read once.
func TestHeaderCountsTooFew(t *testing.T) {
	e := attack(20)
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:19])
		last := func(n uint64) {
			change(t, file, func(b []byte) {
				binary.LittleEndian.PutUint64(b[atTailSeqnum:], n)
				b[atCompatible] |= compatTailBoot
			})
		}
		o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: e[0].Time + 1e12}
		last(4)
		p := read(t, o)
		warned(t, p.warnings, file, "an entry that is none")
		met := p.entries
		last(19)
		journaltest.Write(t, file, e[19:]) // it may put the file aside
		p = read(t, p.goOn(o))
		same(t, slices.Concat(met, p.entries), lines(e))
	})
}

// The last entry of a file is waited for behind damage too, though other objects stand behind it.
func TestLastEntryBehindDamage(t *testing.T) {
	e := ofRoot(30)
	eachReader(t, func(t *testing.T, kind string) {
		for n := 14; n < 18; n++ {
			dir := t.TempDir()
			journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), e[:1])
			o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
			p := read(t, o)
			file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[1:n])
			change(t, file, func(b []byte) {
				first := binary.LittleEndian.Uint64(b[atEntryArray:])
				binary.LittleEndian.PutUint32(b[first+arrayItems+4:], 8) // the second of the list of all
				asked := uint64(bytes.Index(b, []byte("_UID=0"))) - dataPayload - 8
				binary.LittleEndian.PutUint64(b[asked+48:], 8) // its list
			})
			p = read(t, p.goOn(o))
			if last := lines(e[n-1 : n])[0]; !slices.Contains(p.entries, last) {
				t.Errorf("%q, without %q", p.entries, last)
			}
		}
	})
}

// A field that is damaged so that it is none any more costs its entries that field alone, whether it is
// met by the pass or stands before what that looks at.
func TestEntriesOfDamagedField(t *testing.T) {
	e := attack(20)
	eachReader(t, func(t *testing.T, kind string) {
		for name, first := range map[string]int{"met": 1, "before": 11} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:first])
				o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: e[0].Time + 1e12}
				p := read(t, o)
				journaltest.Write(t, file, e[first:])
				change(t, file, func(b []byte) {
					b[uint64(bytes.Index(b, []byte("_TRANSPORT=")))-dataPayload-8] = objectField
				})
				if name == "met" {
					p.position, p.known = nil, nil
					first = 0
				}
				p = read(t, p.goOn(o))
				same(t, p.entries, lines(e[first:]))
				warned(t, p.warnings, file, "fields that are none")
			})
		}
	})
}

// What a client made look like a field within its text is none, though an entry come to name it.
func TestFieldWithinText(t *testing.T) {
	e := attack(20)
	forged := make([]byte, 2+dataPayload+8) // EXTRA= and two bytes more are eight
	forged = append(forged, "MESSAGE="+strings.Replace(e[12].Message, "198.51.", "203.0.", 1)...)
	forged[2], forged[2+8] = objectData, byte(len(forged)-2)
	e[5].Fields = maps.Clone(e[5].Fields)
	e[5].Fields["EXTRA"] = string(forged)
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e)
		change(t, file, func(b []byte) {
			text := uint32(bytes.Index(b, []byte("EXTRA=")) + 8)
			message := uint32(bytes.Index(b, []byte("MESSAGE="+e[12].Message)) - dataPayload - 8)
			items := b[objects(b, objectEntry)[12]+entryItems:]
			for binary.LittleEndian.Uint32(items) != message {
				items = items[4:]
			}
			binary.LittleEndian.PutUint32(items, text)
		})
		p := read(t, Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}})
		same(t, p.entries, lines(e[:12], e[13:]))
		warned(t, p.warnings, file, "fields that are none")
	})
}

// What stands behind a header that is older than the rest waits until the header has come to it, and is
// read once, whatever another file holds.
func TestHeaderIsOlder(t *testing.T) {
	e := ofRoot(30)
	later := boot(2, t0+1e9, ofRoot(1))
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:10])
		journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), later)
		var older, newer []byte
		change(t, file, func(b []byte) { older = bytes.Clone(b[:headerSize]) })
		journaltest.Write(t, file, e[10:])
		change(t, file, func(b []byte) { newer = bytes.Clone(b[:headerSize]); copy(b, older) })
		o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
		p := read(t, o)
		same(t, p.entries, lines(e[:10], later))
		warned(t, p.warnings, file, "its header is older")
		change(t, file, func(b []byte) { copy(b, newer) })
		same(t, read(t, p.goOn(o)).entries, lines(e[10:]))
	})
}

// An entry of a file that is rotated while it is read, whose header is not at hand then, is read at once
// where another machine's file ended later: the position would go past it.
func TestWrittenWhileRotated(t *testing.T) {
	dir := t.TempDir()
	file := journaltest.Write(t, filepath.Join(dir, "system.journal"), ofRoot(3))
	info, err := readInfo(file)
	if err != nil {
		t.Fatal(err)
	}
	e := info.tail()
	tail := Cursor{SeqnumID: "other", Seqnum: 9, Realtime: e.Realtime + 1e9, HasRealtime: true}
	e.Seqnum++
	p := &plan{open: []FileInfo{info}, tails: map[string]uint64{e.SeqnumID: info.TailSeqnum}, tail: &tail}
	if !p.beyond(e) {
		t.Error("what no header has come to does not wait")
	}
	if err := os.Rename(file, filepath.Join(dir, "system@1.journal")); err != nil {
		t.Fatal(err)
	}
	if p.beyond(e) {
		t.Error("what was written before a rotation waits")
	}
}

// The header of another file, which stands at the path since a rotation, does not tell that the first is older.
func TestOutgrownIsNotRotated(t *testing.T) {
	dir := t.TempDir()
	path := journaltest.Write(t, filepath.Join(dir, "system.journal"), ofRoot(3))
	info, err := readInfo(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := &survey{file: file, info: &info}
	if !s.isOutgrown(info.headerSize) {
		t.Error("objects that the header has not come to are none")
	}
	if err := os.Rename(path, path+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if s.isOutgrown(info.headerSize) {
		t.Error("another file's header was taken")
	}
}
