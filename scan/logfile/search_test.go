package logfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSearch: no line from since on stands before what a search finds, which is the beginning
// of a line, and not much that is older stands after it.
func TestSearch(t *testing.T) {
	begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var text bytes.Buffer
	write := func(second, n int) {
		for range n {
			fmt.Fprintf(&text, "%s host sshd[%d]: Failed password for root from 203.0.113.1\n", begin.Add(time.Duration(second)*time.Second).Format(time.Stamp), second)
		}
	}
	begins := map[int]int64{} // of the first line of a second
	for second := range 12_000 {
		begins[second] = int64(text.Len())
		switch {
		case second == 3000 || second == 9000:
			write(second, 8000) // a flood
		default:
			write(second, 1)
		}
	}
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	last := begin.Add(11_999 * time.Second)
	f := &file{f: in, limit: int64(text.Len())}
	read := func() func([]byte) (int64, bool) { return (&Clock{Zone: time.UTC, Now: last.UnixMicro()}).Read }
	for _, second := range []int{0, 1, 1500, 2999, 3000, 3001, 5000, 7777, 8999, 9000, 9001, 11_998, 11_999, 12_000} {
		since, first := begin.Add(time.Duration(second)*time.Second), int64(text.Len())
		if at, ok := begins[second]; ok {
			first = at
		}
		f.pos.Changed = last.UnixNano()
		at := f.search(since.UnixMicro(), read)
		if at > first || first-at > searchEnd+searchBlock || at > 0 && text.Bytes()[at-1] != '\n' {
			t.Errorf("from second %d on: found %d, its first line begins at %d", second, at, first)
		}
		f.pos.Changed = since.UnixNano() - 1000
		if at := f.search(since.UnixMicro(), read); f.limit-at > searchBlock || text.Bytes()[at-1] != '\n' {
			t.Errorf("untouched since second %d: found %d of %d", second, at, f.limit)
		}
	}
}
