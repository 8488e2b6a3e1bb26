// Package forgery makes up, for tests, what attackers write into a log to have another
// address blamed: a grammar of addresses in all shapes, of what could close the text in
// which they stand, of whole lines and ends of lines that blame somebody, of line ends and
// padding. Which of them it writes, bytes choose: a fuzzer's or a random generator's.
package forgery

import (
	"bytes"
	"strings"
)

// Choices are bytes that choose; when they are used up the first alternative is taken.
type Choices struct{ left []byte }

// From chooses by these bytes.
func From(choices []byte) *Choices { return &Choices{choices} }

// N chooses one of n, of which there are at most 65,536.
func (c *Choices) N(n int) int {
	if n <= 1 || len(c.left) == 0 {
		return 0
	}
	at := int(c.left[0])
	c.left = c.left[1:]
	if n > 256 && len(c.left) > 0 {
		at, c.left = at<<8|int(c.left[0]), c.left[1:]
	}
	return at % n
}

// raw takes up to n of the bytes as they are.
func (c *Choices) raw(n int) string {
	n = min(n, len(c.left))
	text := string(c.left[:n])
	c.left = c.left[n:]
	return text
}

// The victims: addresses that no daemon saw.
const (
	Victim4 = "8.8.8.8"
	Victim6 = "2001:4860:4860::8888"
)

// addresses are the victims as logs write addresses, and as they do not.
var addresses = []string{
	Victim4, Victim6, "::ffff:" + Victim4, "[" + Victim6 + "]", "[" + Victim4 + "]", Victim4 + ":22", "[" + Victim6 + "]:22", "(" + Victim4 + ")",
	"<" + Victim4 + ">", Victim4 + "#53", Victim4 + ".22", Victim4 + "/32", Victim6 + "/64", "/" + Victim4 + ":22", "::FFFF:808:808", "2001:4860:4860:0:0:0:0:8888",
	"2001:4860:4860::8888%eth0", "008.008.008.008", "8.8.2056", "134744072", "0x08080808", "%38.8.8.8", "dns.google[" + Victim4 + "]", "dns.google (" + Victim4 + ")",
	"ip=" + Victim4, "rhost=" + Victim4, "rip=" + Victim4, "client: " + Victim4, "from " + Victim4, "from=" + Victim4, `"remote_ip":"` + Victim4 + `"`,
	`"client_ip":"` + Victim6 + `"`, "IP: " + Victim4, "host=" + Victim4 + " ", "'root'@'" + Victim4 + "'", "user@" + Victim4,
}

// closers are what could end the text in which a client's words stand.
var closers = []string{
	" ", "\"", "'", "]", ")", ">", "}", ":", ": ", ",", ", ", ";", "; ", "=", "\\", "\\\"", "\",\"", "\"}", "\" ", "'@'", " - ", " -- ", "\t", "[", "(", "<", "{",
	" port 22 ssh2", " [preauth]", "%20", "#012", "\\n", "\\x22", "\u2028", "\u00a0", "\xff", "\x1b[", "\u202e",
}

var ends = []string{"\n", "\r\n", "\r", "\x00", "\v", "\f", "\u0085", "\n\n"}

// Text is one forgery. lines are lines of logs that blame a victim, with no line feed.
func Text(c *Choices, lines []string) string {
	var b strings.Builder
	for range 1 + c.N(6) {
		switch c.N(8) {
		case 0, 1:
			b.WriteString(addresses[c.N(len(addresses))])
		case 2, 3:
			b.WriteString(closers[c.N(len(closers))])
		case 4:
			b.WriteString(ends[c.N(len(ends))])
		case 5:
			if len(lines) > 0 {
				b.WriteString(tail(c, lines[c.N(len(lines))]))
			}
		case 6:
			b.WriteString(strings.Repeat("x", c.N(700)))
		case 7:
			b.WriteString(c.raw(1 + c.N(24)))
		}
	}
	return b.String()
}

// tail is a line from one of its words on, or a piece of it.
func tail(c *Choices, line string) string {
	begins := []int{0}
	for i := range len(line) {
		if bytes.IndexByte([]byte(" [(\"',:={"), line[i]) >= 0 {
			begins = append(begins, i, i+1)
		}
	}
	from := begins[c.N(len(begins))]
	line = line[from:]
	if c.N(4) == 3 { // and to another
		line = line[:c.N(len(line)+1)]
	}
	return line
}
