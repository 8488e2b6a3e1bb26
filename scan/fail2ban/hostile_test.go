package fail2ban

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"
)

// TestHostile: a directory of somebody else's neither makes the import wait nor keeps it busy.
func TestHostile(t *testing.T) {
	all := map[string]string{"jail.conf": "[INCLUDES]\nbefore = x0.conf\n[DEFAULT]\n"}
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("x%d.conf", i))
	}
	for _, name := range names {
		all[name] = "[INCLUDES]\nbefore = " + strings.Join(names, "\n ") + "\n"
	}
	for name, row := range map[string]struct {
		files map[string]string
		plant func(dir string) error
		want  string
	}{
		"a fifo":                         {map[string]string{"jail.conf": "[DEFAULT]\n"}, func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "jail.local"), 0o600) }, "not a regular file"},
		"a device":                       {map[string]string{"jail.conf": "[INCLUDES]\nafter = /dev/zero\n"}, func(string) error { return nil }, "not a regular file"},
		"a hole":                         {map[string]string{"jail.conf": ""}, func(dir string) error { return os.Truncate(filepath.Join(dir, "jail.conf"), 1<<40) }, "not a regular file of at most"},
		"each file includes every other": {all, func(string) error { return nil }, "again and again"},
	} {
		dir := lay(t, row.files)
		if err := row.plant(dir); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { _, err := Options{Dir: dir}.Read(); done <- err }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the import does not end", name)
		}
	}
}

// TestQuoteForATerminal: what is printed is TOML that says the same, and nothing to a terminal.
func TestQuoteForATerminal(t *testing.T) {
	for _, text := range []string{"\x1b[2J", "\u009b2J", "\u202e", "a\tb", "it's\n\u009b", "\U000e0041", "plain", "\u00fc"} {
		var got struct{ A string }
		quoted := quote(text)
		if _, err := toml.Decode("a = "+quoted, &got); err != nil || got.A != text || strings.ContainsAny(quoted, "\x1b\u009b\u202e\n\U000e0041") {
			t.Errorf("%q becomes %q: %q, %v", text, quoted, got.A, err)
		}
	}
}

// TestMasked: a link to /dev/null in the place of what a package lays down is an empty file.
func TestMasked(t *testing.T) {
	dir := lay(t, map[string]string{"jail.conf": "[DEFAULT]\nbantime = 10m\n", "jail.local": "[sshd]\nenabled = true\nlogpath = /var/log/auth.log\n",
		"filter.d/sshd.conf": "[Definition]\nfailregex = ^Failed password for .* from <HOST>\n", "jail.d/other.conf": ""})
	if err := os.Symlink(os.DevNull, filepath.Join(dir, "jail.d", "defaults-debian.conf")); err != nil {
		t.Fatal(err)
	}
	if r, err := (Options{Dir: dir}).Read(); err != nil || !strings.Contains(r.Config, "sshd") {
		t.Error(r, err)
	}
}
