package journal

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// A message that is not what was written blames nobody behind damage either that hides where the next
// object begins; the entries there that are whole are read.
func TestMessageBehindDamage(t *testing.T) {
	e := attack(100)
	lost, forged := lines(e[20:21])[0], lines(e[50:51])[0]
	want := slices.DeleteFunc(lines(e), func(line string) bool { return line == lost || line == forged })
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e)
		change(t, file, func(b []byte) {
			b[objects(b, objectEntry)[20]+12] = 7 // its size
			text := []byte("MESSAGE=" + e[50].Message)
			b[bytes.Index(b, text)+strings.Index(string(text), "198.")+2] = '9'
		})
		p := read(t, Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}})
		same(t, p.entries, want)
		warned(t, p.warnings, file, "impossible size")
	})
}
