package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page is scan2ban(8): one page with all commands, each with its help text, its
// flags and its examples.
func Page(root *cobra.Command) []byte {
	p := newPage("SCAN2BAN", "8", root.Name(), strings.ToLower(root.Short[:1])+root.Short[1:])
	p.section("SYNOPSIS")
	for i, c := range listed(root) {
		if i > 0 {
			p.line(".br")
		}
		p.line("%s", use(c))
	}
	p.section("DESCRIPTION")
	p.prose(withoutCodes(root.Long), true)

	p.section("COMMANDS")
	for _, c := range listed(root) {
		p.line(".SS %s", use(c))
		p.prose(text(c), true)
		p.flags(c.LocalNonPersistentFlags())
		if examples := indented(c.Example); len(examples) > 0 {
			p.example(examples, false)
		}
	}
	p.section("OPTIONS")
	p.line("All commands take these.")
	p.flags(root.PersistentFlags())

	p.section("EXIT STATUS")
	for _, x := range [][2]string{
		{"0", "done"},
		{"1", "something failed; it is named on standard error, and all that could be done was done and saved"},
		{"2", "wrong usage or configuration; nothing was touched"},
		{"3", "another pass is running"},
	} {
		p.item(x[0], x[1])
	}
	p.section("FILES")
	for _, x := range [][2]string{
		{"/etc/scan2ban/scan2ban.toml", "the configuration, see `scan2ban.toml(5)`; `conf.d/*.toml` beside it is read after it"},
		{"/var/lib/scan2ban/state.json", "what the next pass needs"},
		{"/var/lib/scan2ban/history.jsonl", "every decision, one a line"},
		{"/run/scan2ban/pass.json", "what saves work and may be lost"},
		{"/etc/systemd/system/scan2ban.service.d/", "drop-ins: `light.conf` (install `--light`), `logfiles.conf`, and your own"},
		{"/etc/cron.d/scan2ban", "what cron starts (install `--cron`)"},
	} {
		p.item(`\fI`+escape(x[0])+`\fR`, x[1])
	}
	if root.Example != "" {
		p.section("EXAMPLES")
		p.example(indented(root.Example), true)
	}
	p.section("SEE ALSO")
	p.line(`\fBscan2ban.toml\fR(5), \fBnft\fR(8), \fBjournalctl\fR(1), \fBsshd\fR(8), \fBsystemd.timer\fR(5)`)
	return []byte(p.String())
}

// listed are the commands that a user is to know, in the order of their names.
func listed(root *cobra.Command) (list []*cobra.Command) {
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			list = append(list, c)
		}
	}
	return list
}

// use is the usage line of a command: words to be typed bold, others slanted.
func use(c *cobra.Command) string {
	words := strings.Fields(c.Use)
	if c.Name() == "completion" {
		words = append(words, "bash|zsh|fish")
	}
	out := `\fBscan2ban ` + escape(words[0]) + `\fR`
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" && !strings.Contains(c.Use, "--"+f.Name) {
			out += ` [\fB\-\-` + escape(f.Name) + `\fR` + value(f) + `]`
		}
	})
	for _, w := range words[1:] {
		out += ` \fI` + escape(w) + `\fR`
	}
	return out
}

// value is what a flag takes.
func value(f *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(f)
	switch {
	case f.Value.Type() == "bool", f.Value.Type() == "boolfunc":
		return ""
	case name == "" || name == f.Value.Type(): // its usage names none
		name = strings.ToUpper(f.Name)
	}
	return ` \fI` + escape(name) + `\fR`
}

// text is the help of a command; cobra's own of completion is long-winded.
func text(c *cobra.Command) string {
	if c.Name() == "completion" {
		return "Print what makes the shell complete commands, flags and names of jails. The install has laid it down where the shell looks."
	}
	if c.Long == "" {
		return c.Short + "."
	}
	return withoutCodes(c.Long)
}

// withoutCodes leaves out the paragraph on exit codes, which has its section.
func withoutCodes(long string) string {
	var keep []string
	for block := range strings.SplitSeq(long, "\n\n") {
		if !strings.HasPrefix(block, "Exit codes:") {
			keep = append(keep, block)
		}
	}
	return strings.Join(keep, "\n\n")
}

func (p *page) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		term := `\fB\-\-` + escape(f.Name) + `\fR` + value(f)
		if f.Shorthand != "" {
			term = fmt.Sprintf(`\fB\-%s\fR, %s`, f.Shorthand, term)
		}
		_, usage := pflag.UnquoteUsage(f)
		p.item(term, usage)
	})
}

// indented are the lines of examples, which stand two deep in the help texts.
func indented(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(strings.TrimPrefix(line, "  "), "\n"); line != "" || len(lines) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}
