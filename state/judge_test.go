package state

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// T is the second at which the tests' logs begin.
const T = 1_700_000_000

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func fail(a string, second int64) Event {
	return Event{Failure: Failure{Jail: "sshd", Addr: addr(a), Time: T + second, Weight: 1, User: "root", Rule: "failed-password"}}
}

// bench is a judge over one jail with a state of its own.
type bench struct {
	*Judge
	rules *Rules
	state *State
}

func newBench(change func(*Rules)) *bench {
	r := &Rules{Policy: DefaultPolicy(), Reach: DefaultReach(), Ignored: NewIgnored()}
	r.MaxRetry, r.FindTime, r.BanTime = 3, Duration(10*time.Minute), Duration(time.Hour)
	if change != nil {
		change(r)
	}
	s, prior := New(), NewPrior()
	return &bench{NewJudge(s, map[string]*Rules{"sshd": r}, DefaultOptions(), func() (*Prior, error) { return prior, nil }), r, s}
}

// told are the decisions as "VERB KEY SINCE UNTIL n=N", seconds counted from T.
func (b *bench) told() (list []string) {
	for _, d := range b.Decisions {
		line := string(d.Verb)
		if d.Key != nil {
			line += fmt.Sprintf(" %s %d", d.Key, d.Since-T)
			if d.Until != nil && *d.Until != 0 {
				line += fmt.Sprintf(" %d", *d.Until-T)
			}
			line += fmt.Sprintf(" n=%d", d.N)
		}
		list = append(list, line)
	}
	return list
}

func TestJudge(t *testing.T) {
	at := func(a string, seconds ...int64) (events []Event) {
		for _, s := range seconds {
			events = append(events, fail(a, s))
		}
		return events
	}
	login := func(a string, second int64) Event {
		e := fail(a, second)
		e.Kind = KindSuccess
		return e
	}
	tests := []struct {
		name   string
		change func(*Rules)
		events []Event
		want   []string
	}{
		{"three within findtime ban from the third", nil, at("203.0.113.1", 0, 10, 20), []string{"ban 203.0.113.1 20 3620 n=1"}},
		{"the window is open at its old end", nil, at("203.0.113.1", 0, 1, 600), nil},
		{"and slides", nil, at("203.0.113.1", 0, 1, 600, 600), []string{"ban 203.0.113.1 600 4200 n=1"}},
		{"failures inside a ban are late and do not lengthen it", nil, at("203.0.113.1", 0, 1, 2, 3, 3601), []string{"ban 203.0.113.1 2 3602 n=1"}},
		{"a second ban has n=2", nil, at("203.0.113.1", 0, 1, 2, 3602, 3603, 3604), []string{"ban 203.0.113.1 2 3602 n=1", "ban 203.0.113.1 3604 7204 n=2"}},
		{"escalation doubles, up to max", func(r *Rules) { r.Escalation = Escalation{Factor: 2, Max: Duration(90 * time.Minute)} },
			at("203.0.113.1", 0, 0, 0, 3600, 3600, 3600, 9000, 9000, 9000), []string{
				"ban 203.0.113.1 0 3600 n=1", "ban 203.0.113.1 3600 9000 n=2", "ban 203.0.113.1 9000 14400 n=3"}},
		{"permanent has no end", func(r *Rules) { r.BanTime = Permanent }, at("203.0.113.1", 0, 1, 2, 99999), []string{"ban 203.0.113.1 2 n=1"}},
		{"a late failure completes the window it falls into", nil, append(at("203.0.113.1", 0, 20), at("203.0.113.1", 10)...), []string{"ban 203.0.113.1 20 3620 n=1"}},
		{"a late failure never moves a ban", nil, append(at("203.0.113.1", 10, 20, 30), at("203.0.113.1", 0, 5)...), []string{"ban 203.0.113.1 30 3630 n=1"}},
		{"late failures are judged at their own time", nil, append(at("203.0.113.1", 10, 20, 30), at("203.0.113.1", 0, 5, 25)...), []string{"ban 203.0.113.1 30 3630 n=1", "ban 203.0.113.1 25 3625 n=1"}},
		{"an IPv6 key is a /64", nil, []Event{fail("2001:db8::1", 0), fail("2001:db8::2", 1), fail("2001:db8::3", 2)}, []string{"ban 2001:db8::/64 2 3602 n=1"}},
		{"inside NAT64 each address is a key", nil, []Event{fail("64:ff9b::1", 0), fail("64:ff9b::2", 1), fail("64:ff9b::3", 2)}, nil},
		{"loopback, link-local, multicast never fail", nil, slices.Concat(at("127.0.0.1", 0, 0, 0), at("::1", 0, 0, 0), at("fe80::1", 0, 0, 0), at("224.0.0.1", 0, 0, 0), at("0.0.0.0", 0, 0, 0)), nil},
		{"ignored addresses do not count", func(r *Rules) { r.Ignored.Add(must("203.0.113.0/24"), "ignoreip") }, at("203.0.113.1", 0, 0, 0), nil},
		{"a prefix that holds an ignored address is banned address by address", func(r *Rules) { r.Ignored.Add(must("2001:db8::9"), "ignoreip") },
			[]Event{fail("2001:db8::1", 0), fail("2001:db8::1", 1), fail("2001:db8::2", 1), fail("2001:db8::1", 2), fail("2001:db8::9", 2), fail("2001:db8::9", 2), fail("2001:db8::9", 2)},
			[]string{"ban 2001:db8::1 2 3602 n=1"}},
		{"and so one of IPv4", func(r *Rules) { r.IPv4Prefix = 24; r.Ignored.Add(must("203.0.113.9"), "ignoreip") }, at("203.0.113.1", 0, 1, 2), []string{"ban 203.0.113.1 2 3602 n=1"}},
		{"weights add up", nil, func() []Event { e := at("203.0.113.1", 0, 1); e[1].Weight = 2; return e }(), []string{"ban 203.0.113.1 1 3601 n=1"}},
		{"an instant rule bans at its first failure", func(r *Rules) { r.Instant = []string{"probe"} },
			func() []Event { e := at("203.0.113.1", 0, 1, 2); e[1].Rule = "probe"; return e }(), []string{"ban 203.0.113.1 1 3601 n=1"}},
		{"forgive clears the window", func(r *Rules) { r.Forgive = true }, append(at("203.0.113.1", 0, 1), login("203.0.113.1", 2), fail("203.0.113.1", 3)), nil},
		{"without forgive a log-in changes nothing", nil, append(at("203.0.113.1", 0, 1), login("203.0.113.1", 2), fail("203.0.113.1", 3)), []string{"ban 203.0.113.1 3 3603 n=1"}},
		{"spare bans nobody who logged in of late", func(r *Rules) { r.Spare = Duration(time.Hour) }, append([]Event{login("203.0.113.1", 0)}, at("203.0.113.1", 1, 2, 3)...), []string{"spare 203.0.113.1 3 n=0"}},
		{"who did so in the same second is spared", func(r *Rules) { r.Spare = Duration(time.Hour) }, append(at("203.0.113.1", 1, 2), login("203.0.113.1", 3), fail("203.0.113.1", 3)), []string{"spare 203.0.113.1 3 n=0"}},
		{"but later on", func(r *Rules) { r.Spare = Duration(time.Hour) }, append([]Event{login("203.0.113.1", 0)}, at("203.0.113.1", 3600, 3600, 3600)...), []string{"ban 203.0.113.1 3600 7200 n=1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(test.change)
			for _, e := range test.events {
				b.Event(e)
			}
			if got := b.told(); !slices.Equal(got, test.want) {
				t.Errorf("decided\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(test.want, "\n  "))
			}
		})
	}
}

func must(text string) Prefix {
	p, err := ParsePrefix(text)
	if err != nil {
		panic(err)
	}
	return p
}

func TestLateFailuresAreCountedOnTheBan(t *testing.T) {
	b := newBench(nil)
	for _, s := range []int64{0, 1, 2, 3, 4} {
		b.Event(fail("203.0.113.1", s))
	}
	ban := b.state.Jail("sshd").Live(T + 5)[0]
	if ban.Failures != 3 || ban.Late != 2 || b.state.Jail("sshd").Tracked() != 0 {
		t.Errorf("failures %d, late %d, tracked %d; want 3, 2, 0", ban.Failures, ban.Late, b.state.Jail("sshd").Tracked())
	}
}

// TestReadBeforeTheLateOne: what follows the failure that decides, but was read before it, is
// late on the ban too.
func TestReadBeforeTheLateOne(t *testing.T) {
	b := newBench(nil)
	decides := fail("203.0.113.1", 10)
	decides.Weight = 2
	for _, e := range []Event{fail("203.0.113.1", 0), fail("203.0.113.1", 500), decides} {
		b.Event(e)
	}
	ban := b.state.Jail("sshd").Live(T + 501)[0]
	if ban.Since != T+10 || ban.Failures != 3 || ban.Late != 1 {
		t.Errorf("since %d, failures %d, late %d; want 10, 3, 1", ban.Since-T, ban.Failures, ban.Late)
	}
}

func TestOneAttemptCountsOnce(t *testing.T) {
	line := func(stage int, once bool) Event {
		e := fail("203.0.113.1", 0)
		e.Session, e.Stage, e.Once = "boot/7", stage, once
		return e
	}
	tests := []struct {
		name   string
		events []Event
		want   int
	}{
		{"invalid user, one wrong password, closed", []Event{line(1, false), line(3, false), line(0, true)}, 1},
		{"invalid user, three wrong passwords", []Event{line(1, false), line(3, false), line(3, false), line(3, false)}, 3},
		{"keyboard-interactive of an invalid user, twice", []Event{line(1, false), line(2, false), line(3, false), line(2, false), line(3, false)}, 2},
		{"keyboard-interactive of a valid user, twice", []Event{line(2, false), line(2, false)}, 2},
		{"only closed", []Event{line(0, true), line(0, true)}, 1},
	}
	for _, test := range tests {
		s, n := NewSessions(), 0
		for _, e := range test.events {
			if s.Counts(&e) {
				n++
			}
		}
		if n != test.want {
			t.Errorf("%s: %d, want %d", test.name, n, test.want)
		}
	}
}

func TestEchoes(t *testing.T) {
	direct := func(pid string, stage int) Event {
		e := fail("203.0.113.1", 0)
		e.Session, e.Stage, e.Echoed = pid, stage, true
		return e
	}
	plain := func(pid string, stage int) Event {
		e := direct(pid, stage)
		e.Echoed = false
		return e
	}
	echo := func(weight int) Event {
		e := fail("203.0.113.1", 0)
		e.Echo, e.Weight = true, weight
		return e
	}
	tests := []struct {
		name   string
		events []Event
		want   int
	}{
		{"alone they count", []Event{echo(1), echo(2)}, 3},
		{"before the service speaks, once", []Event{echo(1), direct("b/1", 3), echo(1), direct("b/1", 3)}, 2},
		{"what the session has counted already is heard too", []Event{plain("b/1", 1), direct("b/1", 3), echo(1)}, 1},
		{"a service without echoes silences none", []Event{plain("b/1", 1), echo(1)}, 2},
		{"after it, not at all", []Event{direct("b/1", 1), echo(1), direct("b/1", 3)}, 1},
	}
	for _, test := range tests {
		s, n := NewSessions(), 0
		for _, e := range test.events {
			if s.Counts(&e) {
				n += e.Weight
			}
		}
		if n != test.want {
			t.Errorf("%s: %d, want %d", test.name, n, test.want)
		}
	}
}

func TestRecidive(t *testing.T) {
	policy := DefaultPolicy()
	policy.MaxRetry, policy.FindTime, policy.BanTime = 1, Duration(time.Hour), Duration(time.Minute)
	again := policy
	again.MaxRetry, again.BanTime = 3, Duration(24*time.Hour)
	prior := NewPrior()
	rules := map[string]*Rules{"sshd": {Policy: policy, Reach: DefaultReach()}, "recidive": {Policy: again, Reach: DefaultReach(), Ledger: true}}
	j := NewJudge(New(), rules, DefaultOptions(), func() (*Prior, error) { return prior, nil })
	for s := int64(0); s < 180; s += 60 {
		j.Event(fail("203.0.113.1", s))
	}
	last := j.Decisions[len(j.Decisions)-1]
	if len(j.Decisions) != 4 || last.Jail != "recidive" || last.Since != T+120 || *last.Until != T+120+86400 {
		t.Errorf("decided %+v", j.Decisions)
	}
}

// TestBoundKeepsTheHeaviest: an attacker with two of three failures is not
// flushed out by ten thousand addresses that fail once.
func TestBoundKeepsTheHeaviest(t *testing.T) {
	b := newBench(func(r *Rules) { r.MaxTracked = 100 })
	b.Event(fail("203.0.113.1", 0))
	b.Event(fail("203.0.113.1", 0))
	for i := range 10_000 {
		b.Event(fail(fmt.Sprintf("10.0.%d.%d", i/250, i%250), int64(i/100)))
	}
	if n := b.state.Jail("sshd").Tracked(); n != 100 {
		t.Errorf("tracks %d keys, want 100", n)
	}
	b.Event(fail("203.0.113.1", 200))
	got := b.told()
	if want := []string{"warning", "ban 203.0.113.1 200 3800 n=1"}; !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}

func TestFinish(t *testing.T) {
	b := newBench(nil)
	for _, a := range []string{"203.0.113.1", "203.0.113.2"} {
		for s := range int64(3) {
			b.Event(fail(a, s))
		}
	}
	b.state.Sources.Journal = &JournalPosition{Time: (T + 3) * 1e6}
	b.Finish(T+10, nil)
	reread := func(s *State, change func(*Rules)) *bench {
		state, err := Decode(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		n := newBench(change)
		n.Judge = NewJudge(state, map[string]*Rules{"sshd": n.rules}, DefaultOptions(), n.prior)
		n.state = state
		return n
	}
	next := func(change func(*Rules)) *bench { return reread(b.state, change) }
	t.Run("expiry is told once, and the ban stays until the log has passed it", func(t *testing.T) {
		n := next(nil)
		n.Finish(T+3602, nil)
		if got := len(n.Decisions); got != 2 || n.Decisions[0].Verb != Expired {
			t.Fatalf("decided %v", n.told())
		}
		if live, kept := len(n.state.Jail("sshd").Live(T+3602)), len(n.state.Jail("sshd").Bans()); live != 0 || kept != 2 {
			t.Errorf("%d live and %d kept, want 0 and 2", live, kept)
		}
		n.Decisions = nil
		n.Finish(T+3700, nil)
		if len(n.Decisions) != 0 {
			t.Errorf("told again: %v", n.told())
		}
		n.Event(fail("203.0.113.1", 100)) // read late: inside the ban
		if n.state.Jail("sshd").Tracked() != 0 {
			t.Error("a failure inside an ended ban opened a window")
		}
	})
	t.Run("each ends in its own time", func(t *testing.T) {
		n := next(nil)
		for s := range int64(3) {
			n.Event(fail("203.0.113.3", 1000+s))
		}
		for _, step := range []struct {
			now  int64
			want []string
		}{
			{3602, []string{"expiry 203.0.113.1 2 3602 n=1", "expiry 203.0.113.2 2 3602 n=1"}},
			{4601, nil},
			{4602, []string{"expiry 203.0.113.3 1002 4602 n=1"}},
		} {
			n = reread(n.state, nil)
			n.state.Sources.Journal = &JournalPosition{Time: (T + step.now) * 1e6}
			n.Finish(T+step.now, nil)
			if got := n.told(); !slices.Equal(got, step.want) {
				t.Errorf("at %d decided %q, want %q", step.now, got, step.want)
			}
		}
	})
	t.Run("what is ignored now is released", func(t *testing.T) {
		n := next(func(r *Rules) { r.Ignored.Add(must("203.0.113.2"), "ignoreip") })
		n.Finish(T+20, nil)
		if got, want := n.told(), []string{"release 203.0.113.2 2 3602 n=1"}; !slices.Equal(got, want) {
			t.Errorf("decided %q, want %q", got, want)
		}
	})
	t.Run("a removed jail is released, a broken one is not", func(t *testing.T) {
		n := next(nil)
		n.Judge = NewJudge(n.state, nil, DefaultOptions(), n.prior)
		n.Finish(T+20, map[string]bool{"sshd": true})
		if len(n.Decisions) != 0 || len(n.state.Jail("sshd").Live(T+20)) != 2 {
			t.Errorf("broken: %v", n.told())
		}
		n.Finish(T+20, nil)
		if len(n.Decisions) != 2 || n.Decisions[0].Verb != Released {
			t.Errorf("removed: %v", n.told())
		}
	})
	t.Run("of a removed jail what is over has ended, and the rest is released", func(t *testing.T) {
		n := next(nil)
		for s := range int64(3) {
			n.Event(fail("203.0.113.3", 1000+s))
		}
		n.Judge = NewJudge(n.state, nil, DefaultOptions(), n.prior)
		n.state.Jail("sshd").Bans()[Key(must("203.0.113.3"))].fresh = false // as read back
		n.Finish(T+3700, nil)
		if got, want := n.told(), []string{"expiry 203.0.113.1 2 3602 n=1", "expiry 203.0.113.2 2 3602 n=1", "release 203.0.113.3 1002 4602 n=1"}; !slices.Equal(got, want) {
			t.Errorf("decided %q, want %q", got, want)
		}
	})
}

// TestLoginsAreForgotten: a log-in is kept for as long as it may spare somebody.
func TestLoginsAreForgotten(t *testing.T) {
	b := newBench(func(r *Rules) { r.Spare = Duration(time.Hour) })
	e := fail("203.0.113.1", 0)
	e.Kind = KindSuccess
	for _, step := range []struct {
		second int64
		kept   int
	}{{3599, 1}, {3600, 0}} {
		b.Event(e)
		b.state.Sources.Journal = &JournalPosition{Time: (T + step.second) * 1e6}
		b.Finish(T+step.second, nil)
		if n := len(b.state.Jail("sshd").Successes); n != step.kept {
			t.Errorf("%d s later %d log-ins are known, want %d", step.second, n, step.kept)
		}
	}
}

// TestBehind: what a source that could not be read may still tell of is kept, pardons, bans and
// windows, though another source has gone on; but not for ever.
func TestBehind(t *testing.T) {
	later := Duration(20 * time.Minute)
	held := func(seconds int64, behind map[string]int64, recidive bool) (bans, windows, pardons int) {
		b := newBench(func(r *Rules) { r.BanTime, r.Ledger = later, recidive })
		for s := range int64(3) {
			b.Event(fail("203.0.113.1", s))
		}
		b.Event(fail("203.0.113.2", 3))
		if _, err := b.UnbanByHand([]string{"sshd"}, Key(must("203.0.113.3")), T+4); err != nil {
			t.Fatal(err)
		}
		b.Behind = behind
		b.state.Sources.Journal, b.state.Sources.Logs = &JournalPosition{Time: (T + 4) * 1e6}, &LogPosition{Time: (T + seconds) * 1e6}
		b.Finish(T+seconds, nil)
		jail := b.state.Jail("sshd")
		return len(jail.Bans()), jail.Tracked(), len(jail.Pardons)
	}
	const longest = 30 * 60 // findtime and bantime
	for _, tt := range []struct {
		name    string
		seconds int64
		behind  map[string]int64
		again   bool // it is a recidive jail
		kept    int
	}{
		{"both were read", longest + 5, nil, false, 0},
		{"another jail is behind", longest + 5, map[string]int64{"other": T + 4}, false, 0},
		{"and its bans would be this one's failures", longest, map[string]int64{"other": T + 4}, true, 1},
		{"it is behind", longest, map[string]int64{"sshd": T + 4}, false, 1},
		{"and was so for long", 4 + longest, map[string]int64{"sshd": T + 4}, false, 1},
		{"for longer than what it holds matters", 3 * longest, map[string]int64{"sshd": T + 4}, false, 0},
	} {
		if bans, windows, pardons := held(tt.seconds, tt.behind, tt.again); bans != tt.kept || windows != tt.kept || pardons != tt.kept {
			t.Errorf("%s: %d bans, %d windows, %d pardons kept, want %d of each", tt.name, bans, windows, pardons, tt.kept)
		}
	}
}

// TestWrittenLate: what failed before an unban is void though its line is written after later
// ones were read, as nginx does with buffer=.
func TestWrittenLate(t *testing.T) {
	for _, late := range []int64{60, 3500, 7000} { // as long as what is forgiven would ban anybody
		b := newBench(func(r *Rules) { r.FindTime = Duration(time.Hour) })
		if _, err := b.UnbanByHand([]string{"sshd"}, Key(must("203.0.113.1")), T+10); err != nil {
			t.Fatal(err)
		}
		b.state.Sources.Logs = &LogPosition{Time: (T + late) * 1e6}
		b.Finish(T+late, nil)
		for s := range int64(3) {
			b.Event(fail("203.0.113.1", s))
		}
		if n := len(b.state.Jail("sshd").Bans()); n != 0 {
			t.Errorf("%d s later it is banned for what was forgiven", late)
		}
	}
}

func TestByHand(t *testing.T) {
	key := func(text string) Key { return Key(must(text)) }
	b := newBench(nil)
	for s := range int64(3) {
		b.Event(fail("203.0.113.1", s))
		b.Event(fail("203.0.113.2", s))
	}
	if freed, err := b.UnbanByHand([]string{"sshd"}, key("203.0.113.1"), T+10); err != nil || len(freed) != 1 {
		t.Fatalf("unban: %v, %v", freed, err)
	}
	for s := range int64(3) {
		b.Event(fail("203.0.113.1", 4+s)) // read late: forgiven
	}
	if n := len(b.state.Jail("sshd").Live(T + 10)); n != 1 {
		t.Errorf("%d live bans, want 1: what was forgiven bans again", n)
	}
	for s := range int64(3) {
		b.Event(fail("203.0.113.1", 11+s))
	}
	if n := len(b.state.Jail("sshd").Live(T + 20)); n != 2 {
		t.Errorf("%d live bans, want 2: new failures count", n)
	}
	if _, fresh := b.BanByHand(ByHand, key("198.51.100.0/24"), T+20, 0, false); !fresh {
		t.Error("ban by hand is not new")
	}
	if _, err := b.UnbanByHand([]string{ByHand}, key("198.51.100.7"), T+21); err == nil {
		t.Error("a part of a CIDR was taken back")
	}
	if freed, err := b.UnbanByHand([]string{"sshd", ByHand}, Everything[0], T+22); err != nil || len(freed) != 3 {
		t.Errorf("unban all: %d, %v", len(freed), err)
	}
}
