package host

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
)

// Fail2Ban tells whether Fail2Ban runs here, how that is known, and its jails
// where it answers quickly.
func Fail2Ban() (running bool, detail string) {
	t, ctx := Tree(""), context.Background()
	const socket = "/run/fail2ban/fail2ban.sock"
	switch {
	case active(ctx, "fail2ban.service"):
		detail = "fail2ban.service is active"
	case t.Runs("fail2ban-server"):
		detail = "a process fail2ban-server runs"
	case answers(socket):
		detail = "somebody answers at " + socket
	default:
		return false, ""
	}
	out, err := Ask(ctx, "fail2ban-client", "status")
	if jails := f2bJails(out); err == nil && jails != "" {
		detail += ", jails: " + jails
	}
	return true, detail
}

// f2bJails reads the output of fail2ban-client status.
func f2bJails(out string) string {
	for line := range strings.Lines(out) {
		if _, jails, ok := strings.Cut(line, "Jail list:"); ok {
			return strings.TrimSpace(jails)
		}
	}
	return ""
}

// active tells whether a unit of systemd is active.
func active(ctx context.Context, unit string) bool {
	if !Systemd() {
		return false
	}
	_, err := Ask(ctx, "systemctl", "is-active", "--quiet", unit)
	return err == nil
}

// Runs tells whether root has a process of that comm here, and not in a container of this
// host: such a process has a number of its own there. Anybody's may have any comm.
func (t Tree) Runs(comm string) bool {
	for _, path := range t.Glob("/proc/[0-9]*/comm") {
		if strings.TrimSpace(t.Text(path)) != comm {
			continue
		}
		process := strings.TrimSuffix(path, "comm")
		if t.ofRoot(process) && t.depth(process+"status") <= t.depth("/proc/self/status") {
			return true
		}
	}
	return false
}

// ofRoot tells whether a process is root's, and not that of a setuid program that a user has
// begun, as sudo while it asks for a password.
func (t Tree) ofRoot(process string) bool {
	if exe, err := os.Stat(t.Path(process + "exe")); err == nil && exe.Mode()&os.ModeSetuid != 0 {
		return false
	}
	return slices.ContainsFunc(t.rows(process+"status"), func(row []string) bool { return slices.Equal(row, []string{"Uid:", "0", "0", "0", "0"}) })
}

// depth is how many process namespaces deep a process lives, from its status.
func (t Tree) depth(path string) int {
	for line := range strings.Lines(t.Text(path)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return len(strings.Fields(numbers))
		}
	}
	return 1
}

// answers tells whether somebody listens at a Unix socket.
func answers(path string) bool {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"}) // not Dial, which brings a resolver along
	if err != nil {
		return false
	}
	c.Close()
	return true
}
