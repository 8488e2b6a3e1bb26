package scan

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
)

// record is one line of testdata/sshd/recorded.jsonl.gz: what a real sshd wrote
// under attack, and who attacked.
type record struct {
	Kind     string            `json:"kind"`
	Line     string            `json:"line"`
	TrueHost string            `json:"true_host"`
	Evidence bool              `json:"is_attack_evidence"`
	Sink     string            `json:"sink"`
	Suite    string            `json:"suite"`
	Config   string            `json:"config"`
	T        string            `json:"t"`
	Fields   map[string]string `json:"fields"`
}

func records(t *testing.T) (all []record) {
	f, err := os.Open("../testdata/sshd/recorded.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// journalOf makes a real journal of all that was recorded from journals, what
// came over standard output too, one boot for each recorded host.
func journalOf(t *testing.T, all []record) string {
	boots := map[string]int{}
	var entries []journaltest.Entry
	for _, r := range all {
		kind, transport, _ := strings.Cut(r.Sink, ":")
		if kind != "journal" {
			continue
		}
		host := r.Suite + "/" + r.Config
		if boots[host] == 0 {
			boots[host] = len(boots) + 1
		}
		micros, err := strconv.ParseInt(r.T, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		e := journaltest.Entry{Time: micros, Boot: journaltest.Boot(boots[host]), Message: r.Line,
			Fields: map[string]string{"_UID": "0", "_TRANSPORT": transport}}
		maps.Copy(e.Fields, r.Fields)
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b journaltest.Entry) int { return cmp.Compare(a.Time, b.Time) })
	return journaltest.Write(t, filepath.Join(t.TempDir(), "recorded.journal"), entries)
}

// TestRecordedAttacks reads the recorded attacks from a journal, as a pass does.
func TestRecordedAttacks(t *testing.T) {
	all := records(t)
	path := journalOf(t, all)
	rules, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	evidence, named := map[string]bool{}, map[string]bool{}
	culprits := map[string]map[string]bool{} // by second and line: who it was
	for _, r := range all {
		micros, _ := strconv.ParseInt(r.T, 10, 64)
		at := strconv.FormatInt(micros/1e6, 10) + r.Line
		if culprits[at] == nil {
			culprits[at] = map[string]bool{}
		}
		culprits[at][r.TrueHost] = true
		if r.Sink == "journal:syslog" && r.Evidence {
			evidence[r.TrueHost] = true
		}
		if namesUser(r) {
			named[r.TrueHost] = true
		}
	}
	counted := map[filter.Mode]map[string]int{}
	for _, mode := range []filter.Mode{filter.Normal, filter.Aggressive} {
		n, wrong, by := 0, 0, map[string]int{}
		_, err := MatchJournal(context.Background(), path, time.Now(), rules, rules.Compile(mode), func(f Trial) {
			n++
			a := f.Verdict.Addr
			if a.IsValid() && !culprits[strconv.FormatInt(f.Time, 10)+string(f.Text)][a.String()] {
				wrong++
				t.Errorf("%s: %s is blamed by %s: %s", mode, a, f.Rule(), f.Text)
			}
			if f.Counted {
				by[a.String()] += f.Verdict.Weight
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		counted[mode] = by
		t.Logf("mode %s: %d entries read, %d wrong addresses, %d hosts blamed", mode, n, wrong, len(by))
		if n < 3000 {
			t.Errorf("only %d entries: the matches miss what sshd logs", n)
		}
	}
	blamed := 0
	for host := range evidence {
		if counted[filter.Aggressive][host] > 0 {
			blamed++
		}
	}
	share := 100 * float64(blamed) / float64(len(evidence))
	t.Logf("mode aggressive: of %d hosts with attack evidence %d are blamed (%.1f %%)", len(evidence), blamed, share)
	if !(share >= 97) { // nor is it of none
		t.Errorf("%.1f %% blamed, want 97", share)
	}
	connected := 0
	for host := range evidence {
		if named[host] {
			continue
		}
		connected++
		if n := counted[filter.Normal][host]; n > 0 {
			t.Errorf("mode normal counts %d failures of %s, who only connected", n, host)
		}
	}
	t.Logf("mode normal: none of %d hosts that only connected is blamed", connected)
	if connected < 50 {
		t.Errorf("only %d hosts only connected: the test tests little", connected)
	}
}

// namesUser tells whether the line is of an attempt that came as far as a name.
func namesUser(r record) bool {
	return slices.Contains([]string{"auth-fail", "invalid-user", "not-allowed", "pam-fail", "pam-nohost", "preauth-user"}, r.Kind)
}

// list is a source of entries made up by a test.
type list struct {
	at      int
	entries []map[string]string
	fetched []string
}

func (l *list) Next() bool { l.at++; return l.at <= len(l.entries) }
func (l *list) Time() int64 {
	t, _ := strconv.ParseInt(l.entries[l.at-1]["time"], 10, 64)
	return t * 1e6
}
func (l *list) Message() []byte { return []byte(l.entries[l.at-1]["MESSAGE"]) }
func (l *list) Field(name string) ([]byte, bool) {
	l.fetched = append(l.fetched, name)
	v, ok := l.entries[l.at-1][name]
	return []byte(v), ok
}

func watch(t *testing.T, jail string, terms ...[]string) Watch {
	rules, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	return Watch{Jail: jail, Matcher: rules.Compile(filter.Normal), Terms: terms}
}

const failed = "Failed password for root from 203.0.113.7 port 4711 ssh2"

// TestOwners: an entry goes to each jail whose terms its fields fulfil, once.
func TestOwners(t *testing.T) {
	a := watch(t, "a", []string{"_COMM=sshd", "_UID=0"}, []string{"SYSLOG_IDENTIFIER=sshd", "_UID=0"})
	b := watch(t, "b", []string{"_SYSTEMD_UNIT=ssh.service"})
	entries := &list{entries: []map[string]string{
		{"time": "1", "MESSAGE": failed, "_COMM": "sshd", "SYSLOG_IDENTIFIER": "sshd", "_UID": "0", "_SYSTEMD_UNIT": "ssh.service"},
		{"time": "2", "MESSAGE": failed, "_COMM": "sshd", "_UID": "1000"},
		{"time": "3", "MESSAGE": failed, "_SYSTEMD_UNIT": "ssh.service"},
	}}
	var got []string
	n := Journal(entries, []Watch{a, b}, Limit{Second: 100}, func(f Finding) { got = append(got, f.Jail+strconv.FormatInt(f.Time, 10)) })
	if want := []string{"a1", "b1", "b3"}; n != 3 || !slices.Equal(got, want) {
		t.Errorf("%d entries, findings %q, want 3, %q", n, got, want)
	}
}

// TestFetches: what costs is not fetched where it is not needed.
func TestFetches(t *testing.T) {
	entries := &list{entries: []map[string]string{{"time": "1", "MESSAGE": "Server listening on 0.0.0.0 port 22."}, {"time": "1", "MESSAGE": failed}}}
	Journal(entries, []Watch{watch(t, "a")}, Limit{Second: 100}, func(Finding) {})
	if want := []string{fieldBoot, fieldPID}; !slices.Equal(entries.fetched, want) {
		t.Errorf("fetched %q, want %q", entries.fetched, want)
	}
}

func TestLimit(t *testing.T) {
	entries := []map[string]string{{"time": "10", "MESSAGE": failed}, {"time": "150", "MESSAGE": failed}, {"time": "900", "MESSAGE": failed}}
	for drop, want := range map[bool][]int64{false: {10, 150, 100}, true: {10}} {
		var got []int64
		Journal(&list{entries: entries}, []Watch{watch(t, "a")}, Limit{Second: 100, Drop: drop}, func(f Finding) { got = append(got, f.Time) })
		if !slices.Equal(got, want) {
			t.Errorf("drop %v: times %v, want %v", drop, got, want)
		}
	}
}
