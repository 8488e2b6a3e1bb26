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
		// With a scheme before the address.
		`^(?:[tu][cd]p[46]:)?<ADDR>$`:           true,
		`^(?:[tu][cd]p[46]:)?\[?<ADDR>\]?$`:     true,
		`^<USER>/(?:[tu][cd]p[46]:)?<ADDR>$`:    true,
		`^(?P<user>[0-9]*)(?:[tu]dp4:)?<ADDR>$`: false,
		`^(?:[a-z][cd]p[46]:)?<ADDR>$`:          false, // may begin as an address does
		`^(?:[tu]dp[46]?)?<ADDR>$`:              false, // "udp41.2.3.4"
		`^(?:[tu].*:)?<ADDR>$`:                  false,
		`^(?:[tu]dp(?::\d)?:)?<ADDR>$`:          false,
	} {
		said := ""
		s, ok := checkPattern(pattern, syntax.Perl, func(problem string) { said = problem })
		if ok != want || s.delimited != want {
			t.Errorf("%s: %t, %s", pattern, s.delimited, said)
		}
	}
}
