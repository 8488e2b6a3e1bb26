package scan

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
)

// The proof of the catalogue. Of each filter NAME, testdata/services has NAME.txt,
// lines with the verdict on each; NAME.forms, the daemon's formats with what a client
// chooses in them; and recorded/*.jsonl are lines of real daemons under attack, with
// the true culprit.

const services = "../testdata/services/"

// inCatalogue are the shipped filters that read a log. The proof of sshd is in
// package filter.
func inCatalogue(t testing.TB) (all []*filter.Filter) {
	for _, name := range filter.Names() {
		if _, err := filter.Load(name); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("filter/catalogue/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		f, err := filter.Parse(name, name+".toml", string(text)) // all that is wrong with it
		if err != nil {
			t.Error(err)
		} else if !f.Ledger && name != "sshd" {
			all = append(all, f)
		}
	}
	return all
}

// judged is what a filter says of a line as it stands in a file; others' lines are
// not its own.
func judged(f *filter.Filter, m *filter.Matcher, line string, inSyslog bool) (v filter.Verdict, own bool) {
	text := []byte(strings.TrimSuffix(line, "\r"))
	prefix, message, tagged := filter.CutSyslog(text)
	program := string(prefix.Program)
	if w := (&Watch{Program: f.File.Program}); len(w.Program) > 0 && (tagged || inSyslog) && !w.wrote(prefix.Program) {
		return v, false
	}
	if tagged {
		message, _ = repeated(message)
	} else {
		message = logfile.CutTime(message)
	}
	return m.Match(message, func() string { return program }), true
}

// verdict writes it as NAME.txt does.
func verdict(v filter.Verdict) string {
	rule, addr := "-", "-"
	if v.Rule != nil {
		rule = v.Rule.Name
	}
	if v.Addr.IsValid() {
		addr = v.Addr.String()
	}
	text := v.Kind.String() + " " + rule + " " + addr
	if v.Kind == filter.Failure || v.Kind == filter.Success {
		text += " " + strconv.Quote(v.User)
	}
	return text
}

func TestCatalogueLines(t *testing.T) {
	total := 0
	for _, f := range inCatalogue(t) {
		path := services + f.Name + ".txt"
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		m := f.Compile(filter.Aggressive)
		covered := map[string]bool{}
		want, from := "", false
		for i, row := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(row, "# from: "):
				from = true
			case strings.TrimSpace(row) == "" || row[0] == '#':
			case row[0] != '\t':
				want = row
			default:
				total++
				got := "other"
				v, own := judged(f, m, row[1:], false)
				if own {
					got = verdict(v)
				}
				if got != want {
					t.Errorf("%s:%d: got %s, want %s (%s)\n\t%s", path, i+1, got, want, v.Reason, row[1:])
				}
				if v.Rule != nil && v.Kind == v.Rule.Kind {
					covered[v.Rule.Name] = true
				}
				if victims[v.Addr.String()] {
					t.Errorf("%s:%d: blames a victim", path, i+1)
				}
				if !from {
					t.Errorf("%s:%d: where does the line come from? (write # from: ...)", path, i+1)
				}
			}
		}
		for _, r := range f.Rules() {
			if !covered[r.Name] {
				t.Errorf("%s: rule %q has no line that it explains", path, r.Name)
			}
		}
	}
	t.Logf("%d lines", total)
}

// victims are addresses that stand only in text which the attackers chose.
var victims = map[string]bool{"8.8.8.8": true, "2001:4860:4860::8888": true}

// recording is one line of a real daemon.
type recording struct {
	Action   string
	Line     string
	Evidence bool   `json:"is_attack_evidence"`
	True     string `json:"true_host"` // from the test set-up, never parsed
	Service  string
	Suite    string
	Sink     string // "file:PATH" or "journal:TRANSPORT"
	Fields   map[string]string
}

func recordings(t testing.TB) (all []recording) {
	paths, _ := filepath.Glob(services + "recorded/*.jsonl*")
	if len(paths) == 0 {
		t.Fatal("no recordings")
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		in := io.Reader(file)
		if strings.HasSuffix(path, ".gz") {
			if in, err = gzip.NewReader(file); err != nil {
				t.Fatal(err)
			}
		}
		rows := bufio.NewScanner(in)
		rows.Buffer(nil, 4<<20)
		for n := 1; rows.Scan(); n++ {
			var r recording
			if err := json.Unmarshal(rows.Bytes(), &r); err != nil {
				t.Fatalf("%s:%d: %v", path, n, err)
			}
			if r.Sink == "" || r.Action == "" {
				t.Fatalf("%s:%d: no sink or action", path, n)
			}
			all = append(all, r)
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return all
}

// claims tells whether the record is of a log that the filter reads.
func (r *recording) claims(f *filter.Filter) bool {
	if path, ok := strings.CutPrefix(r.Sink, "file:"); ok {
		return slices.ContainsFunc(f.File.Paths, func(glob string) bool {
			ok, _ := filepath.Match(glob, path)
			return ok
		})
	}
	return slices.ContainsFunc(f.Matches(), func(term []string) bool {
		return !slices.ContainsFunc(term, func(match string) bool {
			name, want, _ := strings.Cut(match, "=")
			return r.field(name) != want
		})
	})
}

func (r *recording) field(name string) string {
	if value, ok := r.Fields[name]; ok {
		return value
	}
	switch name { // what the corpus leaves out, see its MANIFEST
	case "_UID":
		return "0"
	case "_TRANSPORT":
		_, transport, _ := strings.Cut(r.Sink, ":")
		return transport
	}
	return ""
}

// missed reads missed.tsv: evidence that is refused, by action and sink, and why.
func missed(t testing.TB) map[[2]string]string {
	text, err := os.ReadFile(services + "missed.tsv")
	if err != nil {
		t.Fatal(err)
	}
	why := map[[2]string]string{}
	for i, row := range strings.Split(string(text), "\n") {
		if row == "" || row[0] == '#' {
			continue
		}
		cells := strings.Split(row, "\t")
		if len(cells) != 3 || cells[2] == "" {
			t.Fatalf("missed.tsv:%d: want ACTION, SINK and the reason, between tabs", i+1)
		}
		why[[2]string{cells[0], cells[1]}] = cells[2]
	}
	return why
}

func TestRecordings(t *testing.T) {
	filters := inCatalogue(t)
	matchers := map[string]*filter.Matcher{}
	for _, f := range filters {
		matchers[f.Name] = f.Compile(filter.Aggressive)
	}
	excused, used := missed(t), map[[2]string]bool{}
	counters := map[string]func(*Finding) bool{} // of a filter and a host
	claimed, evidence, found, unclaimed := 0, 0, 0, map[string]int{}
	for _, r := range recordings(t) {
		hit, mine := false, false
		for _, f := range filters {
			if !r.claims(f) {
				continue
			}
			var v filter.Verdict
			own := true
			if strings.HasPrefix(r.Sink, "file:") {
				v, own = judged(f, matchers[f.Name], r.Line, false)
			} else {
				v = matchers[f.Name].Match(logfile.CutTime([]byte(r.Line)), func() string { return r.Fields["SYSLOG_IDENTIFIER"] })
			}
			if !own {
				continue
			}
			mine = true
			if v.Addr.IsValid() && v.Addr.String() != r.True {
				t.Errorf("%s, %s blames %s, not %s: %s", f.Name, v.Rule.Name, v.Addr, r.True, r.Line)
			}
			host := f.Name + " " + r.Service + " " + r.Suite
			if counters[host] == nil {
				counters[host] = counter()
			}
			finding := Finding{Jail: f.Name, Verdict: v, Session: r.Fields["_PID"]}
			counters[host](&finding)
			v = finding.Verdict
			if v.Addr.IsValid() && v.Addr.String() != r.True {
				t.Errorf("%s, %s blames %s in its session, not %s: %s", f.Name, v.Rule.Name, v.Addr, r.True, r.Line)
			}
			hit = hit || v.Kind == filter.Failure
		}
		switch key := [2]string{r.Action, r.Sink}; {
		case !mine:
			if r.Evidence {
				unclaimed[r.Service+" "+r.Sink]++
			}
		case r.Evidence && hit:
			evidence++
			found++
		case r.Evidence:
			evidence++
			if used[key] = true; excused[key] == "" {
				t.Errorf("not found, and not in missed.tsv: %s\t%s\n\t%s", r.Action, r.Sink, r.Line)
			}
		}
		if mine {
			claimed++
		}
	}
	for key := range excused {
		if !used[key] {
			t.Errorf("missed.tsv names what is not missed: %s\t%s", key[0], key[1])
		}
	}
	t.Logf("%d records of logs that a filter reads; %d are evidence, %d of them found, the others in missed.tsv with the reason", claimed, evidence, found)
	for where, n := range unclaimed {
		t.Logf("read by no filter: %d records of %s", n, where)
	}
}
