package jail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/scan/trust"
)

// TestUntrusted: each file that decides who is banned makes the configuration
// unusable when others may write it.
func TestUntrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: whoever may not change the kernel reads what it is given")
	}
	const own = "[[rule]]\nname = \"a\"\npattern = '^a <ADDR>$'\n"
	for _, path := range []string{"scan2ban.toml", "conf.d", "conf.d/a.toml", "filters", "filters/mine.toml", "ignored", "allowed", "hook", "sendmail"} {
		dir := t.TempDir()
		err := errors.Join(os.Mkdir(dir+"/conf.d", 0o755), os.Mkdir(dir+"/filters", 0o755))
		for name, text := range map[string]string{
			"scan2ban.toml": "[jail.mine]\nenabled = true\nports = [1]\nlogpath = [\"/x\"]\nignorefile = \"" + dir + "/ignored\"\n[list.office]\nallow = true\nfile = \"" + dir + "/allowed\"\n[[hook]]\nrun = [\"" + dir + "/hook\"]\n[mail]\nto = \"root\"\nsendmail = \"" + dir + "/sendmail\"\n",
			"conf.d/a.toml": "[defaults]\nmaxretry = 4\n", "filters/mine.toml": own, "ignored": "192.0.2.1\n", "allowed": "192.0.2.2\n", "hook": "", "sendmail": "",
		} {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, err := Load(dir + "/scan2ban.toml"); err != nil || len(c.Jails) != 1 {
			t.Fatalf("all is well: %v", err)
		}
		path = filepath.Join(dir, path)
		if err := os.Chmod(path, os.ModeSticky|0o777); err != nil { // in a directory nobody can replace another's file, and add one
			t.Fatal(err)
		}
		_, err = Load(dir + "/scan2ban.toml")
		if bad := (*trust.Error)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), "(chmod o-w "+path+")") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
