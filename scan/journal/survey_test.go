package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// objects are the offsets of a file's objects of one type, in their order.
func objects(b []byte, kind byte) (at []uint64) {
	u64 := func(at uint64) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	for o, end := u64(atHeaderSize), u64(atTailObject); o <= end; o += (u64(o+8) + 7) &^ 7 {
		if b[o] == kind {
			at = append(at, o)
		}
	}
	return at
}

// Whatever is damaged: what stands before it is read, and the file is named, once.
func TestDamageIsTold(t *testing.T) {
	file := journaltest.Unpack(t, "variants/none-keyed1-compact1.journal")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, Options{Path: file, Matches: sshdMatches}).entries
	put := func(b []byte, at uint64, value uint64) { binary.LittleEndian.PutUint64(b[at:], value) }
	entries, arrays, fields := objects(whole, objectEntry), objects(whole, objectArray), objects(whole, objectData)
	entry, field := entries[len(entries)/2], fields[len(fields)/2]
	list := arrays[slices.IndexFunc(arrays, func(at uint64) bool { return binary.LittleEndian.Uint32(whole[at+28:]) != 0 })] // of two entries or more
	table, last := binary.LittleEndian.Uint64(whole[atDataTable:]), binary.LittleEndian.Uint64(whole[atTailObject:])
	behind := last + (binary.LittleEndian.Uint64(whole[last+8:])+7)&^7
	asked := fields[slices.IndexFunc(fields, func(at uint64) bool { return string(whole[at+72:][:7]) == "_UID=0\x00" })]
	slot := table + binary.LittleEndian.Uint64(whole[asked+16:])%(binary.LittleEndian.Uint64(whole[atDataTable+8:])/16)*16
	_, failed, _ := strings.Cut(want[slices.IndexFunc(want, func(line string) bool { return strings.Contains(line, " Failed p") })], " ")
	message := bytes.Index(whole, []byte("MESSAGE="+failed))
	rows := []struct {
		name    string
		damage  func(b []byte)
		least   int // entries that are read
		warning string
	}{
		{"a page of zeros", func(b []byte) { clear(b[entry&^4095:][:4096]) }, len(want) / 4, "damaged at byte"},
		{"a page of ones", func(b []byte) { copy(b[entry&^4095:], slices.Repeat([]byte{0xff}, 4096)) }, len(want) / 4, "damaged at byte"},
		{"a size of 0", func(b []byte) { put(b, entry+8, 0) }, len(want) / 4, "impossible size"},
		{"a huge size", func(b []byte) { put(b, entry+8, 1<<63) }, len(want) / 4, "impossible size"},
		{"a time that is none", func(b []byte) { put(b, entry+24, 1<<55) }, len(want) / 4, "an entry that is none"},
		{"a number that is none", func(b []byte) { put(b, entry+16, 0) }, len(want) / 4, "an entry that is none"},
		{"a number of the future", func(b []byte) { put(b, entry+16, 1<<40) }, len(want) / 4, "an entry that is none"},
		{"a list that goes in a circle", func(b []byte) { put(b, list+16, list) }, 0, "leads back"},
		{"a list with a hole", func(b []byte) { clear(b[list+24:][:4]) }, 0, "holes"},
		{"an unknown compression", func(b []byte) { b[field+1] = 0x80 }, 0, "unknown kind"},
		{"a field in no entry, with a list", func(b []byte) { put(b, field+56, 0) }, 0, "a field that is none"},
		{"no entries by the header", func(b []byte) { put(b, atEntries, 0) }, len(want), "header contradicts"},
		{"the hash table by the header", func(b []byte) { put(b, atDataTable+8, 16) }, 0, "a hash table"},
		{"the last object by the header", func(b []byte) { put(b, atTailObject, 1<<64-8) }, 0, "is passed over"},
		{"a hash table of ones", func(b []byte) { copy(b[table:], slices.Repeat([]byte{0xff}, 64<<10)) }, 0, "a hash table with items"},
		{"an entry of what has not been looked at", func(b []byte) { binary.LittleEndian.PutUint32(b[entry+entryItems:], uint32(behind)) }, len(want) / 4, "fields that are none"},
		{"an older hash table", func(b []byte) { clear(b[slot:][:16]) }, len(want), "a field that its hash table does not lead to"},
		{"a chain in a circle", func(b []byte) { put(b, slot, fields[0]); put(b, fields[0]+24, fields[0]) }, len(want), "a field that its hash table does not lead to"},
		{"an older field", func(b []byte) { put(b, asked+56, 9) }, len(want), "a list of entries that lacks some"},
		{"a list to another object", func(b []byte) { b[binary.LittleEndian.Uint64(b[asked+48:])+24] ^= 8 }, len(want), "a list of entries that lacks some"},
		{"another id of the file", func(b []byte) { b[atFileID] ^= 1 }, len(want), "another file's id"},
		{"another id of the file, and a hash table", func(b []byte) { put(b, table, 1); b[atFileID] ^= 1 }, len(want), "a hash table with items"},
		{"another id of the file, and a last number", func(b []byte) { put(b, atTailSeqnum, 1<<40); b[atFileID] ^= 1 }, len(want), "header contradicts"},
		{"another kind of hash", func(b []byte) { b[atIncompatible] ^= incompatKeyed }, len(want), "another file's id"},
		{"a field of another kind", func(b []byte) { b[asked] = objectField }, 0, "fields that are none"},
		{"another message", func(b []byte) { b[message+len(failed)] ^= 1 }, len(want) - 1, "not what was written"},
		{"another message, and a hash table", func(b []byte) { put(b, table, 1); b[message+len(failed)] ^= 1 }, len(want) - 1, "a hash table with items"},
		{"the last number by the header", func(b []byte) { put(b, atTailSeqnum, 1<<40) }, len(want), "header contradicts"},
		{"an older last number by the header", func(b []byte) { put(b, atTailSeqnum, 9); b[atState] = byte(Archived) }, len(want), "an entry that is none"},
		{"the last time by the header", func(b []byte) { put(b, atTailRealtime, 1<<54) }, len(want), "header contradicts"},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				bad := filepath.Join(t.TempDir(), "bad.journal")
				b := slices.Clone(whole)
				row.damage(b)
				if err := os.WriteFile(bad, b, 0o644); err != nil {
					t.Fatal(err)
				}
				o := Options{Path: bad, Reader: kind, Matches: sshdMatches}
				p := read(t, o)
				if len(p.entries) < row.least {
					t.Errorf("%d entries, want at least %d", len(p.entries), row.least)
				}
				for _, line := range p.entries {
					if !slices.Contains(want, line) && !strings.HasSuffix(line, " ") {
						t.Errorf("%q was never written", line)
					}
				}
				warned(t, p.warnings, bad, row.warning)
				again := read(t, p.goOn(o))
				same(t, again.entries, nil)
				warned(t, again.warnings)
			})
		}
	})
}

// Where a file that is being written is damaged before what a pass looks at, what can be read is, and it is told.
func TestDamageBehindASurvey(t *testing.T) {
	e := ofRoot(40)
	e[22].Message = e[2].Message // one field in the file
	u64 := binary.LittleEndian.Uint64
	find := func(b []byte, field string) uint64 { // the first that begins so
		all := objects(b, objectData)
		return all[slices.IndexFunc(all, func(at uint64) bool { return bytes.Contains(b[at:][:dataPayload+8+len(field)], []byte(field)) })]
	}
	in := func(b []byte, field string) int {
		return int(find(b, field)) + bytes.Index(b[find(b, field):], []byte(field))
	}
	list := func(b []byte, field string) uint64 { return u64(b[find(b, field)+48:]) }
	rows := []struct {
		name, warning string
		damage        func(b []byte)
		want          []journaltest.Entry
	}{
		{"the hash table", "does not lead to", func(b []byte) { clear(b[u64(b[atDataTable:]):][:u64(b[atDataTable+8:])]) }, e[20:]},
		{"the hash", "does not lead to", func(b []byte) { b[find(b, "_UID=0")+16] ^= 1 }, e[20:]},
		{"the field", "not what was written", func(b []byte) { b[in(b, "_UID=0")+5] ^= 1 }, nil},
		{"the kind of the field", "fields that are none", func(b []byte) { b[find(b, "_UID=0")] = objectField }, nil},
		{"how the field is packed", "would be packed", func(b []byte) { b[find(b, "_UID=0")+1] = 1 << 2 }, nil},
		{"the list of the field", "a list of entries that is none", func(b []byte) { clear(b[list(b, "_UID=0")+8:][:8]) }, e[20:]},
		{"an entry at the end of a list", "what are no entries", func(b []byte) { clear(b[objects(b, objectEntry)[4]:][:objectHead]) }, e[20:]},
		{"the times of entries", "does not lead to", func(b []byte) {
			for _, at := range objects(b, objectEntry)[5:19] {
				clear(b[at+24:][:8])
			}
		}, e[20:]},
		{"the id of the file", "another file's id", func(b []byte) { b[atFileID] ^= 1 }, e[20:]},
		{"the kind of its hashes", "another file's id", func(b []byte) { b[atIncompatible] ^= incompatKeyed }, e[20:]},
		{"the id of its numbering", "another numbering", func(b []byte) { b[atSeqnumID] ^= 1 }, e[20:]},
		{"a message that is in two entries", "not what was written", func(b []byte) { b[in(b, "MESSAGE=m 2")+10] ^= 1 }, slices.Concat(e[20:22], e[23:])},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				dir := t.TempDir()
				file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:20])
				o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Fields: []string{"_UID"}, Now: t0 + 1e12}
				p := read(t, o)
				same(t, p.entries, lines(e[:20]))
				change(t, journaltest.Write(t, file, e[20:]), row.damage)
				p = read(t, p.goOn(o))
				same(t, p.entries, lines(row.want))
				if !slices.ContainsFunc(p.warnings, func(w string) bool { return containsAll(w, file, row.warning) }) {
					t.Errorf("warnings %q, want one of %q", p.warnings, row.warning)
				}
				same(t, read(t, p.goOn(o)).entries, nil)
			})
		}
	})
}

// Of a file that its writer lost, what an earlier pass found sound is looked at again, and what its
// header does not count is told.
func TestUncleanFile(t *testing.T) {
	e := ofRoot(6)
	rows := []struct {
		name, to, warning string
		damage            func(b, older []byte)
		want              int // entries that are read of the last two
	}{
		{"an older header", "system@a.journal~", "its header is older", func(b, older []byte) { copy(b, older[:headerSize]) }, 0},
		{"an older header, rotated", "system@a.journal", "its header is older", func(b, older []byte) { copy(b, older[:headerSize]); b[atState] = byte(Online) }, 0},
		{"an older header, and a hole", "system@a.journal~", "its header is older", func(b, older []byte) {
			copy(b, older[:headerSize])
			last := binary.LittleEndian.Uint64(older[atTailObject:])
			clear(b[last+binary.LittleEndian.Uint64(older[last+8:]):][:64])
		}, 0},
		{"an older hash table", "system@a.journal~", "a field that its hash table does not lead to", func(b, older []byte) {
			clear(b[binary.LittleEndian.Uint64(b[atDataTable:]):][:binary.LittleEndian.Uint64(b[atDataTable+8:])])
		}, 2},
		{"an older field", "system@a.journal~", "a list of entries that lacks some", func(b, older []byte) {
			for _, at := range objects(older, objectData) {
				copy(b[at:], older[at:][:dataPayload])
			}
		}, 2},
		{"sound", "system@a.journal~", "", func(b, older []byte) {}, 2},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				dir := t.TempDir()
				file, to := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:4]), filepath.Join(dir, row.to)
				o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}}
				p := read(t, o)
				same(t, p.entries, lines(e[:4]))
				older, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(journaltest.Write(t, file, e[4:]))
				if err != nil {
					t.Fatal(err)
				}
				row.damage(b, older)
				if err := errors.Join(os.WriteFile(file, b, 0o644), os.Rename(file, to)); err != nil {
					t.Fatal(err)
				}
				p = read(t, p.goOn(o))
				same(t, p.entries, lines(e[6-row.want:]))
				if row.warning == "" {
					warned(t, p.warnings)
				} else {
					warned(t, p.warnings, to, "at byte", row.warning)
				}
				warned(t, read(t, p.goOn(o)).warnings)
			})
		}
	})
}

// A file that lost its end with the power: libsystemd aborts where the last entry of one is
// asked for.
func TestHeldInTornFile(t *testing.T) {
	file := journaltest.Unpack(t, "variants/zstd-keyed1-compact1.journal")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	clear(whole[4<<20:])
	if err := os.WriteFile(file, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	eachReader(t, func(t *testing.T, kind string) {
		held, err := Held(context.Background(), Options{Path: file, Reader: kind, Matches: sshdMatches})
		if !held || err != nil {
			t.Errorf("held %v, %v", held, err)
		}
	})
}

// Numbers of a damaged file that lie in the future hide nothing of what comes later.
func TestDamagedNumbersHideNothing(t *testing.T) {
	ten := entries(10, "m")
	rows := []struct {
		name       string
		compatible byte // flags of the header
		damage     func(b []byte)
	}{
		{"the last number by the header", compatTailBoot, func(b []byte) { binary.LittleEndian.PutUint64(b[atTailSeqnum:], 1<<40) }},
		{"the last time by the header", compatTailBoot, func(b []byte) { binary.LittleEndian.PutUint64(b[atTailRealtime:], 1<<54) }},
		{"the number of the last entry", 0, func(b []byte) { binary.LittleEndian.PutUint64(b[objects(b, objectEntry)[3]+16:], 1<<40) }},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			dir := t.TempDir()
			old, active := filepath.Join(dir, "system@a.journal"), filepath.Join(dir, "system.journal")
			journaltest.Renumber(t, journaltest.Write(t, old, ten[:4]), numbering, 1)
			change(t, old, func(b []byte) {
				row.damage(b)
				b[atState], b[atCompatible] = byte(Archived), row.compatible
			})
			o := Options{Path: dir, Reader: kind}
			p := read(t, o)
			var got []string
			for i := 4; i < 10; i += 2 {
				if i == 4 {
					journaltest.Renumber(t, journaltest.Write(t, active, ten[i:i+2]), numbering, 5)
				} else {
					journaltest.Write(t, active, ten[i:i+2])
				}
				p = read(t, p.goOn(o))
				got = append(got, p.entries...)
			}
			if !slices.Equal(got, lines(ten[4:])) {
				t.Errorf("%s: got %q, want %q", row.name, got, lines(ten[4:]))
			}
		}
	})
}

// What journald does to a file while it is looked at is no damage.
func TestWhatIsWritten(t *testing.T) {
	written := func(n int) (path string, info FileInfo) {
		path = journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), entries(n, "m"))
		info, err := readInfo(path)
		if err != nil {
			t.Fatal(err)
		}
		return path, info
	}
	t.Run("the first entry is counted before its time is in the header", func(t *testing.T) {
		_, info := written(1)
		info.State, info.TailRealtime, info.TailMono = Online, 0, 0
		if _, err := surveyFile(&info, 0, question{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("it grows", func(t *testing.T) {
		path, info := written(10)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info.Size = int64(info.tailObject + (binary.LittleEndian.Uint64(b[info.tailObject+8:])+7)&^7)
		journaltest.Write(t, path, entries(20, "m")[10:])
		if _, err := surveyFile(&info, 0, question{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("it is archived, and what was not used is cut off", func(t *testing.T) {
		path, info := written(20)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		end := info.tailObject + binary.LittleEndian.Uint64(b[info.tailObject+8:])
		if end+8 >= uint64(len(b)) {
			t.Fatal("all of it is used")
		}
		if err := os.Truncate(path, int64(end)); err != nil {
			t.Fatal(err)
		}
		if _, err := surveyFile(&info, 0, question{}); err != nil {
			t.Error(err)
		}
		if err := os.Truncate(path, int64(end)-8); err != nil {
			t.Fatal(err)
		}
		if _, err := surveyFile(&info, 0, question{}); err == nil {
			t.Error("a file that is torn is sound")
		}
	})
	t.Run("it is rotated away", func(t *testing.T) {
		path, info := written(20)
		if err := os.Rename(path, path+"~"); err != nil {
			t.Fatal(err)
		}
		journaltest.Write(t, path, entries(1, "new"))
		if _, err := surveyFile(&info, 0, question{}); info.surveyed != 0 || err != nil {
			t.Errorf("%d, %v", info.surveyed, err)
		}
	})
}

// Whatever a file holds, looking at it ends.
func FuzzSurvey(f *testing.F) {
	whole, err := os.ReadFile(journaltest.Unpack(f, "variants/zstd-keyed1-compact1.journal"))
	if err != nil {
		f.Fatal(err)
	}
	entry := objects(whole, objectEntry)[500]
	f.Add(uint16(atTailObject), uint64(1<<64-8), uint32(0), uint64(0), uint64(0))
	f.Add(uint16(atHeaderSize), uint64(headerSize), uint32(entry+8), uint64(1<<64-1), entry)
	f.Add(uint16(atTailObject), entry, uint32(entry), uint64(16<<8), uint64(1<<63))
	path := filepath.Join(f.TempDir(), "a.journal")
	f.Fuzz(func(t *testing.T, headerAt uint16, header uint64, at uint32, value, from uint64) {
		b := slices.Clone(whole)
		binary.LittleEndian.PutUint64(b[headerAt%(headerSize-8):], header)
		binary.LittleEndian.PutUint64(b[int(at)%(len(b)-8):], value)
		info, err := parseHeader(b[:headerSize], int64(len(b)))
		if err != nil {
			return
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		is, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		info.Path, info.inode = path, is.Sys().(*syscall.Stat_t).Ino
		if _, err := surveyFile(&info, from, question{values: sshdMatches[0]}); err == nil && info.surveyed == 0 && info.Entries > 0 {
			t.Error("no end of a sound file")
		}
	})
}
