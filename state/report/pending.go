package report

import (
	"fmt"
	"io"

	"scan2ban/state"
)

// Known says whether the bans that passes have decided are known.
type Known int

const (
	Decided Known = iota // they are
	NoPass               // none has run on this state
	Unknown              // the state cannot be read
)

// Pending are bans that were decided by a look at the log and by no pass yet.
type Pending map[pendingBan]bool

type pendingBan struct {
	jail  string
	key   state.Key
	since int64
}

// Add enters the ban of a key in a jail that began at that second.
func (p Pending) Add(jail string, key state.Key, since int64) {
	p[pendingBan{jail, key, since}] = true
}

// Has tells whether b is one of them.
func (p Pending) Has(b *state.Ban) bool { return p[pendingBan{b.Jail, b.Key, b.Since}] }

// writePending says below a table how many of the bans in it are pending.
func writePending(w io.Writer, n int, known Known) {
	switch {
	case n == 0:
	case known == Unknown:
		fmt.Fprintf(w, "\n%s by the log alone: whether a pass has decided them is not known.\n", state.Plural(n, "ban"))
	case n == 1:
		fmt.Fprintln(w, "\n1 of these comes with the next pass.")
	default:
		fmt.Fprintf(w, "\n%d of these come with the next pass.\n", n)
	}
}
