package scan

import (
	"os"
	"strings"
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
)

// syslogLimits are how many bytes of tag and message syslog leaves of a long line: musl's
// syslog(3) and the old daemons (1,023 and 1,024 with priority and time), rsyslog.
var syslogLimits = []int{filter.OldLeaves, filter.OldLeaves + 1, 8192 - len("<38>Nov 22 08:14:01 ")}

// Wherever syslog cuts a line off in what a client wrote, nobody else is blamed.
func TestNeverFooledByACut(t *testing.T) {
	const host = "203.0.113.7"
	for _, rules := range inCatalogue(t) {
		t.Run(rules.Name, func(t *testing.T) {
			t.Parallel()
			all := forms(t, services+rules.Name+".forms")
			w := Watch{Jail: rules.Name, Matcher: rules.Compile(filter.Aggressive), Program: rules.File.Program}
			texts := forgeries(all, "8.8.8.8")
			var cuts []cut
			for i := range all {
				for which := range all[i].fields {
					for _, limit := range syslogLimits {
						cuts = append(cuts, cut{&all[i], which, limit})
					}
				}
			}
			step, n := max(1, len(cuts)*len(texts)/most), 0
			if os.Getenv("FORGED") == "all" {
				step = 1
			}
			for begin := 0; begin < len(cuts)*len(texts); begin += step {
				at := min(begin+begin/step%step, len(cuts)*len(texts)-1) // not always the same cut
				text := texts[at/len(cuts)]
				missing := 0
				if begin/step%3 == 0 && len(text) > 0 {
					missing = begin % len(text)
				}
				c := cuts[at%len(cuts)]
				line, ok := c.line(host, text[:len(text)-missing])
				if !ok {
					continue
				}
				n++
				f, _ := w.Line(&logfile.Line{Text: []byte(line), Time: 1e6, Syslog: true}, 0)
				if v := f.Verdict; v.Addr.IsValid() && v.Addr.String() != host {
					t.Errorf("%s.forms:%d: %s blames %s, not %s: %q", rules.Name, c.at, v.Rule.Name, v.Addr, host, line)
				}
			}
			t.Logf("%d cut lines", n)
		})
	}
}

// cut is a line of which syslog leaves so many bytes of tag and message, the last of them
// in a field of a client's.
type cut struct {
	*form
	which int
	limit int
}

// line is what is left where the field ends in text, and with it the line. ok is false where
// what the client chooses is not that long, the line is no syslog's, or it would be two.
func (c cut) line(host, text string) (line string, ok bool) {
	form := *c.form
	form.limit = 0
	if form.entry {
		form.text = "Nov 22 08:14:01 host " + form.writer + "[12]: " + form.text
	}
	prefix, _, tagged := filter.CutSyslog([]byte(form.text))
	if !tagged {
		return "", false
	}
	least := strings.Index(form.text, string(prefix.Program)) + c.limit
	field, texts := form.fields[c.which], map[string]string{}
	for _, other := range form.fields {
		texts[other.name] = "x"
	}
	texts[field.name] = text
	left := func() string {
		line := form.fill(host, texts)
		texts[field.name] += "x"
		longer := form.fill(host, texts)
		texts[field.name] = texts[field.name][:len(texts[field.name])-1]
		n := 0
		for n < len(line) && n < len(longer) && line[n] == longer[n] {
			n++
		}
		return line[:n]
	}
	line = left()
	for i := 0; len(line) < least && i <= len(form.fields); i++ { // the field itself, then the others
		pad := least - len(line)
		room := func(f clientField) int {
			if f.max == 0 {
				return pad
			}
			return max(0, min(pad, f.max-len(texts[f.name])))
		}
		switch {
		case i == 0 && room(field) > 1:
			texts[field.name] = strings.Repeat("x", room(field)-1) + " " + text
		case i > 0 && i-1 != c.which:
			other := form.fields[i-1]
			texts[other.name] += strings.Repeat("x", room(other))
		}
		line = left()
	}
	return line, len(line) >= least && !strings.Contains(line, "\n")
}
