package past

import (
	"io"
	"time"

	"github.com/spf13/pflag"

	"scan2ban/state"
	"scan2ban/state/report"
)

// Flags are what a report can be told on the command line.
type Flags struct {
	Since, Until time.Time
	Jails        []string
	Files        []string
	Policies     []string
	CSV          bool
	HTML         string
}

// Moment is for a flag that is a time, see state.ParseTime.
func Moment(t *time.Time) func(string) error {
	return func(text string) (err error) {
		*t, err = state.ParseTime(text, time.Now())
		return err
	}
}

// Add adds them.
func (f *Flags) Add(flags *pflag.FlagSet) {
	flags.Func("since", "leave out what was logged before `T` (RFC 3339, 2026-11-20, or 30d for that long ago)", Moment(&f.Since))
	flags.Func("until", "leave out what was logged after `T`", Moment(&f.Until))
	flags.StringArrayVar(&f.Jails, "jail", nil, "only this `JAIL`; may be repeated (default: all)")
	flags.StringArrayVar(&f.Files, "file", nil, "read this log `FILE`, plain or .gz, instead; may be repeated, in any order")
	flags.StringArrayVar(&f.Policies, "policy", nil, "compare with this `POLICY`: maxretry=3,findtime=1h or a file; may be repeated")
	flags.StringVar(&f.HTML, "html", "", "write a page to this `FILE` instead, or beside --json or --csv")
	flags.BoolVar(&f.CSV, "csv", false, "print the addresses as CSV")
}

// Print writes the report in the form that was asked for.
func (f *Flags) Print(w io.Writer, found *report.Past, asJSON bool) error {
	if f.HTML != "" {
		if err := found.WriteHTML(f.HTML); err != nil || !f.CSV && !asJSON {
			return err
		}
	}
	if f.CSV {
		return found.CSV(w)
	}
	return report.Show(w, found, asJSON)
}
