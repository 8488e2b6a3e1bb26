package logfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStories are what happens to logs between passes. After each story one more
// pass is made, and all lines must have been read once, in order.
func TestStories(t *testing.T) {
	for _, story := range []struct {
		name  string
		globs []string
		tell  func(h *host)
	}{
		{"rename and create", nil, func(h *host) {
			h.write("app.log", 3)
			h.pass()
			h.write("app.log", 2)
			h.rename("app.log", "app.log.1")
			h.write("app.log", 2)
		}},
		{"renamed, and the daemon writes on before it reopens", nil, func(h *host) {
			h.write("app.log", 1)
			h.pass()
			h.rename("app.log", "app.log.1")
			h.append("app.log", "")
			h.write("app.log.1", 1)
			h.pass()
			h.write("app.log.1", 2)
			h.pass()
			h.write("app.log", 1)
		}},
		{"renamed, and nothing made yet", nil, func(h *host) {
			h.write("app.log", 1)
			h.pass()
			h.write("app.log", 1)
			h.rename("app.log", "app.log.1")
			h.pass()
			h.write("app.log.1", 1)
			h.pass()
			h.write("app.log", 1)
		}},
		{"rotated twice while no pass came", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 2)
			h.rename("app.log", "app.log.2")
			h.write("app.log.1", 2)
			h.write("app.log", 2)
		}},
		{"copytruncate", nil, func(h *host) {
			h.write("app.log", 3)
			h.pass()
			h.write("app.log", 2)
			h.copyTruncate("app.log", "app.log.1")
			h.write("app.log", 1)
		}},
		{"copytruncate, and grown beyond the position", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 1)
			h.copyTruncate("app.log", "app.log.1")
			h.write("app.log", 9)
		}},
		{"a pass between copying and truncating", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 2)
			text, _ := os.ReadFile(h.path("app.log"))
			h.must(os.WriteFile(h.path("app.log.1"), text, 0o644))
			h.tick("app.log.1")
			h.pass()
			h.must(os.Truncate(h.path("app.log"), 0))
			h.tick("app.log")
			h.pass()
			h.write("app.log", 2)
		}},
		{"the same, the glob names both", []string{"app.log*"}, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 2)
			text, _ := os.ReadFile(h.path("app.log"))
			h.must(os.WriteFile(h.path("app.log.1"), text, 0o644))
			h.tick("app.log.1")
			h.pass()
			h.must(os.Truncate(h.path("app.log"), 0))
			h.tick("app.log")
			h.pass()
			h.write("app.log", 2)
		}},
		{"dateext", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 1)
			h.rename("app.log", "app.log-20261122")
			h.write("app.log", 1)
		}},
		{"dateext before the extension", nil, func(h *host) {
			h.write("app.log", 2)
			h.rename("app.log", "app-20261122.log")
			h.write("app.log", 1)
		}},
		{"compress", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 2)
			h.rename("app.log", "app.log.1")
			h.compress("app.log.1")
			h.write("app.log", 1)
		}},
		{"compressed at once, and rotated again before the next pass", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 1)
			h.rename("app.log", "app.log.1")
			h.compress("app.log.1")
			h.write("app.log", 3)
			h.rename("app.log.1.gz", "app.log.3.gz")
			h.rename("app.log", "app.log.2")
			h.compress("app.log.2")
			h.write("app.log", 2)
			h.rename("app.log", "app.log.1")
			h.compress("app.log.1")
			h.write("app.log", 1)
		}},
		{"empty, compressed at once, and rotated again", nil, func(h *host) {
			h.write("app.log", 1)
			h.rename("app.log", "app.log.9")
			h.append("app.log", "")
			h.pass()
			h.write("app.log", 2)
			h.rename("app.log", "app.log.2")
			h.compress("app.log.2")
			h.write("app.log", 2)
			h.rename("app.log", "app.log.1")
			h.compress("app.log.1")
			h.write("app.log", 1)
		}},
		{"copytruncate and compress", nil, func(h *host) {
			h.write("app.log", 20)
			h.pass()
			h.write("app.log", 2)
			h.copyTruncate("app.log", "app.log-20261122")
			h.compress("app.log-20261122")
			h.write("app.log", 1)
		}},
		{"delaycompress", nil, func(h *host) {
			h.write("app.log", 2)
			h.pass()
			h.rename("app.log", "app.log.1")
			h.write("app.log", 2)
			h.pass()
			h.write("app.log", 2)
			h.rename("app.log.1", "app.log.2")
			h.compress("app.log.2")
			h.rename("app.log", "app.log.1")
			h.write("app.log", 1)
		}},
		{"a file that appears later", []string{"app.log", "vhosts/*/access.log"}, func(h *host) {
			h.write("app.log", 1)
			h.pass()
			h.must(os.MkdirAll(h.path("vhosts/a"), 0o755))
			h.write("vhosts/a/access.log", 2)
		}},
		{"the glob's members change", []string{"*.log"}, func(h *host) {
			h.write("a.log", 1)
			h.write("b.log", 1)
			h.pass()
			h.must(os.Remove(h.path("a.log")))
			h.write("c.log", 1)
			h.write("b.log", 1)
			h.pass()
			h.told = nil
		}},
		{"a symbolic link to the current file", nil, func(h *host) {
			h.write("app-20261121.log", 2)
			h.must(os.Symlink("app-20261121.log", h.path("app.log")))
			h.pass()
			h.write("app-20261121.log", 1)
			h.write("app-20261122.log", 2)
			h.must(os.Remove(h.path("app.log")))
			h.must(os.Symlink("app-20261122.log", h.path("app.log")))
			h.pass()
			h.write("app-20261122.log", 1)
		}},
		{"a symbolic link that two globs see, and its file", []string{"*.log", "app.log", "app-*"}, func(h *host) {
			h.write("app-20261121.log", 2)
			h.must(os.Symlink("app-20261121.log", h.path("app.log")))
			h.pass()
			h.write("app-20261121.log", 1)
		}},
		{"a hard link", []string{"*.log"}, func(h *host) {
			h.write("a.log", 2)
			h.must(os.Link(h.path("a.log"), h.path("b.log")))
			h.pass()
			h.write("b.log", 1)
		}},
		{"an unfinished line", nil, func(h *host) {
			line := h.newLine()
			h.append("app.log", line[:30])
			h.pass()
			h.append("app.log", line[30:])
			h.pass()
			h.append("app.log", "\n")
		}},
		{"a rotated file whose last line has no end", nil, func(h *host) {
			h.write("app.log", 1)
			h.pass()
			h.append("app.log", h.newLine())
			h.rename("app.log", "app.log.1")
			h.write("app.log", 1)
			h.now += 120e9
		}},
		{"CRLF, empty lines", nil, func(h *host) {
			h.append("app.log", h.newLine()+"\r\n\r\n\n"+h.newLine()+"\r\n")
		}},
		{"a file made anew with the same name and size", nil, func(h *host) {
			h.write("app.log", 3)
			h.pass()
			h.must(os.Remove(h.path("app.log")))
			h.write("app.log", 3)
			h.pass()
			h.told = nil
		}},
		{"truncated while a daemon writes at its old place", nil, func(h *host) {
			h.write("app.log", 3)
			h.pass()
			h.must(os.Truncate(h.path("app.log"), 0))
			h.must(os.Truncate(h.path("app.log"), 64<<20))
			h.write("app.log", 2)
			h.pass()
			if h.bytes > 1<<20 {
				h.t.Fatalf("%d bytes of a hole were read", h.bytes)
			}
			h.told = nil
		}},
		{"invalid UTF-8 and NULs inside", nil, func(h *host) {
			line := h.newLine() + " \xff\xfe \x00 \xc3"
			h.lines[0] = line
			h.append("app.log", line+"\n")
		}},
	} {
		t.Run(story.name, func(t *testing.T) {
			h := newHost(t, story.globs...)
			story.tell(h)
			h.pass()
			h.check()
			if h.pass() != nil || h.bytes != 0 {
				t.Errorf("an idle pass read %d bytes", h.bytes)
			}
			if len(h.told) > 0 || h.failed != nil {
				t.Errorf("warnings %q, error %v", h.told, h.failed)
			}
		})
	}
}

func TestLostLinesAreTold(t *testing.T) {
	h := newHost(t)
	h.write("app.log", 3)
	h.pass()
	h.must(os.Truncate(h.path("app.log"), 0))
	h.tick("app.log")
	h.pass()
	if len(h.told) != 1 || !strings.Contains(h.told[0], "was truncated or removed") {
		t.Errorf("warnings: %q", h.told)
	}
	h.write("app.log", 1)
	h.pass()
	h.check()
	if len(h.told) != 1 {
		t.Errorf("told twice: %q", h.told)
	}
}

func TestLongLines(t *testing.T) {
	stamp := "2026-11-22T08:14:01Z "
	for _, size := range []int{firstBuffer - 1, firstBuffer, MaxLine - 1, MaxLine, MaxLine + 1, 3*MaxLine + 5} {
		for _, cut := range []int{0, size / 2, size} {
			h := newHost(t)
			long := stamp + strings.Repeat("x", size-len(stamp))
			h.append("app.log", stamp+"before\n"+long[:cut])
			var got []string
			pass := func() {
				r := h.open(func(l *Line) bool {
					got = append(got, fmt.Sprint(len(l.Text), l.Long))
					return false
				})
				defer r.Close()
				r.Next()
				h.saved = r.Positions()
			}
			pass()
			h.append("app.log", long[cut:]+"\n"+stamp+"after\n")
			pass()
			want := []string{"27 false", fmt.Sprint(min(size, MaxLine), size >= MaxLine), "26 false"}
			if !slices.Equal(got, want) {
				t.Errorf("a line of %d bytes, cut at %d: %q, want %q", size, cut, got, want)
			}
		}
	}
}

func TestOnlyTheNewPartIsRead(t *testing.T) {
	h := newHost(t)
	h.write("app.log", 2)
	h.must(os.Truncate(h.path("app.log"), 10<<30)) // a sparse file of 10 GB, then a new part
	f, err := os.OpenFile(h.path("app.log"), os.O_WRONLY|os.O_APPEND, 0)
	h.must(err)
	f.WriteString("\n")
	f.Close()
	h.pass()
	h.read, h.lines = nil, nil
	h.write("app.log", 100)
	h.pass()
	h.check()
	if h.bytes > 1<<20 {
		t.Errorf("%d bytes were read for 100 lines", h.bytes)
	}
}

func TestFirstPassReadsBackToTheFloor(t *testing.T) {
	h := newHost(t)
	var all strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&all, "%s line %d of a log that is older than the floor\n", time.Unix(T0-200_000+int64(i), 0).UTC().Format(time.RFC3339), i)
	}
	h.append("app.log", all.String())
	h.since = T0 - 100
	got := h.pass()
	if len(got) != 100 || !strings.Contains(got[0], "line 199900 ") {
		t.Fatalf("%d lines, the first %q", len(got), got[0])
	}
	if h.bytes > 1<<20 {
		t.Errorf("%d bytes were read for 100 lines", h.bytes)
	}
	old := newHost(t)
	old.append("app.log", all.String())
	old.since = T0 + 10
	if got := old.pass(); len(got) != 0 {
		t.Errorf("of an old file %d lines", len(got))
	}
	old.write("app.log", 1)
	if got := old.pass(); len(got) != 1 {
		t.Errorf("then %q", got)
	}
}

func TestFilesAreMergedByTime(t *testing.T) {
	h := newHost(t, "*.log")
	h.append("a.log", "2026-11-22T08:14:01Z a1\n2026-11-22T08:14:05Z a2\n2026-11-22T08:14:03Z a3\n")
	h.append("b.log", "2026-11-22T08:14:02Z b1\nb2 has no time\n2026-11-22T08:14:06Z b3\n")
	var got []string
	for _, line := range h.pass() {
		got = append(got, strings.TrimPrefix(line, line[:strings.LastIndex(line, "Z ")+1]))
	}
	if want := []string{" a1", " b1", "b2 has no time", " a2", " a3", " b3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(h.told) != 1 || !strings.Contains(h.told[0], "b.log has lines without a time") {
		t.Errorf("warnings: %q", h.told)
	}
	h.append("b.log", "b4 has none either\n")
	if h.pass(); len(h.told) != 1 {
		t.Errorf("told twice: %q", h.told)
	}
}

func TestLinesAheadOfTheClock(t *testing.T) {
	h := newHost(t)
	h.append("app.log", "2026-11-22 08:14:30 half a minute ahead\n2026-11-22 09:14:01 a wrong zone\n2026-11-22 09:14:02 again\n")
	if got := h.pass(); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if len(h.told) != 1 || !strings.Contains(h.told[0], "2 lines of") || !strings.Contains(h.told[0], "by 1h") || !strings.Contains(h.told[0], "logtimezone") {
		t.Errorf("warnings: %q", h.told)
	}
	if h.pass(); len(h.told) != 1 {
		t.Errorf("told twice: %q", h.told)
	}
}

func TestGroupsOfOneFile(t *testing.T) {
	h := newHost(t, "a.log", "*.log", "b.log")
	h.write("a.log", 1)
	h.write("b.log", 1)
	got := map[string][]int{}
	r := h.open(func(l *Line) bool { got[filepath.Base(l.Path)] = l.Groups; return false })
	defer r.Close()
	if r.Next() || !slices.Equal(got["a.log"], []int{0, 1}) || !slices.Equal(got["b.log"], []int{1, 2}) {
		t.Errorf("groups: %v", got)
	}
}

// A pass that is called off keeps what it did not hand out for the next one.
func TestCalledOff(t *testing.T) {
	h := newHost(t, "*.log")
	h.write("a.log", 5)
	h.write("b.log", 5)
	for range 5 {
		r := h.open(nil)
		for range 3 {
			if r.Next() {
				h.read = append(h.read, string(r.Line().Text))
			}
		}
		h.saved = r.Positions()
		r.Close()
	}
	h.check()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.write("a.log", 1)
	r := Open(ctx, Options{Groups: []Group{{Paths: []string{h.path("*.log")}}}, After: h.saved, Now: h.now/1e9 + 1})
	if r.Next() || !errors.Is(r.Err(), context.Canceled) {
		t.Errorf("a cancelled pass read on: %v", r.Err())
	}
	h.saved = r.Positions()
	r.Close()
	h.pass()
	h.check()
}

// Err joins the errors of Unread, for the tests.
func (r *Reader) Err() error {
	all := Unreadable{of: []*unreadable{{first: r.Unread()}}}
	return all.Err()
}
