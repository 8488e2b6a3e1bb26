package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
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

	other bool // another program's line
}

// Matches collects what a filter says of lines and prints it: in JSON each line as
// it comes, in text the sums, and the lines themselves where they are few or it was
// asked for.
type Matches struct {
	out         *bufio.Writer
	json, lines bool
	kept        []string // lines, until they are too many
	verdict     map[string]int
	rules       []string // of the filter, in their order
	by          map[string]*ruleCount
	reasons     map[string]*shape
	missed      Shapes
	counted     int
	n, others   int
	live        bool // somebody looks on
	begun       time.Time
	spent       time.Duration // in here: neither reading nor matching
	err         error
}

type ruleCount struct {
	kind           string
	lines, counted int
}

// fewLines are so few that each is shown.
const fewLines = 10

// NewMatches prints on w; rules are the filter's, and lines says whether to print
// each line in text too.
func NewMatches(w io.Writer, asJSON, lines bool, rules []string) *Matches {
	return &Matches{out: bufio.NewWriterSize(w, 1<<16), json: asJSON, lines: lines, rules: rules, live: isTerminal(w), begun: time.Now(),
		verdict: map[string]int{}, by: map[string]*ruleCount{}, reasons: map[string]*shape{}}
}

// Other is a line of another program, which the filter does not see.
func Other(n int) Match {
	return Match{N: n, Verdict: "none", Reason: "a line of another program", other: true}
}

// Add takes one more; addr may be invalid, second 0 where the line has no time.
// message is what of the line the filter saw; both are valid during the call.
func (m *Matches) Add(match Match, addr netip.Addr, second int64, line, message []byte) {
	begin := time.Now()
	defer func() { m.spent += time.Since(begin) }()
	m.n++
	if addr.IsValid() {
		match.Address = addr.String()
	}
	if second != 0 {
		t := UTC(second)
		match.Time = &t
	}
	if m.json {
		if err := JSON(m.out, match); err != nil && m.err == nil {
			m.err = err
		}
		return
	}
	if match.other {
		m.others++
		return
	}
	m.count(match, message)
	what := match.Verdict
	if match.Counted {
		what += "+"
	}
	if !m.lines && len(m.kept) > fewLines {
		return
	}
	text := strings.TrimRight(fmt.Sprintf("%-9s %-20s %-15s %s", what, match.Rule, match.Address, Clean(string(line))), " ") + "\n"
	if match.Reason != "" {
		text += fmt.Sprintf("%-9s (%s)\n", "", match.Reason)
	}
	if m.lines {
		_, _ = m.out.WriteString(text) // its error comes back from Flush
		if m.live {
			_ = m.out.Flush()
		}
	} else {
		m.kept = append(m.kept, text)
	}
}

func (m *Matches) count(match Match, message []byte) {
	m.verdict[match.Verdict]++
	r := m.by[match.Rule]
	if r == nil {
		r = &ruleCount{kind: match.Verdict}
		m.by[match.Rule] = r
	}
	r.lines++
	if match.Counted {
		r.counted++
		m.counted++
	}
	switch match.Verdict {
	case "none":
		m.missed.Add(string(message))
	case "refused":
		if x := m.reasons[match.Reason]; x != nil {
			x.lines++
		} else {
			m.reasons[match.Reason] = &shape{match.Reason, string(message[:min(len(message), maxExample)]), 1}
		}
	}
}

const (
	maxMissed = 20  // shapes that are shown
	wide      = 110 // bytes of a line that are shown of it
)

// Done prints the sums.
func (m *Matches) Done() error {
	if !m.json {
		m.write()
	}
	if err := m.out.Flush(); m.err == nil {
		m.err = err
	}
	return m.err
}

func (m *Matches) write() {
	took := time.Since(m.begun) - m.spent
	if len(m.kept) <= fewLines {
		for _, text := range m.kept {
			fmt.Fprint(m.out, text)
		}
	}
	if m.lines && m.n > 0 || len(m.kept) > 0 && len(m.kept) <= fewLines {
		fmt.Fprintln(m.out)
	}
	var silent []string
	fmt.Fprintf(m.out, "%-28s %10s %10s\n", "rule", "lines", "counted")
	for _, rule := range m.rules {
		r := m.by[rule]
		switch {
		case r == nil:
			silent = append(silent, rule)
		case r.counted > 0 || r.kind == "failure":
			fmt.Fprintf(m.out, "%-28s %10d %10d\n", rule, r.lines, r.counted)
		default:
			fmt.Fprintf(m.out, "%-28s %10d %10s\n", rule, r.lines, r.kind)
		}
	}
	switch {
	case len(silent) > fewLines && !m.lines:
		fmt.Fprintf(m.out, "no line for %d rules (-v names them)\n", len(silent))
	case len(silent) > 0:
		fmt.Fprintln(m.out, wrap("no line for "+strings.Join(silent, ", "), 78))
	}
	if len(m.reasons) > 0 {
		fmt.Fprintln(m.out, "\nrefused, by reason, with an example:")
		reasons := make([]*shape, 0, len(m.reasons))
		for _, x := range m.reasons {
			reasons = append(reasons, x)
		}
		slices.SortFunc(reasons, func(a, b *shape) int {
			return cmp.Or(cmp.Compare(b.lines, a.lines), cmp.Compare(a.text, b.text))
		})
		for _, x := range reasons {
			fmt.Fprintf(m.out, "%8d  %s\n          %s\n", x.lines, x.text, shorten(Clean(x.example)))
		}
	}
	m.writeMissed()
	fmt.Fprintf(m.out, "\n%s: %s (%d counted, marked +), %s, %d benign, %s, %d refused, %d not understood", state.Plural(m.n, "line"),
		state.Plural(m.verdict["failure"], "failure"), m.counted, state.Plural(m.verdict["success"], "log-in"), m.verdict["benign"],
		state.Plural(m.verdict["mark"], "mark"), m.verdict["refused"], m.verdict["none"])
	if m.others > 0 {
		fmt.Fprintf(m.out, ", %d of other programs", m.others)
	}
	if m.n >= 1000 {
		fmt.Fprintf(m.out, "; %.2f µs a line, %.0f lines a second", float64(took.Microseconds())/float64(m.n), float64(m.n)/took.Seconds())
	}
	fmt.Fprintln(m.out)
}

// writeMissed shows the lines that no rule understands.
func (m *Matches) writeMissed() {
	shapes := m.missed.sorted()
	if len(shapes) == 0 {
		return
	}
	fmt.Fprintln(m.out, "\nnot understood, by shape, with an example of those that came more than once:")
	for i, x := range shapes {
		if i == maxMissed {
			fmt.Fprintf(m.out, "          and %d shapes more\n", len(shapes)-i)
			break
		}
		text := x.text
		if x.lines == 1 {
			text = x.example
		}
		fmt.Fprintf(m.out, "%8d  %s\n", x.lines, shorten(Clean(text)))
		if x.lines > 1 && x.text != x.example {
			fmt.Fprintf(m.out, "          %s\n", shorten(Clean(x.example)))
		}
	}
	if m.missed.more > 0 {
		fmt.Fprintf(m.out, "          and %d lines of other shapes still\n", m.missed.more)
	}
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > wide {
		return string(runes[:wide-3]) + "..."
	}
	return text
}

// wrap breaks text at spaces.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		if i > 0 && column+1+len(word) > width {
			b.WriteString("\n  ")
			column = 2
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
