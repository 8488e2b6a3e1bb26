package metrics

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func example() *Pass {
	return &Pass{Version: `1.2 "x\y"` + "\n", Time: 1_700_000_060, Good: 1_700_000_000, Seconds: 0.0042, Entries: 12, Repaired: 1, Errors: 2, Warnings: 3, Gaps: 4, State: 123_456,
		Healths: []string{"ok", "blind"},
		Jails: []Jail{
			{Name: "recidive", Enforced: true, Health: "ok"},
			{Name: "sshd", Entries: 12_345_678_901, Understood: 300, Failures: 20, Bans: 4, Banned: 2, Tracked: 7, Health: "blind"},
		}}
}

func TestText(t *testing.T) {
	want, err := os.ReadFile("testdata/want.prom")
	if got := example().Text(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, got:\n%s", err, got)
	}
}

// TestPromtool has Prometheus' own tool read them; .ci/setup gate unpacks it.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		tool = "/var/cache/scan2ban-gate/prometheus/usr/bin/promtool"
	}
	if _, err := os.Stat(tool); err != nil {
		t.Skip("no promtool (.ci/setup gate)")
	}
	for _, p := range []*Pass{example(), {}} {
		check := exec.CommandContext(t.Context(), tool, "check", "metrics")
		check.Stdin = bytes.NewReader(p.Text())
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestCheck(t *testing.T) {
	for path, bad := range map[string]bool{"": false, "/run/scan2ban/scan2ban.prom": false, "scan2ban.prom": true, "/run/x": true, "/run/.prom": true, "/run/x.prom/": true, "/run/\x00.prom": true} {
		found := ""
		(&Config{path}).Check(func(key, problem string) { found = key + problem })
		if (found != "") != bad {
			t.Errorf("%q: %q", path, found)
		}
	}
}

func TestWrite(t *testing.T) {
	for _, row := range []struct {
		name  string
		plant func(dir string) error // what lies in the directory before
		want  string                 // in the error; empty: none
	}{
		{"empty", func(string) error { return nil }, ""},
		{"an older one", func(dir string) error { return os.WriteFile(dir+"/x.prom", []byte("old"), 0o600) }, ""},
		{"a link in its place", func(dir string) error { return os.Symlink("../victim", dir+"/x.prom") }, ""},
		{"a link as what it is written to first", func(dir string) error { return os.Symlink("../victim", dir+"/.x.prom.new") }, ""},
		{"a hard link", func(dir string) error { return os.Link(dir+"/../victim", dir+"/.x.prom.new") }, ""},
		{"a pipe", func(dir string) error { return unix.Mkfifo(dir+"/.x.prom.new", 0o666) }, ""},
		{"a directory in its place", func(dir string) error { return os.Mkdir(dir+"/x.prom", 0o700) }, "x.prom"},
		{"a directory as what it is written to first", func(dir string) error { return os.Mkdir(dir+"/.x.prom.new", 0o700) }, "file exists"},
		{"no directory", os.Remove, "make the directory"},
		{"a file for a directory", func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) }, "not a directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			root := t.TempDir()
			dir, victim := filepath.Join(root, "metrics"), filepath.Join(root, "victim")
			if err := errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(victim, []byte("untouched"), 0o600), row.plant(dir)); err != nil {
				t.Fatal(err)
			}
			c := &Config{filepath.Join(dir, "x.prom")}
			err := c.Write([]byte("new"))
			if row.want == "" {
				info, bad := os.Lstat(c.Textfile)
				text, unread := os.ReadFile(c.Textfile)
				if err = errors.Join(err, bad, unread); err != nil || string(text) != "new" || info.Mode() != 0o644 {
					t.Errorf("%v, %q, %v", err, text, info)
				}
			} else if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
			info, err := os.Stat(victim)
			if text, unread := os.ReadFile(victim); errors.Join(err, unread) != nil || string(text) != "untouched" || info.Mode() != 0o600 {
				t.Errorf("the victim: %q, %v", text, info)
			}
		})
	}
}
