package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A log's directory may belong to a service, and who has taken that over can lay a link
// there to a file that he may not read. The rule, which is that of SymLinksIfOwnerMatch
// in Apache (https://httpd.apache.org/docs/2.4/mod/core.html#options): a symbolic link on
// the way to a log is followed where it belongs to root or to the user of this process,
// or where the file at the end of the way belongs to whom the link does.
//
// Between a look and an opening a file may become a link, so no path is looked at. Its
// names are gone through one by one, each opened below the directory that is open already
// and not followed (openat(2): O_PATH, O_NOFOLLOW), and what is open is asked whose it is
// and where it leads. That no link is on the way openat2(2) tells in one call
// (RESOLVE_NO_SYMLINKS); kernels before 5.6 have none, and sandboxes refuse it, as
// systemd's RestrictSUIDSGID= does.

// ErrLink says that a symbolic link on the way to a log is not followed.
var ErrLink = errors.New("symbolic link not followed")

// Bounds of a way: what is beyond is ELOOP and ENAMETOOLONG.
const (
	maxLinks = 40  // MAXSYMLINKS, include/linux/namei.h
	maxNames = 512 // of the path, and of what its links say: a millisecond
)

const (
	toRead = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_LARGEFILE | unix.O_CLOEXEC
	toLook = unix.O_PATH | unix.O_CLOEXEC
)

// openat2 is that of the system; a test does without.
var openat2 = unix.Openat2

// withoutLinks opens a path on which there is none. Whatever the error is, walk tells more,
// but that ENOENT is certain: what is missing comes before any link.
func withoutLinks(path string, flags uint64) (fd int, err error) {
	return openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_SYMLINKS})
}

func openat(dir int, name string, flags int) (fd int, err error) {
	for {
		if fd, err = unix.Openat(dir, name, flags, 0); err != unix.EINTR {
			return fd, err
		}
	}
}

// way is where a path leads, and what lies there.
type way struct {
	path   string
	real   string // without links
	linked bool   // the last name of the path is a link's
	link   string // one on the way that is neither root's nor ours
	owner  uint32 // whose that is, and so the file must be; 0: there is none
	status

	dir  int    // that it lies in, O_PATH; AT_FDCWD: the process's
	name string // what it is called there
}

// follow finds what lies at a path, by the rule, and does not open it.
func follow(path string) (*way, error) {
	w := &way{path: path, real: filepath.Clean(path), dir: unix.AT_FDCWD}
	fd, err := withoutLinks(path, toLook)
	if err == unix.ENOENT {
		return w, w.fail(err)
	}
	if err != nil {
		defer w.close()
		return w, w.walk()
	}
	defer unix.Close(fd)
	if w.status, err = statusAt(fd); err != nil {
		return w, w.fail(err)
	}
	return w, nil
}

// walk goes name by name. The way is to be closed.
func (w *way) walk() error {
	w.real = ""
	rest, names, links := w.begin(w.path), 0, 0
	for {
		if names++; names > maxNames {
			return w.fail(unix.ENAMETOOLONG)
		}
		name, last := w.below(rest[0]), len(rest) == 1
		fd, s, err := step(w.dir, name, last)
		if err != nil {
			return w.fail(err)
		}
		at := filepath.Join(w.real, name)
		switch {
		case s.mode&unix.S_IFMT == unix.S_IFLNK:
			to, err := readlink(fd)
			magic := false
			if err == nil {
				magic, err = onProc(fd)
			}
			unix.Close(fd)
			if links++; links > maxLinks {
				err = unix.ELOOP
			}
			if err != nil {
				return w.fail(err)
			}
			if magic {
				return fmt.Errorf("open %s: %w: %s is the kernel's, and may lead elsewhere than it says (name in logpath where the file is; what a container writes to its standard output is read with container = ...)", w.path, ErrLink, at)
			}
			if s.uid != 0 && int(s.uid) != os.Geteuid() {
				if err := w.belongs(at, s); err != nil {
					return err
				}
				w.link, w.owner = at, s.uid
			}
			w.linked = w.linked || last
			rest = slices.Concat(w.begin(to), rest[1:])
		case last:
			unix.Close(fd)
			w.real, w.name, w.status = at, name, s
			return w.belongs(at, s)
		default:
			w.close()
			w.dir, w.real, rest = fd, at, rest[1:]
		}
	}
}

// belongs is the rule, of what lies at a path further on the way.
func (w *way) belongs(at string, s status) error {
	if w.owner == 0 || w.owner == s.uid {
		return nil
	}
	return fmt.Errorf("open %s: %w: %s belongs to user %d, and %s, which it leads to, to user %d (if that is to be read, name it itself in logpath)",
		w.path, ErrLink, w.link, w.owner, at, s.uid)
}

func (w *way) fail(err error) error { return &fs.PathError{Op: "open", Path: w.path, Err: err} }

func (w *way) close() {
	if w.dir >= 0 {
		unix.Close(w.dir)
	}
	w.dir = unix.AT_FDCWD
}

// begin gives the names of a path, and goes to the root where it begins there.
func (w *way) begin(path string) []string {
	if strings.HasPrefix(path, "/") {
		w.real = "/"
	}
	names := strings.Split(path, "/")
	end := names[len(names)-1]
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" || name == "." })
	if end == "" || end == "." { // a directory is meant
		names = append(names, ".")
	}
	return names
}

// below is what openat is to be given for a name: the root is not open.
func (w *way) below(name string) string {
	if w.real == "/" {
		return "/" + name
	}
	return name
}

// step opens a name for a look; one that is not the last should be a directory, and if it
// is wanted as one, what is mounted when it is wanted is.
func step(dir int, name string, last bool) (fd int, s status, err error) {
	if !last {
		if fd, err = openat(dir, name, toLook|unix.O_NOFOLLOW|unix.O_DIRECTORY); err != unix.ENOTDIR {
			return fd, status{mode: unix.S_IFDIR}, err
		}
	}
	if fd, err = openat(dir, name, toLook|unix.O_NOFOLLOW); err != nil {
		return fd, s, err
	}
	if s, err = statusAt(fd); err != nil {
		unix.Close(fd)
	}
	return fd, s, err
}

// onProc tells whether a link that is open is one of procfs: /proc/PID/root of a container
// says "/" and leads into the container, /proc/PID/fd/3 leads to what has no name any more.
func onProc(fd int) (bool, error) {
	var s unix.Statfs_t
	for {
		if err := unix.Fstatfs(fd, &s); err != unix.EINTR {
			return s.Type == unix.PROC_SUPER_MAGIC, err
		}
	}
}

// readlink gives what the link says that is open.
func readlink(fd int) (string, error) {
	to := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", to)
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return "", unix.ENOENT
	case n == len(to):
		return "", unix.ENAMETOOLONG
	}
	return string(to[:n]), nil
}
