package journal

import (
	"os"
	"path/filepath"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// Headers are read one after the other: what a file got after its own was read, and before another
// got a later entry, is read; also where the file is new, or was not listed for it was rotated away.
func TestOvertaken(t *testing.T) {
	e := entries(5, "m")
	add := func(t *testing.T, file string, from, to int) {
		journaltest.Renumber(t, journaltest.Write(t, file, e[from:to]), numbering, uint64(from+1))
	}
	move := func(t *testing.T, from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Error(err)
		}
	}
	rows := []struct {
		name              string
		before, meanwhile func(t *testing.T, dir, file string)
	}{
		{"an entry",
			func(t *testing.T, dir, _ string) { add(t, filepath.Join(dir, "user-1000.journal"), 4, 5) },
			func(t *testing.T, _, file string) { journaltest.Write(t, file, e[2:4]) }},
		{"a new file",
			func(t *testing.T, dir, _ string) { add(t, filepath.Join(dir, "user-1001.journal"), 4, 5) },
			func(t *testing.T, dir, _ string) { add(t, filepath.Join(dir, "user-1000.journal"), 2, 4) }},
		{"a new file of another numbering, and then the last entry",
			func(t *testing.T, _, file string) { journaltest.Write(t, file, e[2:3]) },
			func(t *testing.T, dir, file string) {
				journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), e[3:4])
				journaltest.Write(t, file, e[4:])
			}},
		{"a file that was rotated away",
			func(t *testing.T, dir, file string) {
				journaltest.Write(t, file, e[2:4])
				move(t, file, dir+".journal")
				add(t, file, 4, 5)
			},
			func(t *testing.T, dir, _ string) { move(t, dir+".journal", filepath.Join(dir, "system@a.journal")) }},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			for _, now := range []int64{t0 + 4_500_000, t0 + 1e12} {
				t.Run(row.name, func(t *testing.T) {
					defer func() { listed = func() {} }()
					dir := filepath.Join(t.TempDir(), "journal")
					file := filepath.Join(dir, "system.journal")
					add(t, file, 0, 2)
					o := Options{Path: dir, Reader: kind, Now: now}
					p := read(t, o)
					same(t, p.entries, lines(e[:2]))
					row.before(t, dir, file)
					listed = func() {
						listed = func() {}
						row.meanwhile(t, dir, file)
					}
					p = read(t, p.goOn(o))
					same(t, p.entries, lines(e[2:]))
					warned(t, p.warnings)
					same(t, read(t, p.goOn(o)).entries, nil)
				})
			}
		}
	})
}

// The header of a file without entries names the last number of the one before it, which may have been
// rotated away after the directory was read, and is not read yet.
func TestEmptyFileHasReadNothing(t *testing.T) {
	e := entries(4, "m")
	eachReader(t, func(t *testing.T, kind string) {
		dir := filepath.Join(t.TempDir(), "journal")
		file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:2])
		journaltest.Renumber(t, file, numbering, 1)
		o := Options{Path: dir, Reader: kind, Now: t0 + 1e12}
		p := read(t, o)
		same(t, p.entries, lines(e[:2]))
		journaltest.Write(t, file, e[2:])
		if err := os.Rename(file, dir+".journal"); err != nil {
			t.Fatal(err)
		}
		journaltest.Renumber(t, journaltest.Write(t, file, nil), numbering, 5) // the last number is 4
		same(t, read(t, p.goOn(o)).entries, nil)
		p = read(t, p.goOn(o))
		if err := os.Rename(dir+".journal", filepath.Join(dir, "system@a.journal")); err != nil {
			t.Fatal(err)
		}
		p = read(t, p.goOn(o))
		same(t, p.entries, lines(e[2:]))
		warned(t, p.warnings)
	})
}
