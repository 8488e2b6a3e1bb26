package fail2ban

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/state/lazy"
	"scan2ban/state/report"
	"scan2ban/state/sha256"
)

// suspectLimit is how long forged lines are looked for, a filter.
const suspectLimit = 5 * time.Second

// doubt is what speaks against a converted filter. It does not hang on the filter's name:
// its expressions are what is tried.
type doubt struct {
	line, where string // by which it blames somebody else than its writer, and on what terms; "": none is known
	own         string // scan2ban's filter that is not fooled by it; "": there is none
	open        string // what its expressions leave open, for the list
}

// doubts tries the forged lines of all of Fail2Ban's filters on a converted one. Where it
// has expressions that are not Fail2Ban's own, it is tried with what these let suspect.
func doubts(name, text string) (d doubt) {
	f, err := filter.Parse(name, name+".toml", text)
	if err != nil {
		return d
	}
	of, line := fooled(f)
	d.line, d.where = line, "the service writes what clients send as it comes"
	if line != "" {
		if own, err := filter.Load(of); err == nil && !blamesVictim(own, []string{line}) {
			d.own = of
		}
	}
	if stockExpressions(f.Script) {
		return d
	}
	d.open = unanchored(f.Script)
	if line == "" {
		d.line, d.where = suspected(f, time.Now().Add(suspectLimit)), "what its expressions leave open there is a client's text, written as it comes"
	}
	return d
}

// warning is for the jail, or above the filter.
func (d doubt) warning(better string) string {
	if d.line == "" {
		return ""
	}
	return fmt.Sprintf("# WARNING: a client may have others banned through this filter. It bans %s for\n#   %s\n# where %s%s.\n", victim, report.Clean(d.line), d.where, better)
}

// better names scan2ban's own filter, and how to have it.
func (d doubt) better(how string) string {
	if d.own == "" {
		return ""
	}
	return "; scan2ban's own filter " + d.own + " does not (" + how + ")"
}

// foolable writes what speaks against the jail's converted filter.
func (j *jail) foolable(name, text string) {
	d := doubts(name, text)
	how := "leave --keep-filters out"
	if d.own != name {
		how = "write filter = " + quote(d.own)
	}
	if d.open != "" {
		j.left("filter", "filter %s: %s", name, d.open)
	}
	if d.line != "" {
		j.b.WriteString(d.warning(d.better(how)))
		j.left("filter", "filter %s: a client may have others banned through it, by a line as in the jail's warning%s", name, d.better(how))
	} else if d.open == "" {
		j.result.unproven = append(j.result.unproven, name)
	}
}

// unprovenText is said once of the filters that nothing speaks against.
func unprovenText(names []string) string {
	names = unique(names)
	of := "filters "
	if len(names) == 1 {
		of = "filter "
	}
	return "of the " + of + strings.Join(names, ", ") + ", converted, nothing is proven: read what of their lines a client chooses"
}

var (
	hostTag   = lazy.Regexp(`<(?:HOST|ADDR|IP4|IP6|DNS|CIDR|SUBNET)>`)
	openText  = lazy.Regexp(`(?:\.|\\S|\[\^(?:\\.|[^\]\\])+\])(?:[*+]|\{\d*,\d*\})`)
	openAtEnd = lazy.Regexp(`\.[*+]\??$`)
)

// unanchored tells of expressions in which open text stands before the address, and
// whatever may follow after it: a client that writes that text can write the address.
func unanchored(s *filter.Script) string {
	var numbers []string
	for _, e := range s.Failures {
		at := hostTag().FindStringIndex(e.Pattern)
		if at == nil || !openText().MatchString(e.Pattern[:at[0]]) {
			continue
		}
		end, anchored := strings.CutSuffix(strings.TrimRight(e.Pattern, ")"), "$")
		if anchored && !strings.HasSuffix(end, `\`) && !openAtEnd().MatchString(strings.TrimRight(end, ")")) {
			continue
		}
		numbers = append(numbers, strings.TrimPrefix(e.Name, "failure-"))
	}
	if len(numbers) == 0 {
		return ""
	}
	return "failregex " + strings.Join(numbers, ", ") + ": not anchored at the end, with open text before the address: if a client writes that text, it can write the address"
}

//go:embed testdata/expressions.txt
var expressionsTable string

// stockPrints are those of the expressions of Fail2Ban's own filters, in all their modes.
func stockPrints() map[string]bool {
	prints := map[string]bool{}
	for line := range strings.Lines(expressionsTable) {
		if !strings.HasPrefix(line, "#") {
			prints[strings.TrimSpace(line)] = true
		}
	}
	return prints
}

// fingerprints tell a script's expressions, each with its prefix, from others.
func fingerprints(s *filter.Script) []string {
	all := map[string]bool{}
	for _, e := range s.Failures {
		sum := sha256.Sum256([]byte(s.Prefix + "\x00" + e.Pattern))
		all[hex.EncodeToString(sum[:5])] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// stockExpressions tells whether a script has only expressions of Fail2Ban's own, which the
// samples of TestForged have tried.
func stockExpressions(s *filter.Script) bool {
	prints := stockPrints()
	return !slices.ContainsFunc(fingerprints(s), func(p string) bool { return !prints[p] })
}
