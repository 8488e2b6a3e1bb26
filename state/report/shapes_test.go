package report

import "testing"

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

func TestShapesAreBounded(t *testing.T) {
	var s Shapes
	for i := range maxShapes + 5 {
		line := ""
		for n := i; n > 0; n /= 26 {
			line += string(rune('a' + n%26))
		}
		s.Add(line)
	}
	if len(s.by) != maxShapes || s.more != 5 {
		t.Errorf("%d shapes, %d lines more", len(s.by), s.more)
	}
}
