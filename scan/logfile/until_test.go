package logfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Who waits for a pipe sees what has come, and can be called off.
func TestUntil(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("one\ntwo"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := NewStream(Until(ctx, f), "pipe", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Next() || string(s.Line().Text) != "one" {
		t.Fatalf("%q, %v", s.Line().Text, s.Err())
	}
	cancel()
	if s.Next() || !errors.Is(s.Err(), context.Canceled) {
		t.Errorf("goes on with %q, %v", s.Line().Text, s.Err())
	}
}

func TestStreamOfAnotherPacker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.xz")
	if err := os.WriteFile(path, []byte("\xfd7zXZ\x00..."), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := NewStream(Until(context.Background(), f), path, nil, 0); err == nil {
		t.Error("what xz has packed is taken for text")
	}
}

// Of a hole so much is read as makes a line too long, and no more; what stands behind it is read.
func TestUntilHole(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{0, 1 << 30, 1 << 31} {
		if _, err := f.WriteAt([]byte("line\n"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(1 << 32); err != nil {
		t.Fatal(err)
	}
	if at, err := unix.Seek(int(f.Fd()), 1<<20, unix.SEEK_DATA); err != nil || at < 1<<29 {
		t.Skip("the file system knows of no holes")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.LimitReader(Until(context.Background(), f), 64*MaxLine))
	if n := bytes.Count(text, []byte("line\n")); err != nil || n != 3 || len(text) <= 2*MaxLine || len(text) > 16*MaxLine {
		t.Errorf("%d lines in %d bytes, %v", n, len(text), err)
	}
}
