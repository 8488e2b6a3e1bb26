package check

import (
	"os"
	"testing"

	"scan2ban/scan/filter"
)

// TestHidden: a log file that check can read and a pass cannot is told of, with the line that
// hides it.
func TestHidden(t *testing.T) {
	for _, row := range []struct {
		name, path string
		unit       unit
		want       string
	}{
		{"in a home", "/home/u/logs/access.log", unit{"ProtectHome": "yes"}, "error jail sshd: log files: /home/u/logs/access.log: scan2ban.service hides /home from the passes (ProtectHome=yes) -> systemctl edit scan2ban.service\n[Service]\nProtectHome=read-only"},
		{"by a link", "/srv/link.log", unit{"ProtectHome": "tmpfs"}, "error jail sshd: log files: /srv/link.log: scan2ban.service hides /root from the passes"},
		{"which may be read", "/home/u/logs/access.log", unit{"ProtectHome": "read-only", "PrivateTmp": "no"}, "ok"},
		{"which is shown", "/home/u/logs/access.log", unit{"ProtectHome": "tmpfs", "BindReadOnlyPaths": "/srv/x:/srv/y:rbind -/home/u/logs:/home/u/logs:rbind"}, "ok"},
		{"itself", "/home/u/logs/access.log", unit{"ProtectHome": "tmpfs", "BindPaths": "/home/u/logs/access.log"}, "ok"},
		{"beside what is shown", "/home/u/logs/access.log", unit{"ProtectHome": "tmpfs", "BindPaths": "/home/u/logs/access:/home/u/logs/access"}, "error jail sshd: log files: /home/u/logs/access.log: scan2ban.service hides /home from the passes (ProtectHome=tmpfs)"},
		{"temporary", "/var/tmp/a.log", unit{"PrivateTmp": "yes"}, "error jail sshd: log files: /var/tmp/a.log: scan2ban.service hides /var/tmp from the passes (PrivateTmp=yes) -> systemctl edit scan2ban.service\n[Service]\nPrivateTmp=no"},
		{"by an admin", "/dev/shm/a.log", unit{"InaccessiblePaths": "/srv/x -/dev"}, "error jail sshd: log files: /dev/shm/a.log: scan2ban.service hides /dev from the passes (InaccessiblePaths=/srv/x -/dev) -> systemctl edit scan2ban.service\n[Service]\nInaccessiblePaths="},
		{"a name that begins alike", "/device/a.log", unit{"InaccessiblePaths": "/dev"}, "ok"},
		{"no unit", "/home/u/logs/access.log", nil, "ok"},
	} {
		c := healthy()
		c.units = func() map[string]unit { return map[string]unit{service: row.unit} }
		c.root = plant(t, map[string]string{"/root/there.log": "x\n", row.path: "x\n"})
		if row.path == "/srv/link.log" {
			if err := os.Remove(c.root.Path(row.path)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(c.root.Path("/root/there.log"), c.root.Path(row.path)); err != nil {
				t.Fatal(err)
			}
		}
		c.Jails[0].Backend, c.Jails[0].LogPaths = filter.File, []string{row.path}
		has(t, row.name, look(logFiles, c), row.want)
	}
}
