package report

import (
	"fmt"
	"io"

	"scan2ban/state"
)

// firstRows is how many bans the first pass lists.
const firstRows = 20

// WriteFirst says what the first pass on a host found in the log: who is banned by
// it, until when, and why.
func (p *Pass) WriteFirst(w io.Writer) {
	fmt.Fprintf(w, "Read %s of the past, found %s.\n", state.Plural(p.Entries, "entry"), state.Plural(p.Failures, "failure"))
	live := *p
	live.Banned = nil
	over, observed := 0, 0
	for _, b := range p.Banned {
		if b.ban.Over(p.now) {
			over++
			continue
		}
		live.Banned = append(live.Banned, b)
		if b.Observed {
			observed++
		}
	}
	switch {
	case len(live.Banned) == 0:
		fmt.Fprintln(w, "Nobody is banned for it.")
	default:
		more := max(0, len(live.Banned)-firstRows)
		sortBans(live.Banned)
		live.Banned = live.Banned[more:]
		all, what := len(live.Banned)+more, "in force"
		switch observed {
		case 0:
		case all:
			what = "observed, and not in force"
		default:
			what = fmt.Sprintf("decided, %d of them observed and not in force", observed)
		}
		fmt.Fprintf(w, "%s %s:\n\n", state.Plural(all, "ban"), what)
		live.writeTable(w)
		if more > 0 {
			fmt.Fprintf(w, "and %d earlier ones (scan2ban banned)\n", more)
		}
		fmt.Fprintln(w)
	}
	if over > 0 {
		fmt.Fprintf(w, "%s would be over by now; they count where bans grow longer.\n", state.Plural(over, "more ban"))
	}
}

// Each writes each line on a line of its own.
func Each(w io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(w, Clean(line))
	}
}
