package report

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"scan2ban/state"
)

// TestHostileTextElsewhere: nor does any other command hand to a terminal what a client has
// had logged: its names, and the lines as they stand in the log.
func TestHostileTextElsewhere(t *testing.T) {
	text := terminal + strings.Join(hostile, " ") // long ones are cut
	p := pass()
	p.Banned[0].Users = hostile
	p.Banned[0].ban.Users = hostile
	s := NewStatus(nil, nil, 0)
	for i, name := range hostile {
		s.Jails = append(s.Jails, Jail{Name: name, Enabled: true, Health: Blind, Message: hostile[len(hostile)-1-i]})
	}
	match := func(lines bool) func(b *bytes.Buffer) {
		return func(b *bytes.Buffer) {
			m := NewMatches(b, false, lines, nil)
			for i := range 2 * fewLines {
				for _, verdict := range []string{"none", "refused", "failure"} {
					m.Add(Match{N: i, Verdict: verdict, Rule: verdict, Reason: "odd", User: text}, netip.Addr{}, 0, []byte(text), []byte(text))
				}
			}
			if err := m.Done(); err != nil {
				t.Error(err)
			}
		}
	}
	for what, write := range map[string]func(b *bytes.Buffer){
		"run": func(b *bytes.Buffer) {
			for _, l := range append(p.Lines(), Warnings(hostile)...) {
				l.Write(b)
				for _, value := range l.Fields() {
					b.WriteString(value)
				}
			}
		},
		"dry run": func(b *bytes.Buffer) { p.WriteDry(b) },
		"banned":  func(b *bytes.Buffer) { WriteBans(b, p.Banned, Decided) },
		"status":  func(b *bytes.Buffer) { s.Write(b, true) },
		"why": func(b *bytes.Buffer) {
			w := Why{Address: "203.0.113.7", Jails: []WhyJail{{Jail: "sshd", Ban: &p.Banned[0], State: IsBanned, Lines: []Evidence{{Rule: text, User: text, Line: text}}}}}
			w.Write(b)
		},
		"match":             match(false),
		"match, every line": match(true),
		"check": func(b *bytes.Buffer) {
			var found Findings
			found.Warn(text, text, text)
			found[0].Lines = hostile
			found.Write(b, false)
		},
		"digest": func(b *bytes.Buffer) {
			key := state.Key{Prefix: netip.MustParsePrefix("203.0.113.7/32")}
			d := NewDigest([]state.Decision{{Verb: state.Banned, Jail: "sshd", Address: "203.0.113.7", Key: &key, Until: new(int64), Users: hostile}, {Verb: state.Warned, Text: text}}, state.New(), 0, 1)
			d.Status, d.Contacts = NewStatus(nil, nil, 0), map[string]string{"203.0.113.7": text}
			d.HTML(b)
			if strings.Contains(b.String(), "<script>document") {
				t.Error("the digest holds a script")
			}
			d.Write(b)
		},
		"json": func(b *bytes.Buffer) { _ = JSON(b, p) },
	} {
		var out bytes.Buffer
		write(&out)
		if out.Len() == 0 || strings.ContainsAny(out.String(), terminal) {
			t.Errorf("%s: %q", what, &out)
		}
	}
}
