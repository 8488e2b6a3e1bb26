package metrics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"scan2ban/state/report"
)

// Write replaces the text file by text, at once: whoever reads it sees the old one or
// the new. It may be read by everybody. A link that stands in its place is replaced, not
// followed. Written by root, it gets the owner of its directory, so that the unit's user
// can replace it where it may.
func (c *Config) Write(text []byte) error {
	if err := c.write(text); err != nil {
		return fmt.Errorf("metrics are not written to %s: %w%s", c.Textfile, err, remedy(err))
	}
	return nil
}

func (c *Config) write(text []byte) error {
	dir, err := unix.Open(filepath.Dir(c.Textfile), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	name := filepath.Base(c.Textfile)
	temp := "." + name + ".new"     // node_exporter reads *.prom
	_ = unix.Unlinkat(dir, temp, 0) // left by a pass that died
	fd, err := unix.Openat(dir, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), temp)
	defer f.Close()
	if _, err = f.Write(text); err == nil {
		err = give(f, dir)
	}
	if err == nil {
		err = unix.Renameat(dir, temp, dir, name)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temp, 0)
	}
	return err
}

// give makes f readable by all, and its directory's owner its owner.
func give(f *os.File, dir int) error {
	if os.Geteuid() == 0 {
		var stat unix.Stat_t
		if err := unix.Fstat(dir, &stat); err != nil {
			return err
		}
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(0o644)
}

// elsewhere is a place that the unit's user can write to as it is.
const elsewhere = `textfile = "/run/scan2ban/scan2ban.prom" and a link to it in node_exporter's directory`

func remedy(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT):
		return " (make the directory, or have " + elsewhere + ")"
	case errors.Is(err, unix.EROFS):
		return " (the unit's sandbox keeps it read-only: have " + elsewhere + ")"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return " (have " + elsewhere + ")"
	}
	return ""
}

// Look puts into found whether this process may write the text file.
func (c *Config) Look(found *report.Findings) {
	if c.Textfile == "" {
		return
	}
	dir := filepath.Dir(c.Textfile)
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err != nil {
		found.Fail("metrics", fmt.Sprintf("%s: %v", dir, err), elsewhere+":\nln -s /run/scan2ban/scan2ban.prom /var/lib/prometheus/node-exporter/")
		return
	}
	found.OK("metrics", c.Textfile)
}
