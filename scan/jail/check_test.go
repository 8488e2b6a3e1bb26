package jail

import (
	"path/filepath"
	"testing"
)

// TestPlace: what to write about a jail's ports belongs into the file that names them
// last, or else the jail.
func TestPlace(t *testing.T) {
	path := write(t, map[string]string{
		"scan2ban.toml":  "[jail.sshd]\nenabled = true\nports = [22]\n[jail.vsftpd]\nenabled = true\nport = 21\n",
		"conf.d/10.toml": "[jail.sshd]\nports = [2222]\n[jail.dovecot]\nenabled = true\n",
		"conf.d/20.toml": "[jail.sshd]\nmaxretry = 3\n[jail.vsftpd]\nmaxretry = 3\n",
	})
	want := map[string]string{"dovecot": "conf.d/10.toml", "sshd": "conf.d/10.toml", "vsftpd": "scan2ban.toml"}
	s := Subject(path)
	if s.Err != nil || len(s.Jails) != len(want) {
		t.Fatalf("%d jails, error %v", len(s.Jails), s.Err)
	}
	for _, j := range s.Jails {
		if j.Place != filepath.Join(filepath.Dir(path), want[j.Name]) {
			t.Errorf("%s belongs into %s, not %s", j.Name, want[j.Name], j.Place)
		}
	}
}
