package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Files of others that lie beside the state, with its owner and its care: that of the
// deliveries. "deliver" lies beside state.json as deliver.json, and beside X.json as
// X.deliver.json.

// besideMost is how much of such a file is read, in bytes.
const besideMost = 16 << 20

func (s *Store) beside(name string) string {
	if s.name == "state.json" {
		return name + ".json"
	}
	return strings.TrimSuffix(s.name, ".json") + "." + name + ".json"
}

// Beside reads such a file; a missing one is fs.ErrNotExist.
func (s *Store) Beside(name string) ([]byte, error) {
	f, err := s.open(s.beside(name), os.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, besideMost))
}

// PutBeside replaces it as a whole.
func (s *Store) PutBeside(name string, data []byte) error {
	if err := s.replace(s.beside(name), data); err != nil {
		return fmt.Errorf("save %s: %w", s.beside(name), err)
	}
	return nil
}

// LockBeside takes the lock of such a file, which is not that of the passes, and holds
// it until Close; see Lock. It is waited for no longer than ctx lasts, and the error names it.
func (s *Store) LockBeside(ctx context.Context, name string, wait time.Duration) error {
	name = s.beside(name) + ".lock"
	err := s.lockFile(ctx, name, wait)
	if errors.Is(err, ErrLocked) {
		err = fmt.Errorf("%w: %s is held", err, filepath.Join(s.dir.Name(), name))
	}
	return err
}

// Signal writes a file at path for others to see that it changed. Its directory may be
// another user's: like the state it is not written through a link, nor to what that user
// has planted, and gets the directory's owner.
func Signal(path, text string) error {
	s, err := OpenStore(path, false)
	if err != nil {
		return err
	}
	defer s.Close()
	f, err := s.open(s.name, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Truncate(int64(len(text))), f.Close())
}
