package pass

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// TestMetrics: totals never go down from one pass to the next, saved or not; a pass with
// an error leaves the time of the last good one; a file that cannot be written is a
// warning and loses nothing.
func TestMetrics(t *testing.T) {
	h := newHost(t)
	h.setup.Metrics.Textfile = filepath.Join(t.TempDir(), "scan2ban.prom")
	h.setup.Rules["sshd"].MaxRetry = 1 // so that somebody is banned
	h.setup.Off = map[string]bool{"other": true}
	expect := func(lines ...string) {
		t.Helper()
		text, err := os.ReadFile(h.setup.Metrics.Textfile)
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%v, no line %q in\n%s", err, line, text)
			}
		}
		if info, err := os.Stat(h.setup.StatePath); err != nil || !strings.Contains(string(text), fmt.Sprintf("scan2ban_state_size_bytes %d\n", info.Size())) {
			t.Errorf("%v, not the size of the state in\n%s", err, text)
		}
		if strings.Contains(string(text), `"other"`) {
			t.Errorf("they tell of a jail that is off:\n%s", text)
		}
		// They are for all to read: who came is not.
		for _, secret := range []string{"203.0.113.", "2001:db8:"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("they tell of %q:\n%s", secret, text)
			}
		}
	}
	log := journaltest.Attack(begin, 8)
	journaltest.Write(t, h.journal, log[:4])
	h.pass(begin + 60)
	expect(`scan2ban_jail_entries_total{jail="sshd"} 4`, `scan2ban_jail_health{jail="sshd",health="ok"} 1`, fmt.Sprint("scan2ban_last_good_pass_timestamp_seconds ", begin+60))
	journaltest.Write(t, h.journal, log[4:6])
	for range 3 { // read again each time, until it is saved
		h.pass(begin + 120)
		expect(`scan2ban_jail_entries_total{jail="sshd"} 6`)
	}
	h.pass(begin + 61 + 3600) // saved
	expect(`scan2ban_jail_entries_total{jail="sshd"} 6`)

	h.setup.Errs = []error{errors.New("scan2ban.toml:3: no")}
	h.tried(begin + 3720)
	expect("scan2ban_last_pass_errors 1", fmt.Sprint("scan2ban_last_pass_timestamp_seconds ", begin+3720), fmt.Sprint("scan2ban_last_good_pass_timestamp_seconds ", begin+61+3600))

	// The trouble of the pass before is over.
	healthy := h.setup.Watches[0]
	h.setup.Watches[0].Err = errors.New("no")
	h.tried(begin + 3730)
	expect(`scan2ban_jail_health{jail="sshd",health="error"} 1`)
	h.setup.Errs, h.setup.Watches[0] = nil, healthy
	h.pass(begin + 3740)
	expect(`scan2ban_jail_health{jail="sshd",health="error"} 0`)

	h.setup.Errs, h.setup.Metrics.Textfile = nil, filepath.Join(t.TempDir(), "none", "scan2ban.prom")
	if p := h.pass(begin + 3780); !strings.Contains(strings.Join(p.Warnings, "\n"), "metrics are not written") || p.volatile.Good != begin+3780 {
		t.Errorf("warnings %q, good %d", p.Warnings, p.volatile.Good)
	}
}
