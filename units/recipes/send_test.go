package recipes

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// asked is a request that came, its secret not yet looked for.
type asked struct {
	method, path, query, body string
	header                    http.Header
}

// service stands in for somebody's HTTP service.
type service struct {
	*httptest.Server
	lock   sync.Mutex
	asked  []asked
	looked map[string]bool
	seen   []string // command lines and environments that hold the secret
	answer func(a asked) (code int, body string)
}

const secret = `s3cr3t"\$(id)=/+ü=`

func serve(t *testing.T, answer func(a asked) (int, string)) *service {
	s := &service{answer: answer, looked: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := asked{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header}
		s.lock.Lock()
		defer s.lock.Unlock()
		s.asked = append(s.asked, a)
		if !s.looked[a.method+a.path] { // it takes its time
			s.looked[a.method+a.path] = true
			s.seen = append(s.seen, visible()...)
		}
		code, text := s.answer(a)
		if code >= 300 && code < 400 {
			w.Header().Set("Location", s.URL+"/elsewhere")
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s
}

// visible finds the secret where ps would show it, while the script runs.
func visible() (where []string) {
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte("s3cr3t")) {
				where = append(where, name)
			}
		}
	}
	return where
}

func (s *service) take() []asked {
	s.lock.Lock()
	defer s.lock.Unlock()
	list := s.asked
	s.asked = nil
	return list
}

func ok(asked) (int, string) { return 200, `{"ok":true,"echo":"` + secret + `"}` }

// told are the recipes that tell people: settings, and what has to arrive.
var told = []struct {
	script, name, settings string // URL and SECRET stand for both
	path, header, value    string
	body                   any // nil: the event as it came
}{
	{"webhook", "plain", "# a comment\n\n  url=URL/bans?x=1  \ntoken = SECRET\n", "/bans", "Authorization", "Bearer SECRET", nil},
	{"webhook", "header", "url = URL/bans\r\nheader = X-Key: SECRET", "/bans", "X-Key", "SECRET", nil},
	{"webhook", "text", "url = URL/services/SECRET\nfield = text\n", "", "", "", map[string]any{"text": "box: " + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(event()["TEXT"])}},
	{"webhook", "content", "url = URL/api\ntoken = SECRET\nfield = content\n", "/api", "", "", map[string]any{"content": "box: " + event()["TEXT"], "allowed_mentions": map[string]any{"parse": []any{}}}},
	{"ntfy", "token", "url = URL\ntopic = my\"SECRET\ntoken = SECRET\n", "/", "Authorization", "Bearer SECRET",
		map[string]any{"topic": `my"` + secret, "title": "scan2ban on box", "message": event()["TEXT"], "priority": 3.0, "tags": []any{"no_entry"}}},
	{"gotify", "token", "url = URL/push/\ntoken = SECRET\n", "/push/message", "X-Gotify-Key", "SECRET", map[string]any{"title": "scan2ban on box", "message": event()["TEXT"], "priority": 5.0}},
	{"telegram", "token", "url = URL\ntoken = 123:s3cr3t\nchat = -100123\n", "/bot123:s3cr3t/sendMessage", "", "", map[string]any{"chat_id": "-100123", "text": "box: " + event()["TEXT"], "disable_web_page_preview": true}},
}

// What people are told arrives whole, whatever a user is called; a failure is one, a
// redirect is not followed, and a secret is nowhere but in the request.
func TestTold(t *testing.T) {
	stdin := `{"event":"ban","users":["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(hostile) + `"]}` + "\n"
	each(t, func(t *testing.T, r *runner) {
		for _, row := range told {
			t.Run(row.script+" "+row.name, func(t *testing.T) {
				s := serve(t, ok)
				fill := strings.NewReplacer("URL", s.URL, "SECRET", secret)
				if row.script == "webhook" && row.name == "text" { // a URL that is the secret
					fill = strings.NewReplacer("URL", s.URL, "SECRET", "s3cr3t")
				}
				code, out := r.run(t, row.script, fill.Replace(row.settings), event(), stdin)
				got := s.take()
				if code != 0 || out != "" || len(got) != 1 {
					t.Fatalf("exit %d, %d requests, and it says %q", code, len(got), out)
				}
				a := got[0]
				if a.method != "POST" || row.path != "" && a.path != row.path || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s %v", a.method, a.path, a.header)
				}
				if want := fill.Replace(row.value); row.header != "" && a.header.Get(row.header) != want {
					t.Errorf("%s is %q, not %q", row.header, a.header.Get(row.header), want)
				}
				if row.body == nil {
					if a.body != strings.TrimSuffix(stdin, "\n") {
						t.Errorf("the event became %q", a.body)
					}
				} else {
					var body any
					if err := json.Unmarshal([]byte(a.body), &body); err != nil || !reflect.DeepEqual(body, row.body) {
						t.Errorf("%v: %s\nis not %v", err, a.body, row.body)
					}
				}

				failures := []int{302, 401}
				if !r.dash() {
					failures = failures[:1]
				}
				for _, status := range failures {
					s.answer = func(asked) (int, string) { return status, secret }
					code, out = r.run(t, row.script, fill.Replace(row.settings), event(), stdin)
					if n := len(s.take()); code == 0 || n != 1 || strings.Contains(out, "s3cr3t") {
						t.Errorf("%d: exit %d after %d requests, and it says %q", status, code, n, out)
					}
				}
				s.Close()
				code, out = r.run(t, row.script, fill.Replace(row.settings), event(), stdin)
				if code == 0 || strings.Contains(out, "s3cr3t") {
					t.Errorf("nobody there: exit %d, and it says %q", code, out)
				}
				if len(s.seen) > 0 {
					t.Errorf("the secret can be seen in %v", s.seen)
				}
			})
		}
	})
	if _, err := os.Stat("/tmp/owned"); err == nil {
		t.Error("a user name was run")
	}
}

// Every event can be told, one with nothing but text too.
func TestToldWarning(t *testing.T) {
	warning := map[string]string{"EVENT": "warning", "ID": "0123456789abcdef0123", "TIME": "2026-11-27T18:00:00Z", "HOST": "box", "TEXT": "the disk is full"}
	each(t, func(t *testing.T, r *runner) {
		s := serve(t, ok)
		for _, row := range told {
			if code, out := r.run(t, row.script, strings.NewReplacer("URL", s.URL, "SECRET", "x").Replace(row.settings), warning, `{"event":"warning"}`); code != 0 || len(s.take()) != 1 {
				t.Errorf("%s: exit %d, %q", row.script, code, out)
			}
		}
		for script, settings := range map[string]string{"cloudflare": "account = a\n", "abuseipdb": "key = k\n", "iptables": "", "ufw": ""} {
			if code, out := r.run(t, script, settings, warning, "{}"); code != 0 || out != "" {
				t.Errorf("%s: exit %d, %q", script, code, out)
			}
		}
	})
}

// What a settings file lacks is named; what it holds is not.
func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, r *runner) {
		for _, row := range []struct{ script, settings, want string }{
			{"webhook", "token = s3cr3t\n", `has no line "url = ..."`},
			{"webhook", "s3cr3t\nurl = http://127.0.0.1:1/s3cr3t\nfield = s3cr3t\n", "field is text or content"},
			{"webhook", "url = file:///s3cr3t\n", "curl"},
			{"ntfy", "s3cr3t\n", `has no line "topic = ..."`},
			{"gotify", "url = x\ntoken =\n", `has no line "token = ..."`},
			{"telegram", "token = s3cr3t\n", `has no line "chat = ..."`},
			{"cloudflare", "account = s3cr3t\n", `has no line "list = ..."`},
			{"abuseipdb", "categories.sshd = 18\n", `has no line "key = ..."`},
		} {
			code, out := r.run(t, row.script, row.settings, event(), "{}")
			if code == 0 || !strings.Contains(out, row.want) || strings.Contains(out, "s3cr3t") {
				t.Errorf("%s with %q: exit %d, %q", row.script, row.settings, code, out)
			}
		}
		if code, out := r.run(t, "ntfy", "", event(), "{}"); code == 0 || !strings.Contains(out, "/etc/scan2ban/ntfy.conf is not there") {
			t.Errorf("without a file: exit %d, %q", code, out)
		}
	})
}

// AbuseIPDB is told of whom the world can see, once, and never of a user.
func TestAbuseIPDB(t *testing.T) {
	each(t, func(t *testing.T, r *runner) {
		s := serve(t, ok)
		settings := "url = " + s.URL + "/api/v2\nkey = " + secret + "\ncategories.odd = 15\n"
		for _, row := range []struct {
			changes []string
			want    string // categories; empty: nothing is reported
		}{
			{nil, "18,22"},
			{[]string{"JAIL", "vsftpd"}, "5,18"},
			{[]string{"JAIL", "wordpress"}, "18,21"},
			{[]string{"JAIL", "nginx-botsearch"}, "19,21"},
			{[]string{"JAIL", "dovecot"}, "18"},
			{[]string{"JAIL", "odd"}, "15"},
			{[]string{"ADDRESS", "2a01:4f8::1", "KEY", "2a01:4f8::/64", "FAMILY", "ipv6"}, "18,22"},
			{[]string{"ADDRESS", "2001:db8::1", "KEY", "2001:db8::/64"}, ""},
			{[]string{"ADDRESS", "2001::1"}, ""}, {[]string{"ADDRESS", "fd00::1"}, ""}, {[]string{"ADDRESS", "fe80::1"}, ""}, {[]string{"ADDRESS", "64:ff9b::1"}, ""}, {[]string{"ADDRESS", "2::1"}, ""},
			{[]string{"ADDRESS", "10.1.2.3"}, ""}, {[]string{"ADDRESS", "172.31.0.1"}, ""}, {[]string{"ADDRESS", "192.168.1.1"}, ""}, {[]string{"ADDRESS", "100.127.0.1"}, ""},
			{[]string{"ADDRESS", "169.254.0.1"}, ""}, {[]string{"ADDRESS", "127.0.0.1"}, ""}, {[]string{"ADDRESS", "224.0.0.1"}, ""}, {[]string{"ADDRESS", "203.0.113.4"}, ""},
			{[]string{"ADDRESS", "100.128.0.1"}, "18,22"}, {[]string{"ADDRESS", "172.32.0.1"}, "18,22"}, {[]string{"ADDRESS", "11.0.0.1"}, "18,22"}, {[]string{"ADDRESS", "223.255.255.1"}, "18,22"},
			{[]string{"OBSERVED", "1"}, ""}, {[]string{"AGAIN", "1"}, ""}, {[]string{"FAILURES", "0"}, ""}, {[]string{"JAIL", "by-hand"}, ""}, {[]string{"EVENT", "expire"}, ""},
		} {
			e := event(row.changes...)
			code, out := r.run(t, "abuseipdb", settings, e, "{}")
			got := s.take()
			if code != 0 || out != "" || (row.want != "") != (len(got) == 1) {
				t.Errorf("%q: exit %d, %d requests, %q", row.changes, code, len(got), out)
				continue
			}
			if row.want == "" {
				continue
			}
			a := got[0]
			form, err := url.ParseQuery(a.body)
			want := url.Values{"ip": {e["ADDRESS"]}, "categories": {row.want}, "timestamp": {e["TIME"]}, "comment": {"scan2ban: 5 failures, jail " + e["JAIL"]}}
			if err != nil || a.method != "POST" || a.path != "/api/v2/report" || a.header.Get("Key") != secret || !reflect.DeepEqual(form, want) {
				t.Errorf("%q: %+v", row.changes, a)
			}
		}
		for _, row := range []struct {
			status int
			body   string
			exit   int
			says   string
		}{
			{429, `{"errors":[{"detail":"You can only report the same IP address (x) once in 15 minutes.","status":429}]}`, 0, ""},
			{429, `{"errors":[{"detail":"Daily rate limit of 1000 requests exceeded for this endpoint.","status":429}]}`, 1, "abuseipdb: the limit is reached (429)\n"},
			{422, `{"errors":[{"detail":"s3cr3t"}]}`, 0, "abuseipdb: 192.88.99.7 is refused for good (422)\n"},
			{401, "s3cr3t", 1, "abuseipdb: the report is refused (401)\n"}, {500, "", 1, "abuseipdb: the report is refused (500)\n"}, {302, "", 1, "abuseipdb: the report is refused (302)\n"},
		} {
			s.answer = func(asked) (int, string) { return row.status, row.body }
			if code, out := r.run(t, "abuseipdb", settings, event(), "{}"); code != row.exit || out != row.says || len(s.take()) != 1 {
				t.Errorf("%d: exit %d, %q", row.status, code, out)
			}
		}
		if len(s.seen) > 0 {
			t.Errorf("the secret can be seen in %v", s.seen)
		}
	})
}
