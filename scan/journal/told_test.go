package journal

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// change lets f change the bytes of a file.
func change(t *testing.T, file string, f func(b []byte)) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f(b)
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Damage that is met at each pass over a file that grows is told once, and other damage of it once.
func TestDamageIsToldOnce(t *testing.T) {
	e := ofRoot(40)
	uid := func(b []byte) uint64 { // the field that all entries hold
		all := objects(b, objectData)
		return all[slices.IndexFunc(all, func(at uint64) bool { return bytes.Contains(b[at:][:dataPayload+8+6], []byte("_UID=0")) })]
	}
	rows := []struct {
		name   string
		damage func(b []byte)
		lost   bool // the file is passed over
	}{
		{"the list of a field", func(b []byte) { clear(b[binary.LittleEndian.Uint64(b[uid(b)+48:])+8:][:8]) }, false},
		{"an entry at the end of a list", func(b []byte) { clear(b[objects(b, objectEntry)[4]:][:objectHead]) }, false},
		{"the size of an entry", func(b []byte) { b[objects(b, objectEntry)[8]+12] = 7 }, false},
		{"the header, with other numbers each time", func(b []byte) { b[atArenaSize+5]++ }, true},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				dir := t.TempDir()
				file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:10])
				o := Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
				p := read(t, o)
				same(t, p.entries, lines(e[:10]))
				var told []string
				for i, from := range []int{10, 20, 25} {
					to := []int{20, 25, 38}[i]
					if !row.lost {
						journaltest.Write(t, file, e[from:to])
					}
					change(t, file, func(b []byte) {
						if from == 10 || row.lost {
							row.damage(b)
						}
					})
					if p = read(t, p.goOn(o)); !row.lost {
						same(t, p.entries, lines(e[from:to]))
					}
					told = append(told, p.warnings...)
				}
				warned(t, told, file)
				change(t, file, func(b []byte) { b[0] = 'x' })
				p = read(t, p.goOn(o))
				warned(t, p.warnings, file, "does not begin")
			})
		}
	})
}

// Where nothing but damaged files is there, and so no position, they are told of once.
func TestOnlyDamage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "system.journal")
	told := []string{}
	o := Options{Path: dir}
	for i := range 3 {
		if err := os.WriteFile(file, bytes.Repeat([]byte("no journal "), 500+i), 0o644); err != nil {
			t.Fatal(err)
		}
		p := read(t, o)
		told, o = append(told, p.warnings...), p.goOn(o)
	}
	warned(t, told, file, "does not begin")
	if err := os.Rename(file, file+"~"); err != nil {
		t.Fatal(err)
	}
	warned(t, read(t, o).warnings, file+"~", "does not begin")
}

// A file that has the inode of one that was removed is another.
func TestDamageOfAnotherFileIsTold(t *testing.T) {
	e := entries(20, "m")
	file := filepath.Join(t.TempDir(), "system.journal")
	whole := func() []byte {
		b, err := os.ReadFile(journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), e))
		if err != nil {
			t.Fatal(err)
		}
		b[objects(b, objectEntry)[8]+12] = 7
		return b
	}
	o := Options{Path: file, Now: t0 + 1e12}
	for range 2 {
		if err := os.WriteFile(file, whole(), 0o644); err != nil { // keeps the inode
			t.Fatal(err)
		}
		p := read(t, o)
		warned(t, p.warnings, file, "impossible size")
		o = p.goOn(o)
		warned(t, read(t, o).warnings)
	}
}
