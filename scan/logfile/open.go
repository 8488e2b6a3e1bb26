package logfile

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"scan2ban/state/clean"
)

// ident is what a file is, whatever it is called.
type ident struct{ device, inode uint64 }

// status is what is known of a file by looking at it from outside.
type status struct {
	id      ident
	size    int64
	changed int64  // nanoseconds since the Unix epoch
	born    int64  // likewise; 0: not known, or not asked for
	mode    uint32 // as in inode(7)
	uid     uint32 // whose it is
}

func statusOf(s *syscall.Stat_t) status {
	return status{id: ident{uint64(s.Dev), s.Ino}, size: s.Size, changed: s.Mtim.Nano(), mode: s.Mode, uid: s.Uid}
}

// statusAt is that of what is open.
func statusAt(fd int) (status, error) {
	var s syscall.Stat_t
	for {
		if err := syscall.Fstat(fd, &s); err != syscall.EINTR {
			return statusOf(&s), err
		}
	}
}

func (s *status) regular() bool { return s.mode&unix.S_IFMT == unix.S_IFREG }

// kind names a file that is no regular one.
func (s *status) kind() string {
	switch s.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFIFO:
		return "a fifo"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "no regular file"
}

// ErrNoFile says that what is called a log is no regular file.
var ErrNoFile = errors.New("no regular file")

// OpenFile opens a log file for reading, as a pass does: what is none is ErrNoFile, and
// not waited for, and a link may be ErrLink. An error is one line.
func OpenFile(path string) (*os.File, error) {
	f, _, err := open(path, 0)
	return f, clean.Error(err)
}

// OpenNamed is OpenFile for a file that who runs this has named himself: links are followed.
func OpenNamed(path string) (*os.File, error) {
	w := &way{path: path}
	fd, err := openat(unix.AT_FDCWD, path, toRead)
	if err != nil {
		return nil, clean.Error(w.fail(err))
	}
	f, _, err := w.opened(fd)
	return f, clean.Error(err)
}

// open opens a regular file for reading, by the rule for links. It never waits: what became
// a fifo in the meantime is opened without blocking, and refused. The owner is whom a
// link belongs to that has led to the path; 0: none has that matters.
func open(path string, owner uint32) (*os.File, status, error) {
	w := &way{path: path, real: path, link: "the link to it", owner: owner, dir: unix.AT_FDCWD}
	fd, err := withoutLinks(path, toRead)
	if err != nil {
		defer w.close()
		if err = w.walk(); err == nil {
			err = w.isFile(w.status)
		}
		if err != nil {
			return nil, status{}, err
		}
		if fd, err = openat(w.dir, w.name, toRead|unix.O_NOFOLLOW); err != nil {
			return nil, status{}, w.fail(err)
		}
	}
	return w.opened(fd)
}

// opened takes what has been opened at the end of the way, if it is a file and by the rule.
func (w *way) opened(fd int) (*os.File, status, error) {
	s, err := statusAt(fd)
	if err != nil {
		err = w.fail(err)
	} else {
		err = w.belongs(w.real, s)
	}
	if err == nil {
		err = w.isFile(s)
	}
	if err != nil {
		unix.Close(fd)
		return nil, status{}, err
	}
	var more unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &more) == nil && more.Mask&unix.STATX_BTIME != 0 {
		s.born = more.Btime.Sec*1e9 + int64(more.Btime.Nsec)
	}
	return os.NewFile(uintptr(fd), w.path), s, nil
}

func (w *way) isFile(s status) error {
	if s.regular() {
		return nil
	}
	return fmt.Errorf("open %s: %w: %s", w.path, ErrNoFile, s.kind())
}
