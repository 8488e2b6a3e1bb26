package filter

import (
	"strings"
	"time"
)

// ExampleHost is whom Examples blame (RFC 5737).
const ExampleHost = "192.0.2.1"

const exampleContent = "\x00content\x00"

// Examples gives, for each of a script's failures, a line without a date by which it blames
// ExampleHost; those for which none was found are missing.
func (m *Matcher) Examples() (lines []string) {
	m.ready.Do(m.compile)
	if m.memory == nil {
		return nil
	}
	for _, f := range m.filter.Script.Failures {
		for _, full := range []bool{true, false} {
			line := example(f.Pattern, full)
			if prefix := m.filter.Script.Prefix; prefix != "" {
				line = strings.Replace(example(prefix, full), exampleContent, line, 1)
			}
			m.Recall(nil)
			if v := m.MatchDated([]byte(line), "example", time.Unix(0, 0)); v.Kind == Failure && v.Addr.String() == ExampleHost && v.Rule.Name == f.Name {
				lines = append(lines, line)
				break
			}
		}
	}
	return lines
}

func example(pattern string, full bool) string {
	a := &adversary{rest: pattern, full: full}
	return a.alternatives("", 0)
}
