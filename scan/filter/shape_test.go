package filter

import (
	"regexp/syntax"
	"testing"
)

// TestDelimited: nothing that a client writes may run into the address, nor an address stand
// beside itself.
func TestDelimited(t *testing.T) {
	for pattern, want := range map[string]bool{
		`^from <ADDR> port$`:      true,
		`^(?:from <ADDR>)? port$`: true,
		`^(?:from |by )<ADDR>$`:   true,
		`^x(?:, (?:by )?)<ADDR>$`: true,
		`^from<ADDR>$`:            false,
		`^from (?:<ADDR>)+$`:      false,
		`^from (?:<ADDR>){2}$`:    false,
		`^from (?:<ADDR>)*$`:      false,
		`^(?:from |by)<ADDR>$`:    false,
		`^(?:by|from )<ADDR>$`:    false,
		`^by(?: |)<ADDR>$`:        false,
		`^by ?<ADDR>$`:            false,
		`^from \S*<ADDR>$`:        false,
	} {
		said := ""
		s, ok := checkPattern(pattern, syntax.Perl, func(problem string) { said = problem })
		if ok != want || s.delimited != want {
			t.Errorf("%s: %t, %s", pattern, s.delimited, said)
		}
	}
}
