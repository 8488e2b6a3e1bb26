package pass

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
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
	attack(h, begin, "203.0.113.5")
	h.pass(begin + 1)
	attack(h, begin+day-10, "203.0.113.5") // within memory of the first
	attack(h, begin+day+3000, "203.0.113.6")

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

// What an unban of everybody made void stays void in a rebuild that reads the log from its
// beginning, however long ago it was.
func TestRebuildAfterAnOldUnban(t *testing.T) {
	const day = 24 * 3600
	h := newHost(t)
	h.setup.State.Memory = state.Duration(day * time.Second)
	policy := state.DefaultPolicy()
	policy.MaxRetry, policy.FindTime, policy.BanTime = 2, state.Duration(4*time.Hour), state.Duration(6*time.Hour)
	h.setup.Rules["recidive"] = &state.Rules{Policy: policy, Reach: reach(), Ignored: state.NewIgnored(), Ledger: true}
	attack(h, begin, "203.0.113.5")
	attack(h, begin+1300, "203.0.113.5")
	h.pass(begin + 1301)
	s := h.setup
	s.Now = time.Unix(begin+4000, 0) // the bans of sshd are over
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	p.Read(context.Background())
	err = p.Unban(ByHand{All: true})
	p.Commit(context.Background())
	p.Close()
	if err = errors.Join(append(p.Errs, err)...); err != nil {
		t.Fatal(err)
	}
	want := h.bans()
	if len(want) != 3 {
		t.Fatalf("%d bans, want 3: %q", len(want), want)
	}

	if err := os.Remove(h.setup.StatePath); err != nil {
		t.Fatal(err)
	}
	h.pass(begin + 4000 + day)
	if got := h.bans(); !slices.Equal(got, want) {
		t.Errorf("after a rebuild %q, want %q", got, want)
	}
}

// What comes of a history that is too long is in the history, and so in a mail: that its oldest
// decisions go, and that they could not.
func TestOutgrownIsNoted(t *testing.T) {
	for fault, want := range map[string]string{"": "max_history", "write history.jsonl": "no room"} {
		h := newHost(t)
		for i := range 20 {
			attack(h, begin+int64(i)*10, fmt.Sprintf("203.0.113.%d", i))
		}
		attack(h, begin+4000, "203.0.113.1")
		h.pass(begin + 4001)
		attack(h, begin+5000, "203.0.113.2")
		h.setup.State.MaxHistory = 3000
		s := h.setup
		s.Now = time.Unix(begin+5001, 0)
		p, err := Begin(s)
		if err != nil {
			t.Fatal(err)
		}
		p.Read(context.Background())
		p.store.Fault = func(step string) error {
			if step == fault {
				return errors.New("no room")
			}
			return nil
		}
		p.Commit(context.Background())
		p.store.Fault = func(string) error { return nil }
		var noted []string
		err = p.store.History(nil, func(d state.Decision, _ int64) {
			if d.Verb == state.Warned {
				noted = append(noted, d.Text)
			}
		})
		if err != nil || !slices.ContainsFunc(noted, func(text string) bool { return strings.Contains(text, want) }) {
			t.Errorf("%q fails: %v, the history has the warnings %q, want one of %q", fault, err, noted, want)
		}
		if long := p.Ledger.History.Length > 3000; long != (fault != "") {
			t.Errorf("%q fails: the history has %d bytes", fault, p.Ledger.History.Length)
		}
		p.Close()
		if p := h.tried(begin + 5060); p.lost != "" || p.Judge.Err != nil {
			t.Errorf("%q fails: the next pass begins anew: %s, %v", fault, p.lost, p.Judge.Err)
		}
	}
}

// attack logs what bans an address.
func attack(h *host, at int64, addr string) {
	var log []journaltest.Entry
	for i := range 3 {
		log = append(log, journaltest.Entry{Time: at*1e6 + int64(i), Message: fmt.Sprintf("Failed password for root from %s port %d ssh2", addr, 1000+i),
			Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(at%1000 + int64(i))}})
	}
	journaltest.Write(h.t, h.journal, log)
}
