package fail2ban_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/scan/fail2ban"
	"scan2ban/scan/jail"
)

// TestAccepted: what becomes of every jail of Debian's Fail2Ban is a configuration that
// is accepted here, with its filters and with ours.
func TestAccepted(t *testing.T) {
	root := os.Getenv("FAIL2BAN_ROOT")
	if root == "" {
		root = "/var/cache/scan2ban-gate/fail2ban"
	}
	dir := filepath.Join(root, "etc/fail2ban")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no Fail2Ban (install the package fail2ban, or set FAIL2BAN_ROOT to where it is unpacked)")
	}
	for _, keep := range []bool{false, true} {
		if fail2ban.Raced && keep {
			break
		}
		to := t.TempDir()
		o := fail2ban.Options{Dir: dir, All: true, KeepFilters: keep, Write: to}
		r, err := o.Read()
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Run(io.Discard); err != nil {
			t.Fatal(err)
		}
		c, err := jail.Load(filepath.Join(to, "scan2ban.toml"))
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range c.Broken {
			if !strings.Contains(err.Error(), "allow_spoofable") { // wants the admin's word
				t.Errorf("keep filters %v: jail %s: %v", keep, name, err)
			}
		}
		if len(c.Jails)+len(c.Broken) != len(r.Jails) || len(r.Jails) < 85 {
			t.Errorf("keep filters %v: %d jails converted, %d accepted, %d wait for a word", keep, len(r.Jails), len(c.Jails), len(c.Broken))
		}
		for _, j := range c.Jails {
			if j.Name == "pass2allow-ftp" {
				t.Errorf("%s lets addresses in, and bans here", j.Name)
			}
		}
		whole := 0
		for _, l := range r.Left {
			if strings.HasPrefix(l.What, "the whole jail: ") {
				whole++
				t.Logf("%s", l)
			}
		}
		t.Logf("keep filters %v: %d jails, %d left out", keep, len(r.Jails), whole)
	}
}

// TestClosesNothing: a jail whose actions close no port keeps those that it names, without
// which it would be refused here, and enforces nothing.
func TestClosesNothing(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"filter.d/mine.conf": "[Definition]\nfailregex = ^bad log-in from <HOST>$\n",
		"jail.conf":          "[DEFAULT]\nenabled = true\nfilter = mine\nlogpath = /var/log/mine.log\naction = pager\n[named]\nport = 8080,9000:9010\n[wide]\nport = 0:65535\n[none]\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := (fail2ban.Options{Dir: dir, Write: to}).Run(io.Discard); err != nil {
		t.Fatal(err)
	}
	c, err := jail.Load(filepath.Join(to, "scan2ban.toml"))
	if err != nil || len(c.Broken) > 0 || len(c.Jails) != 3 {
		t.Fatalf("%d jails, error %v, broken %v", len(c.Jails), err, c.Broken)
	}
	for _, j := range c.Jails {
		want := map[string]string{"named": "[8080 9000-9010]", "wide": "[all]", "none": "[all]"}[j.Name]
		if got := fmt.Sprint(j.Ports); got != want || j.Enforce {
			t.Errorf("%s: ports %s, enforce %v; want %s, false", j.Name, got, j.Enforce, want)
		}
	}
}
