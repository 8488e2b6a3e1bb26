package report

import (
	"bytes"
	"strings"
	"testing"

	"scan2ban/state"
)

// TestForgedLedger: names that the ledger or the history holds are the word of whoever writes
// these files: of none a terminal takes anything for a command.
func TestForgedLedger(t *testing.T) {
	const evil = "\x1b]0;x\x07\u202e\n"
	p := pass()
	bans := append(p.Banned, p.Expired...)
	for i := range bans {
		bans[i].Jail, bans[i].Rule = evil, evil
		bans[i].ban.Rule = evil
	}
	p.spared = []string{evil}
	s := NewStatus(nil, nil, 0)
	s.Jails = append(s.Jails, FromJail(state.New().Jail(evil), 0, Condition{Backend: evil}))
	through := state.New().Jail("sshd")
	through.Reach.Enforce, through.Through = true, &state.Through{Last: 1, Jail: evil, Rule: evil, Address: evil}
	s.Jails = append(s.Jails, FromJail(through, 2, Condition{}), FromJail(through, 2, Condition{Trouble: evil}), FromJail(through, 2, Condition{GaveUp: evil}))
	why := Why{Address: "203.0.113.7", NotJudged: []NotJudged{{Jail: evil, Reason: evil}}, Jails: []WhyJail{
		{Jail: evil, Ban: &bans[0], State: IsBanned}, {Jail: evil, State: IsCounted}, {Jail: evil, State: IsOver, How: evil}, {Jail: evil, Ignored: evil, State: IsIgnored}}}
	for what, write := range map[string]func(*bytes.Buffer){
		"run": func(b *bytes.Buffer) {
			lines := p.Lines()
			for i := range lines {
				lines[i].Write(b)
			}
		},
		"dry run": func(b *bytes.Buffer) { p.WriteDry(b) },
		"install": func(b *bytes.Buffer) { p.WriteFirst(b) },
		"banned":  func(b *bytes.Buffer) { WriteBans(b, bans, Decided) },
		"status":  func(b *bytes.Buffer) { s.Write(b, true) },
		"health": func(b *bytes.Buffer) {
			for _, j := range s.Jails {
				b.WriteString(j.Message + "\n")
			}
		},
		"why": func(b *bytes.Buffer) { why.Write(b) },
		"csv": func(b *bytes.Buffer) { _ = exportCSV(b, bans) },
		"fields": func(b *bytes.Buffer) {
			for _, l := range p.Lines() {
				for _, value := range l.Fields() {
					b.WriteString(value)
				}
			}
		},
	} {
		var out bytes.Buffer
		write(&out)
		if out.Len() == 0 || strings.ContainsAny(out.String(), "\x1b\x07\u202e") {
			t.Errorf("%s: %q", what, out.String())
		}
	}
}
