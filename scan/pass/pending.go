package pass

import (
	"scan2ban/state"
	"scan2ban/state/report"
)

// A pass that only looks judges what was logged since the last one. What it decides
// by that is in no kernel yet: it is pending until a pass decides the same and commits.

// Known is what a pass that only looks knows of the bans that passes have decided.
func (p *Pass) Known() report.Known {
	switch {
	case p.unread:
		return report.Unknown
	case p.lost == otherJournal, p.lost == firstRun && p.Ledger.History.Seq == 0:
		return report.NoPass
	}
	return report.Decided
}

// Closed is what keeps a pass that only looks from its state directory: it knows no ban.
func (p *Pass) Closed() error { return p.closed }

// pending are the bans that this pass decided and did not commit.
func (p *Pass) pending() report.Pending {
	list := report.Pending{}
	for _, d := range p.Judge.Decisions {
		if d.Verb == state.Banned {
			list.Add(d.Jail, *d.Key, d.Since)
		}
	}
	return list
}

// Pending tells whether b is known to be one of them.
func (p *Pass) Pending(b *state.Ban) bool { return p.Known() != report.Unknown && p.pending().Has(b) }

// noPass says that no pass has run.
func (p *Pass) noPass() {
	where := ""
	if p.lost == otherJournal {
		where = " on this journal"
	}
	p.Warn("no pass has run%s yet (scan2ban run --dry-run shows whom it would ban)", where)
}
