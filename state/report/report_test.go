package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"scan2ban/state"
)

func pass() *Pass {
	key := state.Key{Prefix: netip.MustParsePrefix("203.0.113.7/32")}
	until := int64(1_700_003_600)
	ban := state.Decision{Verb: state.Banned, Enforced: true, Jail: "sshd", Address: "203.0.113.7", Key: &key, Since: 1_700_000_000, Until: &until,
		Failures: 5, N: 2, Rule: "failed-password", Users: []string{"root", strings.Repeat("y", 60), "\x1b[31m"}}
	over := ban
	over.Verb, over.Late = state.Expired, 1
	return FromPass([]state.Decision{ban, over, {Verb: state.Warned, Text: "careful"}}, state.New(), 1_700_000_100)
}

func TestPassJSON(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, pass()); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"entries", "failures", "banned", "expired", "repaired", "gaps", "warnings", "dry_run"} {
		if got[name] == nil {
			t.Errorf("%q is missing or null: %s", name, out.String())
		}
	}
	b := got["banned"].([]any)[0].(map[string]any)
	if b["since"] != "2023-11-14T22:13:20Z" || b["until"] != "2023-11-14T23:13:20Z" || b["address"] != "203.0.113.7" || b["n"] != 2.0 {
		t.Errorf("ban: %v", b)
	}
	if packets, there := b["packets"]; packets != nil || !there {
		t.Errorf("packets %v, there %v; want null", packets, there)
	}
}

func TestPassText(t *testing.T) {
	time.Local = time.UTC
	var out bytes.Buffer
	write := func(p *Pass) {
		for _, l := range p.Lines() {
			fmt.Fprintf(&out, "<%d>%s\n", l.Level, l.Text)
		}
	}
	write(pass())
	want := `<5>sshd: banned 203.0.113.7 until 2023-11-14 23:13:20 UTC (5 failures, ban number 2, users root, yyyyyyyyyyyyyyyyyyy…, \x1b[31m)
<5>sshd: ban of 203.0.113.7 is over (1 failure while it lasted)
`
	if out.String() != want {
		t.Errorf("says\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	write(&Pass{})
	if out.Len() > 0 {
		t.Errorf("an idle pass says %q", out.String())
	}
	out.Reset()
	pass().WriteDry(&out)
	for _, want := range []string{"Nothing was changed", "1 ban:", "JAIL  BANNED       UNTIL                    FAILURES  RULE             USERS\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("dry run says\n%swithout %q", out.String(), want)
		}
	}
}

func TestHealth(t *testing.T) {
	j := state.New().Jail("sshd")
	const now = 1_700_000_000
	if h := FromJail(j, now, Condition{}).Health; h != Silent {
		t.Errorf("nothing read: %s", h)
	}
	j.Seen.Add(1_700_000_000, state.Tally{Entries: 25})
	if h := FromJail(j, now, Condition{}).Health; h != Blind {
		t.Errorf("25 entries, none understood: %s", h)
	}
	j.Seen.Add(now, state.Tally{Entries: 2, Refused: map[string]int64{"too long": 1, "no date": 1}})
	j.Seen.Add(now, state.Tally{Entries: 1, Refused: map[string]int64{"too long": 1}})
	if s := FromJail(j, now, Condition{}); s.Health != Blind || s.Message != `28 entries and none understood; 3 were refused, most because: too long; try "scan2ban match sshd"` {
		t.Errorf("refused: %+v", s)
	}
	all := state.New().Jail("nginx")
	for range enoughEntries {
		all.Seen.Add(now, state.Tally{Entries: 1, Refused: map[string]int64{"no date": 1}})
	}
	if s := FromJail(all, now, Condition{}); s.Health != Blind || s.Message != `all of 20 entries were refused: no date; try "scan2ban match nginx"` || all.Seen.Total.Refused != nil {
		t.Errorf("all refused: %+v", s)
	}
	j.Seen.Add(1_700_000_000, state.Tally{Entries: 1, Understood: 1})
	if h := FromJail(j, now, Condition{}).Health; h != OK {
		t.Errorf("understood: %s", h)
	}
	if s := FromJail(j, now, Condition{Broken: true, Trouble: "x.toml:3: no"}); s.Health != Error || s.Message != "its configuration is broken: x.toml:3: no (scan2ban check)" {
		t.Errorf("broken: %+v", s)
	}
	if s := FromJail(j, now, Condition{Trouble: "the last pass: no permission"}); s.Health != Error || s.Message != "the last pass: no permission" {
		t.Errorf("failed: %+v", s)
	}
	if h := FromJail(j, now+8*86400, Condition{Known: Unknown}).Health; h != Error {
		t.Errorf("the state cannot be read: %s", h)
	}
	if h := FromJail(j, now+8*86400, Condition{}).Health; h != Silent {
		t.Errorf("nothing for a week: %s", h)
	}
	if s := FromJail(j, now+8*86400, Condition{Quiet: "ssh.service is not running"}); s.Message != "nothing to read in seven days: ssh.service is not running" {
		t.Errorf("nothing for a week: %+v", s)
	}
	rebuilt := state.New().Jail("sshd")
	rebuilt.Seen.Since = now - 86400
	for at, want := range map[int64]string{now: "nothing to read since " + Local(now-86400), now + 6*86400: "nothing to read in seven days"} {
		if s := FromJail(rebuilt, at, Condition{}); s.Message != want {
			t.Errorf("%s, want %s", s.Message, want)
		}
	}
	if s := FromJail(j, now, Condition{Most: 1}); s.Message != "" {
		t.Errorf("no ban of the one that it keeps: %+v", s)
	}
	j.Bans()[state.Key{}] = &state.Ban{Jail: "sshd"}
	if s := FromJail(j, now, Condition{Most: 1}); s.Health != OK || s.Message != Full(1) {
		t.Errorf("its ledger is full: %+v", s)
	}
	if s := FromJail(state.New().Jail("recidive"), now, Condition{Ledger: true}); s.Health != OK || s.Backend != "ledger" {
		t.Errorf("recidive: %+v", s)
	}
}

func TestIneffective(t *testing.T) {
	time.Local = time.UTC
	const now = 1_700_000_000
	tests := []struct{ address, jail, ports, want string }{
		{"203.0.113.7", "sshd", "22", "7 failures came through the ban of 203.0.113.7, the last at 2023-11-14 22:11:40 UTC (failed-password): " +
			"most likely the service is reached at another port than 22 (see ports), or through a proxy or a container"},
		{"10.0.0.7", "sshd", "22", "a private address, perhaps that of a proxy"},
		{"203.0.113.7", state.ByHand, "all", "7 failures in sshd came through the ban of 203.0.113.7, the last at 2023-11-14 22:11:40 UTC (failed-password): every port is closed to it"},
	}
	for _, test := range tests {
		j := state.New().Jail(test.jail)
		j.Reach = state.DefaultReach()
		var port state.Port
		if err := port.UnmarshalText([]byte(test.ports)); err != nil {
			t.Fatal(err)
		}
		j.Reach.Ports = state.Ports{port}
		key, err := state.ParsePrefix(test.address)
		if err != nil {
			t.Fatal(err)
		}
		j.Through = &state.Through{First: now - 200, Last: now - 100, Failures: 7, Key: state.Key(key), Address: test.address, Jail: "sshd", Rule: "failed-password"}
		if s := FromJail(j, now, Condition{}); s.Health != Ineffective || !strings.Contains(s.Message, test.want) {
			t.Errorf("%s at %s: %s: %s", test.address, test.ports, s.Health, s.Message)
		}
		if s := FromJail(j, now, Condition{Trouble: "no permission"}); s.Health != Error {
			t.Errorf("it is not in the kernel at all: %s", s.Health)
		}
		j.Reach.Enforce = false
		if s := FromJail(j, now, Condition{}); s.Health == Ineffective {
			t.Errorf("a jail that observes: %s", s.Health)
		}
	}
}

func TestOverdue(t *testing.T) {
	for second, want := range map[int64]string{600: "None for 10m: is the timer running", 599: ""} {
		var out bytes.Buffer
		NewStatus(&state.LastRun{Time: 1_700_000_000}, nil, 1_700_000_000+second).Write(&out, false)
		if got := out.String(); strings.Contains(got, "timer") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("after %d s: %s", second, got)
		}
	}
}

func TestJSONIsPrintable(t *testing.T) {
	var out bytes.Buffer
	const hostile = "a\u009b2J\u202e\U000e0041é"
	if err := JSON(&out, map[string]string{"user": hostile}); err != nil {
		t.Fatal(err)
	}
	if want := "{\"user\":\"a\\u009b2J\\u202e\\udb40\\udc41é\"}\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["user"] != hostile {
		t.Errorf("read back as %q, %v", back["user"], err)
	}
}

// What a jail that only observes decides is not told as a ban.
func TestObserved(t *testing.T) {
	ledger := state.New()
	ledger.Jail("sshd").Reach.Enforce = false
	key := state.Key{Prefix: netip.MustParsePrefix("203.0.113.7/32")}
	until := int64(1_700_003_600)
	ban := state.Decision{Verb: state.Banned, Jail: "sshd", Key: &key, Since: 1_700_000_000, Until: &until, Failures: 5, N: 1}
	over, released, unbanned := ban, ban, ban
	over.Verb, released.Verb, unbanned.Verb = state.Expired, state.Released, state.Unbanned
	p := FromPass([]state.Decision{ban, over, released, unbanned}, ledger, 1_700_000_100)
	lines := p.Lines()
	for i, want := range []string{
		"sshd: observed, not banned: 203.0.113.7 until ", "sshd: observed, ban of 203.0.113.7 is over (",
		"sshd: observed, released 203.0.113.7", "sshd: observed, unbanned 203.0.113.7",
	} {
		if !strings.HasPrefix(lines[i].Text, want) || lines[i].Fields()["SCAN2BAN_OBSERVED"] != "1" {
			t.Errorf("says %q, fields %v, want %q", lines[i].Text, lines[i].Fields(), want)
		}
	}
	var out bytes.Buffer
	p.WriteFirst(&out)
	WriteBans(&out, p.Banned, Decided)
	for _, want := range []string{"1 ban observed, and not in force:", "  observed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing from\n%s", want, out.String())
		}
	}
	p.Banned = append(p.Banned, p.Banned[0])
	p.Banned[0].Observed = false
	out.Reset()
	if p.WriteFirst(&out); !strings.Contains(out.String(), "2 bans decided, 1 of them observed and not in force:") {
		t.Error(out.String())
	}
}
