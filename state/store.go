package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Store keeps a state and its history in a directory:
//
//	state.json      what the next pass needs, replaced as a whole
//	history.jsonl   every decision, one JSON object a line, appended to
//	state.json.lock one pass at a time
//
// Names are opened relative to the directory and never through a symbolic link;
// what root creates gets the owner of the directory, because the timer runs as
// a user of its own. That user may put into the directory what it likes, so what
// is there already is taken only as regular() says.
//
// The order that keeps the crash law: the caller changes the kernel, then calls
// Commit, which appends to the history and then replaces the state. A pass that
// dies in between leaves the old state, and the next one cuts the part of the
// history that it does not vouch for, and decides the same again.
type Store struct {
	path    string // of the state file
	dir     *os.File
	name    string // of the state file in dir
	history string
	lock    *os.File

	// Damaged counts the lines of the history that could not be read.
	Damaged int

	// Fault is called before each step that changes a file, with the name of
	// the step; tests stop the program there. An error makes the step fail.
	Fault func(step string) error
}

// ErrLocked says that another pass holds the lock.
var ErrLocked = errors.New("another pass is running")

// DamagedError says that a state file cannot be read for what it holds.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// OpenStore opens the directory of the state file. create makes it (mode 0700)
// when it is missing, and refuses one that holds another state, saved later, with the same
// history; otherwise a missing one is an error that is fs.ErrNotExist.
func OpenStore(path string, create bool) (*Store, error) {
	parent := filepath.Dir(path)
	if create {
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return nil, fmt.Errorf("create the state directory: %w%s", err, mends(err, "run as root"))
		}
	}
	dir, err := os.OpenFile(parent, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the state directory: %w%s", err, mends(err, "run as root, or as its owner"))
	}
	s := &Store{path: path, dir: dir, name: filepath.Base(path), history: "history.jsonl",
		Fault: func(string) error { return nil }}
	if s.name != "state.json" {
		s.history = strings.TrimSuffix(s.name, ".json") + ".history.jsonl"
	}
	if create {
		if err := s.alone(); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// mends is the end of an error of permission.
func mends(err error, how string) string {
	if errors.Is(err, fs.ErrPermission) {
		return " (" + how + ")"
	}
	return ""
}

// Close releases the lock and the directory.
func (s *Store) Close() error {
	if s.lock != nil {
		s.lock.Close()
	}
	return s.dir.Close()
}

// Others tells whether the directory is another user's, who may have written what it holds.
func (s *Store) Others() bool {
	var is unix.Stat_t
	return unix.Fstat(int(s.dir.Fd()), &is) != nil || int(is.Uid) != os.Geteuid()
}

// Lock takes the lock, waiting at most that long; then the error is ErrLocked, and names it.
func (s *Store) Lock(wait time.Duration) error {
	err := s.lockFile(context.Background(), s.name+".lock", wait)
	if err == ErrLocked {
		err = fmt.Errorf("%w: %s.lock is held", err, s.path)
	}
	return err
}

// alone refuses a state whose history is that of another one, which was saved later: X and
// X.json would each cut what the other has decided. So one of them goes on.
func (s *Store) alone() error {
	twin, named := strings.CutSuffix(s.name, ".json")
	if !named {
		twin += ".json"
	}
	if s.name == "state.json" || twin == "state.json" { // its history is called otherwise
		return nil
	}
	own, _ := s.saved(s.name)
	other, is := s.saved(twin)
	if _, locked := s.saved(twin + ".lock"); !is || !locked || other <= own { // without a lock it is any file
		return nil
	}
	return fmt.Errorf("%s and %s, which was saved later, would share one history, %s (move one of them)", s.path, filepath.Join(s.dir.Name(), twin), s.history)
}

// saved is when a name in the directory was written, in nanoseconds.
func (s *Store) saved(name string) (nanoseconds int64, ok bool) {
	var is unix.Stat_t
	err := unix.Fstatat(int(s.dir.Fd()), name, &is, unix.AT_SYMLINK_NOFOLLOW)
	return is.Mtim.Nano(), err == nil
}

func (s *Store) lockFile(ctx context.Context, name string, wait time.Duration) error {
	f, err := s.open(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("open the lock: %w", err)
	}
	const pause = 50 * time.Millisecond
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			break
		}
		if wait <= 0 {
			f.Close()
			return ErrLocked
		}
		select {
		case <-ctx.Done():
			f.Close()
			return fmt.Errorf("wait for %s: %w", f.Name(), ctx.Err())
		case <-time.After(pause):
			wait -= pause
		}
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	s.lock = f
	return nil
}

// open opens a name in the directory, mode 0600 when it makes it. It never waits.
func (s *Store) open(name string, flags int) (*os.File, error) {
	fd, made, err := s.openat(name, flags)
	if err != nil {
		if err == unix.ELOOP {
			err = errors.New("is a symbolic link, which is not followed")
		}
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(s.dir.Name(), name), Err: err}
	}
	f := os.NewFile(uintptr(fd), filepath.Join(s.dir.Name(), name))
	var dir unix.Stat_t
	if err = unix.Fstat(int(s.dir.Fd()), &dir); err == nil && !made {
		err = regular(fd, dir.Uid, flags&(os.O_WRONLY|os.O_RDWR) != 0)
	}
	if err == nil && made && os.Geteuid() == 0 && dir.Uid != 0 {
		err = unix.Fchown(fd, int(dir.Uid), int(dir.Gid))
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return f, nil
}

// openat tells also whether it made the file.
func (s *Store) openat(name string, flags int) (fd int, made bool, err error) {
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if flags&os.O_CREATE != 0 {
		fd, err = unix.Openat(int(s.dir.Fd()), name, flags|os.O_EXCL, 0o600)
		if err != unix.EEXIST || flags&os.O_EXCL != 0 {
			return fd, err == nil, err
		}
	}
	fd, err = unix.Openat(int(s.dir.Fd()), name, flags&^os.O_CREATE, 0)
	return fd, false, err
}

// regular refuses a file that is none of ours: one that has another name elsewhere
// (root would write to it), a fifo or a device, one of a stranger. A second name may be
// taken away before it is counted, so that root writes in the directory of somebody else
// only to what is his.
func regular(fd int, owner uint32, write bool) error {
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return err
	}
	switch {
	case is.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("is not a regular file (remove it)")
	case is.Nlink > 1:
		return errors.New("has a second name, a hard link (remove it)")
	case is.Uid != 0 && is.Uid != owner && int(is.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d, who is neither root nor the owner of the directory (remove it)", is.Uid)
	case write && is.Uid != owner && os.Geteuid() == 0:
		return fmt.Errorf("belongs to user %d, and the directory to user %d (give it to him, or remove it)", is.Uid, owner)
	}
	return nil
}

// What is read of the files at most, in bytes: their owner may have planted holes there,
// which take no room on the disk and all memory of who reads them.
const (
	stateMost    = 512 << 20 // 100,000 keys take 7 MB
	volatileMost = 64 << 20
	lineMost     = 1 << 20 // a line of the history, which itself ends at its first hole
)

// Load reads the state. A missing file gives fs.ErrNotExist, a damaged one a
// *DamagedError, that of a newer version ErrNewer.
func (s *Store) Load() (*State, error) { return s.LoadKnown(func(*State) bool { return false }) }

// LoadKnown is Load for who can tell that a state is what a pass has left: then its parts
// stay unread until they are asked for, which is most of the work. The checksum proves
// nothing about who wrote it, so a file that another user owns is read to its end all the same.
func (s *Store) LoadKnown(known func(*State) bool) (*State, error) {
	f, err := s.open(s.name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, info, err := whole(f, stateMost)
	if err == errTooMuch {
		return nil, &DamagedError{s.path, err}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	state, err := Decode(data)
	if errors.Is(err, ErrNewer) {
		return nil, fmt.Errorf("%s: %w (upgrade scan2ban, or move the file away to begin anew)", s.path, err)
	}
	if is, ok := info.Sys().(*syscall.Stat_t); err == nil && !(ok && int(is.Uid) == os.Geteuid() && known(state)) {
		err = state.sound()
	}
	if err != nil {
		return nil, &DamagedError{s.path, err}
	}
	return state, nil
}

var errTooMuch = errors.New("it holds more than any such file")

// whole reads a regular file, of which nothing is changed, to its end.
func whole(f *os.File, most int64) (data []byte, info fs.FileInfo, err error) {
	if info, err = f.Stat(); err == nil && info.Size() > most {
		err = errTooMuch
	}
	if err == nil {
		data = room(int(info.Size()))
		_, err = io.ReadFull(f, data)
	}
	return data, info, err
}

// room is for n bytes that are kept until the process ends. Much of it lies beside the heap
// in large pages, where the kernel has them: else most of a pass over a large state is the
// kernel's work of finding memory, page by page.
func room(n int) []byte {
	const page = 2 << 20
	if n < page {
		return make([]byte, n)
	}
	b, err := unix.Mmap(-1, 0, (n+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return make([]byte, n)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return b[:n:n]
}

// Commit appends the decisions to the history and then replaces the state,
// which it makes vouch for them, at the clock time now in seconds. Nothing is
// durable before it returns nil.
func (s *Store) Commit(state *State, decisions []Decision, now int64) error {
	if len(decisions) > 0 {
		if err := s.append(state, decisions); err != nil {
			return fmt.Errorf("append to the history: %w", err)
		}
	}
	state.Saved = now
	if err := s.replaceWith(s.name, state.encode); err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	state.urgent = false
	for _, jail := range state.Jails {
		jail.changed = false
	}
	return nil
}

func (s *Store) append(state *State, decisions []Decision) error {
	f, err := s.open(s.history, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer f.Close()
	if state.History.Length, err = vouched(f, state.History); err != nil {
		return err
	}
	var length int64
	return s.steps(
		step{"cut the history", func() error { return f.Truncate(state.History.Length) }},
		step{"append to the history", func() (err error) {
			length, err = writeDecisions(io.NewOffsetWriter(f, state.History.Length), decisions, state.History.Seq)
			return err
		}},
		step{"sync the history", f.Sync},
		step{"vouch for the history", func() error {
			state.History.Length += length
			state.History.Seq += int64(len(decisions))
			return nil
		}},
	)
}

// replace writes a file as a whole: either the old bytes are there or the new.
func (s *Store) replace(name string, data []byte) error {
	return s.replaceWith(name, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// replaceWith is replace for who writes piece by piece.
func (s *Store) replaceWith(name string, write func(io.Writer) error) error {
	temp := name + ".new"
	unix.Unlinkat(int(s.dir.Fd()), temp, 0) // left by a pass that died
	f, err := s.open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.steps(
		step{"write " + name, func() error { return write(f) }},
		step{"sync " + name, f.Sync},
		step{"rename " + name, func() error { return unix.Renameat(int(s.dir.Fd()), temp, int(s.dir.Fd()), name) }},
		step{"sync the directory", s.dir.Sync},
	)
}

// replaceVolatile is replace without waiting for the disk: the file is in memory.
func (s *Store) replaceVolatile(name string, data []byte) error {
	temp := name + ".new"
	unix.Unlinkat(int(s.dir.Fd()), temp, 0)
	f, err := s.open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return unix.Renameat(int(s.dir.Fd()), temp, int(s.dir.Fd()), name)
}

type step struct {
	name string
	do   func() error
}

func (s *Store) steps(steps ...step) error {
	for _, step := range steps {
		if err := s.Fault(step.name); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

const damagedKept = 3

// SetAside renames a damaged state file to NAME.damaged-TIME and gives that
// path; of earlier ones the newest are kept.
func (s *Store) SetAside(now int64) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", s.name, time.Unix(now, 0).UTC().Format("20060102T150405Z"))
	if err := unix.Renameat(int(s.dir.Fd()), s.name, int(s.dir.Fd()), aside); err != nil {
		return "", fmt.Errorf("set the damaged state aside: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(s.dir.Name(), s.name+".damaged-*"))
	if err == nil && len(names) > damagedKept {
		slices.Sort(names)
		for _, name := range names[:len(names)-damagedKept] {
			unix.Unlinkat(int(s.dir.Fd()), filepath.Base(name), 0)
		}
	}
	return filepath.Join(s.dir.Name(), aside), nil
}

// CheckStore says what would keep a pass from its state at path, or nil. It
// changes nothing.
func CheckStore(path string) error {
	s, err := OpenStore(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the first pass makes it
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.alone(); err != nil {
		return err
	}
	if err := unix.Faccessat(int(s.dir.Fd()), ".", unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("write to %s: %w", s.dir.Name(), err)
	}
	if _, err := s.Load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
