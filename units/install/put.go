package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// put writes a file, unless it is there already, and says so. It replaces only
// what is ours.
func (in *Install) put(f file) error {
	info, err := os.Lstat(in.path(f.path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("write %s: %w", f.path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("write %s: there is something else, %s (move it away; a unit that is masked: systemctl unmask)", f.path, kind(info))
	default:
		there, err := os.ReadFile(in.path(f.path))
		if err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		if bytes.Equal(there, f.text) && info.Mode().Perm() == f.mode {
			return nil
		}
		if !ours(f.path, there) {
			return fmt.Errorf("write %s: the file that is there was not laid down by scan2ban (move it away)", f.path)
		}
	}
	if err := in.makeDir(path.Dir(f.path), 0o755); err != nil {
		return err
	}
	if err := replace(in.path(f.path), f.text, f.mode); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	in.say("wrote %s", f.path)
	return nil
}

func kind(info fs.FileInfo) string {
	switch {
	case info.IsDir():
		return "a directory"
	case info.Mode()&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "no regular file"
}

// ours tells whether this program, in any version, wrote a file. What lies below
// /etc has a mark; the program holds the name of this package; manual and
// completions lie under a name that nobody else has a use for.
func ours(name string, text []byte) bool {
	switch {
	case strings.HasPrefix(name, "/etc/"):
		return bytes.Contains(text, []byte(mark))
	case path.Base(name) == "scan2ban" && path.Base(path.Dir(name)) == "sbin":
		return bytes.HasPrefix(text, []byte("\x7fELF")) && bytes.Contains(text, []byte("scan2ban/units/install"))
	}
	return bytes.Contains(text, []byte("scan2ban")) || bytes.HasPrefix(text, []byte("\x1f\x8b"))
}

// replace writes a file beside its place and renames it.
func replace(name string, text []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error that led here is the one to tell
		}
	}()
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// makeDir makes a directory and those above it, and remembers which it made.
func (in *Install) makeDir(name string, mode fs.FileMode) error {
	info, err := os.Stat(in.path(name))
	if err == nil && info.IsDir() {
		return nil
	}
	if parent := path.Dir(name); parent != name {
		if err := in.makeDir(parent, 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(in.path(name), mode); err != nil {
		return fmt.Errorf("make the directory %s: %w", name, err)
	}
	in.note.Made = append(in.note.Made, name)
	return os.Chmod(in.path(name), mode)
}

// remove takes a file of ours away; one that is not there is no error, one that
// is not ours stays and is named.
func (in *Install) remove(name string) error {
	text, err := os.ReadFile(in.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("remove %s: %w", name, err)
	case !ours(name, text):
		in.say("kept %s: it was not laid down by scan2ban", name)
		return nil
	}
	return in.unlink(name)
}

func (in *Install) unlink(name string) error {
	if err := os.Remove(in.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	in.say("removed %s", name)
	return nil
}

// removeAll is os.RemoveAll. A test has another.
var removeAll = os.RemoveAll

// removeTree takes a directory of ours away with all that is in it. A process of the passes'
// user, left behind by a hook, may put something there as fast as it is taken away: the
// directory is root's first, and no longer than patience is waited. What is left of it is
// its owner's again: an install would give on what it finds in one of root's.
func (in *Install) removeTree(name string) error {
	info, err := os.Lstat(in.path(name))
	if err != nil {
		return nil // it is not there
	}
	_ = os.Lchown(in.path(name), os.Geteuid(), -1) // what follows tells
	done := make(chan error, 1)
	go func() { done <- removeAll(in.path(name)) }()
	select {
	case err = <-done:
		if err == nil {
			in.say("removed %s", name)
			return nil
		}
		err = fmt.Errorf("remove %s: %w", name, err)
	case <-time.After(patience):
		err = fmt.Errorf("remove %s: not done within %s, as if somebody went on writing there (end the processes of %s, then rm -r %s)", name, patience, user, name)
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(in.path(name), int(of.Uid), -1)
	}
	return err
}

// removeEmpty takes directories away that hold nothing more, and never a file.
func (in *Install) removeEmpty(names ...string) error {
	var errs []error
	for _, name := range names {
		switch err := syscall.Rmdir(in.path(name)); err {
		case nil, syscall.ENOENT, syscall.ENOTEMPTY, syscall.EEXIST, syscall.ENOTDIR, syscall.EBUSY:
		default:
			errs = append(errs, fmt.Errorf("remove %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
