package pass

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/state/report"
)

// Filters with a memory: of connections, whose lines are of different processes, and of
// the lines before.
var remembering = []struct {
	name, filter string
	attempt      []string // the lines of one; %d is its number, %s the address
}{
	{"connections", `prefix = '^ host d\[(?P<mlfid>\d+)\]: (?P<content>.*)$'
[[script.failure]]
name = "connect"
pattern = '^(?P<nofail>connect) from <ADDR>$'
[[script.failure]]
name = "wrong"
pattern = '^wrong (?P<user>\w+)$'
[[script.failure]]
name = "right"
pattern = '^(?P<mlfgained>right) (?P<user>\w+)$'
[[script.failure]]
name = "end"
pattern = '^(?P<nofail>(?P<mlfforget>end))$'
`, []string{"d[%d]: connect from %s", "d[%d]: wrong bob", "d[%d]: end"}},
	{"lines", `lines = 3
[[script.failure]]
name = "two"
pattern = '^ host d: user \d+ from <ADDR>\n host d: is wrong$'
`, []string{"d: user %d from %s", "d: is wrong"}},
}

// However the log of such a filter is cut into passes, at every line and between any
// others, the bans are the same; and none is without its memory.
func TestRememberedLines(t *testing.T) {
	const begin = 1_795_335_241
	for _, c := range remembering {
		var lines []string
		for i := range 14 {
			at := stampAt(begin + i*20)
			for _, line := range c.attempt {
				line = strings.Replace(line, "%d", fmt.Sprint(100+i), 1)
				lines = append(lines, at+" host "+strings.Replace(line, "%s", fmt.Sprintf("203.0.113.%d", i*i%3), 1))
			}
		}
		var want []string
		for _, every := range append([]int{len(lines)}, recallSteps...) {
			f, err := filter.Parse("test", "test.toml", "[script]\n"+c.filter)
			if err != nil {
				t.Fatal(err)
			}
			h := newHost(t)
			log := filepath.Join(t.TempDir(), "d.log")
			onFiles(h, log)
			h.setup.Watches[0].Program = nil
			for i, line := range lines {
				appendText(t, log, line+"\n")
				if i%every == every-1 || i == len(lines)-1 {
					h.setup.Watches[0].Matcher = f.Compile(filter.Normal) // a process of its own
					h.pass(begin + int64(i/len(c.attempt))*20 + 1)
				}
			}
			got := h.bans()
			slices.Sort(got)
			if want == nil {
				if want = got; len(want) < 2 {
					t.Fatalf("%s: few bans: %q", c.name, want)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: a pass every %d lines: %q, want %q", c.name, every, got, want)
			}
		}
	}
}

// A jail that gave up lines is not well, until a pass that gives up none.
func TestGivenUp(t *testing.T) {
	f, err := filter.Parse("test", "test.toml", "[script]\n[[script.failure]]\nname = \"slow\"\nbacktracks = true\npattern = '^ (?=(\\w+\\s?)*$)(?:(?:a+)+)+b from <ADDR>$'\n[[script.failure]]\nname = \"other\"\npattern = 'fails from <ADDR>$'\n")
	if err != nil {
		t.Fatal(err)
	}
	h, log := newHost(t), filepath.Join(t.TempDir(), "d.log")
	onFiles(h, log)
	h.setup.Watches[0].Program, h.setup.Watches[0].Matcher = nil, f.Compile(filter.Normal)
	long := strings.Repeat("a", 60) + " !"
	for i, c := range []struct{ line, want string }{
		{"a fails from 203.0.113.7", ""},
		{long + " fails from 203.0.113.7", ""}, // given up by one expression, explained by another
		{long + " from 203.0.113.7", "the last pass: 1 line was given up, after 2 million steps or as too deep, by the expression slow of filter test (no other holds; see scan2ban match)"},
		{"a fails from 203.0.113.7", ""},
	} {
		now := int64(begin + i*60)
		appendText(t, log, stampAt(int(now)-1)+" "+c.line+"\n")
		h.pass(now)
		want := report.OK
		if c.want != "" {
			want = report.Error
		}
		if got, message := h.health(now + 1); got != want || message != c.want {
			t.Errorf("%s: %s: %q", c.line, got, message)
		}
	}
}

func stampAt(at int) string { return time.Unix(int64(at), 0).UTC().Format(time.Stamp) }

func appendText(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
