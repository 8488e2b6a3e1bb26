package journal

import (
	"fmt"
	"slices"
	"strings"
)

// check says what libsystemd would not: it takes a field that is named twice
// as an OR without a word.
func (m Match) check() error {
	if len(m) == 0 {
		return fmt.Errorf("journal match: an empty term matches everything")
	}
	seen := map[string]bool{}
	for _, expr := range m {
		field, _, ok := strings.Cut(expr, "=")
		switch {
		case !ok || !validField(field):
			return fmt.Errorf("journal match %q: want FIELD=value, FIELD of A-Z, 0-9 and _", expr)
		case seen[field]:
			return fmt.Errorf("journal match %q: field %s named twice in one term: write two terms", strings.Join(m, " "), field)
		}
		seen[field] = true
	}
	return nil
}

// fields are the names in the match.
func (m Match) fields() (names []string) {
	for _, expr := range m {
		field, _, _ := strings.Cut(expr, "=")
		names = append(names, field)
	}
	return names
}

// holds tells whether an entry with these fields fulfils the match.
func (m Match) holds(field func(name string) ([]byte, bool)) bool {
	return !slices.ContainsFunc(m, func(expr string) bool {
		name, want, _ := strings.Cut(expr, "=")
		have, ok := field(name)
		return !ok || string(have) != want
	})
}

// validField follows journal_field_valid of systemd's journal-file.c.
func validField(name string) bool {
	if name == "" || len(name) > 64 || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for _, c := range []byte(name) {
		if !(c == '_' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// coalesce joins terms that differ in one field's value into one term with
// that field named several times, which journal readers take as OR; fewer
// terms are cheaper to merge. Doubled terms go.
func coalesce(matches []Match) []Match {
	var terms []Match
	for _, m := range matches {
		sorted := slices.Clone(m)
		slices.Sort(sorted)
		terms = append(terms, sorted)
	}
	var out []Match
	for i := 0; i < len(terms); i++ {
		term := terms[i]
		if term == nil {
			continue
		}
		merged, field := slices.Clone(term), ""
		for k := i + 1; k < len(terms); k++ {
			if terms[k] == nil {
				continue
			}
			extra, where, ok := differsInOne(term, terms[k])
			if !ok || where != "" && field != "" && where != field {
				continue
			}
			if where != "" {
				field, merged = where, append(merged, extra)
			}
			terms[k] = nil
		}
		out = append(out, slices.Compact(merged))
	}
	return out
}

// differsInOne tells whether b is a with another value for one field: that
// expression, and the field. Equal terms differ in the field "".
func differsInOne(a, b Match) (extra, field string, ok bool) {
	if len(a) != len(b) {
		return "", "", false
	}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		fa, _, _ := strings.Cut(a[i], "=")
		fb, _, _ := strings.Cut(b[i], "=")
		if fa != fb || field != "" {
			return "", "", false
		}
		extra, field = b[i], fa
	}
	return extra, field, true
}

// terms are the matches as a reader wants them, with one for journald's own
// word on suppressed messages. No matches: everything, that word included.
func (o *Options) terms() ([]Match, error) {
	for _, m := range o.Matches {
		if err := m.check(); err != nil {
			return nil, err
		}
	}
	if len(o.Matches) == 0 {
		return nil, nil
	}
	return append(coalesce(o.Matches), Match{"MESSAGE_ID=" + suppressedID, "_TRANSPORT=driver"}), nil
}
