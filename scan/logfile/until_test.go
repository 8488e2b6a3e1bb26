package logfile

import (
	"context"
	"errors"
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
