package report

import (
	"cmp"
	"fmt"
	"io"
	"strconv"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Gap is a stretch of the log that could not be read.
type Gap struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Lost   int    `json:"lost"` // messages; -1: unknown
	Unit   string `json:"unit,omitempty"`
	Reason string `json:"reason"`
}

// NewGap shows a gap between two seconds since the Unix epoch.
func NewGap(from, to int64, lost int, unit, reason string) Gap {
	return Gap{UTC(from), UTC(to), lost, unit, reason}
}

// String says it for people.
func (g Gap) String() string {
	return fmt.Sprintf("the log has a gap from %s to %s: %s", g.From, g.To, g.Reason)
}

// Pass is what one pass did, or, dry, would have done.
type Pass struct {
	Entries  int      `json:"entries"`
	Failures int      `json:"failures"`
	Banned   []Ban    `json:"banned"`
	Expired  []Ban    `json:"expired"`
	Released []Ban    `json:"released"`
	Unbanned []Ban    `json:"unbanned"`
	Repaired int      `json:"repaired"`
	Gaps     []Gap    `json:"gaps"`
	Warnings []string `json:"warnings"`
	DryRun   bool     `json:"dry_run"`
	Summary  string   `json:"summary,omitempty"` // of a rebuild

	now    int64 // seconds since the Unix epoch: the clock of the pass
	spared []string
}

// FromPass shows the decisions of a pass that left that ledger, at the clock
// time now in seconds.
func FromPass(decisions []state.Decision, ledger *state.State, now int64) *Pass {
	p := &Pass{Banned: []Ban{}, Expired: []Ban{}, Released: []Ban{}, Unbanned: []Ban{}, Gaps: []Gap{}, Warnings: []string{}, now: now}
	ended := func(d state.Decision) Ban {
		b, jail := fromDecision(d), ledger.Jails[d.Jail]
		b.Observed = jail != nil && !jail.Reach.Enforce
		return b
	}
	for _, d := range decisions {
		switch d.Verb {
		case state.Banned:
			b := fromDecision(d)
			if jail := ledger.Jails[d.Jail]; jail != nil {
				if live := jail.Bans()[*d.Key]; live != nil && live.Since == d.Since {
					b = FromBan(live) // with what came late
					b.id = d.ID
				}
			}
			b.Observed = !d.Enforced
			p.Banned = append(p.Banned, b)
		case state.Expired:
			p.Expired = append(p.Expired, ended(d))
		case state.Released:
			p.Released = append(p.Released, ended(d))
		case state.Unbanned:
			if d.N > 0 { // else only failures were forgiven
				p.Unbanned = append(p.Unbanned, ended(d))
			}
		case state.Rebuilt:
			p.Summary = d.Text
		case state.Warned:
			p.Warnings = append(p.Warnings, d.Text)
		case state.Spared:
			p.spared = append(p.spared, fmt.Sprintf("%s: not banned: %s %s", d.Jail, d.Key, d.Text))
		}
	}
	return p
}

func fromDecision(d state.Decision) Ban {
	until := int64(0)
	if d.Until != nil {
		until = *d.Until
	}
	b := &state.Ban{Jail: d.Jail, Key: *d.Key, Since: d.Since, Until: until, Failures: d.Failures, Late: d.Late,
		Users: d.Users, N: d.N, Rule: d.Rule, Members: d.Members, ByHand: d.ByHand}
	shown := FromBan(b)
	shown.id = d.ID
	if d.Address != "" {
		shown.Address = d.Address
	}
	return shown
}

// Until says how long a ban lasts, in a sentence.
func Until(end int64) string {
	if end == 0 {
		return "for ever"
	}
	return "until " + Local(end)
}

func why(b *state.Ban) string {
	text := state.Plural(b.Failures, "failure")
	switch {
	case b.ByHand:
		text = "by hand"
	case b.IsNetwork():
		text = fmt.Sprintf("%d of its addresses were banned", len(b.Members))
	}
	if b.N > 1 {
		text += fmt.Sprintf(", ban number %d", b.N)
	}
	if len(b.Users) > 0 {
		text += ", users " + users(b.Users)
	}
	return text
}

// WriteDry draws the table of a dry run: who would be banned, until when, why.
func (p *Pass) WriteDry(w io.Writer) {
	fmt.Fprintf(w, "Read %s, found %s, as of %s. Nothing was changed.\n",
		state.Plural(p.Entries, "entry"), state.Plural(p.Failures, "failure"), Local(p.now))
	for _, b := range p.Expired {
		fmt.Fprintf(w, "%s: the ban of %s would end\n", Clean(b.Jail), b.Key)
	}
	Each(w, p.spared)
	if len(p.Banned) == 0 {
		fmt.Fprintln(w, "Nobody would be banned.")
		return
	}
	fmt.Fprintf(w, "%s:\n\n", state.Plural(len(p.Banned), "ban"))
	p.writeTable(w)
}

// writeTable draws the bans in the order of their beginnings: who, until when, why.
func (p *Pass) writeTable(w io.Writer) {
	t := table{heading: []string{"JAIL", "BANNED", "UNTIL", "FAILURES", "RULE", "USERS"}, right: map[int]bool{3: true}}
	sortBans(p.Banned)
	for _, b := range p.Banned {
		until := End(b.ban.Until)
		if b.ban.Over(p.now) {
			until += " (over)"
		}
		t.rows = append(t.rows, []string{b.Jail, b.Key, until, strconv.Itoa(b.Failures), b.Rule, users(b.Users)})
	}
	t.write(w)
}

// sortBans puts bans in the order of their beginnings.
func sortBans(bans []Ban) {
	order.By(bans, func(a, b Ban) int { return cmp.Compare(a.ban.Since, b.ban.Since) })
}
