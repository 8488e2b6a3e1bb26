package filter

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// check finds what is wrong with a filter whose keys are all known.
func (d *decoder) check(f *Filter, rules []Rule) {
	for _, term := range f.Journal.Match {
		if err := CheckTerm(term, f.Journal.Require); err != nil {
			d.fail(toml.Key{"journal", "match"}, "%v", err)
		}
	}
	if len(f.Journal.Match) == 0 && len(f.Journal.Require) > 0 {
		d.fail(toml.Key{"journal", "require"}, "require without match: nothing would be read from the journal")
	}
	if stream := f.Container.Stream; stream != "" && stream != "stdout" && stream != "stderr" && stream != "both" {
		d.fail(toml.Key{"container", "stream"}, `stream is "stdout", "stderr" or "both", not %q`, stream)
	}
	if f.Ledger && (len(rules) > 0 || len(f.Journal.Match) > 0) {
		d.fail(toml.Key{"ledger"}, "a filter of the ledger reads no log: it has no rules and no matches")
	}
	d.checkScript(f, rules)
	if len(rules) == 0 && !f.Ledger && f.Script == nil {
		d.fail(nil, "filter %q has no rule (add one [[rule]])", f.Name)
	}
	var names []string
	for i := range rules {
		name := rules[i].Name
		if slices.Contains(names, name) {
			d.fail(toml.Key{"rule", index(i), "name"}, "two rules are named %q", name)
		}
		names = append(names, name)
	}
	if unless := f.JSON.Unless; unless != "" && !slices.ContainsFunc(rules, func(r Rule) bool { return r.Name == unless && r.Kind == Mark }) {
		d.fail(toml.Key{"json", "unless"}, "unless names no rule of kind \"mark\": %q%s", unless, DidYouMean(unless, names))
	}
	d.names = func(rule string) bool {
		return slices.ContainsFunc(rules, func(r Rule) bool { return r.Name == rule && r.Kind == Mark && strings.Contains(r.Pattern, "<ADDR>") })
	}
	for i := range rules {
		d.checkRule(f, &rules[i], toml.Key{"rule", index(i)}, names)
	}
}

func (d *decoder) checkRule(f *Filter, r *Rule, at toml.Key, names []string) {
	fail := func(key, format string, args ...any) {
		d.fail(append(slices.Clip(at), key), format, args...)
	}
	if r.Name == "" {
		fail("name", "a rule without a name")
	}
	if r.After != "" && (r.After == r.Name || !slices.Contains(names, r.After)) {
		fail("after", "after names no other rule: %q%s", r.After, DidYouMean(r.After, names))
	}
	if r.Alone && (r.Once || r.After != "" || r.Stage != 0) {
		fail("alone", "rule %q is alone: once, after and stage need a session", r.Name)
	}
	if r.Echo && (r.Kind != Failure || r.Alone || r.Once || r.After != "" || r.Stage != 0) {
		fail("echo", "rule %q is an echo: it is a failure, and once, after, stage and alone do not go with it", r.Name)
	}
	if r.Lingers && r.Kind != Failure {
		fail("lingers", "rule %q lingers: only a failure does", r.Name)
	}
	if (r.Kind == Refused) != (r.Reason != "") {
		fail("reason", `rule %q: a reason goes with kind = "refused", and only with that`, r.Name)
	}
	blames := r.Kind == Failure || r.Kind == Success
	switch {
	case r.Pattern != "" && len(r.Conditions) > 0:
		fail("pattern", "rule %q has a pattern, for a line of text, and where or like, for one in JSON: write two rules", r.Name)
	case r.Pattern != "":
		s, ok := checkPattern(r.Pattern, syntax.Perl, func(problem string) { fail("pattern", "rule %q: %s", r.Name, problem) })
		switch {
		case !ok || !blames || s.hasAddr || r.Kind == Failure && d.names(r.After):
		case strings.Contains(r.Pattern, "<HOST>"):
			fail("pattern", "rule %q: <HOST> is Fail2Ban's word: write <ADDR>", r.Name)
		default:
			fail("pattern", `rule %q has no <ADDR>: whom does it blame? (kind = "mark" or "benign" needs none; or after = "a mark with <ADDR>")`, r.Name)
		}
	case len(r.Conditions) == 0:
		fail("pattern", "rule %q has no pattern, and neither where nor like for a line in JSON", r.Name)
	default:
		found := 0
		for _, c := range r.Conditions {
			if c.Like == "" {
				continue
			}
			s, ok := checkPattern(c.Like, syntax.Perl|syntax.DotNL, func(problem string) { fail("like", "rule %q, %s: %s", r.Name, c.Path, problem) })
			if ok && s.hasAddr {
				found++
			}
		}
		if found > 1 {
			fail("like", "rule %q has two <ADDR>: which one does it blame?", r.Name)
		} else if blames && found == 0 && len(f.JSON.Address) == 0 {
			fail("name", "rule %q: whom does it blame? (write [json] address = \"PATH\", or <ADDR> in its like)", r.Name)
		}
	}
}

// checkPattern says by report what is wrong with a pattern; ok when nothing is.
func checkPattern(pattern string, flags syntax.Flags, report func(problem string)) (s shape, ok bool) {
	expanded := expand(pattern)
	tree, err := syntax.Parse(expanded, flags)
	if err == nil {
		_, err = regexp.Compile(expanded) // too large
	}
	if err != nil {
		report(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return s, false
	}
	s = shapeOf(tree)
	switch {
	case !s.anchored:
		report("it is not anchored at both ends (write '^...$')")
	case s.hasAddr && !s.delimited:
		report("what stands before <ADDR> could be a part of it (put a fixed character, such as a space, between them)")
	default:
		return s, true
	}
	return s, false
}
