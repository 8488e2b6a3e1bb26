package trust

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives files away")
	}
	const bob = 4321
	for _, test := range []struct {
		name string
		do   func(dir string) error // dir/etc/a.toml is a good file
		want string                 // in the error; "": trusted
		path string                 // etc/a.toml
	}{
		{name: "as it should be"},
		{name: "everybody's file", do: func(d string) error { return os.Chmod(d+"/etc/a.toml", 0o666) }, want: "chmod o-w "},
		{name: "everybody's file, sticky", do: func(d string) error { return os.Chmod(d+"/etc/a.toml", os.ModeSticky|0o666) }, want: "chmod o-w "},
		{name: "root's group", do: func(d string) error { return os.Chmod(d+"/etc/a.toml", 0o664) }},
		{name: "root's group, and a user listed beside it", do: func(d string) error { return list(d+"/etc/a.toml", bob, 6) }, want: "setfacl -b "},
		{name: "a user listed who may read", do: func(d string) error { return list(d+"/etc/a.toml", bob, 4) }},
		{name: "a user listed for the directory", do: func(d string) error { return list(d+"/etc", bob, 7) }, want: "setfacl -b "},
		{name: "another group", do: func(d string) error {
			return errors.Join(os.Chown(d+"/etc/a.toml", 0, bob), os.Chmod(d+"/etc/a.toml", 0o664))
		}, want: "group 4321 may write it"},
		{name: "a stranger's file", do: func(d string) error { return os.Chown(d+"/etc/a.toml", bob, 0) }, want: "belongs to user 4321"},
		{name: "a stranger's directory", do: func(d string) error { return os.Chown(d+"/etc", bob, 0) }, want: "chown root "},
		{name: "a stranger's directory above", do: func(d string) error { return os.Chown(d, bob, 0) }, want: "belongs to user 4321"},
		{name: "everybody's directory", do: func(d string) error { return os.Chmod(d+"/etc", 0o777) }, want: "everybody may write it"},
		{name: "sticky", do: func(d string) error { return os.Chmod(d+"/etc", os.ModeSticky|0o777) }},
		{name: "sticky, and listed", do: func(d string) error { return os.Chmod(d+"/etc", os.ModeSticky|0o777) }, path: "etc", want: "everybody may write it"},
		{name: "root's link", do: func(d string) error { return os.Symlink("etc/../etc/a.toml", d+"/link") }, path: "link"},
		{name: "a stranger's link", do: func(d string) error {
			return errors.Join(os.Symlink("etc/a.toml", d+"/link"), os.Lchown(d+"/link", bob, bob))
		}, path: "link", want: "belongs to user 4321"},
		{name: "a link to a stranger's", do: func(d string) error {
			return errors.Join(os.Symlink(d+"/etc/a.toml", d+"/link"), os.Chown(d+"/etc", bob, bob))
		}, path: "link", want: "belongs to user 4321"},
		{name: "a link in a circle", do: func(d string) error { return os.Symlink("link", d+"/link") }, path: "link", want: "too many"},
		{name: "a device", do: func(d string) error { return os.Symlink("/dev/zero", d+"/link") }, path: "link", want: "/dev/zero: everybody may write it"},
		{name: "missing", path: "etc/none", want: "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(dir+"/etc", 0o755), os.WriteFile(dir+"/etc/a.toml", nil, 0o644))
			if test.do != nil {
				err = errors.Join(err, test.do(dir))
			}
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "etc/a.toml")
			if test.path != "" {
				path = filepath.Join(dir, test.path)
			}
			if test.path == "etc" {
				err = CheckDir(path)
			} else {
				_, err = ReadFile(path)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v; want %q", err, test.want)
			}
			was := privileged
			privileged = func() bool { return false }
			defer func() { privileged = was }()
			if bad := (*Error)(nil); errors.As(Check(path), &bad) {
				t.Errorf("without rights to change the kernel: %v", bad)
			}
		})
	}
}

// list gives a user rights by an access control list, as setfacl(1) does.
func list(path string, user uint32, rights uint16) error {
	acl := binary.LittleEndian.AppendUint32(nil, 2) // its version
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{{1, 7, math.MaxUint32}, {2, rights, user}, {4, 5, math.MaxUint32}, {16, rights | 5, math.MaxUint32}, {32, 5, math.MaxUint32}} {
		acl = binary.LittleEndian.AppendUint16(acl, e.tag)
		acl = binary.LittleEndian.AppendUint16(acl, e.rights)
		acl = binary.LittleEndian.AppendUint32(acl, e.id)
	}
	return unix.Setxattr(path, "system.posix_acl_access", acl, 0)
}
