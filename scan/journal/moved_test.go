package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// A file that is rotated away when its header has been read and before it is opened, with one in its
// place that has no header yet, or entries of its own, is read all the same.
func TestRotatedBeforeItIsOpened(t *testing.T) {
	e := entries(9, "m")
	matches := []Match{{"_UID=0"}}
	for i := range e {
		e[i].Fields = map[string]string{"_UID": "0"}
	}
	rows := []struct {
		name  string
		place func(file string) // what comes there
		want  int               // entries of the first pass
	}{
		{"none", func(string) {}, 6},
		{"an empty file", func(file string) {
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, 6},
		{"one with entries", func(file string) { journaltest.Write(t, file, e[6:]) }, 9},
	}
	eachReader(t, func(t *testing.T, kind string) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				defer func() { listed = func() {} }()
				dir := t.TempDir()
				file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:4])
				journaltest.Write(t, filepath.Join(dir, "user-1000.journal"), e[4:6])
				listed = func() {
					listed = func() {}
					if err := os.Rename(file, filepath.Join(dir, "system@a.journal")); err != nil {
						t.Error(err)
					}
					row.place(file)
				}
				o := Options{Path: dir, Reader: kind, Matches: matches, Now: time.Now().UnixMicro()}
				p := read(t, o)
				same(t, p.entries, lines(e[:row.want]))
				warned(t, p.warnings)
				if row.want == 6 {
					if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
					journaltest.Write(t, file, e[6:])
				}
				p = read(t, p.goOn(o))
				same(t, p.entries, lines(e[row.want:]))
				warned(t, p.warnings)
			})
		}
	})
}

// The same, where it is only asked whether an entry is held.
func TestHeldInRotatedFile(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		defer func() { listed = func() {} }()
		dir := t.TempDir()
		file := journaltest.Write(t, filepath.Join(dir, "system.journal"), []journaltest.Entry{{Time: t0, Message: "m", Fields: map[string]string{"_UID": "0"}}})
		listed = func() {
			listed = func() {}
			if err := errors.Join(os.Rename(file, file+"~"), os.WriteFile(file, nil, 0o644)); err != nil {
				t.Error(err)
			}
		}
		held, err := Held(t.Context(), Options{Path: dir, Reader: kind, Matches: []Match{{"_UID=0"}}})
		if !held || err != nil {
			t.Errorf("held %v, %v", held, err)
		}
	})
}

// A file that has no header yet is read by the next pass; one that has none for long is told of.
func TestFileInTheMaking(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir, e := t.TempDir(), entries(4, "m")
		journaltest.Write(t, filepath.Join(dir, "system.journal"), e[:2])
		user, lost := filepath.Join(dir, "user-1000.journal"), filepath.Join(dir, "user-1001.journal")
		if err := errors.Join(os.WriteFile(user, nil, 0o644), os.WriteFile(lost, []byte("LPKSHHRH"), 0o644)); err != nil {
			t.Fatal(err)
		}
		o := Options{Path: dir, Reader: kind, Now: time.Now().UnixMicro()}
		p := read(t, o)
		same(t, p.entries, lines(e[:2]))
		warned(t, p.warnings)
		if err := os.Remove(user); err != nil {
			t.Fatal(err)
		}
		journaltest.Write(t, user, e[2:])
		o.Now += 60e6
		p = read(t, p.goOn(o))
		same(t, p.entries, lines(e[2:]))
		warned(t, p.warnings, lost, "8 bytes")
		warned(t, read(t, p.goOn(o)).warnings)
	})
}

// A file that grows while its header is read is sound.
func TestHeaderOfAFileThatGrows(t *testing.T) {
	whole, err := os.ReadFile(journaltest.Write(t, filepath.Join(t.TempDir(), "a.journal"), entries(1, "m")))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "b.journal")
	for range 300 {
		if err := os.WriteFile(path, whole[:264], 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		empty := append([]byte{}, whole[:264]...)
		clear(empty[atArenaSize:][:8])
		if _, err := file.WriteAt(empty, 0); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			err := file.Truncate(int64(len(whole)))
			_, writeErr := file.WriteAt(whole[:264], 0)
			done <- errors.Join(err, writeErr, file.Close())
		}()
		for ended := false; !ended; {
			select {
			case err := <-done:
				ended = true
				if err != nil {
					t.Fatal(err)
				}
			default:
				if _, err := readInfo(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A file of a later stage that is rotated away meanwhile is the next pass's, and no damage.
func TestRotatedBeforeItsStage(t *testing.T) {
	e := entries(2*manyFiles+2, "m")
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		file := filepath.Join(dir, "system.journal")
		for i := range manyFiles + 1 {
			journaltest.Renumber(t, journaltest.Write(t, file, e[2*i:2*i+2]), numbering, uint64(2*i+1))
			if i < manyFiles {
				if err := os.Rename(file, filepath.Join(dir, fmt.Sprintf("system@%02d.journal", i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		o := Options{Path: dir, Reader: kind, Now: t0 + 1e12}
		r, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := 0; r.Next(); i++ {
			got = append(got, fmt.Sprintf("%d %s", r.Time(), r.Message()))
			if i == 0 {
				if err := errors.Join(os.Rename(file, filepath.Join(dir, "system@a.journal")), os.WriteFile(file, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := errors.Join(r.Err(), r.Close()); err != nil {
			t.Fatal(err)
		}
		warned(t, r.Warnings())
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		o.After, o.Exhausted = r.Position(), r.Exhausted()
		same(t, append(got, read(t, o).entries...), lines(e))
	})
}
