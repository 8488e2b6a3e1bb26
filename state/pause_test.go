package state

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPause(t *testing.T) {
	s := openStore(t, t.TempDir())
	if err := s.Paused(); err != nil {
		t.Errorf("paused before: %v", err)
	}
	if err := errors.Join(s.Pause(), s.Pause()); err != nil {
		t.Fatal(err)
	}
	if paused := (*PausedError)(nil); !errors.As(s.Paused(), &paused) || paused.Since == 0 {
		t.Errorf("paused: %v", s.Paused())
	}
	if err := s.Resume(); err != nil || s.Paused() != nil {
		t.Errorf("resumed: %v, %v", err, s.Paused())
	}
	if err := s.Resume(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("resumed twice: %v", err)
	}
}

// TestPausedUnknown: a mark that cannot be looked for is neither there nor away. Its name
// is too long here.
func TestPausedUnknown(t *testing.T) {
	s, err := OpenStore(filepath.Join(t.TempDir(), strings.Repeat("s", 250)), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for what, err := range map[string]error{"paused": s.Paused(), "pause": s.Pause()} {
		if !errors.Is(err, unix.ENAMETOOLONG) || errors.As(err, new(*PausedError)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
