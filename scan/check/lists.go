package check

import (
	"context"
	"fmt"

	"scan2ban/state"
	"scan2ban/state/report"
)

// lists says whether the lists of others can be read, and what is wrong in them.
func lists(_ context.Context, c *checker, found *report.Findings) {
	for _, o := range c.Lists {
		what := "list " + o.Name
		content, err := o.Read()
		text := fmt.Sprintf("%s: %s, %s", o.File, state.Plural(content.Entries, "entry"), state.Plural(len(content.Ranges), "range"))
		for _, told := range content.Told() {
			text += "\n" + told.Error()
		}
		switch {
		case err != nil && o.Allow:
			c.lacking(found, what, fmt.Errorf("%w: nobody is judged without it", err), "see to the program that keeps the list")
		case err != nil:
			c.lacking(found, what, fmt.Errorf("%w: the kernel keeps what it holds of it", err), "see to the program that keeps the list")
		case content.Bad > 0:
			found.Warn(what, text, "the other lines are used; see to the program that keeps the list")
		default:
			found.OK(what, text)
		}
	}
}
