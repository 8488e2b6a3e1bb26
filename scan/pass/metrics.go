package pass

import (
	"os"

	"scan2ban/ban/deliver/metrics"
	"scan2ban/state"
	"scan2ban/state/report"
)

// measure writes the metrics, where that is asked for. Failing it is a warning: the pass
// itself is done.
func (p *Pass) measure(run *state.LastRun) {
	if p.Metrics.Textfile == "" {
		return
	}
	if err := p.Metrics.Write(p.measured(run).Text()); err != nil {
		p.Warn("%v", err)
	}
}

func (p *Pass) measured(run *state.LastRun) *metrics.Pass {
	p.LastRun = run // whose troubles are those of now
	m := &metrics.Pass{Version: p.Version, Time: run.Time, Good: p.volatile.Good, Seconds: run.Seconds, Entries: run.Entries,
		Repaired: p.Repaired, Errors: len(p.Errs), Warnings: len(p.Warnings), Gaps: len(p.Gaps)}
	if info, err := os.Stat(p.StatePath); err == nil {
		m.State = info.Size()
	}
	for _, health := range report.Healths {
		m.Healths = append(m.Healths, string(health))
	}
	names, _ := p.Jails(nil) // asked for none in particular
	for _, name := range names {
		if p.Off[name] {
			continue
		}
		j := p.Ledger.Jail(name)
		shown := report.FromJail(j, p.Now.Unix(), p.condition(name))
		m.Jails = append(m.Jails, metrics.Jail{Name: name, Entries: j.Seen.Total.Entries, Understood: j.Seen.Total.Understood, Failures: j.Seen.Total.Failures,
			Bans: j.Seen.Total.Bans, Banned: shown.Banned, Tracked: shown.Tracked, Enforced: shown.Enforce, Health: string(shown.Health)})
	}
	return m
}
