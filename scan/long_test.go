package scan

import (
	"strings"
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/state"
)

// A message of which the end may be missing is no failure, whatever its beginning says:
// the reader has cut it. It is counted as refused.
func TestLongMessages(t *testing.T) {
	const text = "description = \"long\"\nports = [\"ssh\"]\n[journal]\nmatch = [[\"_COMM=longd\"]]\n" +
		"[[rule]]\nname = \"begins\"\npattern = '^failed from <ADDR> by .*$'\n"
	rules, err := filter.Parse("long", "long.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	w := Watch{Jail: "long", Matcher: rules.Compile(filter.Normal), Terms: rules.Matches()}
	for _, w.Container = range []bool{false, true} {
		for more, want := range map[int]filter.Kind{0: filter.Failure, 1: filter.Refused} {
			message := "failed from 203.0.113.1 by "
			message += strings.Repeat("x", journal.MaxMessage+more-len(message))
			source := &list{entries: []map[string]string{{"time": "1", "MESSAGE": message, "_COMM": "longd"}}}
			var got []filter.Verdict
			var tally state.Tally
			Journal(source, []Watch{w}, Limit{Second: 10}, func(f Finding) { got = append(got, f.Verdict); tally.Add(f.Tally()) })
			if len(got) != 1 || got[0].Kind != want || want == filter.Refused && got[0].Reason != reasonLong {
				t.Errorf("container %v, %d bytes more: %+v, want %v", w.Container, more, got, want)
			}
			if tally.Entries != 1 || tally.Refused[reasonLong] != int64(more) {
				t.Errorf("container %v, %d bytes more: counted as %+v", w.Container, more, tally)
			}
		}
	}
}
