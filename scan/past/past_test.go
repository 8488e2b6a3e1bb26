package past

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/scan/logfile"
	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/report"
)

const begin = 1_795_000_020 // a full minute

// rules are those of one jail.
func rules(maxretry int, findtime, bantime time.Duration) map[string]*state.Rules {
	p := state.DefaultPolicy()
	p.MaxRetry, p.FindTime, p.BanTime = maxretry, state.Duration(findtime), state.Duration(bantime)
	r := state.DefaultReach()
	r.Ports = state.Ports{{From: 22, To: 22}}
	return map[string]*state.Rules{"sshd": {Policy: p, Reach: r, Ignored: state.NewIgnored()}}
}

// about is a report over sshd's entries in a journal.
func about(t *testing.T, journal string, policies ...Policy) Options {
	f, err := filter.Load("sshd")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Policies: policies, Setup: pass.Setup{JournalPath: journal, Now: time.Unix(begin+40*86400, 0), State: state.DefaultOptions(), Rules: policies[0].Rules,
		Watches: []scan.Watch{{Jail: "sshd", Matcher: f.Compile(filter.Normal), Terms: f.Matches(), Paths: f.File.Paths, Program: f.File.Program, Zone: time.UTC}}}}
}

func run(t *testing.T, o Options) *report.Past {
	t.Helper()
	p, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// logged is one line of sshd's.
type logged struct {
	at   int64
	addr string
	ok   bool
	host string
}

func (l logged) text() string {
	what := "Failed"
	if l.ok {
		what = "Accepted"
	}
	return fmt.Sprintf("%s password for root from %s port 4711 ssh2", what, l.addr)
}

func written(t *testing.T, log []logged) string {
	var entries []journaltest.Entry
	for i, l := range log {
		fields := map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(1000 + i)}
		if l.host != "" {
			fields["_HOSTNAME"] = l.host
		}
		entries = append(entries, journaltest.Entry{Time: l.at*1e6 + int64(i%1000), Message: l.text(), Fields: fields})
	}
	file := filepath.Join(t.TempDir(), "system.journal")
	return journaltest.Write(t, file, entries)
}

// some is a log of some attackers, and of honest people among them.
func some(seed uint64, n int) (log []logged) {
	dice, at := rand.New(rand.NewPCG(seed, 0)), int64(begin)
	for range n {
		at += int64(dice.IntN(40))
		l := logged{at: at, addr: fmt.Sprintf("203.0.113.%d", 1+dice.IntN(9)), ok: dice.IntN(40) == 0}
		if dice.IntN(4) == 0 {
			l.addr = fmt.Sprintf("2001:db8:0:%x::%x", 1+dice.IntN(3), 1+dice.IntN(9))
		}
		log = append(log, l)
	}
	return log
}

// TestPolicies compares what several policies would have done with a slow telling of it.
func TestPolicies(t *testing.T) {
	log := some(1, 1500)
	journal := written(t, log)
	const long = 1000 * time.Hour
	ways := []way{
		{5, time.Hour, 24 * time.Hour, 1, long, 32},
		{3, 10 * time.Minute, 10 * time.Minute, 1, long, 32},
		{2, time.Minute, time.Minute, 3, 20 * time.Minute, 32},
		{1, time.Second, 90 * time.Second, 2, long, 30},
		{20, 2 * time.Hour, 5 * time.Minute, 2, 12 * time.Minute, 24},
	}
	dice := rand.New(rand.NewPCG(9, 0))
	for range 12 {
		ways = append(ways, way{1 + dice.IntN(6), time.Duration(1+dice.IntN(7200)) * time.Second, time.Duration(1+dice.IntN(7200)) * time.Second,
			1 + dice.IntN(3), time.Duration(7200+dice.IntN(7200)) * time.Second, 24 + dice.IntN(9)})
	}
	for first := range ways[:6] { // whichever the others follow
		var policies []Policy
		order := slices.Concat(ways[first:], ways[:first])
		for _, w := range order {
			policies = append(policies, Policy{Name: fmt.Sprint(w), Rules: w.rules()})
		}
		p := run(t, about(t, journal, policies...))
		for i, w := range order {
			bans, failures, prevented, hit := slow(log, w)
			q := p.Policies[i]
			if q.Bans != len(bans) || q.Prevented != prevented || q.LetThrough != failures-prevented || len(q.Collateral) != len(hit) {
				t.Errorf("%v: %d bans, %d prevented, %d let through, %d collateral; want %d, %d, %d, %d", w, q.Bans, q.Prevented, q.LetThrough, len(q.Collateral), len(bans), prevented, failures-prevented, len(hit))
			}
			for _, c := range q.Collateral {
				if !strings.HasPrefix(c.Line, "Accepted password for root from "+c.Address+" ") {
					t.Errorf("%v: the collateral %s is proven by %q", w, c.Key, c.Line)
				}
			}
			if i > 0 {
				continue
			}
			var got []string
			for _, b := range p.Bans {
				got = append(got, fmt.Sprint(b.Key, " ", b.Since, " ", *b.Until))
			}
			if slices.Sort(got); !slices.Equal(got, bans) {
				t.Errorf("%v: bans\n%s\nwant\n%s", w, strings.Join(got, "\n"), strings.Join(bans, "\n"))
			}
			if p.Failures != failures || len(bans) < 10 {
				t.Errorf("%v: %d failures, want %d; %d bans", w, p.Failures, failures, len(bans))
			}
		}
	}
}

// TestSums: every attacker with his count, the hours, the networks; and a pass over the
// same journal bans the same.
func TestSums(t *testing.T) {
	log := some(2, 800)
	journal := written(t, log)
	o := about(t, journal, Policy{"configured", rules(5, time.Hour, 24*time.Hour)})
	p := run(t, o)
	want := map[string]int{}
	hours := map[string]int{}
	for _, l := range log {
		if !l.ok {
			want[l.addr]++
			hours[report.UTC(l.at/3600*3600)]++
		}
	}
	for _, a := range p.Addresses {
		if want[a.Address] != a.Failures {
			t.Errorf("%s: %d failures, want %d", a.Address, a.Failures, want[a.Address])
		}
		delete(want, a.Address)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	for _, h := range p.Hours {
		if hours[h.Time] != h.Failures {
			t.Errorf("hour %s: %d failures, want %d", h.Time, h.Failures, hours[h.Time])
		}
		delete(hours, h.Time)
	}
	if len(hours) > 0 {
		t.Errorf("hours missing: %v", hours)
	}
	if n := p.Networks[0]; n.Network != "203.0.113.0/24" || n.Addresses != 9 {
		t.Errorf("networks: %v", p.Networks)
	}
	setup := o.Setup
	setup.StatePath = filepath.Join(t.TempDir(), "state.json")
	pas, err := pass.Begin(setup)
	if err != nil {
		t.Fatal(err)
	}
	defer pas.Close()
	pas.Read(context.Background())
	var dry, past []string
	for _, d := range pas.Judge.Decisions {
		if d.Verb == state.Banned {
			dry = append(dry, fmt.Sprint(d.Key, report.UTC(d.Since), d.N))
		}
	}
	for _, b := range p.Bans {
		past = append(past, fmt.Sprint(b.Key, b.Since, b.N))
	}
	if !slices.Equal(dry, past) || len(dry) == 0 {
		t.Errorf("a dry run bans %v, the report %v", dry, past)
	}
	o.Since, o.Until = begin+3600, begin+7200
	cut, n := run(t, o), 0
	for _, l := range log {
		if !l.ok && l.at >= o.Since && l.at <= o.Until {
			n++
		}
	}
	if cut.Failures != n || cut.From != report.UTC(o.Since) || cut.To != report.UTC(o.Until) {
		t.Errorf("between %s and %s %d failures, want %d", cut.From, cut.To, cut.Failures, n)
	}
}

// located are the addresses whose networks were asked for, as they came.
type located []netip.Addr

func (l *located) Of(addr netip.Addr) (country, asn string) {
	*l = append(*l, addr)
	return "NL", "AS64496"
}

func (l *located) Warnings() []string { return nil }

// TestLocated: networks are asked for in the order of the addresses, each once.
func TestLocated(t *testing.T) {
	var asked located
	o := about(t, written(t, some(2, 800)), Policy{"configured", rules(5, time.Hour, 24*time.Hour)})
	o.Networks = &asked
	p := run(t, o)
	if len(asked) < 20 || len(asked) != len(p.Addresses) || !slices.IsSortedFunc(asked, netip.Addr.Compare) {
		t.Errorf("%d addresses, asked for %v", len(p.Addresses), asked)
	}
	for _, a := range p.Addresses {
		if a.Country != "NL" || a.ASN != "AS64496" {
			t.Errorf("%+v", a)
		}
	}
}

// TestHosts: of a gathered journal each host is judged by itself.
func TestHosts(t *testing.T) {
	var log []logged
	for i := range 8 {
		log = append(log, logged{begin + int64(i), "203.0.113.7", false, []string{"a", "b"}[i%2]})
	}
	for i := range 5 {
		log = append(log, logged{begin + 100 + int64(i), "203.0.113.8", false, "b"})
	}
	p := run(t, about(t, written(t, log), Policy{"configured", rules(5, time.Hour, time.Hour)}))
	if len(p.Bans) != 1 || p.Bans[0].Key != "203.0.113.8" {
		t.Errorf("bans: %v; four failures on each of two hosts are five on neither", p.Bans)
	}
	want := []report.Host{{Host: "a", Understood: 4, Failures: 4}, {Host: "b", Understood: 9, Failures: 9, Bans: 1}}
	if !slices.Equal(p.Hosts, want) {
		t.Errorf("hosts: %v, want %v", p.Hosts, want)
	}
}

// TestAhead: a report is of no time that has not come, whatever a line says and is asked for.
func TestAhead(t *testing.T) {
	line := func(at string, addr string) string { return at + " host sshd[1]: " + logged{addr: addr}.text() + "\n" }
	at := func(s int64) string { return time.Unix(s, 0).UTC().Format(time.RFC3339) }
	now := int64(begin + 40*86400)
	usual := line(at(now-7200), "203.0.113.1") + line(at(now-3600), "203.0.113.1")
	for name, c := range map[string]struct {
		text     string
		until    int64
		failures int
		warning  string
	}{
		"a line":        {usual + line("2999-12-31T00:00:00Z", "203.0.113.2") + line(at(now-1800), "203.0.113.1"), 0, 3, "1 line of LOG is later than the clock, the last is of 2999-12-31T00:00:00Z: they do not count (is its zone right? see logtimezone)"},
		"the first":     {line("2999-12-31T00:00:00Z", "203.0.113.2") + usual, 0, 2, "1 line of LOG is later"},
		"all":           {line("2999-12-31T00:00:00Z", "203.0.113.2"), 0, 0, "log file LOG is left out: its lines are later than the clock (is its zone right? see logtimezone)"},
		"until":         {usual, 32503593600, 2, ""},
		"until later":   {usual, now + 7200, 2, ""},
		"another zone":  {usual + line(at(now+5*3600), "203.0.113.1"), 0, 2, "1 line of LOG is later"},
		"a minute":      {usual + line(at(now+60), "203.0.113.1"), 0, 3, ""},
		"and a little":  {usual + line(at(now+120), "203.0.113.1"), 0, 2, "1 line of LOG is later"},
		"no time, also": {"x\n" + line("2999-12-31T00:00:00Z", "203.0.113.2"), 0, 0, "its lines are later"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.log")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			o := about(t, "", Policy{Name: "now", Rules: rules(3, time.Hour, time.Hour)})
			o.Files, o.Until = []string{path}, c.until
			p := run(t, o)
			if p.Failures != c.failures || len(p.Hours) > 4 {
				t.Errorf("%d failures in %d hours, want %d", p.Failures, len(p.Hours), c.failures)
			}
			warnings := strings.ReplaceAll(strings.Join(p.Warnings, "\n"), path, "LOG")
			if (warnings == "") != (c.warning == "") || !strings.Contains(warnings, c.warning) {
				t.Errorf("warnings %q, want %q", warnings, c.warning)
			}
		})
	}
}

// TestAheadMeanwhile: nor does a long reading refuse what was logged while it went on.
func TestAheadMeanwhile(t *testing.T) {
	l := &log{reading: &reading{Options: Options{Setup: pass.Setup{Now: time.Unix(begin, 0)}}, begun: time.Now().Add(-time.Hour)}}
	if l.early(begin+1800) || !l.early(begin+7200) {
		t.Errorf("an hour after the reading began: half an hour later early %v, two hours later %v", l.early(begin+1800), l.early(begin+7200))
	}
}

// TestFiles: log files, with those that they were rotated into, say what the journal says.
func TestFiles(t *testing.T) {
	log := some(3, 600)
	dir := t.TempDir()
	var texts [3]bytes.Buffer
	for i, l := range log {
		fmt.Fprintf(&texts[i/200], "%s host sshd[%d]: %s\n", time.Unix(l.at, 0).UTC().Format(time.Stamp), 1000+i, l.text())
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(texts[0].Bytes())
	z.Close()
	path := filepath.Join(dir, "auth.log")
	for _, f := range []struct {
		name string
		text []byte
	}{{path + ".2.gz", packed.Bytes()}, {path + ".1", texts[1].Bytes()}, {path, texts[2].Bytes()}, {path + ".bak", []byte("Failed password")}} {
		if err := os.WriteFile(f.name, f.text, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(log[599].at, 0) // a copy's: it says nothing of the order
		if err := os.Chtimes(f.name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	configured := Policy{"configured", rules(3, 10*time.Minute, time.Hour)}
	want := run(t, about(t, written(t, log), configured))
	for name, change := range map[string]func(*Options){
		"found": func(o *Options) { o.Setup.Watches[0].Paths, o.Setup.Watches[0].Backend = []string{path}, filter.File },
		"named": func(o *Options) { o.Files = []string{path, path + ".1", path + ".2.gz", path} },
		"a glob": func(o *Options) {
			o.Setup.Watches[0].Paths, o.Setup.Watches[0].Backend = []string{path + "*"}, filter.File
		},
	} {
		o := about(t, "", configured)
		change(&o)
		got := run(t, o)
		if got.Failures != want.Failures || len(got.Bans) != len(want.Bans) || len(want.Bans) == 0 || got.Policies[0].Prevented != want.Policies[0].Prevented {
			t.Errorf("%s: %d failures, %d bans, %d prevented; the journal has %d, %d, %d", name, got.Failures, len(got.Bans), got.Policies[0].Prevented,
				want.Failures, len(want.Bans), want.Policies[0].Prevented)
		}
	}
}

// TestLinkNotFollowed: of the files that jails name; one that is named by who asks is.
func TestLinkNotFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives a link away")
	}
	dir := t.TempDir()
	for name, addr := range map[string]string{"secret": "203.0.113.1", "auth.log": "203.0.113.2"} {
		line := fmt.Sprintf("%s host sshd[1]: Failed password for root from %s port 1 ssh2\n", time.Unix(begin, 0).UTC().Format(time.Stamp), addr)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "evil\nscan2ban: all is well.log")
	if err := errors.Join(os.Symlink("secret", link), os.Lchown(link, 54321, 54321)); err != nil {
		t.Fatal(err)
	}
	o := about(t, "", Policy{"configured", rules(3, 10*time.Minute, time.Hour)})
	o.Setup.Watches[0].Paths, o.Setup.Watches[0].Backend = []string{dir + "/*.log"}, filter.File
	p, err := Run(context.Background(), o)
	if !errors.Is(err, logfile.ErrLink) || !strings.Contains(err.Error(), "name it itself in logpath") || strings.Contains(err.Error(), "\n") || p.Failures != 1 || p.Addresses[0].Address != "203.0.113.2" {
		t.Errorf("%d failures, error %v", p.Failures, err)
	}
	for i := range 100 {
		link := filepath.Join(dir, fmt.Sprint(i, ".log"))
		if err := errors.Join(os.Symlink("secret", link), os.Lchown(link, 54321, 54321)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(context.Background(), o); strings.Count(err.Error(), "\n") != 3 || !strings.Contains(err.Error(), "98 more cannot be read") {
		t.Errorf("of many: %v", err)
	}
	o.Files = []string{link}
	if p := run(t, o); p.Failures != 1 || p.Addresses[0].Address != "203.0.113.1" {
		t.Errorf("named: %d failures", p.Failures)
	}
}

// TestInterrupted: what was read so far is reported.
func TestInterrupted(t *testing.T) {
	o := about(t, written(t, some(4, 9000)), Policy{"configured", rules(5, time.Hour, time.Hour)})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.Step = func(int64, float64) { cancel() }
	p, err := Run(ctx, o)
	if !errors.Is(err, ErrInterrupted) || !p.Interrupted || p.Entries == 0 || p.Entries >= 9000 || p.Failures == 0 {
		t.Errorf("%v, interrupted %v, %d entries, %d failures", err, p.Interrupted, p.Entries, p.Failures)
	}
}

var update = flag.Bool("update", false, "write the goldens anew")

// TestText compares what a person reads, in a narrow and in a wide terminal, with
// testdata/report-WIDTH.txt (go test -update writes them).
func TestText(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	var entries []journaltest.Entry
	add := func(at int64, host, text string) {
		entries = append(entries, journaltest.Entry{Time: (begin + at) * 1e6, Message: text, Fields: map[string]string{
			"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(1000 + len(entries)), "_HOSTNAME": host}})
	}
	for i := range int64(400) {
		user := []string{"root", "admin", "a\x1b[31m\u202e", strings.Repeat("name", 30), ""}[i%5]
		add(i*700, []string{"mail", "web"}[i%2], fmt.Sprintf("Failed password for invalid user %s from 203.0.113.%d port 4711 ssh2", user, 1+i*i%14))
		if i%50 == 0 {
			add(i*700+1, "web", "Accepted publickey for alice from 203.0.113.12 port 4712 ssh2: ED25519 SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
		}
	}
	p := run(t, about(t, journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries), Policy{"configured", rules(5, 12*time.Hour, 24*time.Hour)},
		Policy{"maxretry=2,findtime=1d,bantime=2w,ipv4_prefix=24", rules(2, 24*time.Hour, 14*24*time.Hour)}, Policy{"bantime=10m", rules(5, 12*time.Hour, 10*time.Minute)}))
	p.Seconds = 0.01
	for _, width := range []int{80, 120} {
		t.Setenv("COLUMNS", fmt.Sprint(width))
		var text bytes.Buffer
		p.Write(&text)
		for line := range strings.Lines(text.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("%d columns, not %d: %s", n, width, line)
			}
			if i := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }); i >= 0 {
				t.Errorf("a control character at %d: %q", i, line)
			}
		}
		golden := fmt.Sprintf("testdata/report-%d.txt", width)
		if *update {
			if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if text.String() != string(want) {
			t.Errorf("at %d columns:\n%s\nwant:\n%s", width, &text, want)
		}
	}
}
