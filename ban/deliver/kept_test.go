package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/state"
	"scan2ban/state/bootid"
)

// enforcing are the events that a hook needs which keeps the bans.
var enforcing = []string{"ban", "expire", "unban", "release"}

// keeper is a desk whose hooks enforce the bans; the one that it has says what it is told,
// and refuses what the lines of the file "refused" match.
func keeper(t *testing.T) *desk {
	d := newDesk(t)
	d.Resend = true
	d.hook(`if [ -e refused ] && echo $SCAN2BAN_KEY | grep -qxf refused; then echo $SCAN2BAN_KEY >> tried; exit 1; fi
echo "$SCAN2BAN_EVENT $SCAN2BAN_KEY${SCAN2BAN_AGAIN+ again}${SCAN2BAN_OBSERVED+ observed}" >> told`).On = enforcing
	return d
}

// lay puts bans into the ledger that last for an hour, told by no decision.
func (d *desk) lay(jail string, keys ...string) {
	for _, text := range keys {
		key := state.Key{Prefix: netip.MustParsePrefix(text)}
		d.ledger.Jail(jail).Bans()[key] = &state.Ban{Jail: jail, Key: key, Since: d.Now.Unix() - 10, Until: d.Now.Unix() + 200_000, N: 1}
	}
	d.decide(state.Decision{Verb: state.Rebuilt, Text: "bans are laid"})
}

// took gives what was told since it was asked last.
func (d *desk) took() []string {
	text := d.read("told")
	os.Remove(filepath.Join(d.dir, "told"))
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" })
}

// wantTold checks that.
func (d *desk) wantTold(when string, want ...string) {
	d.Helper()
	if got := d.took(); !slices.Equal(got, want) {
		d.Errorf("%s: told\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (d *desk) put(name, text string) {
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
		d.Fatal(err)
	}
}

// TestRefused: a ban in force that the hook refuses keeps none of the others and no event
// away, is tried again with pauses, and is given up in the end.
func TestRefused(t *testing.T) {
	d := keeper(t)
	d.lay("sshd", "198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32", "2001:db8::/64")
	d.put("refused", "198.51.100.2\n.*:.*\n")
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("a ban is refused: %v", err)
	}
	d.wantTold("after a boot", "ban 198.51.100.1 again", "ban 198.51.100.3 again")
	if d.due() {
		t.Error("tried again without a pause")
	}
	d.ban(1)
	if d.ran(); d.read("tried") != "198.51.100.2\n2001:db8::/64\n" {
		t.Errorf("tried %q", d.read("tried"))
	}
	d.wantTold("a new ban while one is refused", "ban 203.0.2.0")
	d.put("refused", ".*:.*\n")
	d.later(61 * time.Second)
	d.run()
	d.wantTold("then", "ban 198.51.100.2 again")
	for end := d.Now.Add(30 * time.Hour); d.Now.Before(end); d.later(10 * time.Minute) {
		if d.due() {
			d.run()
		}
	}
	if d.due() || !strings.Contains(d.said.String(), "of the bans in force 1 given up") {
		t.Errorf("a ban in force is tried for ever: %q", &d.said)
	}
	d.wantTold("in a day and more")
}

// TestEventRefused: a new ban that the hook refuses keeps no later event away and is tried
// again with pauses; its end is no more than tried. Another end that is refused is waited for.
func TestEventRefused(t *testing.T) {
	d := keeper(t)
	d.ran()
	d.put("refused", "203.0.1.1\n")
	d.ban(3)
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("a ban is refused: %v", err)
	}
	d.wantTold("beside one that is refused", "ban 203.0.1.0", "ban 203.0.1.2")
	if d.due() {
		t.Error("tried again without a pause")
	}
	d.ban(1)
	d.ran()
	d.wantTold("at once", "ban 203.0.2.0")
	end := func(text string) {
		key := state.Key{Prefix: netip.MustParsePrefix(text)}
		d.decide(state.Decision{Verb: state.Unbanned, Jail: "sshd", Key: &key, N: 1, Enforced: true})
	}
	end("203.0.1.1/32")
	end("203.0.1.0/32")
	d.run()
	d.wantTold("the end of a refused one", "unban 203.0.1.0")
	if n := strings.Count(d.read("tried"), "203.0.1.1\n"); n != 2 {
		t.Errorf("tried %d times, want 2: its ban and its end", n)
	}
	d.put("refused", "203.0.1.2\n")
	end("203.0.1.2/32")
	d.ban(1)
	d.run()
	d.wantTold("behind the end of one that was laid")
	os.Remove(filepath.Join(d.dir, "refused"))
	d.later(61 * time.Second)
	d.ran()
	d.wantTold("then", "unban 203.0.1.2", "ban 203.0.6.0")
}

// TestEventsRefused: where all is refused a round ends soon.
func TestEventsRefused(t *testing.T) {
	d := keeper(t)
	d.ran()
	d.put("refused", ".*\n")
	d.ban(refusedTurn + 20)
	d.run()
	if n := strings.Count(d.read("tried"), "\n"); n != refusedTurn {
		t.Errorf("%d were tried in a round, want %d", n, refusedTurn)
	}
	if d.due() {
		t.Error("tried again without a pause")
	}
}

// TestKeptGoesOn: where all is refused a round ends soon; the next ones go on there, and
// each ban is told once.
func TestKeptGoesOn(t *testing.T) {
	d := keeper(t)
	var keys, want []string
	for i := range refusedTurn + 20 {
		keys = append(keys, fmt.Sprintf("198.51.100.%d/32", i))
		want = append(want, fmt.Sprintf("ban 198.51.100.%d again", i))
	}
	d.lay("sshd", keys...)
	d.put("refused", ".*\n")
	d.run()
	if n := strings.Count(d.read("tried"), "\n"); n != refusedTurn {
		t.Errorf("%d were tried in a round, want %d", n, refusedTurn)
	}
	os.Remove(filepath.Join(d.dir, "refused"))
	d.later(61 * time.Second)
	d.ran()
	d.later(61 * time.Second)
	if d.due() {
		t.Error("due when all is told")
	}
	got := d.took()
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("told %q", got)
	}
	d.put("refused", ".*\n")
	d.ran() // nothing is told that could be
}

// TestKeptOverRounds: a round that is over goes on in the next one, and nothing has failed.
func TestKeptOverRounds(t *testing.T) {
	d := keeper(t)
	d.lay("sshd", "198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32")
	d.Hooks[0].Run[0] = d.script("slow", `[ $SCAN2BAN_KEY != 198.51.100.2 ] || [ -e works ] || sleep 1000; echo $SCAN2BAN_KEY >> told`)
	r, p := d.round(0)
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if err := (d.sinks()[0]).deliver(ctx, r, p); err != nil || p.Tries+p.Kept.Tries != 0 || len(p.Kept.Refused) > 0 {
		t.Errorf("%v, %+v", err, p)
	}
	d.wantTold("the first round", "198.51.100.1")
	d.put("works", "")
	if !d.due() {
		t.Error("not due")
	}
	d.ran()
	d.wantTold("the second", "198.51.100.2", "198.51.100.3")
}

// round begins one, for the hook of that number.
func (d *desk) round(i int) (*round, *position) {
	d.Helper()
	r, err := begin(d.store, d.Options)
	if err != nil {
		d.Fatal(err)
	}
	s := d.sinks()[i]
	p := r.at.of(s).copy()
	p.name = s.name()
	return r, p
}

// TestEnforce: a jail that only observes from now on has its bans released, and one that
// enforces again has them laid; so it is over a boot.
func TestEnforce(t *testing.T) {
	d := keeper(t)
	d.lay("sshd", "198.51.100.1/32")
	d.ledger.Jail("web").Reach.Enforce = true
	d.lay("web", "198.51.100.2/32")
	d.ran()
	d.wantTold("at first", "ban 198.51.100.1 again", "ban 198.51.100.2 again")
	enforce := func(is bool) {
		d.ledger.Jail("sshd").Reach.Enforce = is
		d.decide()
	}
	if enforce(false); !d.due() {
		t.Error("not due when a jail only observes")
	}
	d.ran()
	d.wantTold("enforce = false", "release 198.51.100.1")
	if enforce(true); !d.due() {
		t.Error("not due when a jail enforces")
	}
	d.ran()
	d.wantTold("enforce = true", "ban 198.51.100.1 again")
	enforce(false)
	d.rebooted()
	d.ran()
	d.wantTold("enforce = false, and a boot", "release 198.51.100.1", "ban 198.51.100.2 again")
	d.ledger.Jail("new").Reach.Enforce = true
	key := state.Key{Prefix: netip.MustParsePrefix("198.51.100.3/32")}
	d.ledger.Jail("new").Bans()[key] = &state.Ban{Jail: "new", Key: key, Since: d.Now.Unix(), N: 1}
	d.decide(state.Decision{Verb: state.Banned, Jail: "new", Key: &key, Until: new(int64), N: 1, Enforced: true})
	d.ran()
	d.wantTold("the first ban of a new jail", "ban 198.51.100.3")
	delete(d.ledger.Jails, "web") // the judging has released its bans
	d.decide()
	d.ran()
	d.wantTold("a jail that is gone")
	if d.due() {
		t.Error("due for a jail that is gone")
	}
}

// rebooted makes the positions those of an earlier boot.
func (d *desk) rebooted() {
	d.put("deliver.json", strings.ReplaceAll(d.read("deliver.json"), bootid.Running(), "another"))
}

// TestPaused: while the host is paused hooks hold no ban, and then all again.
func TestPaused(t *testing.T) {
	d := keeper(t)
	d.hook(`[ ! -e fails ]; echo "$SCAN2BAN_EVENT" >> others`).On = []string{"warning"}
	d.lay("sshd", "198.51.100.1/32", "198.51.100.2/32")
	d.ran()
	d.wantTold("at first", "ban 198.51.100.1 again", "ban 198.51.100.2 again")
	if !Held(d.StatePath) {
		t.Error("nobody is said to hold a ban")
	}
	d.decide(state.Decision{Verb: state.Warned, Text: "told to others"})
	d.put("fails", "")
	if err := d.store.Pause(); err != nil {
		t.Fatal(err)
	}
	d.put("refused", "198.51.100.2\n")
	if err := LetGo(t.Context(), d.Options); !errors.Is(err, ErrHeld) || !Held(d.StatePath) {
		t.Errorf("a release is refused: %v", err)
	}
	d.wantTold("paused", "release 198.51.100.1")
	os.Remove(filepath.Join(d.dir, "refused"))
	if err := LetGo(t.Context(), d.Options); err != nil { // at once, whatever the pauses are
		t.Error(err)
	}
	if d.wantTold("paused", "release 198.51.100.2"); d.read("others") != "" || Held(d.StatePath) {
		t.Errorf("others were told %q", d.read("others"))
	}
	if err := d.store.Resume(); err != nil {
		t.Fatal(err)
	}
	if !d.due() {
		t.Error("not due after the pause")
	}
	d.run()
	d.wantTold("resumed", "ban 198.51.100.1 again", "ban 198.51.100.2 again")
	if err := LetGo(t.Context(), d.Options); err != nil { // without a pause, as an uninstall does
		t.Error(err)
	}
	d.wantTold("let go", "release 198.51.100.1", "release 198.51.100.2")
	d.Resend = false
	if err := LetGo(t.Context(), d.Options); err != nil {
		t.Error(err)
	}
	d.wantTold("the kernel has them")
}

// TestBootOfBefore: a position that says only in which boot all was sent holds.
func TestBootOfBefore(t *testing.T) {
	d := keeper(t)
	d.lay("sshd", "198.51.100.1/32")
	short, _ := d.Hooks[0].names()
	d.put("deliver.json", fmt.Sprintf(`{"version":1,"sinks":{%q:{"seq":2,"boot":%q}}}`, short, bootid.Running()))
	d.ran()
	d.wantTold("told already")
	if err := d.store.Pause(); err != nil {
		t.Fatal(err)
	}
	d.ran()
	d.wantTold("paused", "release 198.51.100.1")
	d.put("deliver.json", fmt.Sprintf(`{"version":1,"sinks":{%q:{"seq":2,"boot":"another"}}}`, short))
	d.ran()
	d.wantTold("paused before it knew", "release 198.51.100.1")
}

// TestPassed: a ban that waits while nobody is to be banned is not told after its release,
// by no later round, and all are told when the jail enforces again.
func TestPassed(t *testing.T) {
	d := keeper(t)
	d.lay("sshd", "198.51.100.1/32")
	d.ran()
	d.wantTold("at first", "ban 198.51.100.1 again")
	d.put("refused", ".*\n")
	d.ban(2)
	d.lay("sshd", "203.0.2.0/32", "203.0.2.1/32") // as the pass that decided them
	_ = d.run()
	os.Remove(filepath.Join(d.dir, "refused"))
	if err := d.store.Pause(); err != nil {
		t.Fatal(err)
	}
	d.put("refused", "203.0.2.0\n")
	if err := LetGo(t.Context(), d.Options); !errors.Is(err, ErrHeld) {
		t.Errorf("a release is refused: %v", err)
	}
	d.wantTold("paused", "release 198.51.100.1", "release 203.0.2.1")
	os.Remove(filepath.Join(d.dir, "refused"))
	if err := LetGo(t.Context(), d.Options); err != nil || Held(d.StatePath) {
		t.Error(err)
	}
	d.wantTold("paused, again", "release 203.0.2.0")
	if err := d.store.Resume(); err != nil {
		t.Fatal(err)
	}
	d.later(2 * time.Minute)
	d.ran()
	d.wantTold("resumed", "ban 198.51.100.1 again", "ban 203.0.2.0 again", "ban 203.0.2.1 again")

	d.ban(1) // it is told by no event, if the pause ends before the round has gone on
	d.lay("sshd", "203.0.4.0/32")
	if err := d.store.Pause(); err != nil {
		t.Fatal(err)
	}
	r, p := d.round(0)
	if err := d.hookSinks()[0].news(t.Context(), r, p); err != nil {
		t.Fatal(err)
	}
	if err := d.store.Resume(); err != nil {
		t.Fatal(err)
	}
	d.ran()
	if told := d.took(); !slices.Contains(told, "ban 203.0.4.0 again") {
		t.Errorf("resumed at once: told %q", told)
	}
}

// TestEndOfTaken: the end of a ban that the hook has taken is waited for, though it refused
// later to be told of it again, or of its release.
func TestEndOfTaken(t *testing.T) {
	for name, ask := range map[string]func(*desk){
		"told again":         (*desk).rebooted,
		"of a release":       func(d *desk) { d.ledger.Jail("sshd").Reach.Enforce = false; d.decide() },
		"of a ban like it":   func(d *desk) { d.again("203.0.1.0/32", "") },
		"taken once refused": func(d *desk) { d.refuse("203.0.1.1/32"); d.again("203.0.1.1/32", "failed-password") },
	} {
		t.Run(name, func(t *testing.T) {
			d := keeper(t)
			d.ran()
			d.ban(2)
			d.lay("sshd", "203.0.1.0/32", "203.0.1.1/32")
			d.ran()
			d.took()
			ask(d)
			d.put("refused", ".*\n")
			_ = d.run()
			for _, text := range []string{"203.0.1.0/32", "203.0.1.1/32"} {
				d.end(text)
			}
			_ = d.run()
			os.Remove(filepath.Join(d.dir, "refused"))
			d.later(2 * time.Hour)
			d.ran()
			told := strings.Join(d.took(), "\n")
			for _, want := range []string{"unban 203.0.1.0", "unban 203.0.1.1"} {
				if !strings.Contains(told, want) {
					t.Errorf("told %q, want %s", told, want)
				}
			}
		})
	}
}

// end has a ban of sshd taken back.
func (d *desk) end(text string) {
	key := state.Key{Prefix: netip.MustParsePrefix(text)}
	delete(d.ledger.Jail("sshd").Bans(), key)
	d.decide(state.Decision{Verb: state.Unbanned, Jail: "sshd", Key: &key, N: 1, Enforced: true})
}

// again has it laid, by a rule or by hand.
func (d *desk) again(text, rule string) {
	key, until := state.Key{Prefix: netip.MustParsePrefix(text)}, d.Now.Unix()+7200
	d.ledger.Jail("sshd").Bans()[key] = &state.Ban{Jail: "sshd", Key: key, Since: d.Now.Unix(), Until: until, N: 1, Rule: rule, ByHand: rule == ""}
	d.decide(state.Decision{Verb: state.Banned, Jail: "sshd", Key: &key, Since: d.Now.Unix(), Until: &until, N: 1, Rule: rule, ByHand: rule == "", Enforced: true})
	if rule != "" {
		d.ran()
	}
}

// refuse has it end, and laid anew in vain, and end, in a round that goes on.
func (d *desk) refuse(text string) {
	d.end(text)
	d.ran()
	d.put("refused", strings.TrimSuffix(text, "/32")+"\n")
	key, until := state.Key{Prefix: netip.MustParsePrefix(text)}, d.Now.Unix()+3600
	d.decide(state.Decision{Verb: state.Banned, Jail: "sshd", Key: &key, Since: d.Now.Unix(), Until: &until, N: 1, Rule: "failed-password", Enforced: true})
	_ = d.run()
	os.Remove(filepath.Join(d.dir, "refused"))
	d.end(text)
	d.ran()
}

// TestChangedHook: a hook that enforces and is written anew goes on where the one before it
// was: an end that waits is told to it.
func TestChangedHook(t *testing.T) {
	d := keeper(t)
	d.ran()
	d.ban(2)
	d.lay("sshd", "203.0.1.0/32", "203.0.1.1/32")
	d.ran()
	d.took()
	d.put("refused", ".*\n")
	d.end("203.0.1.0/32")
	_ = d.run()
	os.Remove(filepath.Join(d.dir, "refused"))
	d.Hooks[0].Run = append(d.Hooks[0].Run, "--mended")
	d.ran()
	d.wantTold("mended", "unban 203.0.1.0", "ban 203.0.1.1 again")
	d.hook(`echo "$SCAN2BAN_EVENT $SCAN2BAN_KEY" >> others`).On = enforcing
	d.ran()
	if told := d.read("others"); told != "ban 203.0.1.1\n" {
		t.Errorf("one beside it is told %q", told)
	}
}

// TestTurns: one ban that is refused for long holds up neither what a boot asks for nor
// what a jail that only observes does.
func TestTurns(t *testing.T) {
	for name, turn := range map[string]struct {
		does func(*desk)
		told string
	}{
		"a boot":   {(*desk).rebooted, "ban 203.0.1.0 again"},
		"observes": {func(d *desk) { d.ledger.Jail("sshd").Reach.Enforce = false; d.decide() }, "release 203.0.1.0"},
		"paused":   {func(d *desk) { _ = d.store.Pause() }, "release 203.0.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			d := keeper(t)
			d.ran()
			d.put("refused", "203.0.1.1\n")
			d.ban(2)
			d.lay("sshd", "203.0.1.0/32", "203.0.1.1/32")
			for range 200 { // till the pauses are long
				d.later(time.Minute)
				if d.due() {
					_ = d.run()
				}
			}
			d.took()
			if d.due() {
				t.Fatal("due already")
			}
			turn.does(d)
			if !d.due() {
				t.Error("not due")
			}
			_ = d.run()
			d.wantTold("at once", turn.told)
			if d.due() {
				t.Error("tried again without a pause")
			}
		})
	}
}
