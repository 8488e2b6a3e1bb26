package past

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"scan2ban/scan"
)

// TestRotations: what a log was rotated into, and that a directory is listed once, however many
// logs are in it.
func TestRotations(t *testing.T) {
	dir := t.TempDir() + "/"
	for _, name := range []string{"a.log", "a.log.1", "a.log.2.gz", "a.log-20261122", "a.log.gz", "a.log.bak", "a.log2", "a.log.1x", "a-1.log", "a", "b*.log", "b*.log.1", "bb.log.1"} {
		if err := os.WriteFile(dir+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beside := map[string][]string{}
	for range 2 {
		for path, want := range map[string][]string{
			dir + "a.log": {dir + "a.log-20261122", dir + "a.log.1", dir + "a.log.2.gz"}, dir + "b*.log": {dir + "b*.log.1"}, dir + "none": nil, dir + "no/a.log": nil,
		} {
			if got := rotations(path, beside); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
		if err := os.RemoveAll(dir); err != nil { // what is listed is not listed again
			t.Fatal(err)
		}
	}
	read := map[string][]int{}
	for _, name := range []string{"a.log", "b", "c"} {
		read[dir+name] = nil
	}
	for name, want := range map[string]bool{"a.log": false, "a.log.1": true, "a.log-2.gz": true, "a.log1": false, "b.log": true, "c": false, "cc.1": false} {
		if got := rotated(filepath.Join(dir, name), read); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestMissingLog: of the places where distributions have a log one is enough.
func TestMissingLog(t *testing.T) {
	o := about(t, "", Policy{"configured", rules(3, 10, 10)})
	there, missing := filepath.Join(t.TempDir(), "auth.log"), filepath.Join(t.TempDir(), "secure")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Setup.Watches[0].Backend = "file"
	for _, c := range []struct {
		paths []string
		errs  int
	}{{[]string{there, missing}, 0}, {[]string{missing}, 1}} {
		o.Setup.Watches[0].Paths = c.paths
		r := &reading{Options: o, ctx: t.Context()}
		r.all(func(string, scan.Finding) {})
		if got := r.unread.List(); len(got) != c.errs {
			t.Errorf("of %q could not be read: %v", c.paths, got)
		}
	}
}

// TestManyFilesInOrder: the lines of many logs come in the order of their times, at the same
// second in that of the logs' names.
func TestManyFilesInOrder(t *testing.T) {
	o := about(t, "", Policy{"configured", rules(3, 10, 10)})
	dir := t.TempDir()
	const logs = 40
	for i := range logs {
		text := ""
		for k := range 5 {
			text += fmt.Sprintf("2026-11-22T08:%02d:%02dZ host sshd[1]: Failed password for u%d from 203.0.113.%d port 1 ssh2\n", k, (i*7+k*3)%10, i, i)
		}
		if err := os.WriteFile(fmt.Sprintf("%s/%02d.log", dir, i), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Setup.Watches[0].Paths, o.Setup.Watches[0].Backend = []string{dir + "/*.log"}, "file"
	r := &reading{Options: o, ctx: t.Context()}
	var got []string
	r.all(func(_ string, f scan.Finding) { got = append(got, fmt.Sprintf("%d %02s", f.Time, f.Verdict.User[1:])) })
	if len(got) != 5*logs || !slices.IsSorted(got) {
		t.Errorf("%d findings, in order: %v", len(got), slices.IsSorted(got))
	}
}
