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

// A pass looks at what was written since the one before, and not again at all that stands behind
// such damage.
func TestSurveyGoesOnBehindDamage(t *testing.T) {
	e := entries(30, "m")
	for i := range e {
		e[i].Fields = map[string]string{"_UID": "0"}
	}
	eachReader(t, func(t *testing.T, kind string) {
		file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), e[:10])
		o := Options{Path: file, Reader: kind, Matches: []Match{{"_UID=0"}}, Now: t0 + 1e12}
		p := read(t, o)
		for from := 10; from < 30; from += 5 {
			journaltest.Write(t, file, e[from:from+5])
			if from == 10 {
				change(t, file, func(b []byte) { b[objects(b, objectEntry)[5]+12] = 7 }) // the size of an entry
				p.known.Files = nil                                                      // else nobody comes to it
			}
			p = read(t, p.goOn(o))
			same(t, p.entries, lines(e[from:from+5]))
			info, err := readInfo(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.known.Files[0].Surveyed; got+300 < info.tailObject { // an entry has less
				t.Errorf("looked at up to byte %d of %d", got, info.tailObject)
			}
		}
	})
}
