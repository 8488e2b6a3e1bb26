package fail2ban

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
)

// victim is whom the forged lines have banned: nobody's address (RFC 5737).
const victim = "198.51.100.66"

// variants are texts that a client could have sent instead of own, which stands between
// head and tail in a line that blames host: they hold the address of a victim in the shape
// of the line.
func variants(head, own, tail, host string) (all []string) {
	put := func(text string) string {
		if host == "" {
			return text
		}
		return strings.ReplaceAll(text, host, victim)
	}
	shapes := []string{
		put(tail), put(head + own + tail), put(head), put(head + own),
		" from " + victim, " from " + victim + " port 22 ssh2", " [" + victim + "]", " rhost=" + victim, victim, " " + victim + " ",
	}
	for _, shape := range shapes {
		if !strings.Contains(shape, victim) {
			continue
		}
		for _, breaks := range []string{"", " ", `"`, `" `, "'", "' ", "]", "] ", ")", ") ", ">", "> ", ", ", ": ", "; "} {
			all = append(all, own+breaks+shape, breaks+shape)
		}
		all = append(all, shape+" "+own)
	}
	return all
}

//go:embed testdata/forged.tsv
var forgedTable string

// unfooled stands in the table for a line, where none of those tried blames the victim.
const unfooled = "-"

// forgeries are the lines, by the name of a filter of Fail2Ban's, by which it blames a
// victim; nil where none of those tried does.
func forgeries() map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(forgedTable) {
		if name, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok && name[0] != '#' {
			if all[name] = nil; text != unfooled {
				all[name] = strings.Split(unescape(text), "\n")
			}
		}
	}
	return all
}

var (
	escape   = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`).Replace
	unescape = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t").Replace
)

// fooled gives the line by which a converted filter blames a victim, and the filter of
// Fail2Ban's for which it was made; "" where none does, which proves nothing.
func fooled(f *filter.Filter) (of, line string) {
	all := forgeries()
	names := slices.Sorted(maps.Keys(all))
	if all[f.Name] != nil { // its own first
		names = slices.Insert(names, 0, f.Name)
	}
	m := f.Compile(filter.Aggressive)
	for _, name := range names {
		if lines := all[name]; lines != nil && blames(f, m, lines) {
			return name, lines[len(lines)-1]
		}
	}
	return "", ""
}

// blamesVictim tells whether a filter does by the last of these lines of a log.
func blamesVictim(f *filter.Filter, lines []string) bool {
	return blames(f, f.Compile(filter.Aggressive), lines)
}

func blames(f *filter.Filter, m *filter.Matcher, lines []string) (blamed bool) {
	if f.Script != nil {
		m.Recall(nil)
	}
	in := strings.NewReader(strings.Join(lines, "\n") + "\n")
	err := scan.MatchLines(in, f.Name, time.Unix(1_800_000_000, 0), f, m, func(t scan.Trial) {
		blamed = t.Verdict.Addr.String() == victim
	})
	return blamed && err == nil
}

// suspected gives a line by which a converted filter blames the victim, made from its
// expressions alone: in a line that each of them takes, text that may hold spaces, or a
// user's name, is replaced. "" where none was found by the deadline, which proves nothing.
func suspected(f *filter.Filter, deadline time.Time) string {
	m := f.Compile(filter.Aggressive)
	for _, line := range m.Examples() {
		for _, p := range m.Free(line) {
			if !p.User && !p.Spaced || strings.Contains(line[p.Start:p.End], filter.ExampleHost) {
				continue
			}
			for _, text := range variants(line[:p.Start], line[p.Start:p.End], line[p.End:], filter.ExampleHost) {
				if time.Now().After(deadline) {
					return ""
				}
				m.Recall(nil)
				forged := line[:p.Start] + text + line[p.End:]
				if v := m.MatchDated([]byte(forged), "forged", time.Unix(0, 0)); v.Addr.String() == victim {
					return forged
				}
			}
		}
	}
	return ""
}
