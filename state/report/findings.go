package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Severity is how much a finding matters.
type Severity string

const (
	Fine    Severity = "ok"
	Remark  Severity = "note"    // worth knowing, nothing to do
	Warning Severity = "warning" // works tonight, not as well as it could
	Fatal   Severity = "error"   // would fail tonight
)

// severities in the order in which they are told: the worst stands last, where a
// terminal shows it.
var severities = []Severity{Fine, Remark, Warning, Fatal}

// Finding is one thing that `check` looked at.
type Finding struct {
	What   string   `json:"what"`
	Level  Severity `json:"level"`
	Text   string   `json:"text,omitempty"`   // what is so, and why it matters
	Remedy string   `json:"remedy,omitempty"` // the command or the line that mends it
	Lines  []string `json:"lines,omitempty"`  // of a log, as evidence
}

// Findings are all that a check found. Its four words are said in a hundred places, where
// they would be 40 KB inlined.
type Findings []Finding

// OK notes what is good.
//
//go:noinline
func (f *Findings) OK(what, text string) {
	*f = append(*f, Finding{What: what, Level: Fine, Text: text})
}

// Note notes what is worth knowing and fails nothing.
//
//go:noinline
func (f *Findings) Note(what, text string) {
	*f = append(*f, Finding{What: what, Level: Remark, Text: text})
}

// Warn notes what works tonight and should be mended all the same.
//
//go:noinline
func (f *Findings) Warn(what, text, remedy string, lines ...string) {
	*f = append(*f, Finding{What: what, Level: Warning, Text: text, Remedy: remedy, Lines: lines})
}

// Fail notes what would fail tonight.
//
//go:noinline
func (f *Findings) Fail(what, text, remedy string, lines ...string) {
	*f = append(*f, Finding{What: what, Level: Fatal, Text: text, Remedy: remedy, Lines: lines})
}

// Count is how many findings are of that severity.
func (f Findings) Count(level Severity) (n int) {
	for _, x := range f {
		if x.Level == level {
			n++
		}
	}
	return n
}

// ErrFound says that something would fail.
var ErrFound = errors.New("a pass would fail, or its bans would not hold")

// Write prints the findings, the worst last; the error is ErrFound when one is
// an error.
func (f Findings) Write(w io.Writer, asJSON bool) error {
	sorted := slices.Clone(f)
	if sorted == nil {
		sorted = Findings{}
	}
	order.By(sorted, func(a, b Finding) int {
		return cmp.Compare(slices.Index(severities, a.Level), slices.Index(severities, b.Level))
	})
	if asJSON {
		if err := JSON(w, map[string]any{"findings": sorted}); err != nil {
			return err
		}
	} else {
		sorted.draw(w)
	}
	if n := f.Count(Fatal); n > 0 {
		return fmt.Errorf("%s: %w", state.Plural(n, "finding"), ErrFound)
	}
	return nil
}

// The columns of the text: level, what, text. A line is at most widest
// characters, unless it holds a longer word.
const (
	widest    = 100
	levelWide = len(Warning) + 2
	whatWide  = 26
)

// draw writes the text, with a line between two severities.
func (f Findings) draw(w io.Writer) {
	colour := map[Severity]string{}
	if coloured(w) {
		colour = map[Severity]string{Warning: "\x1b[33m", Fatal: "\x1b[1;31m"}
	}
	what := 0
	for _, x := range f {
		what = max(what, min(whatWide, utf8.RuneCountInString(Clean(x.What))))
	}
	indent := levelWide + what + 2
	margin := strings.Repeat(" ", indent)
	for i, x := range f {
		if i > 0 && f[i-1].Level != x.Level {
			fmt.Fprintln(w)
		}
		level := fmt.Sprintf("%-*s", levelWide, x.Level)
		if c := colour[x.Level]; c != "" {
			level = c + level + "\x1b[0m"
		}
		text := folded(x.Text, widest-indent)
		name := Clean(x.What)
		if utf8.RuneCountInString(name) > what { // alone on its line
			fmt.Fprintf(w, "%s%s\n", level, name)
		} else {
			first := ""
			if len(text) > 0 {
				first, text = text[0], text[1:]
			}
			fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s%s%s  %s", level, name, strings.Repeat(" ", what-utf8.RuneCountInString(name)), first), " "))
		}
		for _, line := range text {
			fmt.Fprintf(w, "%s%s\n", margin, line)
		}
		for _, line := range x.Lines {
			fmt.Fprintf(w, "%s| %s\n", margin, cut(Clean(line), widest-indent-2))
		}
		for i, line := range folded(x.Remedy, widest-indent-3) {
			arrow := "-> "
			if i > 0 {
				arrow = "   "
			}
			fmt.Fprintf(w, "%s%s%s\n", margin, arrow, line)
		}
	}
	fmt.Fprintf(w, "\n%s, %s, %s.\n", state.Plural(f.Count(Fatal), "error"), state.Plural(f.Count(Warning), "warning"), state.Plural(f.Count(Remark), "note"))
}

// cut shortens text to n characters.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

// folded breaks text at blanks into lines of at most wide characters, each
// cleaned.
func folded(text string, wide int) (lines []string) {
	for paragraph := range strings.Lines(text) {
		line := ""
		for word := range strings.FieldsSeq(Clean(strings.TrimSuffix(paragraph, "\n"))) {
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > wide {
				lines = append(lines, line)
				line = ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		lines = append(lines, line)
	}
	return lines
}
