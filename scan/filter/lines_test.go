package filter

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Addresses that stand only in text the attackers of the recordings chose.
var victims = map[string]bool{"8.8.8.8": true, "2001:4860:4860::8888": true}

func sshd(t testing.TB, mode Mode) *Matcher {
	t.Helper()
	f, err := Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	return f.Compile(mode)
}

// line is a case of lines.txt.
type line struct {
	at                     int // in the file
	want, program, message string
}

func lines(t testing.TB, path string) (all []line) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for i, row := range strings.Split(string(text), "\n") {
		switch {
		case row == "" || row[0] == '#':
		case row[0] != '\t':
			want = row
		default:
			program, message, ok := strings.Cut(row[1:], ": ")
			if !ok {
				t.Fatalf("%s:%d: no program", path, i+1)
			}
			all = append(all, line{i + 1, want, program, message})
		}
	}
	return all
}

// describe writes a verdict as lines.txt does.
func describe(v Verdict) string {
	rule, addr := "-", "-"
	if v.Rule != nil {
		rule = v.Rule.Name
	}
	if v.Addr.IsValid() {
		addr = v.Addr.String()
	}
	text := v.Kind.String() + " " + rule + " " + addr
	if v.Kind == Failure || v.Kind == Success {
		text += " " + strconv.Quote(v.User)
	}
	return text
}

func TestLines(t *testing.T) {
	m := sshd(t, Aggressive)
	covered := map[string]bool{}
	for _, l := range lines(t, "../../testdata/sshd/lines.txt") {
		v := m.Match([]byte(l.message), func() string { return l.program })
		if got := describe(v); got != l.want {
			t.Errorf("lines.txt:%d: got %s, want %s (%s)\n\t%s", l.at, got, l.want, v.Reason, l.message)
		}
		if v.Rule != nil && v.Kind == v.Rule.Kind {
			covered[v.Rule.Name] = true
		}
		if victims[v.Addr.String()] {
			t.Errorf("lines.txt:%d: blames a victim", l.at)
		}
	}
	for _, r := range m.rules {
		if !covered[r.Name] {
			t.Errorf("rule %q has no line in lines.txt", r.Name)
		}
	}
}

// A rule that the mode leaves out understands its lines and blames nobody.
func TestModes(t *testing.T) {
	active := map[Mode]int{}
	for _, mode := range Modes {
		m, all := sshd(t, mode), sshd(t, Aggressive)
		for _, l := range lines(t, "../../testdata/sshd/lines.txt") {
			program := func() string { return l.program }
			want, got := all.Match([]byte(l.message), program), m.Match([]byte(l.message), program)
			if want.Rule != nil && !want.Rule.Active(mode) && want.Kind != Benign {
				want = Verdict{Kind: Benign, Rule: want.Rule}
			}
			if want.Rule != nil {
				if got.Kind != want.Kind || got.Rule == nil || got.Rule.Name != want.Rule.Name || got.Addr != want.Addr {
					t.Errorf("mode %s: got %s, want %s for %s", mode, describe(got), describe(want), l.message)
				}
			}
			if got.Kind == Failure {
				active[mode]++
			}
		}
	}
	if !(active[Normal] < active[DDoS] && active[Normal] < active[Extra] && active[DDoS] < active[Aggressive]) {
		t.Errorf("failures by mode: %v", active)
	}
}

func TestRefused(t *testing.T) {
	m := sshd(t, Aggressive)
	const tail = " from 203.0.113.1 port 22"
	long := "Invalid user " + strings.Repeat("x", 499-len("Invalid user ")-len(tail)) + tail
	for _, c := range []struct {
		message, reason string
	}{
		{long, ""},
		{"Invalid user x" + long[len("Invalid user "):], reasonTooLong},
		{"Invalid user a\nb" + tail, reasonControl},
		{"Invalid user a\x00b" + tail, reasonControl},
		{"Invalid user a" + tail + "\nFailed password for root from 8.8.8.8 port 22 ssh2", reasonControl},
	} {
		v := m.Match([]byte(c.message), nil)
		if v.Reason != c.reason || (c.reason == "") != (v.Kind == Failure) || (c.reason != "") != (v.Kind == Refused) {
			t.Errorf("got %s, %q, want %q: %.80q (%d bytes)", v.Kind, v.Reason, c.reason, c.message, len(c.message))
		}
	}
}

// Over 8 KiB only an address counts that no free text after it can move, where the
// daemon itself has no limit.
func TestLongMessage(t *testing.T) {
	m := compile(t, `
[[rule]]
name = "before"
pattern = '^denied <ADDR>: .*$'
[[rule]]
name = "after"
pattern = '^denied <USER> at <ADDR>$'
[[rule]]
name = "first"
pattern = '^(?:[0-9a-z.]+ )?<ADDR> asked: .*$'
[[rule]]
name = "glued"
pattern = '^name=[^ ]*,at=<ADDR>,.*$'
[[rule]]
name = "bracketed"
pattern = '^greeted \([^ ()]*\) \[<ADDR>\] .*$'
`)
	filler := strings.Repeat("x", maxMessage)
	for message, want := range map[string]Kind{
		"denied 203.0.113.1: " + filler:    Failure,
		"denied " + filler + " at 8.8.8.8": Refused,
		"203.0.113.1 asked: " + filler:     Failure,
		"a.b 203.0.113.1 asked: " + filler: Failure, // the word before it has no space
		"denied x at 203.0.113.1":          Failure,

		"name=x,at=8.8.8.8," + filler:                  Refused, // the name may be longer
		"greeted (a) [203.0.113.1] " + filler:          Failure,
		"greeted (" + filler + ") [203.0.113.1] asked": Failure,
	} {
		if v := m.Match([]byte(message), nil); v.Kind != want {
			t.Errorf("%.20s...: %s, want %s", message, v.Kind, want)
		}
	}
}

func compile(t testing.TB, text string) *Matcher {
	t.Helper()
	f, err := Parse("test", "test.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	return f.Compile(Normal)
}

// An unknown program is every program; a known one must be in the rule's list.
func TestProgram(t *testing.T) {
	m := sshd(t, Aggressive)
	message := []byte("Connection closed by 203.0.113.1 port 22")
	for program, want := range map[string]string{
		"": "left-unidentified", "sshd": "left-unidentified",
		"sshd-session": "left-unidentified-session", "sshd-auth": "left-unidentified-session",
		"other": "ended",
	} {
		if v := m.Match(message, func() string { return program }); v.Rule.Name != want {
			t.Errorf("program %q: rule %s, want %s", program, v.Rule.Name, want)
		}
	}
}

func TestEvent(t *testing.T) {
	m := sshd(t, Aggressive)
	event := func(message string) (e struct {
		Addr          netip.Addr
		Session, Rule string
		Stage         int
		Once          bool
		After         string
		OK            bool
	}) {
		v := m.Match([]byte(message), nil)
		s, ok := v.Event("sshd", 7, "boot/9")
		e.Addr, e.Session, e.Rule, e.Stage, e.Once, e.After, e.OK = s.Addr, s.Session, s.Rule, s.Stage, s.Once, s.After, ok
		return e
	}
	if e := event("Invalid user x from 203.0.113.1 port 22"); !e.OK || e.Session != "boot/9" || e.Stage != 1 || e.Once {
		t.Errorf("invalid user: %+v", e)
	}
	if e := event("drop connection #0 from [203.0.113.1]:5 on [127.0.0.1]:22 penalty: failed authentication"); !e.OK || e.Session != "" {
		t.Errorf("penalty: %+v", e)
	}
	if e := event("Timeout before authentication for connection from 203.0.113.1 to 127.0.0.1, pid = 977"); e.Session != "boot/977" || !e.Once {
		t.Errorf("timeout: %+v", e)
	}
	if e := event("Connection closed by 203.0.113.1 port 22"); e.After != "identification" {
		t.Errorf("left: %+v", e)
	}
	if e := event("Server listening on 0.0.0.0 port 22."); e.OK {
		t.Errorf("server: %+v", e)
	}
}

// Lines that sshd may write after a ban has cut the client off prove nothing about
// that ban; the others answer a packet.
func TestLingers(t *testing.T) {
	m := sshd(t, Aggressive)
	for message, want := range map[string]bool{
		"Timeout before authentication for 203.0.113.1 port 5":                                                           true,
		"Timeout before authentication for connection from 203.0.113.1 to 127.0.0.1, pid = 977":                          true,
		"Connection reset by 203.0.113.1 port 5":                                                                         true,
		"Connection closed by authenticating user root 203.0.113.1 port 5 [preauth]":                                     true,
		"Connection reset by 203.0.113.1 port 5 [preauth]":                                                               true,
		"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.1  user=root":          true,
		"Failed password for root from 203.0.113.1 port 5 ssh2":                                                          false,
		"Invalid user x from 203.0.113.1 port 5":                                                                         false,
		"drop connection #0 from [203.0.113.1]:5 on [127.0.0.1]:22 penalty: failed authentication":                       false,
		"error: maximum authentication attempts exceeded for root from 203.0.113.1 port 5 ssh2 [preauth]":                false,
		"Unable to negotiate with 203.0.113.1 port 5: no matching host key type found. Their offer: ssh-dss [preauth]":   false,
		"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.1  user=root": false,
		"banner exchange: Connection from 203.0.113.1 port 5: invalid format":                                            false,
	} {
		v := m.Match([]byte(message), nil)
		if e, ok := v.Event("sshd", 7, "boot/9"); !ok || e.Lingers != want {
			t.Errorf("%s: lingers %v, a failure %v", message, e.Lingers, ok)
		}
	}
}

// parseAddr says what netip.ParseAddr says.
func TestParseAddr(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringOfN(rapid.SampledFrom([]rune("0125.")), 0, 16, -1),
			rapid.StringMatching(`[0-3]?[0-9]{1,2}(\.[0-9]{1,3}){2,4}`),
			rapid.StringMatching(`[0-9a-f:.%é]{0,20}`),
		).Draw(t, "text")
		got, err := parseAddr([]byte(text))
		want, wantErr := netip.ParseAddr(text)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q is %v (%v), not %v (%v)", text, got, err, want, wantErr)
		}
	})
}
