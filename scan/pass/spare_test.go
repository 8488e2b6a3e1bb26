package pass

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/state"
)

// Whoever was spared for a log-in stays so where the log is judged again, though the log-in
// was long before: in a rebuild, and where a jail changes its source.
func TestSparedAgain(t *testing.T) {
	for name, again := range map[string]func(r *recounting, now int64){
		"first run": func(r *recounting, _ int64) {
			if err := os.RemoveAll(filepath.Dir(r.setup.StatePath)); err != nil {
				r.t.Fatal(err)
			}
		},
		"rebuild, of a log that has lost it": func(r *recounting, _ int64) {
			text, err := os.ReadFile(r.log)
			_, rest, _ := bytes.Cut(text, []byte("\n"))
			if err := errors.Join(err, os.WriteFile(r.setup.StatePath, []byte("{"), 0o600), os.WriteFile(r.log, rest, 0o644)); err != nil {
				r.t.Fatal(err)
			}
		},
		"journal": func(r *recounting, _ int64) {
			r.setup.JournalPath, r.setup.Watches[0].Backend = r.dir, filter.Auto
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecounting(t)
			r.setup.JournalPath = r.dir
			r.setup.Rules["sshd"].Spare = state.Duration(7 * 24 * time.Hour)
			stamp := time.Unix(recountBegin, 0).UTC().Format(time.Stamp)
			line := fmt.Sprintf("%s host sshd[7]: Accepted password for root from 203.0.113.1 port 1 ssh2\n", stamp)
			if err := os.WriteFile(r.log, []byte(line), 0o644); err != nil {
				t.Fatal(err)
			}
			r.pass(recountBegin + 1)
			const later = recountBegin + 7*24*3600 - 100
			r.fails("203.0.113.1", later, later+1, later+2)
			r.pass(later + 3)
			r.same(nil, 0)
			now := int64(later + 10)
			if name == "journal" {
				now = later + 200
				appendLine(t, r.log, now-1, "203.0.113.9")
				r.pass(now)
			}
			again(r, now)
			r.tried(now + 1)
			r.same(nil, 0)
		})
	}
}
