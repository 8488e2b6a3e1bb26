package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// asNobody runs f without root's rights.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give up its rights")
	}
	if err := syscall.Setreuid(-1, 65534); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestNoPermission(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		e := entries(2, "m")
		readable := journaltest.Write(t, filepath.Join(dir, "user-65534.journal"), e[:1])
		denied := journaltest.Write(t, filepath.Join(dir, "system.journal"), e[1:])
		for path, mode := range map[string]fs.FileMode{filepath.Dir(dir): 0o755, readable: 0o644, denied: 0o600} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		asNobody(t, func() {
			_, err := tryRead(Options{Path: denied, Reader: kind})
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "systemd-journal or adm") || !strings.Contains(err.Error(), denied) {
				t.Errorf("one file: %v", err)
			}
			p := read(t, Options{Path: dir, Reader: kind})
			same(t, p.entries, lines(e[:1]))
			warned(t, p.warnings, denied, "systemd-journal or adm")
			p = read(t, p.goOn(Options{Path: dir, Reader: kind}))
			warned(t, p.warnings)
		})
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		asNobody(t, func() {
			_, err := tryRead(Options{Path: dir, Reader: kind})
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "systemd-journal or adm") {
				t.Errorf("the directory: %v", err)
			}
		})
	})
}

// A directory that cannot be listed, of a file system that is damaged, say, costs a warning, told once.
func TestDirectoryIsDamaged(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	hostRoot = t.TempDir()
	defer func() { hostRoot = "" }()
	for _, dir := range []string{"etc", "var/log/journal", "run/log/journal/" + id} {
		if err := os.MkdirAll(filepath.Join(hostRoot, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	damaged := filepath.Join(hostRoot, "var/log/journal", id) // no directory
	for _, path := range []string{damaged, filepath.Join(hostRoot, "etc/machine-id")} {
		if err := os.WriteFile(path, []byte(id+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := entries(2, "m")
	journaltest.Write(t, filepath.Join(hostRoot, "run/log/journal", id, "system.journal"), e)
	p := read(t, Options{})
	same(t, p.entries, lines(e))
	warned(t, p.warnings, damaged, "not a directory")
	warned(t, read(t, p.goOn(Options{})).warnings)
}

// What is written after Open is the next pass's, though libsystemd sees it.
func TestWrittenWhileRead(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		a, b := filepath.Join(dir, "system.journal"), filepath.Join(dir, "user-1000.journal")
		e := entries(9, "m")
		journaltest.Write(t, a, e[:2])
		journaltest.Write(t, b, e[2:4])
		o := Options{Path: dir, Reader: kind}
		r, err := Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got []string
		for i := 0; r.Next(); i++ {
			if i == 0 {
				journaltest.Write(t, b, e[4:5])
				journaltest.Write(t, a, e[5:])
			}
			got = append(got, fmt.Sprintf("%d %s", r.Time(), r.Message()))
		}
		same(t, got, lines(e[:4]))
		o.After, o.Exhausted = r.Position(), r.Exhausted()
		same(t, read(t, o).entries, lines(e[4:]))
		o.Exhausted = nil
		same(t, read(t, o).entries, lines(e[4:]))
	})
}

// journald rotates while a pass reads: nothing is lost, nothing said twice.
func TestRotatedWhileRead(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		file := filepath.Join(dir, "system.journal")
		e := entries(9, "m")
		journaltest.Renumber(t, journaltest.Write(t, file, e[:4]), numbering, 1)
		o := Options{Path: dir, Reader: kind}
		r, err := Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got []string
		for r.Next() {
			if len(got) == 0 {
				journaltest.Write(t, file, e[4:6])
				if err := os.Rename(file, filepath.Join(dir, "system@a.journal")); err != nil {
					t.Fatal(err)
				}
				journaltest.Renumber(t, journaltest.Write(t, file, e[6:]), numbering, 7)
			}
			got = append(got, fmt.Sprintf("%d %s", r.Time(), r.Message()))
		}
		same(t, got, lines(e[:4]))
		o.After, o.Exhausted = r.Position(), r.Exhausted()
		same(t, read(t, o).entries, lines(e[4:]))
	})
}

// A position at the tail, where nothing matched, does not grow old, and loses
// nothing.
func TestNothingMatches(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		file := filepath.Join(t.TempDir(), "system.journal")
		e := entries(9, "m")
		e[8].Fields = map[string]string{"_UID": "0"}
		journaltest.Write(t, file, e[:6])
		o := Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}}
		p := read(t, o)
		same(t, p.entries, nil)
		if p.position == nil || p.position.Time < t0+4e6 {
			t.Errorf("position %+v", p.position)
		}
		journaltest.Write(t, file, e[6:])
		same(t, read(t, p.goOn(o)).entries, lines(e[8:]))
	})
}

// A fresh tail may not be linked to its fields yet, so its file is opened once
// more.
func TestFreshTailIsReadAgain(t *testing.T) {
	file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries(3, "m"))
	for now, want := range map[int64]bool{t0 + 3e6: true, t0 + 60e6: false, 0: false} {
		o := Options{Path: file, Now: now}
		p := read(t, o)
		if again := read(t, p.goOn(o)); (again.source != "") != want || len(again.entries) != 0 {
			t.Errorf("now %d: read by %q", now, again.source)
		}
	}
}

func TestSince(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		e := entries(10, "m")
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e)
		for since, want := range map[int64]int{0: 10, t0: 10, t0 + 1: 9, t0 + 9e6: 1, t0 + 60e6: 0} {
			p := read(t, Options{Path: file, Reader: kind, Since: since})
			same(t, p.entries, lines(e[10-want:]))
			same(t, read(t, p.goOn(Options{Path: file, Reader: kind})).entries, nil)
		}
	})
}

func TestStopping(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), attack(3000))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r, err := Open(ctx, Options{Path: file, Reader: kind})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; r.Next(); n++ {
			if n == 10 {
				cancel()
			}
		}
		if !errors.Is(r.Err(), context.Canceled) || n > 2500 {
			t.Errorf("%d entries, %v", n, r.Err())
		}
		if r.Close() != nil || r.Exhausted() != nil {
			t.Error("closed badly")
		}
		// What was not read is the next pass's.
		rest := read(t, Options{Path: file, Reader: kind, After: r.Position()})
		if n+len(rest.entries) != 3000 {
			t.Errorf("%d and %d entries", n, len(rest.entries))
		}
		// Closing early ends the child.
		r, err = Open(context.Background(), Options{Path: file, Reader: kind})
		if err != nil || !r.Next() || r.Close() != nil {
			t.Error(err, r.Err())
		}
	})
}

func TestNoJournalctl(t *testing.T) {
	journalctlName = "journalctl-that-is-not-here"
	defer func() { journalctlName = "journalctl" }()
	file := journaltest.Unpack(t, "debian12/system.journal")
	_, err := tryRead(Options{Path: file, Reader: "journalctl"})
	if err == nil || !strings.Contains(err.Error(), "journalctl") {
		t.Error(err)
	}
	if slices.Contains(kinds(), "library") {
		if p := read(t, Options{Path: file}); p.source != "library" || len(p.entries) != 1 {
			t.Errorf("%+v", p)
		}
	}
}

func TestPathsThatLookLikePatterns(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir := filepath.Join(t.TempDir(), `a*[b]? \c`)
		e := entries(1, "m")
		journaltest.Write(t, filepath.Join(dir, "system.journal"), e)
		same(t, read(t, Options{Path: dir, Reader: kind}).entries, lines(e))
	})
}
