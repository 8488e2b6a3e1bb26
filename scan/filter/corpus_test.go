package filter

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"scan2ban/state"
)

// record is one journal entry of testdata/sshd/recorded.jsonl.gz: real sshd
// under attack, each kind ("action") from an address of its own.
type record struct {
	Action   string
	Line     string
	Evidence bool   `json:"is_attack_evidence"`
	True     string `json:"true_host"` // from the test set-up, never parsed
	Suite    string
	Config   string
	Sink     string
	Fields   map[string]string
	T        string // microseconds
}

func (r *record) program() string { return r.Fields["SYSLOG_IDENTIFIER"] }
func (r *record) where() string   { return r.Suite + "/" + r.Config }

func records(t testing.TB) (all []record) {
	t.Helper()
	file, err := os.Open("../../testdata/sshd/recorded.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := bufio.NewScanner(unzipped)
	for rows.Buffer(nil, 1<<20); rows.Scan(); {
		var r record
		if err := json.Unmarshal(rows.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// counting turns verdicts into attempts, as a jail does.
type counting struct{ *state.Sessions }

func newCounting() counting { return counting{state.NewSessions()} }

// attempts is how many attempts the verdict on r adds.
func (c counting) attempts(v Verdict, r *record) int {
	micros, _ := strconv.ParseInt(r.T, 10, 64)
	e, ok := v.Event("sshd", micros/1e6, r.where()+"/"+r.Fields["_PID"])
	switch {
	case !ok:
		return 0
	case e.Kind == state.KindMark:
		c.Mark(&e)
		return 0
	case e.Kind == state.KindSuccess:
		c.Heard(&e)
		return 0
	case !c.Counts(&e):
		return 0
	}
	return v.Weight
}

func TestCorpusAggressive(t *testing.T) {
	m, count := sshd(t, Aggressive), newCounting()
	evidence, blamed, wrong := map[string]bool{}, map[string]bool{}, map[string]int{}
	kinds, refused, seen, understood := map[Kind]int{}, map[string]int{}, 0, 0
	for _, r := range records(t) {
		v := m.Match([]byte(r.Line), r.program)
		if v.Addr.IsValid() && v.Addr.String() != r.True {
			wrong[r.Sink]++
			if r.Sink == "journal:syslog" {
				t.Errorf("%s blames %s, not %s: %s", v.Rule.Name, v.Addr, r.True, r.Line)
			}
		}
		if r.Sink != "journal:syslog" {
			continue
		}
		seen++
		kinds[v.Kind]++
		switch v.Kind {
		case None:
			t.Errorf("not understood: %s", r.Line)
		case Refused:
			refused[v.Reason]++
		default:
			understood++
		}
		if r.Evidence {
			evidence[r.True] = true
		}
		if count.attempts(v, &r) > 0 {
			blamed[v.Addr.String()] = true
		}
	}
	hit := 0
	for host := range evidence {
		if blamed[host] {
			hit++
		} else {
			t.Logf("not blamed: %s", host)
		}
	}
	share := 100 * float64(hit) / float64(len(evidence))
	t.Logf("journal:syslog, mode aggressive: %d lines, %d understood, %v", seen, understood, kinds)
	t.Logf("refused: %v", refused)
	t.Logf("wrong addresses: %d; hosts with evidence: %d, blamed: %d (%.1f %%)", wrong["journal:syslog"], len(evidence), hit, share)
	t.Logf("would be wrong in what the journal's matches keep out: %d of journal:stdout, %d of file:-E", wrong["journal:stdout"], wrong["file:-E"])
	if seen < 3000 {
		t.Errorf("only %d lines: the test tests little", seen)
	}
	if !(share >= 97) { // nor is it of none
		t.Errorf("%.1f %% of the hosts blamed, want 97", share)
	}
}

// onlyConnected are the actions that name no user.
var onlyConnected = []string{
	"connect and close, no data", "client banner then close (no kex)", "client banner then RST", "HTTP request",
	"TLS client hello", "RDP probe", "SSH-1 banner", "very long banner 4 KiB without newline", "many banner lines",
	"no matching kex", "no matching host key type", "no matching cipher", "no matching MAC",
	"garbage packet after banner (bad packet length)", "kexinit ok then close",
	"disconnect message 'Bye Bye' code 11, no user", "40 quick connect/close from one source",
	"25 quick wrong-protocol connections from one source", "16 held connections (MaxStartups / PerSourceMaxStartups)",
	"INJ user: embedded NUL", // the packet is refused before the name is read
	"INJ disconnect reason: Failed password line", "INJ disconnect reason: ends in 'from V port 22'",
	"INJ banner: Failed password line", "INJ banner: SSH-2.0-Failed password", "INJ banner: ' from V port 22' old-style",
	"INJ banner: SSH-1.99 software with text", "INJ kex offer: text with from V", "INJ kex offer: newline + Failed password",
	"INJ kex offer: 'Unable to negotiate with V'", "X2 disconnect reason: newline + exact Failed password line + newline",
	"X2 disconnect reason: newline + exact Invalid user line, IPv6 victim", "X2 disconnect reason: newline + Accepted line",
	"X2 disconnect reason: Connection closed by authenticating user root V port 22", "X2 disconnect reason: pam line",
	"X2 hold one connection 7 s with no data (LoginGraceTime 4 where configured)", "X2 TLS client hello again",
	"X2 RST straight after connect, again", "X2 SSH-2.0 banner with control and 8-bit bytes",
	"X2 banner 'SSH-2.0-' then forged lines before it",
}

func TestCorpusNormal(t *testing.T) {
	m, count := sshd(t, Normal), newCounting()
	left := map[string]bool{}
	for _, action := range onlyConnected {
		left[action] = true
	}
	connected, blamed := map[string]bool{}, map[string]bool{}
	for _, r := range records(t) {
		if r.Sink != "journal:syslog" {
			continue
		}
		v := m.Match([]byte(r.Line), r.program)
		attempts := count.attempts(v, &r)
		if slices.Contains(onlyConnected, r.Action) {
			delete(left, r.Action)
			connected[r.True] = true
			if attempts > 0 {
				t.Errorf("%q only connected and is blamed: %s", r.Action, r.Line)
			}
		}
		if attempts > 0 {
			blamed[r.True] = true
		}
	}
	for action := range left {
		t.Errorf("no record of %q", action)
	}
	t.Logf("mode normal: %d hosts only connected, none blamed; %d others blamed", len(connected), len(blamed))
	if len(blamed) < 100 {
		t.Errorf("only %d hosts blamed", len(blamed))
	}
}

// TestAttempts compares what is counted with attempts.tsv.
func TestAttempts(t *testing.T) {
	m, count := sshd(t, Aggressive), newCounting()
	got := map[[2]string]int{}
	for _, r := range records(t) {
		if r.Sink != "journal:syslog" {
			continue
		}
		got[[2]string{r.Action, r.where()}] += count.attempts(m.Match([]byte(r.Line), r.program), &r)
	}
	if path := os.Getenv("ATTEMPTS"); path != "" {
		writeAttempts(t, path, got)
	}
	want := attempts(t)
	total, equal, recorded := 0, 0, map[string]bool{}
	for _, key := range slices.SortedFunc(maps.Keys(got), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		recorded[key[0]] = true
		row, ok := want[key[0]]
		if !ok {
			t.Errorf("attempts.tsv lacks %q", key[0])
			continue
		}
		n, exception := row.wanted(key[1])
		if got[key] != n {
			t.Errorf("%q in %s: counted %d, want %d", key[0], key[1], got[key], n)
		}
		if total++; !exception {
			equal++
		}
	}
	for action := range want {
		if !recorded[action] {
			t.Errorf("no record of %q", action)
		}
	}
	t.Logf("%d kinds of attack in %d recordings: counted = attempts made in %d, the others are listed with the reason", len(want), total, equal)
}

func writeAttempts(t *testing.T, path string, got map[[2]string]int) {
	var rows []string
	for key, n := range got {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%d", key[0], key[1], n))
	}
	slices.Sort(rows)
	if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expected is a row of attempts.tsv.
type expected struct {
	attempts, pam int
	except        map[string]int // by suite/config
}

// wanted is what must be counted there, and whether that is an exception.
func (e expected) wanted(where string) (int, bool) {
	if n, ok := e.except[where]; ok {
		return n, true
	}
	if _, config, _ := strings.Cut(where, "/"); config == "stderr" || config == "bigE" {
		return e.pam, false
	}
	return e.attempts, false
}

func attempts(t *testing.T) map[string]expected {
	t.Helper()
	const path = "../../testdata/sshd/attempts.tsv"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]expected{}
	for i, row := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if row == "" || row[0] == '#' {
			continue
		}
		cells := append(strings.Split(row, "\t"), "", "", "", "")
		e := expected{except: map[string]int{}}
		var errs [2]error
		e.attempts, errs[0] = strconv.Atoi(cells[1])
		e.pam, errs[1] = strconv.Atoi(cells[2])
		for _, exception := range strings.Fields(cells[3]) {
			where, number, _ := strings.Cut(exception, "=")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatalf("%s:%d: %q is not SUITE/CONFIG=N", path, i+1, exception)
			}
			e.except[where] = n
		}
		if errs[0] != nil || errs[1] != nil {
			t.Fatalf("%s:%d: want two numbers after the action", path, i+1)
		}
		all[cells[0]] = e
	}
	return all
}
