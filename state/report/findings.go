package report

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Finding is one thing that `check` looked at.
type Finding struct {
	What   string `json:"what"`
	Level  string `json:"level"` // "ok", "note" or "error"
	Text   string `json:"text,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Findings are all that a check found.
type Findings []Finding

// Add notes the outcome of a test: nil is good.
func (f *Findings) Add(what string, err error, remedy string) {
	if err == nil {
		*f = append(*f, Finding{What: what, Level: "ok"})
		return
	}
	*f = append(*f, Finding{What: what, Level: "error", Text: err.Error(), Remedy: remedy})
}

// Note adds what is worth knowing and fails nothing.
func (f *Findings) Note(what, text string) {
	*f = append(*f, Finding{What: what, Level: "note", Text: text})
}

// ErrFound says that something would fail.
var ErrFound = errors.New("a pass would fail")

// Write prints the findings; the error is ErrFound when one is an error.
func (f Findings) Write(w io.Writer, asJSON bool) error {
	failed := 0
	for _, x := range f {
		if x.Level == "error" {
			failed++
		}
	}
	if asJSON {
		if err := JSON(w, map[string]any{"findings": f}); err != nil {
			return err
		}
	} else {
		for _, x := range f {
			fmt.Fprintf(w, "%-6s %s\n", x.Level, Clean(x.What))
			for line := range strings.Lines(x.Text) {
				fmt.Fprintf(w, "       %s\n", Clean(strings.TrimSuffix(line, "\n")))
			}
			if x.Remedy != "" {
				fmt.Fprintf(w, "       -> %s\n", x.Remedy)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s: %w", Plural(failed, "finding"), ErrFound)
	}
	return nil
}
