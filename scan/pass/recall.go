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

// remembered keeps what they remember now, with the positions, and tells what took them
// too long.
func (p *Pass) remembered() {
	for _, w := range p.Watches {
		if !w.Matcher.WholeLine() {
			continue
		}
		p.Ledger.Jail(w.Jail).Remember(w.Matcher.Recalled())
		slow := w.Matcher.Slow()
		for _, what := range slow {
			p.Warn("jail %q: %s", w.Jail, what)
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
