package fail2ban

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
)

// packageRoots are where Debian's package may lie: named, unpacked by the set-up of the
// gate, installed.
func packageRoots() []string {
	return []string{os.Getenv("FAIL2BAN_ROOT"), "/var/cache/scan2ban-gate/fail2ban", "/"}
}

const samplesIn = "usr/lib/python3/dist-packages/fail2ban/tests"

// samplesNow is the clock of Fail2Ban's own test of its samples, and its zone.
var samplesNow = time.Unix(1124013600, 0)

// samples judges sample logs as Fail2Ban's tests of them do.
type samples struct {
	t             *testing.T
	root          string
	config, logs  string
	name          string
	zone          *time.Location
	total, passed int
	dayless       int // lines that say at which time they were written and not on which day
	wrong         []string
	see           func(c sampleFilter, before []string, line string, want map[string]any) // instead of judging
	memories      map[string]*opened
}

// sampleFilter is a filter with options, as a log asks for it.
type sampleFilter struct {
	*opened
	opts   map[string]string
	hidden bool // a test.condition that does not hold
}

// opened is a filter as it was converted.
type opened struct {
	*filter.Filter
	*filter.Script
	memory *filter.Memory
}

var annotation = regexp.MustCompile(`^#+ ?(failJSON|fileOptions|filterOptions|addFILE):(.+)$`)

// TestSamples converts every filter of Fail2Ban's package and judges every line of the
// sample logs that it is tested with: whether it is a failure, whose, when, and what
// else its annotation says. It prints how many agree.
func TestSamples(t *testing.T) {
	s := newSamples(t)
	filters := 0
	for _, config := range []string{filepath.Join(s.root, "etc/fail2ban"), own(t, s.root)} {
		files, _ := filepath.Glob(filepath.Join(config, "filter.d/*.conf"))
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".conf")
			if strings.HasSuffix(name, "common") || config != filepath.Join(s.root, "etc/fail2ban") && !strings.HasPrefix(name, "zzz-") {
				continue
			}
			if Raced && name > "c" { // the detector makes it ten times as slow, and learns nothing new
				continue
			}
			filters++
			s.config, s.name = config, name
			s.filter()
		}
	}
	t.Logf("%d of %d lines of %d filters as Fail2Ban's own samples say, but for the time of %d that name no day", s.passed, s.total, filters, s.dayless)
	for _, what := range s.wrong {
		t.Log(what)
	}
	if s.total == 0 || s.passed < s.total || s.dayless > 1 {
		t.Errorf("only %d of %d, %d that name no day", s.passed, s.total, s.dayless)
	}
}

func newSamples(t *testing.T) *samples {
	root := ""
	for _, dir := range packageRoots() {
		if dir != "" && exists(filepath.Join(dir, samplesIn, "files/logs")) {
			root = dir
			break
		}
	}
	if root == "" {
		t.Skip("no Fail2Ban to compare with (install the package fail2ban, or set FAIL2BAN_ROOT to where it is unpacked)")
	}
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return &samples{t: t, zone: zone, root: root, logs: filepath.Join(root, samplesIn, "files/logs")}
}

// own lays out the tests' own filters as they lie in the source or the package: they
// include those of ../../../../config or, in Debian, of a config three above.
func own(t *testing.T, root string) string {
	dir := t.TempDir()
	lay := func(to, from string) string {
		to = filepath.Join(dir, to)
		if err := os.CopyFS(to, os.DirFS(filepath.Join(root, from))); err != nil {
			t.Fatal(err)
		}
		return to
	}
	const deep = "lib/python3/dist-packages"
	lay(deep+"/config/filter.d", "etc/fail2ban/filter.d")
	lay("config/filter.d", "etc/fail2ban/filter.d")
	return lay(deep+"/fail2ban/tests/config", samplesIn+"/config")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *samples) say(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// open converts the filter with options, reads what was written, and opens it.
func (s *samples) open(opts map[string]string) *opened {
	id := s.name + fmt.Sprint(opts)
	if m, ok := s.memories[id]; ok {
		return m
	}
	o, err := func() (*opened, error) {
		src, err := readFilter(s.config, s.name, opts)
		if err != nil {
			return nil, err
		}
		text, warnings, err := convert(src)
		if err != nil {
			return nil, err
		}
		for _, w := range warnings {
			s.say("%s", w)
		}
		f, err := filter.Parse(s.name, s.name+".toml", text)
		if err != nil {
			return nil, err
		}
		memory, err := f.Script.Open()
		return &opened{f, f.Script, memory}, err
	}()
	if err != nil {
		s.say("%s %v: %v", s.name, opts, err)
	}
	s.memories[id] = o
	return o
}

func (s *samples) filter() {
	s.memories = map[string]*opened{}
	var current []sampleFilter
	files := []string{s.name}
	for i := 0; i < len(files); i++ {
		text, err := os.ReadFile(filepath.Join(s.logs, files[i]))
		if err != nil {
			s.say("%s: %v", s.name, err)
			continue
		}
		common, before := map[string]string{}, []string(nil)
		lines := strings.SplitAfter(strings.ToValidUTF8(string(text), "\ufffd"), "\n")
		for n := 0; n < len(lines); n++ {
			line := strings.TrimRight(lines[n], "\r\n")
			var want map[string]any
			if m := annotation.FindStringSubmatch(line); m != nil {
				switch m[1] {
				case "fileOptions":
					common = options(s.t, m[2])[0]
					continue
				case "filterOptions":
					current = nil
					for _, opts := range options(s.t, m[2]) {
						all := maps.Clone(common)
						maps.Copy(all, opts)
						c := sampleFilter{opts: all, hidden: !s.holds(all["test.condition"], all)}
						if !c.hidden {
							own := maps.Clone(all)
							maps.DeleteFunc(own, func(k, _ string) bool { return strings.HasPrefix(k, "test.") })
							c.opened = s.open(own)
						}
						current = append(current, c)
					}
					continue
				case "addFILE":
					var more string
					if err := json.Unmarshal([]byte(m[2]), &more); err != nil {
						s.t.Fatal(err)
					}
					files = append(files, more)
					continue
				}
				if err := json.Unmarshal([]byte(m[2]), &want); err != nil {
					s.t.Fatalf("%s:%d: %v", files[i], n+1, err)
				}
				n++
				line = strings.TrimRight(lines[n], "\r\n")
			} else if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
				continue
			}
			before = append(before, line)
			if current == nil {
				current = []sampleFilter{{opened: s.open(nil), opts: map[string]string{}}}
			}
			for _, c := range current {
				constraint, _ := want["constraint"].(string)
				if c.hidden || !s.holds(constraint, c.opts) {
					continue
				}
				s.total++
				if c.opened == nil {
					continue
				}
				if s.see != nil {
					s.see(c, before[:len(before)-1], line, want)
					continue
				}
				if what := s.judge(c, line, want); what != "" {
					s.say("%s %v, %s:%d: %s\n\t%s", s.name, c.opts, files[i], n+1, what, line)
				} else {
					s.passed++
				}
			}
		}
	}
}

// options reads one set of options or several.
func options(t *testing.T, text string) (all []map[string]string) {
	var raw any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	list, ok := raw.([]any)
	if !ok {
		list = []any{raw}
	}
	for _, item := range list {
		opts := map[string]string{}
		for k, v := range item.(map[string]any) {
			opts[k] = fmt.Sprint(v)
		}
		all = append(all, opts)
	}
	return all
}

var (
	nameIs = regexp.MustCompile(`^name\s*(==|!=)\s*'([^']*)'$`)
	optIs  = regexp.MustCompile(`^opts\.get\('([^']*)'\)\s*(==|!=)\s*'([^']*)'$`)
)

// holds evaluates one of the conditions that the samples have.
func (s *samples) holds(condition string, opts map[string]string) bool {
	condition = strings.TrimSpace(condition)
	if condition == "" {
		return true
	}
	if m := nameIs.FindStringSubmatch(condition); m != nil {
		return (s.name == m[2]) == (m[1] == "==")
	}
	if m := optIs.FindStringSubmatch(condition); m != nil {
		return (opts[m[1]] == m[3]) == (m[2] == "==")
	}
	s.t.Errorf("%s: a condition that this test cannot read: %s", s.name, condition)
	return true
}

// judge says what is wrong with the verdict on a line, "" if nothing.
func (s *samples) judge(c sampleFilter, line string, want map[string]any) string {
	var f filter.Found
	logged, dated := samplesNow, true
	if c.opts["logtype"] == "journal" {
		f = c.memory.Dated(c.opts["test.prefix-line"]+line, samplesNow)
	} else {
		clock := &logfile.Clock{Zone: s.zone, Now: samplesNow.UnixMicro()} // as a pass reads it
		t, ok := c.memory.Date(line, math.MaxInt64, clock.At)
		if dated = ok; ok {
			logged = time.UnixMicro(t)
		}
		f = c.memory.Line(line, logged)
	}
	if f.Groups["nofail"] != "" {
		// As Fail2Ban's test of samples does. Its server counts such a line where the
		// filter has no connections (<F-MLFID>), and so does what is converted of it.
		f.Failure = false
	}
	match, _ := want["match"].(bool)
	switch {
	case match && !f.Failure:
		return fmt.Sprintf("no failure (rule %d, %v)", f.Rule, f.Groups)
	case !match && f.Failure:
		return fmt.Sprintf("a failure of %s (rule %d)", f.ID, f.Rule)
	case !match:
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		value := want[key]
		switch key {
		case "match", "desc", "constraint":
		case "time":
			text, ok := value.(string)
			if !ok {
				continue
			}
			at, err := time.ParseInLocation("2006-1-2T15:4:5", text, s.zone)
			if err != nil {
				return err.Error()
			}
			at = at.Truncate(time.Second)
			if !dated && len(c.Undatable()) > 0 {
				s.dayless++
				continue
			}
			if !logged.Truncate(time.Second).Equal(at) {
				return fmt.Sprintf("time %s, want %s", logged.In(s.zone).Format("2006-01-02T15:04:05"), value)
			}
		case "host":
			if f.ID != value {
				return fmt.Sprintf("host %q, want %q", f.ID, value)
			}
		case "attempts":
			if f.Lines != int(value.(float64)) {
				return fmt.Sprintf("%d attempts, want %v", f.Lines, value)
			}
		case "users":
			var users []string
			for _, u := range value.([]any) {
				users = append(users, u.(string))
			}
			if got := slices.Sorted(slices.Values(f.Users)); !slices.Equal(got, slices.Sorted(slices.Values(users))) {
				return fmt.Sprintf("users %q, want %q", got, users)
			}
		default:
			got, ok := f.Groups[key]
			if list, isTuple := value.([]any); isTuple {
				var parts []string
				for _, part := range list {
					parts = append(parts, fmt.Sprint(part))
				}
				value = strings.Join(parts, " ")
			}
			if value == nil && !ok || ok && got == fmt.Sprint(value) {
				continue
			}
			return fmt.Sprintf("%s %q, want %v", key, got, value)
		}
	}
	return ""
}
