package pass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// A pass that prunes the history and dies before it has saved is repeated, and counts
// the earlier bans that the first one counted.
func TestPrunedByAPassThatDied(t *testing.T) {
	const day = 24 * 3600
	h := newHost(t)
	h.setup.State.Memory = state.Duration(day * time.Second)
	attack := func(at int64, addr string) {
		var log []journaltest.Entry
		for i := range 3 {
			log = append(log, journaltest.Entry{Time: at*1e6 + int64(i), Message: fmt.Sprintf("Failed password for root from %s port %d ssh2", addr, 1000+i),
				Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(at%1000 + int64(i))}})
		}
		journaltest.Write(t, h.journal, log)
	}
	attack(begin, "203.0.113.5")
	h.pass(begin + 1)
	attack(begin+day-10, "203.0.113.5") // within memory of the first
	attack(begin+day+3000, "203.0.113.6")

	s := h.setup
	s.Now = time.Unix(begin+day+3001, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	p.Read(context.Background())
	p.store.Fault = func(step string) error {
		if step == "write state.json" {
			return errors.New("killed")
		}
		return nil
	}
	p.Commit(context.Background())
	p.Close()
	if len(p.Errs) == 0 {
		t.Fatal("it saved")
	}

	h.pass(begin + day + 3002)
	if want := fmt.Sprint("sshd 203.0.113.5 ", begin+day-10, " ", begin+day-10+2400, " 2"); !slices.Contains(h.bans(), want) {
		t.Errorf("the history lacks %s: %q", want, h.bans())
	}
}
