// Package trust reads files that decide who is banned, and refuses those that
// others may write.
//
// Where this process may change the kernel's rules (root, or CAP_NET_ADMIN), a file
// counts only if it, and every directory and symbolic link on the way to it, belongs
// to root or to this process's user, and nobody else may write it. A directory that
// all may write is passed through where it is sticky, as /tmp is: nobody can replace
// another's file there. Group root is nobody else, but for an access control list, whose
// users the group's right to write stands for (acl(5)). A process without such rights
// reads what it is given: it can harm only itself.
//
// What was checked cannot be changed by others between the check and the reading,
// for no step of the way is theirs.
package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Error says that others may write a path.
type Error struct {
	Path    string
	Problem string
	Remedy  string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%s)", e.Path, e.Problem, e.Remedy) }

// ReadFile is os.ReadFile for a file that only root and we may write. The error is
// an *Error where others may.
func ReadFile(path string) ([]byte, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Check gives an *Error when others may write the file at path, or a directory or link
// on the way to it. That of what is missing is fs.ErrNotExist.
func Check(path string) error { return check(path, false) }

// CheckDir is Check for a directory whose every file counts: sticky is not enough,
// nobody else may add one. One that is missing is none to be wary of.
func CheckDir(path string) error {
	err := check(path, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func check(path string, listed bool) error {
	if !privileged() {
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	at, rest := "/", strings.Split(path, "/")
	for links := 0; ; {
		var is unix.Stat_t
		if err := unix.Lstat(at, &is); err != nil {
			return &fs.PathError{Op: "open", Path: at, Err: err}
		}
		for len(rest) > 0 && (rest[0] == "" || rest[0] == ".") {
			rest = rest[1:]
		}
		kind := is.Mode & unix.S_IFMT
		if err := ours(at, is, kind == unix.S_IFDIR && !(listed && len(rest) == 0)); err != nil {
			return err
		}
		if kind == unix.S_IFLNK {
			if links++; links > 40 {
				return &fs.PathError{Op: "open", Path: at, Err: unix.ELOOP}
			}
			to, err := os.Readlink(at)
			if err != nil {
				return err
			}
			rest = append(strings.Split(to, "/"), rest...)
			if at = filepath.Dir(at); strings.HasPrefix(to, "/") {
				at = "/"
			}
			continue
		}
		if len(rest) == 0 {
			if kind != unix.S_IFREG && kind != unix.S_IFDIR {
				return &Error{at, "is not a regular file", "write a file"}
			}
			return nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

// ours gives an *Error when others may write what lies at path.
func ours(path string, is unix.Stat_t, sticky bool) error {
	if is.Uid != 0 && int(is.Uid) != os.Geteuid() {
		return &Error{path, fmt.Sprintf("belongs to user %d, who could change what is banned", is.Uid), "chown root " + path}
	}
	if is.Mode&unix.S_IFMT == unix.S_IFLNK || sticky && is.Mode&unix.S_ISVTX != 0 {
		return nil
	}
	if is.Mode&unix.S_IWOTH != 0 {
		return &Error{path, "everybody may write it, and so change what is banned", "chmod o-w " + path}
	}
	if is.Mode&unix.S_IWGRP != 0 && is.Gid != 0 {
		return &Error{path, fmt.Sprintf("group %d may write it, and so change what is banned", is.Gid), "chmod g-w " + path}
	}
	if is.Mode&unix.S_IWGRP != 0 && hasList(path) {
		return &Error{path, "those of its access control list may write it, and so change what is banned", "setfacl -b " + path}
	}
	return nil
}

// hasList tells whether a file has an access control list: then the group's rights are the
// most that any user and group of it has.
func hasList(path string) bool {
	n, err := unix.Lgetxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// privileged tells whether this process may change the kernel's rules.
var privileged = func() bool {
	if os.Geteuid() == 0 {
		return true
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
