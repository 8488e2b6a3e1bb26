package filter

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// script reads [script].
func (d *decoder) script(dst **Script) field {
	return func(key toml.Key, value any) {
		s := &Script{Lines: 1}
		*dst = s
		d.section(fields{
			{"prefix", d.word(&s.Prefix)},
			{"ignore", d.list(&s.Ignore)},
			{"lines", d.number(&s.Lines, 1)},
			{"dates", d.list(&s.Dates)},
			{"backtracks", d.list(&s.Backtracks)},
			{"failure", func(key toml.Key, value any) {
				tables, ok := value.([]map[string]any)
				if !ok {
					d.wrongType(key, "tables [[script.failure]]", value)
					return
				}
				s.Failures = make([]Expression, len(tables))
				for i, raw := range tables {
					e := &s.Failures[i]
					d.table(slices.Concat(key, toml.Key{index(i)}), raw, fields{
						{"name", d.word(&e.Name)},
						{"pattern", d.word(&e.Pattern)},
						{"backtracks", d.flag(&e.Backtracks)},
					})
				}
			}},
		})(key, value)
	}
}

// maxScriptLines is how many lines an expression may see at once.
const maxScriptLines = 1000

// checkScript finds what is wrong with a script.
func (d *decoder) checkScript(f *Filter, rules []Rule) {
	s := f.Script
	if s == nil {
		return
	}
	at := toml.Key{"script"}
	if len(rules) > 0 || f.Ledger {
		d.fail(at, "a filter has a [script] or [[rule]]s, not both")
	}
	if len(s.Failures) == 0 {
		d.fail(at, "a script without a failure (add one [[script.failure]])")
	}
	if s.Lines > maxScriptLines {
		d.fail(toml.Key{"script", "lines"}, "lines = %d is out of range (1 to %d)", s.Lines, maxScriptLines)
	}
	for _, name := range s.Backtracks {
		number, ignores := strings.CutPrefix(name, ignorePrefix)
		n, _ := strconv.Atoi(number)
		if name != "prefix" && (!ignores || n < 1 || n > len(s.Ignore)) {
			d.fail(toml.Key{"script", "backtracks"}, `backtracks holds "prefix" and "ignore-1" to "ignore-%d", not %q`, len(s.Ignore), name)
		}
	}
	for i, e := range s.Failures {
		if e.Name == "" || e.Pattern == "" {
			d.fail(toml.Key{"script", "failure", index(i)}, "a failure without a name or a pattern")
		}
	}
	if _, err := s.Open(); err != nil {
		d.fail(at, "%v", err)
	}
}

// WholeLine tells whether the filter wants lines with the prefix of the syslog daemon:
// whether it is a script.
func (m *Matcher) WholeLine() bool { return m.filter.Script != nil }

// openScript makes the script ready; the filter comes from Parse, which has tried it.
func (m *Matcher) openScript() {
	memory, err := m.filter.Script.Open()
	if err != nil {
		panic(err)
	}
	m.memory = memory
}

// Date gives the time of a line of a log by a script's date patterns, as Memory.Date. The
// lines of each log must come in their order, each to MatchLine before the next. Without
// the name of a log nothing is remembered, and nothing recalled.
func (m *Matcher) Date(line []byte, log string, latest int64, at func(Date) (t int64, ok bool)) (t int64, ok bool) {
	m.ready.Do(m.compile)
	m.script.Lock()
	defer m.script.Unlock()
	if log == "" {
		m.memory.recall = newRecall()
		m.memory.dates.hold(&m.memory.recall.date)
		defer func() { m.memory.cut = cutLine{} }()
	} else {
		m.of(log)
	}
	if len(line) > maxMessage { // it is refused, and client text may be all that is left of it
		return m.memory.dated, m.memory.dated != 0
	}
	return m.memory.Date(string(line), latest, at)
}

// MatchLine judges a whole line of a log by a script; when is its time. The lines of each
// log must come in their order.
func (m *Matcher) MatchLine(line []byte, log string, when time.Time) Verdict {
	m.ready.Do(m.compile)
	if reason := m.unfit(line); reason != "" {
		return Verdict{Kind: Refused, Reason: reason}
	}
	m.script.Lock()
	defer m.script.Unlock()
	memory := m.of(log)
	return memory.Verdict(memory.Line(string(line), when))
}

// MatchDated is MatchLine for a line without its time, which is when.
func (m *Matcher) MatchDated(line []byte, log string, when time.Time) Verdict {
	m.ready.Do(m.compile)
	if reason := m.unfit(line); reason != "" {
		return Verdict{Kind: Refused, Reason: reason}
	}
	m.script.Lock()
	defer m.script.Unlock()
	memory := m.of(log)
	return memory.Verdict(memory.Dated(string(line), when))
}

// unfit is why a line proves nothing, whatever an expression makes of it: what a client
// wrote may begin a line of its own there, or have pushed the end off.
func (m *Matcher) unfit(line []byte) string {
	switch {
	case m.maxLength > 0 && len(line) >= m.maxLength, len(line) > maxMessage:
		return reasonTooLong
	case bytes.IndexByte(line, '\n') >= 0, bytes.IndexByte(line, 0) >= 0:
		return reasonControl
	}
	return ""
}
