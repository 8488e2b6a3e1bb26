package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// Many files are read a few at a time, in the order of all of them opened together; a
// reading that ends anywhere is gone on with.
func TestStages(t *testing.T) {
	dir := t.TempDir()
	var written []journaltest.Entry
	const files = 20
	for n := range files {
		start := int64(t0)
		if n >= files/2 {
			start -= 3600e6 // the clock was set back
		}
		var entries []journaltest.Entry
		for i := range 3 {
			at := int64(n*10+i+1) * 1e6
			entries = append(entries, journaltest.Entry{Boot: journaltest.Boot(1), Monotonic: at, Time: start + at, Message: fmt.Sprint("e", len(written)+i)})
		}
		file := journaltest.Write(t, filepath.Join(dir, "system.journal"), entries)
		journaltest.Renumber(t, file, strings.Repeat("5e", 16), uint64(len(written)+1))
		written = append(written, entries...)
		if n < files-1 {
			if err := os.Rename(file, filepath.Join(dir, fmt.Sprintf("system@%d.journal", (n*7)%files))); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := lines(written)
	eachReader(t, func(t *testing.T, kind string) {
		o := Options{Path: dir, Reader: kind}
		for end := 0; end < len(want); end += 8 {
			r, err := Open(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := r.src.(*staged); !ok || len(s.rest) != 2 {
				t.Fatalf("read by %T", r.src)
			}
			var first []string
			for len(first) <= end && r.Next() {
				first = append(first, fmt.Sprintf("%d %s", r.Time(), r.Message()))
			}
			rest := o
			rest.After = r.Position()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			same(t, append(first, read(t, rest).entries...), want)
		}
		p := read(t, o)
		same(t, p.entries, want)
		if next := read(t, p.goOn(o)); len(next.entries) > 0 {
			t.Errorf("read again: %q", next.entries)
		}
	})
}

// Only what cannot interleave is divided.
func TestWhatIsDivided(t *testing.T) {
	files := func(change func(i int, f *FileInfo)) (list []FileInfo) {
		for i := range 20 {
			f := FileInfo{Path: fmt.Sprintf("/j/system@%d.journal", i), SeqnumID: "a", HeadSeqnum: uint64(10*i + 1), TailSeqnum: uint64(10*i + 10), State: Archived}
			change(i, &f)
			list = append(list, f)
		}
		slices.Reverse(list)
		return list
	}
	for name, test := range map[string]struct {
		change func(i int, f *FileInfo)
		want   []int // files of each stage
	}{
		"one after the other": {func(int, *FileInfo) {}, []int{8, 8, 4}},
		"an overlap": {func(i int, f *FileInfo) {
			if i == 7 {
				f.TailSeqnum = 101
			}
		}, []int{11, 8, 1}},
		"one that grows": {func(i int, f *FileInfo) {
			if i == 3 {
				f.Path, f.State = "/j/system.journal", 1
			}
		}, []int{20}},
		"another numbering": {func(i int, f *FileInfo) {
			if i == 3 {
				f.SeqnumID = "b"
			}
		}, []int{20}},
		"no numbers": {func(i int, f *FileInfo) {
			if i == 3 {
				f.HeadSeqnum = 0
			}
		}, []int{20}},
	} {
		last, p := uint64(0), plan{open: files(test.change)}
		var got []int
		for _, stage := range p.stages() {
			got = append(got, len(stage))
			for _, f := range stage {
				if len(test.want) > 1 && f.HeadSeqnum <= last {
					t.Errorf("%s: a file that begins with %d in a stage after %d", name, f.HeadSeqnum, last)
				}
			}
			for _, f := range stage {
				last = max(last, f.TailSeqnum)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: stages of %v files, want %v", name, got, test.want)
		}
	}
	if p := (plan{open: files(func(int, *FileInfo) {}), doubtful: true}); len(p.stages()) != 1 {
		t.Error("damaged files are divided")
	}
}
