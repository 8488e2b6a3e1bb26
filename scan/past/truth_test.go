package past

import (
	"bufio"
	"cmp"
	"compress/gzip"
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
	"scan2ban/state"
)

// recorded is one line of testdata/sshd/recorded.jsonl.gz: what a real sshd wrote, and
// who attacked it.
type recorded struct {
	Action   string            `json:"action"`
	Line     string            `json:"line"`
	TrueHost string            `json:"true_host"`
	Sink     string            `json:"sink"`
	Suite    string            `json:"suite"`
	Config   string            `json:"config"`
	T        string            `json:"t"`
	Fields   map[string]string `json:"fields"`
}

func recordings(t *testing.T) (all []recorded) {
	f, err := os.Open("../../testdata/sshd/recorded.jsonl.gz")
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
		var r recorded
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

// attempts are how many were made of each action in each recorded host, by attempts.tsv.
func attempts(t *testing.T) func(action, host string) int {
	text, err := os.ReadFile("../../testdata/sshd/attempts.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for row := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.TrimSuffix(row, "\n"), "\t"); row[0] != '#' && len(cells) >= 3 {
			rows[cells[0]] = append(cells, "")
		}
	}
	return func(action, host string) int {
		cells, ok := rows[action]
		if !ok {
			t.Fatalf("attempts.tsv lacks %q", action)
		}
		want := cells[1]
		// Three IPv6 addresses count for less there because all hosts are taken as one; here
		// each is judged by itself.
		apart := len(cells) > 4 && strings.HasPrefix(cells[4], "the three IPv6 addresses")
		if !apart && (strings.HasSuffix(host, "/stderr") || strings.HasSuffix(host, "/bigE")) {
			want = cells[2]
		}
		for exception := range strings.FieldsSeq(cells[3]) {
			if where, n, _ := strings.Cut(exception, "="); where == host {
				want = n
			}
		}
		n, err := strconv.Atoi(want)
		if err != nil {
			t.Fatalf("attempts.tsv, %q: %v", action, err)
		}
		return n
	}
}

// TestTruth: of real attacks on ten hosts in one gathered journal, every attacker is told
// with the attempts that he made, and nobody else.
func TestTruth(t *testing.T) {
	made := attempts(t)
	var entries []journaltest.Entry
	boots := map[string]int{}
	actions := map[[2]string]string{} // whose an action was on a host
	for _, r := range recordings(t) {
		kind, transport, _ := strings.Cut(r.Sink, ":")
		if kind != "journal" {
			continue
		}
		host := r.Suite + "/" + r.Config
		if boots[host] == 0 {
			boots[host] = len(boots) + 1
		}
		if transport == "syslog" {
			if who := actions[[2]string{r.Action, host}]; who != "" && who != r.TrueHost {
				t.Fatalf("%q on %s was made by %s and by %s: the test cannot tell them apart", r.Action, host, who, r.TrueHost)
			}
			actions[[2]string{r.Action, host}] = r.TrueHost
		}
		micros, err := strconv.ParseInt(r.T, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		e := journaltest.Entry{Time: micros, Boot: journaltest.Boot(boots[host]), Message: r.Line,
			Fields: map[string]string{"_UID": "0", "_TRANSPORT": transport, "_HOSTNAME": host}}
		maps.Copy(e.Fields, r.Fields)
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b journaltest.Entry) int { return cmp.Compare(a.Time, b.Time) })
	o := about(t, journaltest.Write(t, filepath.Join(t.TempDir(), "recorded.journal"), entries), Policy{"configured", rules(5, time.Hour, 24*time.Hour)})
	f, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	o.Setup.Watches[0].Matcher = f.Compile(filter.Aggressive)
	p := run(t, o)

	want, hosts := map[string]int{}, map[string]int{}
	for key, who := range actions {
		if n := made(key[0], key[1]); n > 0 {
			want[who] += n
			hosts[key[1]] += n
		}
	}
	got := map[string]int{}
	for _, a := range p.Addresses {
		got[a.Address] = a.Failures
	}
	for who := range want {
		if got[who] != want[who] {
			t.Errorf("%s: %d failures, made %d attempts", who, got[who], want[who])
		}
	}
	for who := range got {
		if want[who] == 0 {
			t.Errorf("%s is told with %d failures, and attacked nobody", who, got[who])
		}
	}
	if len(want) < 100 {
		t.Errorf("only %d attackers: the test tests little", len(want))
	}
	for _, h := range p.Hosts {
		if h.Failures != hosts[h.Host] {
			t.Errorf("host %s: %d failures, want %d", h.Host, h.Failures, hosts[h.Host])
		}
	}
	t.Logf("%d attackers, %d attempts on %d hosts", len(got), p.Failures, len(p.Hosts))
	if len(p.Hosts) != len(boots) {
		t.Errorf("%d hosts, want %d", len(p.Hosts), len(boots))
	}
}

// TestEldest: a failure that two bans should have kept out was prevented as soon as the
// first of them was in the kernel.
func TestEldest(t *testing.T) {
	p := Policy{"configured", rules(2, time.Hour, 90*time.Second)}
	again := p.Rules["sshd"].Policy
	again.MaxRetry, again.FindTime, again.BanTime = 1, state.Duration(time.Hour), state.Duration(time.Hour)
	everything := state.DefaultReach()
	everything.Ports = state.Ports{state.AllPorts}
	p.Rules["recidive"] = &state.Rules{Policy: again, Reach: everything, Ignored: state.NewIgnored(), Ledger: true}
	log := []logged{
		{at: begin, addr: "203.0.113.7"}, {at: begin + 1, addr: "203.0.113.7"}, // banned by both
		{at: begin + 30, addr: "203.0.113.7"},                                          // before a pass
		{at: begin + 70, addr: "203.0.113.7"},                                          // prevented by both, told of one
		{at: begin + 121, addr: "203.0.113.7"}, {at: begin + 122, addr: "203.0.113.7"}, // by recidive alone, which lasts
		{at: begin + 150, addr: "203.0.113.7"},
		{at: begin + 3602, addr: "203.0.113.7"}, // over
	}
	o := about(t, written(t, log), p)
	for range 8 { // whatever order a map has
		got := run(t, o).Policies[0]
		if got.Prevented != 4 || got.LetThrough != 4 {
			t.Fatalf("%d prevented, %d let through; want 4 and 4", got.Prevented, got.LetThrough)
		}
	}
}
