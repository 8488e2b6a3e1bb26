// Package host tells what this host is: its addresses, who is logged in, what
// listens where, and who else bans on it.
//
//	host.Self()       own addresses and default gateways
//	host.Sessions()   remote addresses of those who are logged in now
//	host.Listening()  sockets that wait for clients, and whose they are
//	host.SSHPorts()   the ports on which sshd is reached, or would be after a restart
//	host.Fail2Ban()   whether Fail2Ban bans here too
//	host.Systemd()    whether systemd is init
//	host.Spare()      keeps this process small where memory is short
//	host.Free()       how much of it there is
//
// Everything is read from /proc, /run and /etc, or asked of the kernel and of the
// programs that know (sshd -T, systemctl), each with a limit of a few seconds. Nothing
// is changed, no name is resolved, and without root less is known: what cannot be
// read is left out, not guessed. Self alone leaves nothing out.
package host

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is the root below which files are read: "" for the host, a directory in
// tests.
type Tree string

// Path is where a path of the tree lies.
func (t Tree) Path(path string) string { return string(t) + path }

// Text is what the file holds, "" where it cannot be read or is no plain file: a
// pipe, as logind keeps one beside each session, would be waited for.
func (t Tree) Text(path string) string {
	f, err := os.OpenFile(t.Path(path), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	text, _ := io.ReadAll(f)
	return string(text)
}

// Exists tells whether something is there, at the end of links.
func (t Tree) Exists(path string) bool {
	_, err := os.Stat(t.Path(path))
	return err == nil
}

// rows are the lines of a file, cut at blanks.
func (t Tree) rows(path string) (rows [][]string) {
	for line := range strings.Lines(t.Text(path)) {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}

// Glob lists paths below the root, without it. The pattern is well-formed.
func (t Tree) Glob(pattern string) []string {
	found, _ := filepath.Glob(t.Path(pattern))
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], string(t))
	}
	return found
}

// Systemd tells whether systemd is init here (sd_booted(3)).
func Systemd() bool { return Tree("").Exists("/run/systemd/system") }

// patience is how long a program may take to answer.
const patience = 5 * time.Second

// sbin are directories that $PATH of a user may lack.
var sbin = []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"}

// Ask runs a program and gives its standard output. It is ended after a few
// seconds, speaks English, and reads nothing.
func Ask(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := Command(ctx, name, args...)
	if err != nil {
		return "", err
	}
	out, err := c.Output()
	return string(out), err
}

// Command is a program of this host that speaks English, yet to be run. One that is not there
// is exec.ErrNotFound.
func Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, path, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	c.WaitDelay = time.Second
	return c, nil
}

// find finds a program in $PATH or where administrators' programs lie.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range sbin {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}
