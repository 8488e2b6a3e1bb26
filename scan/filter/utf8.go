package filter

import (
	"strings"
	"unicode/utf8"
)

// decodeLine is a line as Fail2Ban reads it: what is no UTF-8 becomes U+FFFD, as
// Python's codec does it, one for each beginning of a character that is cut off.
func decodeLine(line string) string {
	if utf8.ValidString(line) {
		return line
	}
	var b strings.Builder
	for line != "" {
		r, n := utf8.DecodeRuneInString(line)
		if r == utf8.RuneError && n == 1 {
			n = cutRune(line)
		}
		b.WriteRune(r)
		line = line[n:]
	}
	return b.String()
}

// cutRune is how many bytes of line, which does not begin with a character, begin one.
func cutRune(line string) int {
	for n := min(3, len(line)); n > 1; n-- {
		// The shortest and the longest of what may follow: one of them is UTF-8 if any is.
		for _, rest := range []string{"\x80\x80\x80", "\xbf\xbf\xbf"} {
			if r, whole := utf8.DecodeRuneInString(line[:n] + rest); r != utf8.RuneError && whole > n {
				return n
			}
		}
	}
	return 1
}
