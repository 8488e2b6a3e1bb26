package pass

import (
	"slices"
	"strings"
)

// recall gives the filters what they remember of the lines before the positions.
func (p *Pass) recall() {
	for _, w := range p.Watches {
		if w.Matcher.WholeLine() {
			w.Matcher.Recall(slices.Clone(p.Ledger.Jail(w.Jail).Recall))
		}
	}
}

// remembered keeps what they remember now, with the positions, and notes what took them
// too long. A pass that only looks tells of it with the jails that it is asked for.
func (p *Pass) remembered() {
	for _, w := range p.Watches {
		if !w.Matcher.WholeLine() {
			continue
		}
		p.Ledger.Jail(w.Jail).Remember(w.Matcher.Recalled())
		slow := w.Matcher.Slow()
		for _, what := range slow {
			if p.Write {
				p.Warn("jail %q: %s", w.Jail, what)
			}
		}
		if len(slow) > 0 {
			if p.gaveUp == nil {
				p.gaveUp = map[string]string{}
			}
			p.gaveUp[w.Jail] = strings.Join(slow, "; ")
			p.Ledger.SaveSoon() // told once, and not read once more
		}
	}
}

// GaveUp says which lines of the jail this pass or the last one did not judge for want of
// time; empty: none.
func (p *Pass) GaveUp(jail string) string {
	if now := p.gaveUp[jail]; now != "" || p.LastRun == nil || p.LastRun.GaveUp[jail] == "" {
		return now
	}
	return "the last pass: " + p.LastRun.GaveUp[jail]
}
