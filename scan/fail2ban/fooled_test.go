package fail2ban

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
)

// TestVictims: over the recorded attacks, forgeries among them, Fail2Ban's filter for sshd
// as it is converted blames nobody who stands in a client's text alone: sshd's cut lines
// and its standard error prove nothing.
func TestVictims(t *testing.T) {
	dir := ""
	for _, root := range packageRoots() {
		if config := filepath.Join(root, "etc/fail2ban"); root != "" && exists(filepath.Join(config, "filter.d/sshd.conf")) {
			dir = config
		}
	}
	if dir == "" {
		t.Skip("no Fail2Ban to convert a filter of (install the package fail2ban, or set FAIL2BAN_ROOT to where it is unpacked)")
	}
	for _, mode := range []string{"normal", "aggressive"} {
		text, _, err := convertFilter(dir, "sshd", map[string]string{"mode": mode, "logtype": "journal"})
		if err != nil {
			t.Fatal(err)
		}
		f, err := filter.Parse("sshd", "sshd.toml", text)
		if err != nil {
			t.Fatal(err)
		}
		hosts := map[string]bool{}
		_, err = scan.MatchJournal(context.Background(), journaltest.Unpack(t, "debian12"), time.Unix(1_800_000_000, 0), f, f.Compile(filter.Aggressive), func(tried scan.Trial) {
			if tried.Verdict.Kind != filter.Failure {
				return
			}
			hosts[tried.Verdict.Addr.String()] = true
			if a := tried.Verdict.Addr.String(); a == "8.8.8.8" || a == "2001:4860:4860::8888" {
				t.Errorf("mode %s blames a victim: %.120s", mode, tried.Text)
			}
		})
		if err != nil || len(hosts) < 100 {
			t.Errorf("mode %s: %d hosts blamed, %v", mode, len(hosts), err)
		}
	}
}
