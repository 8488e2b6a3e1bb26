package scan

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
)

// A form is a line of a daemon with the client's address (%H) and what the client
// chooses (%{NAME}).
type form struct {
	at     int
	entry  bool   // a journal entry of program, else a line of a file
	text   string // of an entry: the message
	writer string
	limit  int // the daemon cuts the line here; 0: it does not
	fields []clientField
}

// clientField is text that a client chooses, as far as the protocol lets it.
type clientField struct {
	name    string
	escape  func(string) string
	max     int // bytes, before they are escaped; 0: any number
	without string
}

var escapes = map[string]func(string) string{
	"none":     func(s string) string { return s },
	"question": func(s string) string { return mapBytes(s, func(c byte) string { return "?" }, "") },
	"capitals": func(s string) string { return strings.ToUpper(mapBytes(s, func(c byte) string { return "?" }, "")) },
	"syslog":   func(s string) string { return mapBytes(s, func(c byte) string { return fmt.Sprintf("#%03o", c) }, "") },
	"vis":      func(s string) string { return mapBytes(s, func(c byte) string { return fmt.Sprintf(`\%03o`, c) }, "") },
	"nginx": func(s string) string {
		return mapBytes(s, func(c byte) string { return fmt.Sprintf(`\x%02X`, c) }, `"\`)
	},
	"apache": func(s string) string {
		return mapBytes(s, func(c byte) string {
			if i := strings.IndexByte("\b\n\r\t\v\"\\", c); i >= 0 {
				return `\` + `bnrtv"\`[i:i+1]
			}
			return fmt.Sprintf(`\x%02x`, c)
		}, `"\`)
	},
	"json":  func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
	"quote": func(s string) string { q := strconv.Quote(s); return q[1 : len(q)-1] },
}

// mapBytes escapes what is not printable, and what of others is in more.
func mapBytes(s string, escape func(byte) string, more string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || strings.IndexByte(more, c) >= 0 {
			b.WriteString(escape(c))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

var placeholder = regexp.MustCompile(`%\{([a-z_]+)\}`)

// forms reads NAME.forms.
func forms(t testing.TB, path string) (all []form) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return nil
	}
	known, limit, from := map[string]clientField{}, 0, false
	for i, row := range strings.Split(string(text), "\n") {
		word, rest, _ := strings.Cut(row, " ")
		fail := func(err any) { t.Errorf("%s:%d: %v", path, i+1, err) }
		switch {
		case strings.HasPrefix(row, "# from: "):
			from = true
		case strings.TrimSpace(row) == "" || row[0] == '#':
		case word == "limit":
			if limit, err = strconv.Atoi(strings.TrimSpace(rest)); err != nil {
				fail(err)
			}
		case word == "field":
			f, err := readField(rest)
			if err != nil {
				fail(err)
			}
			known[f.name] = f
		case word == "form", word == "entry":
			f := form{at: i + 1, entry: word == "entry", text: strings.TrimSuffix(rest, "\r"), limit: limit}
			if f.entry {
				var ok bool
				if f.writer, f.text, ok = strings.Cut(rest, ": "); !ok {
					fail("an entry is PROGRAM: MESSAGE")
				}
			}
			for _, at := range placeholder.FindAllStringSubmatch(f.text, -1) {
				field, ok := known[at[1]]
				if !ok {
					fail("no field " + at[1] + " before this line")
				} else if !slices.ContainsFunc(f.fields, func(had clientField) bool { return had.name == field.name }) {
					f.fields = append(f.fields, field)
				}
			}
			if !from {
				fail("where does the form come from? (write # from: ...)")
			}
			all = append(all, f)
		default:
			fail("want field, limit, form or entry")
		}
	}
	if len(all) == 0 {
		t.Errorf("%s: no forms", path)
	}
	return all
}

func readField(text string) (f clientField, err error) {
	f.escape = escapes["none"]
	text, _, _ = strings.Cut(text, " # ")
	var rest string
	f.name, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		key, value, ok := strings.Cut(rest, "=")
		if !ok {
			return f, fmt.Errorf("want KEY=VALUE: %s", rest)
		}
		var quoted string
		if strings.HasPrefix(value, `"`) {
			if quoted, err = strconv.QuotedPrefix(value); err != nil {
				return f, err
			}
			rest = value[len(quoted):]
			value, _ = strconv.Unquote(quoted)
		} else {
			value, rest, _ = strings.Cut(value, " ")
		}
		switch key {
		case "max":
			if f.max, err = strconv.Atoi(value); err != nil {
				return f, err
			}
		case "escape":
			if f.escape = escapes[value]; f.escape == nil {
				return f, fmt.Errorf("no escape %q", value)
			}
		case "without":
			f.without = value
		default:
			return f, fmt.Errorf("unknown %q", key)
		}
	}
	return f, nil
}

// sent is text as it gets through to the log.
func (c *clientField) sent(text string) string {
	if c.without != "" {
		text = strings.Map(func(r rune) rune {
			if r < 0x80 && strings.IndexByte(c.without, byte(r)) >= 0 {
				return -1
			}
			return r
		}, text)
	}
	if c.max > 0 && len(text) > c.max {
		text = text[:c.max]
	}
	return c.escape(text)
}

// fill puts texts, by the fields' names, and the client's address into the form.
func (f *form) fill(host string, texts map[string]string) string {
	line := placeholder.ReplaceAllStringFunc(f.text, func(at string) string {
		name := at[2 : len(at)-1]
		for i := range f.fields {
			if f.fields[i].name == name {
				return f.fields[i].sent(texts[name])
			}
		}
		return ""
	})
	line = strings.ReplaceAll(line, "%H", host)
	if f.limit > 0 && len(line) > f.limit {
		line = line[:f.limit]
	}
	return line
}

// plain fills every field with a letter.
func (f *form) plain(host string) string {
	texts := map[string]string{}
	for _, field := range f.fields {
		texts[field.name] = "x"
	}
	return f.fill(host, texts)
}

// forgeries are what an attacker would write to have victim blamed: the filter's own
// lines, whole and from every word on, after what could close the text before them.
func forgeries(all []form, victim string) []string {
	texts := []string{"", victim, "x from " + victim, "(" + victim + ")", "[" + victim + "]", "rhost=" + victim, "rip=" + victim,
		"client: " + victim, `","remote_ip":"` + victim + `","x":"`, `", "` + victim, `" 401 1 "-" "-" "` + victim + `"`,
		victim + ":80", "[" + victim + "]:80", "\\", "\"", "]", "x, " + victim}
	for i := range all {
		line := all[i].plain(victim)
		at := strings.LastIndex(line, victim)
		texts = append(texts, line, line+"\n", "x\n"+line+"\n", "x\r\n"+line, "x\x00"+line, "\r"+line)
		if at < 0 {
			continue
		}
		texts = append(texts, line[:at+len(victim)])
		begins := []int{0}
		for j, c := range line[:at] {
			if c == ' ' || c == '[' || c == '(' || c == '"' || c == ',' {
				begins = append(begins, j+1)
			}
		}
		begins = append(begins[max(0, len(begins)-8):], at)
		for _, b := range begins {
			texts = append(texts, line[b:], "x "+line[b:], "x"+line[max(0, b-1):])
			for _, closer := range []string{`"`, "'", "]", ")", ">", ": ", `\`, `\"`, `","`} {
				texts = append(texts, "x"+closer+line[b:], "x"+closer+" "+line[b:])
			}
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// innocent tells whether what the daemon writes of a client at host blames nobody else.
func (f *form) innocent(t *testing.T, name string, rules *filter.Filter, m *filter.Matcher, host, line string) {
	lines := []string{line}
	if !f.entry {
		lines = strings.Split(line, "\n")
	}
	_, _, inSyslog := filter.CutSyslog([]byte(f.text))
	marks := map[string]bool{}
	for _, one := range lines {
		var v filter.Verdict
		if f.entry {
			v = m.Match(logfile.CutTime([]byte(one)), func() string { return f.writer })
		} else {
			v, _ = judged(rules, m, one, inSyslog)
		}
		if v.Kind == filter.Mark {
			marks[v.Rule.Name] = true
		}
		if v.Addr.IsValid() && v.Addr.String() != host && !marks[v.Rule.Unless] {
			t.Errorf("%s.forms:%d: %s blames %s, not %s: %q", name, f.at, v.Rule.Name, v.Addr, host, one)
		}
	}
}

var hosts = []string{"203.0.113.7", "2001:db8::7", "scanner.example.net"}

// No verdict names an address that stands only in a client's text.
func TestNeverFooled(t *testing.T) {
	for _, rules := range inCatalogue(t) {
		t.Run(rules.Name, func(t *testing.T) {
			t.Parallel()
			all := forms(t, services+rules.Name+".forms")
			m := rules.Compile(filter.Aggressive)
			var texts []string
			for _, victim := range []string{"8.8.8.8", "2001:4860:4860::8888"} {
				texts = append(texts, forgeries(all, victim)...)
			}
			total := 0
			for i := range all {
				total += len(texts) * (len(all[i].fields) + 1) * len(hosts)
			}
			step := max(1, total/most)
			if os.Getenv("FORGED") == "all" {
				step = 1
			}
			n := 0
			for at := 0; at < total && !t.Failed(); at += step {
				place := at + at/step%step // not always the same host and text
				n += tryOne(t, all, texts, rules, m, min(place, total-1))
			}
			t.Logf("%d forged lines of %d and more, in %d forms", n, total, len(all))
		})
	}
}

// tryOne makes the attack of that number.
func tryOne(t *testing.T, all []form, texts []string, rules *filter.Filter, m *filter.Matcher, number int) int {
	for i := range all {
		f := &all[i]
		if mine := len(texts) * (len(f.fields) + 1) * len(hosts); number >= mine {
			number -= mine
			continue
		}
		host, number := hosts[number%len(hosts)], number/len(hosts)
		return f.attack(t, rules, m, host, number/len(texts), texts[number%len(texts)])
	}
	return 0
}

// attack fills one field with text, or all where which is past the last, and gives
// the number of lines that were tried.
func (f *form) attack(t *testing.T, rules *filter.Filter, m *filter.Matcher, host string, which int, text string) (n int) {
	tries := []string{text}
	if f.limit > 0 && which < len(f.fields) { // what follows the text is cut off
		free := f.limit - len(f.plain("203.0.113.7"))
		for _, over := range []int{-1, 0, 1, 20} {
			if pad := free - len(text) + over; pad > 0 {
				tries = append(tries, strings.Repeat("x", pad)+" "+text, text+strings.Repeat("x", pad))
			}
		}
	}
	if which < len(f.fields) && f.fields[which].max > len(text) {
		tries = append(tries, strings.Repeat("x", f.fields[which].max-len(text)-1)+" "+text)
	}
	for _, try := range tries {
		texts := map[string]string{}
		for i, field := range f.fields {
			texts[field.name] = "x"
			if i == which || which == len(f.fields) {
				texts[field.name] = try
			}
		}
		f.innocent(t, rules.Name, rules, m, host, f.fill(host, texts))
	}
	return len(tries)
}
