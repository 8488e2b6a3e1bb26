package pass

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
	"scan2ban/state/report"
)

// health is what status says of sshd at that second.
func (h *host) health(now int64) (report.Health, string) {
	h.t.Helper()
	s := h.setup
	s.Now, s.Write = time.Unix(now, 0), false
	p, err := Begin(s)
	if err != nil {
		h.t.Fatal(err)
	}
	defer p.Close()
	p.Read(context.Background())
	status, err := p.Status([]string{"sshd"})
	if err != nil {
		h.t.Fatal(err)
	}
	return status.Jails[0].Health, status.Jails[0].Message
}

// TestIneffective: the banned address goes on failing, as it does where the ports
// of the jail are not those of sshd, until they are mended.
func TestIneffective(t *testing.T) {
	h := newHost(t)
	failed := func(second int64) {
		journaltest.Write(t, h.journal, []journaltest.Entry{{Time: (begin + second) * 1e6,
			Message: "Failed password for root from 203.0.113.9 port 4711 ssh2",
			Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service",
				"SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(1000 + second)}}})
	}
	expect := func(second int64, want report.Health, text string) {
		t.Helper()
		if got, message := h.health(begin + second); got != want || !strings.Contains(message, text) {
			t.Errorf("after %d s: %s: %q, want %s: %q", second, got, message, want, text)
		}
	}
	for second := range int64(3) {
		failed(second)
	}
	h.pass(begin + 10)
	failed(40) // before anybody could know
	h.pass(begin + 70)
	expect(70, report.OK, "")
	failed(100)
	expect(100, report.Ineffective, "1 failure came through the ban of 203.0.113.9")
	h.pass(begin + 130)
	expect(130, report.Ineffective, "another port than 22")

	r := *h.setup.Rules["sshd"]
	r.Ports = state.Ports{{From: 2222, To: 2222}}
	h.setup.Rules["sshd"] = &r
	failed(140)
	h.pass(begin + 190)
	expect(190, report.OK, "")

	failed(280)
	if text, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, text)
	}
	h.pass(begin + 300) // finds that the kernel did not hold it
	failed(340)
	h.pass(begin + 370)
	expect(370, report.OK, "")
	failed(400)
	expect(400, report.Ineffective, "another port than 2222")
}

// A jail that has read nothing says since when: what is not known was not seen to be silent.
func TestSilentSince(t *testing.T) {
	h := newHost(t)
	h.setup.Rules["sshd"].Escalation = state.Escalation{}
	log := filepath.Join(t.TempDir(), "auth.log")
	onFiles(h, log)
	if err := os.WriteFile(log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const span = 30 * 60 // findtime and bantime
	expect := func(now int64, want string) {
		t.Helper()
		h.pass(now)
		if got, message := h.health(now); got != report.Silent || message != "nothing to read "+want {
			t.Errorf("%s: %s, want %s", got, message, want)
		}
	}
	expect(begin, "since "+report.Local(begin-span))
	expect(begin+86400, "since "+report.Local(begin-span))
	expect(begin+8*86400, "in seven days")
	h.unban(begin+8*86400+1, "203.0.113.1") // the history knows of the jail
	if err := os.WriteFile(h.setup.StatePath, []byte("no state"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(begin+9*86400, "since "+report.Local(begin+9*86400-span))
}

// A unit that several terms of a filter name is named once.
func TestQuiet(t *testing.T) {
	p := &Pass{entered: []scan.Watch{{Jail: "mine", Terms: [][]string{{"_SYSTEMD_UNIT=no-such-a.service", "_EXE=/a"}, {"_SYSTEMD_UNIT=no-such-a.service", "_EXE=/b"}, {"_SYSTEMD_UNIT=no-such-b.service"}}},
		{Jail: "other", Terms: [][]string{{"_SYSTEMD_UNIT=no-such-c.service"}}}}}
	p.Watches = append([]scan.Watch{{Jail: "third", Missing: "no container is called third"}}, p.entered...)
	if got, want := p.quiet("mine"), "not running, or not under systemd: no-such-a.service, no-such-b.service"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What kept a pass from its work is told until one goes well.
func TestTrouble(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 6))
	h.pass(begin + 60)
	if got, message := h.health(begin + 60); got != report.OK {
		t.Errorf("%s: %s", got, message)
	}
	s := h.setup
	s.Now = time.Unix(begin+120, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.Read(ctx)
	cancel()
	p.volatile.Kernel = nil
	p.Commit(ctx)
	p.Close()
	if !errors.Is(errors.Join(p.Errs...), context.Canceled) {
		t.Fatalf("the kernel was reached: %v", p.Errs)
	}
	if got, message := h.health(begin + 130); got != report.Error || !strings.Contains(message, "the last pass: the bans are decided and not enforced") {
		t.Errorf("%s: %s", got, message)
	}
	h.setup.Watches[0].Err = errors.New("this one: no")
	if got, message := h.health(begin + 130); got != report.Error || !strings.Contains(message, "this one: no") {
		t.Errorf("%s: %s", got, message)
	}
	h.setup.Watches[0].Err = nil
	h.pass(begin + 180)
	if got, message := h.health(begin + 180); got != report.OK {
		t.Errorf("%s: %s", got, message)
	}
	h.setup.Kept, h.setup.Causes = map[string]bool{"sshd": true}, map[string]error{"sshd": errors.New("scan2ban.toml:3: no")}
	if got, message := h.health(begin + 180); got != report.Error || !strings.Contains(message, "its configuration is broken: scan2ban.toml:3: no") {
		t.Errorf("%s: %s", got, message)
	}
}
