package logfile

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"scan2ban/state"
)

// T0 is when the tests' hosts begin, in seconds since the Unix epoch.
const T0 = 1_795_335_241 // 2026-11-22 08:14:01 UTC

// host is a directory of logs, what was written to them, and what was read.
type host struct {
	t       fataler
	dir     string
	now     int64 // nanoseconds since the Unix epoch
	lines   []string
	saved   []state.FilePosition
	passes  int
	read    []string
	told    []string
	bytes   int64
	failed  error
	globs   []string
	since   int64
	most    int64
	doubted bool
	written int
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newHost(t testing.TB, globs ...string) *host { return hostIn(t, t.TempDir(), globs...) }

func hostIn(t fataler, dir string, globs ...string) *host {
	if len(globs) == 0 {
		globs = []string{"app.log"}
	}
	return &host{t: t, dir: dir, now: T0 * 1e9, globs: globs}
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%v", err)
	}
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// tick moves the clock, and gives the file the time of the change.
func (h *host) tick(name string) {
	h.now += 1e6
	h.must(os.Chtimes(h.path(name), time.Unix(0, h.now), time.Unix(0, h.now)))
}

// append writes text as it is.
func (h *host) append(name, text string) {
	h.t.Helper()
	f, err := os.OpenFile(h.path(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	h.must(err)
	_, err = f.WriteString(text)
	h.must(err)
	h.must(f.Close())
	h.tick(name)
}

// newLine makes a line that is to be read once.
func (h *host) newLine() string {
	h.written++
	line := fmt.Sprintf("%s line %d", time.Unix(0, h.now+1e6).UTC().Format("2006-01-02T15:04:05.000000Z"), h.written)
	h.lines = append(h.lines, line)
	return line
}

// write writes n lines.
func (h *host) write(name string, n int) {
	h.t.Helper()
	for range n {
		h.append(name, h.newLine()+"\n")
	}
}

func (h *host) rename(from, to string) {
	h.t.Helper()
	h.must(os.Rename(h.path(from), h.path(to)))
}

// compress does what gzip(1) does.
func (h *host) compress(name string) {
	h.t.Helper()
	in, err := os.Open(h.path(name))
	h.must(err)
	defer in.Close()
	info, err := in.Stat()
	h.must(err)
	out, err := os.Create(h.path(name + ".gz"))
	h.must(err)
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	h.must(err)
	h.must(z.Close())
	h.must(out.Close())
	h.must(os.Chtimes(h.path(name+".gz"), info.ModTime(), info.ModTime()))
	h.must(os.Remove(h.path(name)))
}

// copyTruncate does what logrotate's copytruncate does.
func (h *host) copyTruncate(from, to string) {
	h.t.Helper()
	text, err := os.ReadFile(h.path(from))
	h.must(err)
	h.must(os.WriteFile(h.path(to), text, 0o644))
	h.tick(to)
	h.must(os.Truncate(h.path(from), 0))
	h.tick(from)
}

func (h *host) open(look func(*Line) bool) *Reader { return h.openUntil(context.Background(), look) }

// openUntil is open for a pass that is to end with ctx.
func (h *host) openUntil(ctx context.Context, look func(*Line) bool) *Reader {
	o := Options{After: h.saved, Since: h.since, Now: h.now/1e9 + 1, Most: h.most, Doubted: h.doubted, Look: look}
	for _, glob := range h.globs {
		o.Groups = append(o.Groups, Group{Paths: []string{h.path(glob)}, Zone: time.UTC})
	}
	return Open(ctx, o)
}

// pass reads what is new.
func (h *host) pass() (got []string) {
	r := h.open(nil)
	defer r.Close()
	for r.Next() {
		got = append(got, string(r.Line().Text))
	}
	h.saved, h.failed, h.bytes = r.Positions(), r.Err(), r.Bytes()
	h.told = append(h.told, r.Warnings()...)
	h.read = append(h.read, got...)
	h.passes++
	return got
}

// check compares what was read with what was written.
func (h *host) check() {
	h.t.Helper()
	for i := range max(len(h.lines), len(h.read)) {
		want, got := "nothing", "nothing"
		if i < len(h.lines) {
			want = h.lines[i]
		}
		if i < len(h.read) {
			got = h.read[i]
		}
		if want != got {
			h.t.Fatalf("of %d lines %d were read in %d passes; number %d is %q, not %q", len(h.lines), len(h.read), h.passes, i+1, got, want)
		}
	}
}
