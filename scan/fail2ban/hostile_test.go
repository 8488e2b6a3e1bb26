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
	values, tags := "", ""
	for i := 1; i < 10; i++ {
		values += fmt.Sprintf("a%d = %s\n", i, strings.Repeat(fmt.Sprintf("%%(a%d)s", i-1), 20))
		tags += fmt.Sprintf("a%d = %s\n", i, strings.Repeat(fmt.Sprintf("<a%d>", i-1), 20))
	}
	for name, row := range map[string]struct {
		files map[string]string
		plant func(dir string) error
		want  string
	}{
		"a fifo":           {map[string]string{"jail.conf": "[DEFAULT]\n"}, func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "jail.local"), 0o600) }, "not a regular file"},
		"a device":         {map[string]string{"jail.conf": "[INCLUDES]\nafter = /dev/zero\n"}, func(string) error { return nil }, "not a regular file"},
		"a hole":           {map[string]string{"jail.conf": ""}, func(dir string) error { return os.Truncate(filepath.Join(dir, "jail.conf"), 1<<40) }, "not a regular file of at most"},
		"values that grow": {map[string]string{"jail.conf": "[DEFAULT]\na0 = x\n" + values + "[x]\nenabled = true\nfilter = %(a9)s\n"}, func(string) error { return nil }, "longer than"},
		"tags that grow": {map[string]string{"jail.conf": "[x]\nenabled = true\nfilter = x\nlogpath = /x\n", "filter.d/x.conf": "[Definition]\na0 = x\n" + tags + "failregex = <HOST> <a9>\n"},
			func(string) error { return nil }, "without an end"},
		"each file includes every other": {all, func(string) error { return nil }, "again and again"},
	} {
		dir := lay(t, row.files)
		if err := row.plant(dir); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			r, err := Options{Dir: dir}.Read()
			if err == nil {
				err = fmt.Errorf("%v", r.Left)
			}
			done <- err
		}()
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

// TestHostileText: whatever names and values hold, what an import prints hands nothing of it to
// a terminal, errors aside.
func TestHostileText(t *testing.T) {
	const evil = "\x1b]0;taken\x07\u009b2J\u202e"
	dir := lay(t, map[string]string{
		"jail.conf": "[DEFAULT]\nenabled = true\nignorecommand = " + evil + "\naction = act" + evil + "\n" +
			"[odd" + evil + "]\nfilter = x\nlogpath = /var/log/" + evil + "\nignoreip = host" + evil + " 192.0.2.1\nbantime.formula = " + evil + "\n" +
			"[mine]\nfilter = x\nlogpath = /x\naction = iptables[protocol=" + evil + "]\nport = " + evil + "\n" +
			"[sshd]\nlogpath = /var/log/x" + evil + "\nbackend = " + evil + "\n",
		"filter.d/x.conf":               "[Definition]\nfailregex = ^" + evil + " from <HOST>$\nignoreregex = " + evil + "\njournalmatch = A=" + evil + "\ndatepattern = " + evil + "%%Y\n",
		"action.d/iptables.conf":        "[Definition]\nactionban = " + evil + "\n",
		"action.d/act" + evil + ".conf": "[Definition]\nactionban = " + evil + "\n",
	})
	hostile := filepath.Join(filepath.Dir(dir), "f2b"+evil)
	if err := os.Rename(dir, hostile); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Dir: hostile}, {Dir: hostile, KeepFilters: true}, {Dir: hostile, JSON: true}, {Dir: hostile, Write: filepath.Join(t.TempDir(), "out")}, {Dir: hostile, Filter: "x"}} {
		var out strings.Builder
		if err := o.Run(&out); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		if out.Len() < 100 || strings.ContainsAny(out.String(), evil[:1]+"\x07\u009b\u202e") {
			t.Errorf("%+v: %q", o, out.String())
		}
	}
}
