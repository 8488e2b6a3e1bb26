package state

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// PausedError says that an admin took the bans out of the kernel: no pass changes
// anything until he resumes.
type PausedError struct{ Since int64 } // seconds since the Unix epoch

func (e *PausedError) Error() string {
	return fmt.Sprintf("paused since %s: nothing is read and nobody is banned (run \"scan2ban resume\")",
		time.Unix(e.Since, 0).Format("2006-01-02 15:04:05 MST"))
}

// pausedName is a file whose presence says that the store is paused, and whose
// time says since when. It outlives a reboot.
func (s *Store) pausedName() string { return s.name + ".paused" }

// Pause marks the store, which the caller has locked. Pausing twice keeps the
// first time.
func (s *Store) Pause() error {
	if err := s.Paused(); errors.As(err, new(*PausedError)) {
		return nil
	} else if err != nil {
		return err
	}
	if err := s.replace(s.pausedName(), []byte("scan2ban is paused; \"scan2ban resume\" ends it\n")); err != nil {
		return fmt.Errorf("mark %s as paused: %w", s.path, err)
	}
	return nil
}

// Resume takes the mark away; without one the error is fs.ErrNotExist.
func (s *Store) Resume() error {
	if err := unix.Unlinkat(int(s.dir.Fd()), s.pausedName(), 0); err != nil {
		return &fs.PathError{Op: "remove", Path: s.path + ".paused", Err: err}
	}
	return s.dir.Sync()
}

// Paused is a *PausedError while the store is marked, nil while it is not. Any other error
// says that neither is known.
func (s *Store) Paused() error {
	var stat unix.Stat_t
	err := unix.Fstatat(int(s.dir.Fd()), s.pausedName(), &stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return &fs.PathError{Op: "look for", Path: s.path + ".paused", Err: err}
	}
	return &PausedError{Since: int64(stat.Mtim.Sec)}
}
