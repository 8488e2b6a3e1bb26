package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"scan2ban/state"
)

// hostile are texts that a client may have written.
var hostile = []string{
	`<script>document.title="taken"</script>`, `"><img src=x onerror="document.title='taken'">`, `</title><svg onload=document.title='taken'>`,
	"\x1b]0;taken\x07", "\u009b2J", "=cmd|' /C calc'!A0", "\u202egnp.exe", "&lt;b&gt;", "'--", `javascript:document.title="taken"`, "</style><style>body{display:none}</style>",
}

// terminal are characters of these that a terminal would act on.
const terminal = "\x1b\x07\r\u009b\u202e"

// attacked is a report whose every text is hostile.
func attacked() *Past {
	at := UTC(1_795_000_000)
	p := &Past{Entries: 1000, Understood: 990, Failures: 60, Logins: 2, Seconds: 0.5}
	p.Span(1_795_000_000, 1_795_000_000+5*86400)
	for h := int64(1_795_000_000 / 3600); h <= p.to/3600; h++ {
		p.Hours = append(p.Hours, Hour{UTC(h * 3600), int(h % 7)})
	}
	for i, text := range hostile {
		until := at
		p.Addresses = append(p.Addresses, Attacker{Address: "203.0.113.7", Jail: text, Failures: 60 - i, First: at, Last: at, Users: []string{text}, Bans: 1, Country: text, ASN: text})
		p.Users = append(p.Users, Name{text, 9})
		p.Networks = append(p.Networks, Network{text, 2, 9})
		p.ASNs = append(p.ASNs, Network{text, 2, 9})
		p.Jails = append(p.Jails, PastJail{Name: text, Entries: 1})
		p.Hosts = append(p.Hosts, Host{Host: text, Understood: 1})
		p.Collateral = append(p.Collateral, Collateral{Jail: text, Key: "203.0.113.7", Since: at, Login: at, User: text, Line: text + "\n" + text})
		p.Bans = append(p.Bans, Ban{Jail: text, Key: "203.0.113.7", Until: &until, ban: &state.Ban{Since: 1_795_000_000}})
		p.Policies = append(p.Policies, Policy{Policy: text, Banned: 1, Collateral: p.Collateral})
	}
	p.Located = true
	return p
}

func TestHostileText(t *testing.T) {
	for _, width := range []string{"80", "120", "40"} {
		t.Setenv("COLUMNS", width)
		var out bytes.Buffer
		attacked().Write(&out)
		if i := bytes.IndexAny(out.Bytes(), terminal); i >= 0 {
			t.Errorf("%s columns: a control character at %d", width, i)
		}
	}
	var out bytes.Buffer
	if err := attacked().HTML(&out); err != nil {
		t.Fatal(err)
	}
	if i := bytes.IndexAny(out.Bytes(), terminal); i >= 0 || strings.Contains(out.String(), "<script>document") {
		t.Errorf("the page: a control character at %d, or a script", i)
	}
	out.Reset()
	if err := attacked().CSV(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), terminal) {
		t.Errorf("a control character in %q", &out)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != len(hostile)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
}

// TestFormulas: where a program splits the rows at semicolons, it finds no formula either.
func TestFormulas(t *testing.T) {
	for _, user := range []string{"=1", "x;=F()", `x;"=F()`, `x;""=F()`, "x; +1", ";-1", "a;;@b", "a=b;c-d"} {
		var out bytes.Buffer
		if err := (&Past{Addresses: []Attacker{{Address: "203.0.113.7", Users: []string{user}}}}).CSV(&out); err != nil {
			t.Fatal(err)
		}
		for cell := range strings.FieldsFuncSeq(out.String(), func(r rune) bool { return r == ';' || r == '\n' }) {
			if cell = strings.TrimLeft(cell, `" `); cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Errorf("%s: a spreadsheet takes %q for a formula", user, cell)
			}
		}
		if rows, err := csv.NewReader(&out).ReadAll(); err != nil || strings.ReplaceAll(rows[1][6], "'", "") != user {
			t.Errorf("%s is read as %q, %v", user, rows, err)
		}
	}
}

func TestWidth(t *testing.T) {
	for _, columns := range []int{80, 120} {
		t.Setenv("COLUMNS", map[int]string{80: "80", 120: "120"}[columns])
		p := attacked()
		for i := range p.Addresses {
			p.Addresses[i].Jail, p.Addresses[i].Country = "sshd", "NL"
			p.Addresses[i].Address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
		}
		var out bytes.Buffer
		p.Write(&out)
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > columns {
				t.Errorf("%d of %d columns: %s", n, columns, line)
			}
		}
	}
}

// tag is every piece of markup in a page.
var tag = regexp.MustCompile(`<[^>]*>`)

func TestPageIsSelfContained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	if err := attacked().WriteHTML(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tag.FindAllString(string(text), -1) {
		name := strings.TrimLeft(strings.FieldsFunc(m, func(r rune) bool { return strings.ContainsRune("<> /", r) })[0], "!")
		if !strings.Contains(" doctype html head meta title style body h1 h2 p div b table tr th td pre svg rect line text ", " "+name+" ") ||
			strings.Contains(m, " on") || strings.Contains(m, "src=") || strings.Contains(m, "href=") {
			t.Errorf("the page has %s", m)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := attacked().WriteHTML(filepath.Join(t.TempDir(), "none", "report.html")); err == nil || strings.Contains(err.Error(), ".report.html-") {
		t.Error("written into a directory that is not there")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestBrowser: Chromium shows what clients wrote as text, and nothing of it runs.
func TestBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := attacked().WriteHTML(path); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"), "--virtual-time-budget=2000", "--dump-dom", "file://"+path)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	dom := string(out)
	if !strings.Contains(dom, "<title>scan2ban report</title>") {
		t.Errorf("the page's title was changed: something of it ran")
	}
	if !strings.Contains(dom, `&lt;script&gt;document.title="taken"&lt;/script&gt;`) {
		t.Errorf("the name does not stand there as text")
	}
	for _, m := range tag.FindAllString(dom[strings.Index(dom, "<body"):], -1) {
		if strings.HasPrefix(m, "<script") || strings.HasPrefix(m, "<img") || strings.Contains(m, "onload") || strings.Contains(m, "onerror") {
			t.Errorf("the DOM has %s", m)
		}
	}
}

func TestBars(t *testing.T) {
	zone := time.Local
	defer func() { time.Local = zone }()
	time.Local = time.FixedZone("", 2*3600)
	for _, days := range []int64{0, 1, 2, 5, 30, 40, 400, 4000} {
		p := &Past{Entries: 1}
		p.Span(1_795_000_000, 1_795_000_000+days*86400+7200)
		total := 0
		for h := p.from / 3600; h <= p.to/3600; h++ {
			p.Hours = append(p.Hours, Hour{UTC(h * 3600), 1})
			total++
		}
		b := p.bars(31)
		if sum(b.failures) != total || len(b.failures) > 33 {
			t.Errorf("%d days: %d bars with %d of %d failures", days, len(b.failures), sum(b.failures), total)
		}
	}
}

func TestReportJSONNames(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, attacked()); err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(out.Bytes(), &object); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"from", "to", "entries", "failures", "attempts_by_hour", "addresses", "bans", "policies"} {
		if object[name] == nil {
			t.Errorf("no %q", name)
		}
	}
	if bytes.ContainsAny(out.Bytes(), "\x1b\x07") {
		t.Error("a control character")
	}
}
