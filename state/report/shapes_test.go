package report

import (
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for line, want := range map[string]string{
		"Failed password for root from 203.0.113.7 port 4711 ssh2": "Failed password for root from ADDR port N sshN",
		"[203.0.113.7]:25: rejected":                               "[ADDR]:N: rejected",
		"client 203.0.113.7:4711.":                                 "client ADDR:N.",
		"rip=2001:db8::7, session=<a>":                             "rip=ADDR, session=<a>",
		`GET "/a \" b" 12ms 5f3a9c0e1b2d`:                          `GET "..." Nms HEX`,
		`open " never closed 7`:                                    `open " never closed N`,
		"":                                                         "",
	} {
		if got := fold(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// However many shapes there are, few are held, and a frequent one that comes late is
// among them.
func TestShapesAreBounded(t *testing.T) {
	var s Shapes
	const often, n = 100, 3 * maxShapes
	for i := range n {
		s.Add(string([]rune{'a' + rune(i%26), 'a' + rune(i/26%26), 'a' + rune(i/676%26), 'a' + rune(i/17576)}))
		if i >= n-often {
			s.Add("often " + strings.Repeat("x", 2*maxExample))
		}
		if len(s.by) > maxShapes {
			t.Fatalf("%d shapes", len(s.by))
		}
	}
	list, lines := s.sorted(), s.more
	for _, x := range list {
		lines += x.lines
	}
	if list[0].lines != often || len(list[0].example) != maxExample || lines != n+often {
		t.Errorf("the first has %d lines and an example of %d bytes; %d lines in all", list[0].lines, len(list[0].example), lines)
	}
}
