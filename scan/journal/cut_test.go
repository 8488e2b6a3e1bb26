package journal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// A file that was cut while it was read, so that the position is a time alone, and is whole again after
// a pass that passed it over, is read on from there.
func TestWholeAgainAfterCut(t *testing.T) {
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		e := entries(4, "m")
		journaltest.Write(t, filepath.Join(dir, "archived.journal"), entries(1, "m"))
		file := journaltest.Write(t, filepath.Join(dir, "system.journal"), e)
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := Cursor{Realtime: uint64(e[1].Time), HasRealtime: true}
		o := Options{Path: dir, Reader: kind, Now: e[3].Time + 10*settle, After: &state.JournalPosition{Cursor: at.String(), Time: e[1].Time}}
		if err := os.Truncate(file, 1<<16); err != nil {
			t.Fatal(err)
		}
		p := read(t, o)
		if len(p.entries) > 0 || !slices.ContainsFunc(p.warnings, Lacking) {
			t.Fatalf("cut: %q, %q", p.entries, p.warnings)
		}
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if p := read(t, p.goOn(o)); !slices.Equal(p.entries, lines(e[2:])) {
			t.Errorf("got %q, want %q", p.entries, lines(e[2:]))
		}
	})
}

// What libsystemd could not open has not been read, nor is the position at its end.
func TestPassedOverIsNotExhausted(t *testing.T) {
	f := FileInfo{Path: "a", FileID: "f", SeqnumID: "s", Entries: 9, HeadSeqnum: 1, TailSeqnum: 9}
	p := &plan{files: []FileInfo{f}, tail: &Cursor{SeqnumID: "s", Seqnum: 9}}
	p.passOver(f)
	if x := p.newExhausted("", nil); x.exhausts(0, f) || x.Files[0].Seqnum > 0 || p.safeTail() != nil {
		t.Errorf("%v, %v", x.Files, p.safeTail())
	}
}
