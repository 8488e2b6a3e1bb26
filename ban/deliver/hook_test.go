package deliver

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scan2ban/state"
)

// TestSameProgram: hooks with the same program and other events have a position each, which
// they keep when they become several or one; the same hook twice is one.
func TestSameProgram(t *testing.T) {
	d := newDesk(t)
	d.hook(`[ $SCAN2BAN_EVENT = ban ] && [ -e fails ] && exit 1; echo $SCAN2BAN_EVENT >> told`).On = []string{"ban"}
	d.ran()
	d.ban(1)
	second := d.Hooks[0]
	second.On = []string{"warning"}
	d.Hooks = append(d.Hooks, second, second)
	d.put("fails", "")
	d.decide(state.Decision{Verb: state.Warned, Text: "one"})
	d.run()
	d.wantTold("one fails", "warning")
	d.later(2 * time.Minute)
	d.decide(state.Decision{Verb: state.Warned, Text: "two"})
	d.run()
	d.wantTold("it fails again", "warning")
	os.Remove(filepath.Join(d.dir, "fails"))
	d.later(3 * time.Minute)
	d.ran()
	d.wantTold("it works", "ban")
	d.ban(1)
	d.Hooks = d.Hooks[:1]
	d.ran()
	d.wantTold("one is left", "ban")
}

// TestClockAhead: what failed while the clock was ahead is tried at once, and a clock that
// was at the beginning of time gives nothing up.
func TestClockAhead(t *testing.T) {
	for _, at := range []time.Duration{10_000 * time.Hour, -400_000 * time.Hour} {
		d := newDesk(t)
		d.Mail.To, d.Mail.When = Recipients{"root"}, Each
		d.hook(`[ -e works ] || exit 1; echo $SCAN2BAN_KEY >> told`)
		d.ran()
		d.put("fail", "")
		d.later(at)
		d.ban(1)
		if d.run() == nil {
			t.Fatal("no error")
		}
		os.Remove(filepath.Join(d.dir, "fail"))
		d.later(-at)
		if !d.due() {
			t.Errorf("%v: not due", at)
		}
		d.run() // the hook fails again
		d.wantMails(1)
		d.put("works", "")
		d.later(3 * time.Minute)
		d.ran()
		d.wantTold("then", "203.0.1.0")
	}
}

// TestGivenUpAfterADay: what a hook refuses for a day is given up, also where it was tried
// seldom, as on a host that is not always on; not what was refused as often in less.
func TestGivenUpAfterADay(t *testing.T) {
	const tries = hookTries / 2
	for name, begin := range map[string]func(*testing.T) *desk{
		"an event": func(t *testing.T) *desk {
			d := newDesk(t)
			d.hook("exit 1")
			d.ran()
			d.ban(1)
			return d
		},
		"a ban in force": func(t *testing.T) *desk {
			d := keeper(t)
			d.lay("sshd", "198.51.100.1/32")
			d.put("refused", ".*\n")
			return d
		},
	} {
		for between, want := range map[time.Duration]bool{hookAge / (tries - 1): true, hookAge / (tries + 1): false} {
			d := begin(t)
			for range tries {
				if d.run() == nil || d.said.Len() > 0 {
					t.Fatalf("%s, tried every %v: no error, or given up: %q", name, between, &d.said)
				}
				d.later(between)
			}
			d.run()
			if got := strings.Contains(d.said.String(), "given up after 10 tries"); got != want || d.due() {
				t.Errorf("%s, tried every %v: given up %v, want %v, due %v: %q", name, between, got, want, d.due(), &d.said)
			}
		}
	}
}

// TestRoundOver: events that a round has no more time for are no failure of the hook; that
// of one which had all its time is.
func TestRoundOver(t *testing.T) {
	d := newDesk(t)
	h := d.hook(`case $SCAN2BAN_KEY in *.1) [ -e works ] || sleep 1000;; esac; echo $SCAN2BAN_KEY >> told`)
	d.ran()
	d.ban(3)
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	r, p := d.round(0)
	if err := d.sinks()[0].deliver(ctx, r, p); err != nil || p.Tries != 0 || p.Next != 0 {
		t.Errorf("%v, %+v", err, p)
	}
	d.wantTold("the first round", "203.0.1.0")
	if !d.due() {
		t.Error("not due")
	}
	h.Timeout = state.Duration(time.Second)
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "not done within 1s") {
		t.Errorf("it hangs: %v", err)
	}
	d.put("works", "")
	d.later(2 * time.Minute)
	called, off := context.WithCancel(t.Context())
	off()
	if err := Run(called, d.Options); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	d.ran()
	d.wantTold("the last round", "203.0.1.1", "203.0.1.2")
}

// TestKnownOfEvent: what is told of a spare and of a warning is whom they name, and no end.
func TestKnownOfEvent(t *testing.T) {
	d := newDesk(t)
	d.hook(`env | grep ^SCAN2BAN | sort >> told; echo >> told`).Jails = []string{"sshd"}
	d.ran()
	key := state.Key{Prefix: netip.MustParsePrefix("2001:db8::/64")}
	d.decide(state.Decision{Verb: state.Spared, Jail: "sshd", Address: "2001:db8::7", Key: &key, Since: d.Now.Unix(), Until: new(int64), Failures: 5, Rule: "failed-password", Text: "logged in 1h before"},
		state.Decision{Verb: state.Warned, Jail: "sshd", Text: "its ledger is full"}, state.Decision{Verb: state.Warned, Text: "of no jail"})
	d.ran()
	text := d.read("told")
	spare, warning, _ := strings.Cut(text, "SCAN2BAN_EVENT=warning")
	for _, want := range []string{"ADDRESS=2001:db8::7", "EVENT=spare", "FAILURES=5", "FAMILY=ipv6", "JAIL=sshd", "KEY=2001:db8::/64", "RULE=failed-password"} {
		if !strings.Contains(spare, "SCAN2BAN_"+want+"\n") {
			t.Errorf("of a spare %s is not told: %s", want, spare)
		}
	}
	if strings.Contains(spare, "UNTIL") || !strings.Contains(warning, "SCAN2BAN_JAIL=sshd\n") || strings.Contains(warning, "FAMILY") || strings.Contains(text, "of no jail") {
		t.Errorf("told %s", text)
	}
}

// TestDamaged: the error names what is wrong.
func TestDamaged(t *testing.T) {
	for text, want := range map[string]string{`{"version":1}`: "no sinks", `{`: "unexpected end"} {
		if _, damaged, err := decode([]byte(text)); err != nil || damaged == nil || !strings.Contains(damaged.Error(), want) || strings.Contains(damaged.Error(), "%!") {
			t.Errorf("%s: %v, %v", text, damaged, err)
		}
	}
}
