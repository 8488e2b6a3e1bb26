package report

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
)

// Match is one line tried by `match`.
type Match struct {
	N       int     `json:"n"` // the line or entry, from 1
	Verdict string  `json:"verdict"`
	Rule    string  `json:"rule"`
	Address string  `json:"address"`
	User    string  `json:"user"`
	Time    *string `json:"time"`    // null: the line has none
	Counted bool    `json:"counted"` // as a failure, after what its session wrote before
	Reason  string  `json:"reason,omitempty"`
	Session string  `json:"session,omitempty"`
}

// Matches prints matches as they come, and then how many there were of each.
type Matches struct {
	out     *bufio.Writer
	json    bool
	verdict map[string]int
	counted int
	n       int
	err     error
}

// NewMatches prints on w.
func NewMatches(w io.Writer, asJSON bool) *Matches {
	return &Matches{out: bufio.NewWriter(w), json: asJSON, verdict: map[string]int{}}
}

// Add prints one more; addr may be invalid, second 0 where the line has no time.
func (m *Matches) Add(match Match, addr netip.Addr, second int64, line string) {
	m.n++
	match.N = m.n
	if addr.IsValid() {
		match.Address = addr.String()
	}
	if second != 0 {
		t := UTC(second)
		match.Time = &t
	}
	m.verdict[match.Verdict]++
	if match.Counted {
		m.counted++
	}
	if m.json {
		if err := JSON(m.out, match); err != nil && m.err == nil {
			m.err = err
		}
		return
	}
	what := match.Verdict
	if match.Counted {
		what += "+"
	}
	fmt.Fprintf(m.out, "%-9s %-24s %-15s %s\n", what, match.Rule, match.Address, Clean(line))
	if match.Reason != "" {
		fmt.Fprintf(m.out, "%-9s %s\n", "", match.Reason)
	}
}

// Done prints the sums.
func (m *Matches) Done() error {
	if !m.json {
		fmt.Fprintf(m.out, "\n%d lines: %d failures (%d counted, marked +), %d successes, %d benign, %d marks, %d refused, %d not understood\n",
			m.n, m.verdict["failure"], m.counted, m.verdict["success"], m.verdict["benign"], m.verdict["mark"], m.verdict["refused"], m.verdict["none"])
	}
	if err := m.out.Flush(); m.err == nil {
		m.err = err
	}
	return m.err
}
