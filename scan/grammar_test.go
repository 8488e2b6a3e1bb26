package scan

import (
	"math/rand/v2"
	"strings"
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/filter/forgery"
)

// A target is one form of one filter.
type target struct {
	*form
	rules   *filter.Filter
	matcher *filter.Matcher
	lines   []string // of its filter, blaming a victim
}

func targets(t testing.TB) (all []target) {
	var others []string // a few lines of each other filter
	for _, rules := range inCatalogue(t) {
		m := rules.Compile(filter.Aggressive)
		mine := forms(t, services+rules.Name+".forms")
		var lines []string
		for i := range mine {
			for _, victim := range []string{forgery.Victim4, forgery.Victim6} {
				lines = append(lines, strings.ReplaceAll(mine[i].plain(victim), "\n", " "))
			}
		}
		others = append(others, lines[0], lines[len(lines)-2])
		for i := range mine {
			all = append(all, target{&mine[i], rules, m, lines})
		}
	}
	for i := range all {
		all[i].lines = append(all[i].lines[:len(all[i].lines):len(all[i].lines)], others...)
	}
	return all
}

// forge fills the form's fields as the bytes choose, and tells whether it blames nobody
// but the client.
func (g *target) forge(t *testing.T, choices []byte) {
	c := forgery.From(choices)
	host := hosts[c.N(len(hosts))]
	texts, last := map[string]string{}, ""
	for i := range g.fields {
		switch c.N(4) {
		case 3:
			texts[g.fields[i].name] = "x"
		case 2:
			texts[g.fields[i].name] = last
		default:
			last = forgery.Text(c, g.lines)
			texts[g.fields[i].name] = last
		}
	}
	g.innocent(t, g.rules.Name, g.rules, g.matcher, host, g.fill(host, texts))
}

// FuzzForged: whatever a client writes into any line of any filter of the catalogue, no
// address that stands only in its text is blamed. Of sshd see package filter.
func FuzzForged(f *testing.F) {
	all := targets(f)
	for i := range all {
		if i%16 == 0 {
			f.Add(uint(i), []byte{0, 0, 3, 5, byte(i), 2, 1, 3, 0, 0, 9, 1, 1})
		}
	}
	f.Fuzz(func(t *testing.T, which uint, choices []byte) {
		all[which%uint(len(all))].forge(t, choices)
	})
}

// TestForgedByGrammar is a part of that in every run of the tests: some hundred forgeries
// for each form of each filter, always the same.
func TestForgedByGrammar(t *testing.T) {
	all := targets(t)
	random := rand.New(rand.NewPCG(4, 5))
	choices := make([]byte, 60)
	for i := range all {
		for range eachForm {
			for k := range choices {
				choices[k] = byte(random.Uint32())
			}
			all[i].forge(t, choices)
		}
	}
	t.Logf("%d forms, %d forged lines", len(all), eachForm*len(all))
}
