package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// TestEach: one mail a pass, a share an hour and then one that says so, and what was held
// back comes together.
func TestEach(t *testing.T) {
	d := newDesk(t)
	d.Mail.To, d.Mail.When, d.Mail.MaxPerHour = Recipients{"root"}, Each, 3
	d.ban(2)
	d.ran()
	d.wantMails(0) // of what was before nobody is told
	if d.due() {
		t.Error("something is due before anything happened")
	}
	d.ban(3, hostile...)
	if !d.due() {
		t.Error("nothing is due after a ban")
	}
	d.ran()
	header, parts := parse(t, []byte(d.wantMails(1)[0]))
	if !strings.Contains(header.Get("Subject"), "3 bans, 203.0.2.0 and others") || strings.Count(parts["text/plain"], "banned 203.0.2.") != 3 {
		t.Errorf("%v\n%s", header, parts["text/plain"])
	}
	d.ran()
	d.wantMails(1) // once
	for range 5 {
		d.later(time.Minute)
		d.ban(1)
		if d.due() {
			d.ran()
		}
	}
	last := d.wantMails(4)[3] // three, and the one that says so
	if _, parts := parse(t, []byte(last)); !strings.Contains(parts["text/plain"], "as many as max_per_hour allows") {
		t.Errorf("the last mail: %s", last)
	}
	if d.later(30 * time.Minute); d.due() {
		t.Error("due before the hour is over")
	}
	d.later(30 * time.Minute)
	if !d.due() {
		t.Fatal("not due after the hour")
	}
	d.ran()
	if _, parts := parse(t, []byte(d.wantMails(5)[4])); strings.Count(parts["text/plain"], "banned 203.0.") != 3 {
		t.Errorf("what was held back: %s", parts["text/plain"])
	}
	d.decide(state.Decision{Verb: state.Warned, Text: "the log has\na gap"})
	d.ran()
	if header, _ := parse(t, []byte(d.wantMails(6)[5])); !strings.Contains(header.Get("Subject"), `the log has\x0aa gap`) {
		t.Errorf("a warning: %v", header)
	}
}

// TestEachQuotes: the lines of the log that led to a ban, as text that a terminal may show.
func TestEachQuotes(t *testing.T) {
	d := newDesk(t)
	d.Mail.To, d.Mail.When, d.Mail.Quote = Recipients{"root"}, Each, true
	d.Evidence = func(_ context.Context, addr netip.Addr) []string {
		return append([]string{"a line of " + addr.String()}, hostile...)
	}
	d.ran()
	d.ban(1)
	d.ran()
	header, parts := parse(t, []byte(d.wantMails(1)[0]))
	if text := parts["text/plain"]; len(header) != 9 || !strings.Contains(text, "\n203.0.1.0\n    a line of 203.0.1.0\n") || strings.ContainsAny(text, "\x00\x1b\u202e") {
		t.Errorf("%v\n%q", header, text)
	}
}

// TestDigest: at most one a span, none where nothing happened, the same one again where
// sendmail failed.
func TestDigest(t *testing.T) {
	d := newDesk(t)
	d.Mail.To = Recipients{"root"}
	d.Status = func() (*report.Status, error) {
		s := report.NewStatus(nil, nil, d.Now.Unix())
		health, message := report.OK, ""
		if d.read("blind") != "" {
			health, message = report.Blind, "entries and none understood"
		}
		s.Jails = append(s.Jails, report.Jail{Name: "sshd", Enabled: true, Enforce: true, Health: health, Message: message})
		return s, nil
	}
	d.ran()
	d.ban(1)
	if d.later(23 * time.Hour); d.due() {
		t.Error("due before the day is over")
	}
	d.ran()
	d.wantMails(0)
	d.ban(3, "<script>alert(1)</script>", "\u202e")
	d.later(time.Hour)
	os.WriteFile(filepath.Join(d.dir, "fail"), nil, 0o644)
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "451 not today") {
		t.Fatalf("a sendmail that fails: %v", err)
	}
	if d.due() {
		t.Error("tried again without a pause")
	}
	os.Remove(filepath.Join(d.dir, "fail"))
	d.later(2 * time.Minute)
	d.ban(1) // not in the mail that failed
	d.ran()
	header, parts := parse(t, []byte(d.wantMails(1)[0]))
	if subject := header.Get("Subject"); !strings.Contains(subject, "4 bans (0 the time before)") {
		t.Errorf("subject %q", subject)
	}
	for _, kind := range []string{"text/plain", "text/html"} {
		if !strings.Contains(parts[kind], "203.0.2.2") || strings.Contains(parts[kind], "<script>") && kind == "text/html" || strings.Contains(parts[kind], "\u202e") {
			t.Errorf("%s: %s", kind, parts[kind])
		}
	}
	d.later(24 * time.Hour)
	d.ran()
	if header, _ := parse(t, []byte(d.wantMails(2)[1])); !strings.Contains(header.Get("Subject"), "1 ban (4 the time before)") {
		t.Errorf("the second: %v", header)
	}
	d.later(24 * time.Hour)
	d.ran()
	d.wantMails(2) // no news
	os.WriteFile(filepath.Join(d.dir, "blind"), []byte("x"), 0o644)
	d.later(24 * time.Hour)
	d.ran()
	if _, parts := parse(t, []byte(d.wantMails(3)[2])); !strings.Contains(parts["text/plain"], "sshd was ok and is blind: entries and none understood") {
		t.Errorf("health: %s", parts["text/plain"])
	}
}

// TestMailGivenUp: a mail that nobody takes does not stay for ever, and its pauses grow.
func TestMailGivenUp(t *testing.T) {
	d := newDesk(t)
	d.Mail.To, d.Mail.When = Recipients{"root"}, Each
	d.ran()
	os.WriteFile(filepath.Join(d.dir, "fail"), nil, 0o644)
	d.ban(1)
	tries := 0
	for end := d.Now.Add(5 * 24 * time.Hour); d.Now.Before(end); d.later(time.Minute) {
		if d.due() {
			tries++
			if d.run() == nil {
				t.Fatal("no error")
			}
		}
	}
	if tries < 60 || tries > 100 {
		t.Errorf("%d tries in five days", tries)
	}
	os.Remove(filepath.Join(d.dir, "fail"))
	d.ban(1)
	d.ran()
	d.wantMails(1)
}

// TestHook: each event once, in their order, as JSON and as environment.
func TestHook(t *testing.T) {
	d := newDesk(t)
	d.hook(`cat >> events; echo "$SCAN2BAN_EVENT $SCAN2BAN_KEY $SCAN2BAN_SECONDS $SCAN2BAN_PORTS/$SCAN2BAN_PROTOCOL $SCAN2BAN_FAMILY" >> lines; printf '%s' "$SCAN2BAN_USERS" >> users; printf 'told\033[2J\n'; [ $# = 1 ]`)
	d.ran()
	d.ban(3, hostile...)
	d.ran()
	d.ran()
	lines := strings.Split(strings.TrimSpace(d.read("lines")), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	if !strings.HasPrefix(lines[1], "ban 203.0.1.1 ") || !strings.HasSuffix(lines[1], " 22/tcp ipv4") { // the seconds are by the real clock
		t.Errorf("%q", lines)
	}
	events := strings.Split(strings.TrimSpace(d.read("events")), "\n")
	var e Event
	if err := json.Unmarshal([]byte(events[2]), &e); err != nil || len(events) != 3 || e.Key != "203.0.1.2" || e.Event != "ban" || len(e.ID) != 20 || e.Until == nil {
		t.Errorf("%v: %+v of %q", err, e, events)
	}
	if users := d.read("users"); strings.ContainsAny(users, "\x00\x1b\n\u202e") || users == "" {
		t.Errorf("users %q", users)
	}
	if strings.Count(d.said.String(), `hook0: told\x1b[2J`) != 3 || strings.Contains(d.said.String(), "secret") {
		t.Errorf("said %q", &d.said)
	}
}

// TestHookFails: a hook that dies, hangs or floods is tried again, holds up nobody else
// and is given up in the end.
func TestHookFails(t *testing.T) {
	d := newDesk(t)
	d.hook(`echo $SCAN2BAN_KEY >> tried; [ -e works ] || exit 1; echo $SCAN2BAN_KEY >> first`)
	hangs := d.hook(`sleep 1000 & sleep 1000`)
	hangs.Timeout = state.Duration(time.Second)
	d.hook(`yes a line of a hook that talks without an end | head -c 1000000; echo $SCAN2BAN_KEY >> third`)
	gone := d.hook("")
	os.Remove(gone.Run[0])
	d.ran()
	d.ban(4)
	begun := time.Now()
	err := d.run()
	if err == nil || !strings.Contains(err.Error(), "not done within 1s") || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "no such file") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("a hook that hangs took %v", took)
	}
	if got := d.read("third"); strings.Count(got, "\n") != 4 {
		t.Errorf("the one that floods was told %q", got)
	}
	if d.said.Len() > 50_000 {
		t.Errorf("%d bytes of what it said are passed on", d.said.Len())
	}
	if got := d.read("tried"); got != "203.0.1.0\n" {
		t.Errorf("after the first failure it was tried with %q", got)
	}
	d.Hooks = d.Hooks[:1]
	if d.due() {
		t.Error("tried again without a pause")
	}
	os.WriteFile(filepath.Join(d.dir, "works"), nil, 0o644)
	d.later(61 * time.Second)
	d.ran()
	if got := d.read("first"); got != "203.0.1.0\n203.0.1.1\n203.0.1.2\n203.0.1.3\n" {
		t.Errorf("then it was told %q", got)
	}
	os.Remove(filepath.Join(d.dir, "works"))
	d.ban(2)
	for end := d.Now.Add(30 * time.Hour); d.Now.Before(end); d.later(10 * time.Minute) {
		if d.due() {
			d.run()
		}
	}
	if !strings.Contains(d.said.String(), "given up") || d.due() {
		t.Errorf("an event is tried for ever: %q", &d.said)
	}
}

// TestDigestHolds: of the history a digest holds its own span and the bans of the one before,
// not the ninety days that there may be.
func TestDigestHolds(t *testing.T) {
	d := newDesk(t)
	d.Mail.To, d.Mail.When = Recipients{"root"}, Daily
	d.ran()
	for _, n := range []int{20, 3, 2} {
		d.ban(n)
		d.decide(state.Decision{Verb: state.Warned, Text: "a warning"})
		d.later(24 * time.Hour)
		if n != 2 {
			d.ran()
		}
	}
	r, err := begin(d.store, d.Options)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.list); n != 3+2+1 {
		t.Errorf("%d decisions are held, want 3 bans of the span before and 2 with a warning", n)
	}
	d.ran()
	if header, _ := parse(t, []byte(d.wantMails(3)[2])); !strings.Contains(header.Get("Subject"), "2 bans (3 the time before)") {
		t.Errorf("the digest: %v", header)
	}
}

// TestParallel: with several at a time nothing is lost and nothing twice, though some fail.
func TestParallel(t *testing.T) {
	d := newDesk(t)
	d.hook(`case $SCAN2BAN_KEY in *.7) [ -e works ] || exit 1;; esac; echo $SCAN2BAN_KEY >> told`).Parallel = 8
	d.ran()
	d.ban(40)
	if d.run() == nil {
		t.Fatal("no error")
	}
	os.WriteFile(filepath.Join(d.dir, "works"), nil, 0o644)
	d.later(2 * time.Minute)
	d.ran()
	seen := map[string]int{}
	for line := range strings.Lines(d.read("told")) {
		seen[line]++
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s was told %d times", strings.TrimSpace(key), n)
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d of 40 were told", len(seen))
	}
}

// TestAgain: hooks that enforce bans are told of those in force after a boot, and of those
// that a rebuild found.
func TestAgain(t *testing.T) {
	d := newDesk(t)
	d.Resend = true
	d.hook(`echo "$SCAN2BAN_EVENT $SCAN2BAN_KEY ${SCAN2BAN_AGAIN-}" >> told`).On = []string{"ban", "unban", "release"}
	key := state.Key{Prefix: netip.MustParsePrefix("198.51.100.9/32")}
	d.ledger.Jail("sshd").Bans()[key] = &state.Ban{Jail: "sshd", Key: key, Since: d.Now.Unix() - 10, Until: d.Now.Unix() + 1000, N: 1}
	d.decide(state.Decision{Verb: state.Rebuilt, Text: "a boot"})
	d.ran()
	d.ran()
	if got := d.read("told"); got != "ban 198.51.100.9 1\n" {
		t.Errorf("told %q", got)
	}
	d.decide(state.Decision{Verb: state.Banned, Jail: "sshd", Key: &key, Until: new(int64), Summed: true})
	d.ran()
	if got := d.read("told"); got != "ban 198.51.100.9 1\nban 198.51.100.9 \n" {
		t.Errorf("told %q", got)
	}
}

// TestUnsaved: where positions cannot be saved nothing is delivered, rather than
// everything again and again.
func TestUnsaved(t *testing.T) {
	d := newDesk(t)
	d.Mail.To, d.Mail.When = Recipients{"root"}, Each
	d.hook(`echo >> told`)
	d.ran()
	d.ban(1)
	path := filepath.Join(d.dir, "deliver.json.new")
	if err := os.Mkdir(path, 0o755); err != nil { // stands where the new positions are written
		t.Fatal(err)
	}
	for range 3 {
		if err := d.run(); err == nil || !strings.Contains(err.Error(), "nothing is delivered") {
			t.Fatalf("%v", err)
		}
	}
	if d.wantMails(0); d.read("told") != "" {
		t.Error("the hook was told")
	}
	os.Remove(path)
	d.ran()
	if d.wantMails(1); d.read("told") != "\n" {
		t.Error("the hook was not told")
	}
}

// TestPositions: damaged ones begin anew at the end, those of a newer version are left
// alone, a symbolic link is not followed, and one round runs at a time.
func TestPositions(t *testing.T) {
	d := newDesk(t)
	d.hook(`echo $SCAN2BAN_KEY >> told`)
	d.ran()
	d.ban(1)
	path := filepath.Join(d.dir, "deliver.json")
	os.WriteFile(path, []byte(`{"version":1,"sinks":{"hook`), 0o600)
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged: %v", err)
	}
	d.ban(1)
	d.ran()
	if got := d.read("told"); got != "203.0.2.0\n" {
		t.Errorf("told %q", got)
	}
	os.WriteFile(path, []byte(`{"version":2,"sinks":{}}`), 0o600)
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("newer: %v", err)
	}
	os.Remove(path)
	os.Symlink("/etc/passwd", path)
	if err := d.run(); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
	os.Remove(path)
	other, err := state.OpenStore(d.StatePath, false)
	if err == nil {
		err = other.LockBeside(t.Context(), fileName, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := d.run(); !errors.Is(err, state.ErrLocked) || !strings.Contains(err.Error(), "deliver.json.lock is held by deliveries") {
		t.Errorf("a second round: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d.Resend = true
	time.AfterFunc(10*time.Millisecond, stop)
	begun := time.Now()
	if err := LetGo(ctx, d.Options); !errors.Is(err, context.Canceled) || time.Since(begun) > 30*time.Second {
		t.Errorf("called off while it waits for that round: %v after %v", err, time.Since(begun))
	}
}

// TestWake: the file that starts the deliveries is written when something is due.
func TestWake(t *testing.T) {
	d := newDesk(t)
	wake := func() bool {
		os.Remove(DuePath(d.StatePath))
		d.Wake(d.StatePath, d.ledger, d.Now)
		_, err := os.Stat(DuePath(d.StatePath))
		return err == nil
	}
	if wake() {
		t.Error("nobody is to be told, and the deliveries start")
	}
	d.hook(`true`)
	if !wake() {
		t.Error("a new hook gets no position")
	}
	d.ran()
	if wake() {
		t.Error("nothing is due, and the deliveries start")
	}
	if d.ban(1); !wake() {
		t.Error("a ban starts no delivery")
	}
	// The directory may be that of a user who has been taken over, and the pass root's.
	for what, plant := range map[string]func(from, to string) error{"a link": os.Symlink, "a second name": os.Link} {
		victim := filepath.Join(d.dir, "victim")
		os.Remove(DuePath(d.StatePath))
		if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), plant(victim, DuePath(d.StatePath))); err != nil {
			t.Fatal(err)
		}
		d.Wake(d.StatePath, d.ledger, d.Now)
		if got := d.read("victim"); got != "mine" {
			t.Errorf("through %s it was written: %q", what, got)
		}
		os.Remove(victim)
	}
}
