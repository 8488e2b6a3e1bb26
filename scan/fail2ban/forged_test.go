package fail2ban

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter"
)

var updateForged = flag.Bool("update-forged", false, "write testdata/forged.tsv anew")

// TestForged: which of Fail2Ban's filters, as they are converted, can be made to blame
// somebody by text that a client chooses. Of each line of their samples that is a failure
// the text that the expression leaves open is replaced by text that holds an address of a
// victim in the shape of the line. testdata/forged.tsv says what was found, one line a
// filter, "-" where none of these blames the victim, which may be fooled otherwise. It is
// what import warns by.
func TestForged(t *testing.T) {
	s := newSamples(t)
	s.config = filepath.Join(s.root, "etc/fail2ban")
	files, err := filepath.Glob(filepath.Join(s.config, "filter.d/*.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	filters, blaming, tried, untried := 0, 0, 0, []string(nil)
	for _, file := range files {
		if s.name = strings.TrimSuffix(filepath.Base(file), ".conf"); strings.HasSuffix(s.name, "common") {
			continue
		}
		if Raced && s.name > "c" {
			continue
		}
		filters++
		fooled, seen := "", 0
		done := map[string]bool{} // rules, by options
		s.see = func(c sampleFilter, before []string, line string, want map[string]any) {
			if match, _ := want["match"].(bool); fooled != "" || !match {
				return
			}
			host, _ := want["host"].(string)
			f := &forger{matcher: matcherOf(c.opened), host: host, daemon: regexp.MustCompile(cmp.Or(daemons[s.name], `\A\z.`))}
			if !f.fails(line) { // by itself; perhaps with what stands before it
				if f.before = before[max(0, len(before)-10):]; !f.fails(line) {
					return
				}
			}
			if id := fmt.Sprint(c.opts, f.rule); done[id] {
				return
			} else {
				done[id] = true
			}
			seen++
			fooled = f.forge(line)
		}
		s.filter()
		tried += seen
		switch {
		case fooled != "":
			rows = append(rows, s.name+"\t"+escape(fooled))
			blaming++
		case seen == 0:
			untried = append(untried, s.name)
		default:
			rows = append(rows, s.name+"\t"+unfooled)
		}
	}
	slices.Sort(rows)
	text := "# Filters of Fail2Ban's, and of each a line by which it bans " + victim + " though somebody else wrote it; \"-\": none was found.\n# Made by go test -run Forged ./scan/fail2ban -update-forged\n" + strings.Join(rows, "\n") + "\n"
	t.Logf("%d of %d filters blame the victim by one of the forged variants of %d rules' samples; not tried: %s", blaming, filters, tried, strings.Join(untried, " "))
	if *updateForged {
		if err := os.WriteFile("testdata/forged.tsv", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := forgedTable
	if Raced { // the filters that are tried then, by their names
		lines := slices.Collect(strings.Lines(want))
		want = strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line > "c" }), "")
	}
	if want != text {
		t.Errorf("testdata/forged.tsv is not what was found (-update-forged writes it):\n%s", text)
	}
}

// TestForgedIsWarnedOf: import warns of every filter of the table, and calls ours proof
// against its line where it is.
func TestForgedIsWarnedOf(t *testing.T) {
	s := newSamples(t)
	for name, lines := range forgeries() {
		if lines == nil {
			continue
		}
		text, _, err := convertFilter(filepath.Join(s.root, "etc/fail2ban"), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, called := range []string{name, "copy"} {
			if got := doubts(called, text); got.line != lines[len(lines)-1] {
				t.Errorf("%s as %s: no warning (%q)", name, called, got.line)
			}
		}
		if own, err := filter.Load(name); err == nil && blamesVictim(own, lines) {
			t.Errorf("%s: scan2ban's own filter is fooled by %s", name, lines)
		}
	}
	mended := "[script]\n[[script.failure]]\nname = 'a'\npattern = 'ip=\\[<ADDR>\\]$'\n"
	if got := doubts("courier-auth", mended); got.line+got.open != "" {
		t.Errorf("a filter that an admin has mended is warned of: %v", got)
	}
	// A name of the table says nothing of other expressions.
	worse := "[script]\n[[script.failure]]\nname = 'failure-1'\npattern = '" + `^\s*wrong (?P<user>\S+) at <HOST>` + "'\n"
	if got := doubts("courier-smtp", worse); got.line == "" || !strings.Contains(got.open, "failregex 1: not anchored") {
		t.Errorf("a filter that an admin has made worse is not warned of: %v", got)
	}
}

// TestStockExpressions: testdata/expressions.txt has the fingerprints of the expressions of
// all filters of Fail2Ban's package.
func TestStockExpressions(t *testing.T) {
	s := newSamples(t)
	dir := filepath.Join(s.root, "etc/fail2ban")
	files, err := filepath.Glob(filepath.Join(dir, "filter.d/*.conf"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		if Raced && name > "c" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a directory
		}
		modes := []string{""}
		for _, m := range regexp.MustCompile(`(?m)^mdre-([a-z]+)`).FindAllStringSubmatch(string(text), -1) {
			modes = append(modes, m[1])
		}
		for _, mode := range modes {
			for _, logtype := range []string{"file", "journal"} {
				options := map[string]string{"logtype": logtype}
				if mode != "" {
					options["mode"] = mode
				}
				text, _, err := convertFilter(dir, name, options)
				if err != nil {
					continue // it has no such mode
				}
				f, err := filter.Parse(name, name, text)
				if err != nil {
					t.Fatal(err)
				}
				for _, print := range fingerprints(f.Script) {
					all[print] = true
				}
			}
		}
	}
	text := "# Fingerprints of the expressions of Fail2Ban's own filters.\n# Made by go test -run StockExpressions ./scan/fail2ban -update-forged\n" + strings.Join(slices.Sorted(maps.Keys(all)), "\n") + "\n"
	if *updateForged {
		if err := os.WriteFile("testdata/expressions.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if Raced { // only some are tried then
		for print := range all {
			if !stockPrints()[print] {
				t.Errorf("testdata/expressions.txt has no %s", print)
			}
		}
	} else if expressionsTable != text && !*updateForged {
		t.Error("testdata/expressions.txt is not what was found (-update-forged writes it)")
	}
}

// daemons say, by filter, after what stands text that the expressions leave open and that
// no client chooses: the daemon's own words and numbers, and names of hosts that a
// resolver has looked up (which hold no space and no bracket).
var daemons = map[string]string{
	"3proxy":          `\+0300 $`, // its service
	"apache-auth":     apacheHead,
	"apache-noscript": apacheHead,
	"asterisk":        `\] $`, // the source file
	"centreon":        `\|\[$`,
	"cyrus-imap":      `badlogin: $`, // host
	"domino-smtp":     `SMTP Server \[$`,
	"dovecot":         `auth-worker\($|method=$`, // its pid; an atom of IMAP
	"drupal-auth":     `https://$|https://[^|]*\|(?:\d+\|)?$`,
	"exim":            ` for $|synchronization error \($|I=\[$`, // host; reason; its own address
	"exim-spam":       `^[\d\- :]+$`,                            // the message's number
	"guacamole":       `^[\d:.]+ \[$|WARN +$`,
	"named-refused":   `client @$`,
	"nginx-botsearch": `: \*\d+ $`,
	"nginx-http-auth": `server: $|SSL: error:.*$|SSL_do_handshake.*$`,
	"nginx-limit-req": `^\S+ \S+ \[$|by zone "$`,
	"oracleims":       ` ap="$`,
	"postfix":         ` from $|warning: $|pipelining after $`, // host; command
	"proftpd":         `proftpd\[\d+\] $`,                      // host
	"pure-ftpd":       `\($`,                                   // a user that is logged in
	"sendmail-reject": `: $`,                                   // host
	"suhosin":         `file '$`,
	"wuftpd":          `uid=$`,
	"zoneminder":      apacheHead,
}

const apacheHead = `^(?:\[[^\]]*\] )?\[(?:\w+:)?$|\[pid \d+:$`

// begins is what stands before the name of the host at the beginning of a line.
var begins = regexp.MustCompile(`^(?:\w{3} +\d+ [\d:]+ )?$`)

var matchers = map[*filter.Filter]*filter.Matcher{}

func matcherOf(o *opened) *filter.Matcher {
	if matchers[o.Filter] == nil {
		matchers[o.Filter] = o.Filter.Compile(filter.Aggressive)
	}
	return matchers[o.Filter]
}

// forger makes lines out of one that blames host, and looks whom they blame.
type forger struct {
	daemon  *regexp.Regexp // what stands before text that is no client's
	matcher *filter.Matcher
	host    string
	before  []string
	rule    string
}

func (f *forger) verdict(line string) (v filter.Verdict) {
	f.matcher.Recall(nil)
	for _, line := range append(slices.Clone(f.before), line) {
		v = f.matcher.MatchLine([]byte(line), "log", time.Unix(1_800_000_000, 0))
	}
	return v
}

func (f *forger) fails(line string) bool {
	v := f.verdict(line)
	if v.Kind != filter.Failure {
		return false
	}
	f.rule = v.Rule.Name
	return true
}

// forge gives a forged line that blames the victim, after those before it; "" where none
// was found.
func (f *forger) forge(line string) string {
	message := line
	if _, m, ok := filter.CutSyslog([]byte(line)); ok {
		message = string(m)
	}
	head := len(line) - len(message)
	for _, place := range f.matcher.Free(line) {
		start, end := max(place.Start, head), place.End
		if start >= end || strings.Contains(line[start:end], f.host) && f.host != "" {
			continue
		}
		if before := line[head:start]; begins.MatchString(before) || f.daemon.MatchString(before) {
			continue
		}
		for _, text := range variants(line[head:start], line[start:end], line[end:], f.host) {
			if forged := line[:start] + text + line[end:]; f.verdict(forged).Addr.String() == victim {
				return strings.Join(append(slices.Clone(f.before), forged), "\n")
			}
		}
	}
	return ""
}

// TestSuspected: of filters that nobody has tried yet, too, import finds forged lines: by
// their expressions alone.
func TestSuspected(t *testing.T) {
	for _, c := range []struct{ failregex, want string }{
		{`^\s*wrong <F-USER>.+</F-USER> from <HOST>`, ""}, // the last one decides
		{`^\s*wrong <F-USER>.+?</F-USER> from <HOST>`, " wrong a from 198.51.100.66 from 192.0.2.1"},
		{`^\s*wrong <F-USER>\S+</F-USER> from <HOST>`, " wrong a from 198.51.100.66 from 192.0.2.1"},
		{`^\s*wrong user="[^"]*" ip=<HOST>\b`, ` wrong user="a" ip=198.51.100.66" ip=192.0.2.1`},
		{`user=[^,]*, ip=<HOST>,? agent=.*$`, `, ip=192.0.2.1`},
		{`^\s*wrong from <HOST>\b.*$`, ""},
		{`^\s*wrong from <HOST>, user .*$`, ""},
		{`^\s*wrong <F-USER>.+</F-USER> from <HOST>$`, ""},
	} {
		text, _, err := convert(&filterSource{Name: "mine", Failregex: []string{c.failregex}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := filter.Parse("mine", "mine.toml", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := suspected(f, time.Now().Add(time.Minute)); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.failregex, got, c.want)
		}
	}
}

// slowAsRFC5424 are the filters that backtrack (scanlogd's over letters beyond ASCII) and
// repeat what may match nothing in a log of that form.
var slowAsRFC5424 = []string{"courier-auth", "recidive", "scanlogd", "slapd"}

// TestSlowest: no expression of Fail2Ban's own filters but these gives up a line that was
// made against it.
func TestSlowest(t *testing.T) {
	s := newSamples(t)
	backtrack := 0
	files, _ := filepath.Glob(filepath.Join(s.root, "etc/fail2ban/filter.d/*.conf"))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		for _, options := range []map[string]string{nil, {"logtype": "rfc5424"}, {"mode": "aggressive"}} {
			text, _, err := convertFilter(filepath.Join(s.root, "etc/fail2ban"), name, options)
			if err != nil { // it is for others to include
				continue
			}
			f, err := filter.Parse(name, name+".toml", text)
			if err != nil {
				t.Fatal(err)
			}
			m := f.Compile(filter.Normal)
			if options == nil {
				backtrack += m.Backtracks()
			}
			known := options["logtype"] != "" && slices.Contains(slowAsRFC5424, name)
			if slow, untried := m.Slowest(time.Now().Add(time.Minute)); untried > 0 || (len(slow) > 0) != known {
				t.Errorf("%s %v: %.200q, %d untried", name, options, slow, untried)
			}
		}
	}
	if backtrack < 15 {
		t.Errorf("only %d backtrack", backtrack)
	}
}
