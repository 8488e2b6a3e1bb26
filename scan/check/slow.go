package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/state/report"
)

// slowTrials is how long the expressions of all filters together are tried.
const slowTrials = 2 * time.Second

// expressions says which of the expressions that backtrack a client can keep busy by a
// line. Those that run in linear time are not looked at.
func expressions(_ context.Context, c *checker, found *report.Findings) {
	deadline := time.Now().Add(slowTrials)
	var seen []string // filters: jails may share one
	for _, w := range c.Watches {
		i := slices.IndexFunc(c.Jails, func(j Jail) bool { return j.Name == w.Jail })
		if i < 0 || !w.Matcher.WholeLine() {
			continue
		}
		j := c.Jails[i]
		if slices.Contains(seen, j.Filter) {
			continue
		}
		seen = append(seen, j.Filter)
		what, file := "filter "+j.Filter, cmp.Or(j.File, j.Filter)
		slow, untried := w.Matcher.Slowest(deadline)
		for _, s := range slow {
			found.Warn(what, fmt.Sprintf("%s: %s gives up a line of %d bytes after %s: whoever sends some hundred such uses up the %v that a pass has for them, and keeps the jail from seeing the failures of others", file, s.Name, len(s.Line), filter.StepLimit, filter.SlowLimit),
				"rewrite what it repeats so that nothing can match in two ways, or leave the expression out; scan2ban match shows what it is good for", s.Line[:min(len(s.Line), 200)])
		}
		switch backtracking := w.Matcher.Backtracks(); {
		case untried > 0:
			found.Note(what, fmt.Sprintf("%s: %d of its expressions that backtrack were not tried to the end in %v", file, untried, slowTrials))
		case len(slow) == 0 && backtracking > 0:
			found.OK(what, fmt.Sprintf("%s: %d of its expressions backtrack, none gave up a line that was made against it", file, backtracking))
		}
	}
}
