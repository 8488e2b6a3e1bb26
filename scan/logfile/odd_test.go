package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What cannot be read as a log: other kinds of files, and files of others.

func TestWhatIsNoFile(t *testing.T) {
	h := newHost(t, "[^b]*", "b*")
	h.must(os.Mkdir(h.path("a-directory"), 0o755))
	h.must(syscall.Mkfifo(h.path("a-fifo"), 0o644))
	h.must(os.Symlink("/dev/zero", h.path("a-device")))
	for i := range 100 {
		h.must(os.Mkdir(h.path(fmt.Sprint("b", i)), 0o755))
	}
	l, err := net.Listen("unix", h.path("b-socket"))
	h.must(err)
	defer l.Close()
	h.must(os.Symlink("nowhere", h.path("dangling")))
	h.must(os.Symlink("loop", h.path("loop")))
	h.write("app.log", 1)
	h.write("app.log.2.gz", 1)
	h.lines = h.lines[:1]
	h.pass()
	h.check()
	for _, want := range []string{"a-directory is a directory", "a-fifo is a fifo", "a-device is a device", "b-socket is a socket", "98 more cannot be read"} {
		if !slices.ContainsFunc(h.told, func(text string) bool { return strings.Contains(text, want) }) {
			t.Errorf("no warning %q in %q", want, h.told)
		}
	}
	if len(h.told) != 7 {
		t.Errorf("warnings: %q", h.told)
	}
	h.told = nil
	if h.pass(); len(h.told) > 0 {
		t.Errorf("told twice: %q", h.told)
	}
}

// TestWhatIsNoFileAnyMore: what was a file when it was looked for may be another thing when
// it is opened.
func TestWhatIsNoFileAnyMore(t *testing.T) {
	h := newHost(t, "*")
	h.must(os.Mkdir(h.path("a-directory"), 0o755))
	h.must(syscall.Mkfifo(h.path("a-fifo"), 0o644))
	h.must(os.Symlink("/dev/zero", h.path("a-device")))
	h.must(os.Symlink("loop", h.path("loop")))
	for name, want := range map[string]string{"a-directory": "a directory", "a-fifo": "a fifo", "a-device": "a device", "loop": "too many"} {
		done := make(chan error, 1)
		go func() {
			f, _, err := open(h.path(name), 0)
			if err == nil {
				f.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the opening waits for somebody", name)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	h := newHost(t, "*.log")
	h.write("a.log", 1)
	h.write("b.log", 1)
	h.must(os.Chmod(h.path("a.log"), 0))
	h.asNobody(func() { h.pass() })
	if h.failed == nil || !strings.Contains(h.failed.Error(), "a.log") || len(h.read) != 1 {
		t.Fatalf("read %q, error %v", h.read, h.failed)
	}
	h.must(os.Chmod(h.path("a.log"), 0o644))
	if got := h.pass(); len(got) != 1 || h.failed != nil {
		t.Fatalf("then read %q, error %v", got, h.failed)
	}
}

// TestDirectoryClosedForAPass: what cannot be looked at for a while is not taken for gone.
func TestDirectoryClosedForAPass(t *testing.T) {
	for _, glob := range []string{"app/a.log", "app/*.log", "*/a.log", "a*/*.log", "l.log"} {
		for _, mode := range []os.FileMode{0, 0o111, 0o444} {
			t.Run(fmt.Sprintf("%s %03o", glob, mode), func(t *testing.T) {
				h := newHost(t, glob)
				h.must(os.Mkdir(h.path("app"), 0o755))
				h.must(os.Symlink("app/a.log", h.path("l.log")))
				h.write("app/a.log", 3)
				h.asNobody(func() { h.pass() })
				h.must(os.Chmod(h.path("app"), mode))
				h.asNobody(func() { h.pass() })
				if mode == 0 && !errors.Is(h.failed, fs.ErrPermission) || h.failed != nil && !strings.Contains(h.failed.Error(), "the pass's user must be") {
					t.Errorf("error %v", h.failed)
				}
				h.must(os.Chmod(h.path("app"), 0o755))
				h.write("app/a.log", 1)
				h.asNobody(func() { h.pass() })
				h.check()
				if len(h.told) > 0 || h.failed != nil {
					t.Errorf("warnings %q, error %v", h.told, h.failed)
				}
			})
		}
	}
}

// asNobody does something with the rights of a user who owns nothing.
func (h *host) asNobody(do func()) {
	if os.Geteuid() != 0 {
		do()
		return
	}
	for dir := h.dir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		h.must(os.Chmod(dir, 0o755))
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends with the thread, whose user it is
		h.must(syscall.Setfsuid(65534))
		do()
	}()
	<-done
}

// TestPackedWithoutEnd: what looks like a rotated log and unpacks to a thousand times its
// size is given up, and the others are read.
func TestPackedWithoutEnd(t *testing.T) {
	defer func(most int64) { unpackMost = most }(unpackMost)
	unpackMost = 1 << 20
	h := newHost(t, "*.log")
	h.write("app.log", 3)
	h.write("other.log", 1)
	h.pass()
	h.append("app.log", strings.Repeat("\x00", 64<<20))
	h.rename("app.log", "app.log.1")
	h.compress("app.log.1")
	h.write("app.log", 1)
	h.write("other.log", 1)
	r := h.open(nil)
	defer r.Close()
	lines := 0
	for r.Next() {
		lines++
	}
	if lines != 2 || r.unpacked > unpackMost+firstBuffer {
		t.Errorf("%d lines, %d bytes were unpacked", lines, r.unpacked)
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "more than a pass may") {
		t.Errorf("error %v", err)
	}
	f, err := os.Open(h.path("app.log.1.gz")) // as a report reads it
	h.must(err)
	defer f.Close()
	s, err := NewStream(Until(t.Context(), f), "app.log.1.gz", nil, 0)
	h.must(err)
	for s.Next() {
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "that is no log") {
		t.Errorf("of the whole: error %v", err)
	}
}

// TestHoles: a file of terabytes that holds nothing but a hole, be it inside a line, is not
// read byte by byte, neither by a pass nor by who reads it as a whole.
func TestHoles(t *testing.T) {
	h := newHost(t, "*.log")
	stamp := "2026-11-22T08:14:01.000000Z "
	for name, text := range map[string]string{"bare.log": "", "inside.log": stamp + "x", "behind.log": stamp + "x\n"} {
		h.append(name, text)
		h.must(os.Truncate(h.path(name), 1<<40))
		h.append(name, "\n"+stamp+"end\n")
	}
	r := h.open(nil)
	defer r.Close()
	ends := 0
	for r.Next() {
		if strings.HasSuffix(string(r.Line().Text), "end") {
			ends++
		}
	}
	if ends != 3 || r.Bytes() > 64<<20 || r.Err() != nil {
		t.Errorf("%d ends, %d bytes were read, %v", ends, r.Bytes(), r.Err())
	}
	for _, name := range []string{"bare.log", "inside.log", "behind.log"} {
		f, err := OpenFile(h.path(name))
		h.must(err)
		defer f.Close()
		s, err := NewStream(Until(t.Context(), f), name, nil, 0)
		h.must(err)
		last := ""
		for s.Next() {
			last = string(s.Line().Text)
		}
		if !strings.HasSuffix(last, "end") || s.Err() != nil {
			t.Errorf("%s: %.40q is its last line, %v", name, last, s.Err())
		}
	}
}

// TestHolesOfMany: nor are those of many logs, whose buffers are small.
func TestHolesOfMany(t *testing.T) {
	h := newHost(t, "*.log")
	const logs = 300
	for i := range logs {
		name := fmt.Sprintf("%d.log", i)
		h.append(name, "")
		h.must(os.Truncate(h.path(name), 16<<20))
		h.append(name, "\n2026-11-22T08:14:01.000000Z end\n")
	}
	n := 0
	r := h.open(func(l *Line) bool { n++; return true })
	defer r.Close()
	if n != logs || r.Bytes() > logs*2*firstBuffer || r.Err() != nil {
		t.Errorf("%d lines, %d bytes were read, %v", n, r.Bytes(), r.Err())
	}
}
