package filter

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"scan2ban/state"
)

const webserver = `
[json]
address   = ["request.client_ip", "request.remote_ip", "addr"]
user      = "user_id"
forwarded = "request.headers.X-Forwarded-For"

[[rule]]
name  = "probe"
where = { logger = "access", status = [401, 404] }
like  = { "request.uri" = '^/\.env(?:\?.*)?$' }
weight = 3

[[rule]]
name  = "refused"
where = { logger = "access", status = 401 }

[[rule]]
name  = "log-in"
like  = { message = '^Login failed: <USER> \(Remote IP: <ADDR>\)$' }

[[rule]]
name  = "anonymous"
where = { logger = "other", user_id = "" }

[[rule]]
name  = "ok"
kind  = "benign"
where = { logger = "access" }

[[rule]]
name    = "text"
pattern = '^refused <ADDR>(?: "<FORWARDED>")?$'
`

func TestObjects(t *testing.T) {
	m := compile(t, webserver)
	for message, want := range map[string]string{
		`{"logger":"access","status":401,"request":{"remote_ip":"203.0.113.1","uri":"/"},"user_id":"al\"ice"}`:     `failure refused 203.0.113.1 "al\"ice"`,
		`{"logger":"access","status":"401","request":{"remote_ip":"203.0.113.1:4711","uri":"/"}}`:                  `failure refused 203.0.113.1 ""`,
		`{"logger":"access","status":401,"addr":"[2001:db8::1]:80"}`:                                               `failure refused 2001:db8::1 ""`,
		`{"logger":"access","status":404,"request.uri":"/.env?x","request":{"client_ip":"203.0.113.1"}}`:           `failure probe 203.0.113.1 ""`,
		`{"logger":"access","status":404,"request":{"uri":"/.env\n","client_ip":"203.0.113.1"}}`:                   `benign ok -`,
		`{"logger":"access","status":200,"request":{"remote_ip":"203.0.113.1"}}`:                                   `benign ok -`,
		`{"logger":"other","user_id":null,"addr":"203.0.113.1"}`:                                                   `failure anonymous 203.0.113.1 ""`,
		`{"logger":"other","user_id":[],"addr":"203.0.113.1"}`:                                                     `none - -`,
		` {"logger":"access","status":401,"addr":"203.0.113.1"}`:                                                   `none - -`,
		`{"logger":"access","status":401,"addr":"203.0.113.1"} x`:                                                  `refused - -`,
		`{"logger":"access","status":401,"addr":"203.0.113.1","addr":"8.8.8.8"}`:                                   `refused - -`,
		`{"logger":"access","status":401,"request":{"client_ip":"203.0.113.1"},"request":{"client_ip":"8.8.8.8"}}`: `refused - -`,
		`{"logger":"access","status":401,"request.client_ip":"8.8.8.8","request":{"client_ip":"203.0.113.1"}}`:     `refused - -`,
		`{"logger":"access","status":401,"\u0061ddr":"203.0.113.1"}`:                                               `failure refused 203.0.113.1 ""`,
		`{"logger":"access","status":401,"x":{"addr":"8.8.8.8"},"addr":"203.0.113.1"}`:                             `failure refused 203.0.113.1 ""`,
		`{"logger":"access","status":401,"x":[{"addr":"8.8.8.8"}],"addr":"203.0.113.1"}`:                           `failure refused 203.0.113.1 ""`,
		`{"logger":"access","status":401,"addr":"host.example"}`:                                                   `benign refused -`,
		`{"logger":"access","status":401}`:                                                                         `benign refused -`,
		`{"logger":"access","status":401,"addr":"127.0.0.1"}`:                                                      `refused refused -`,
		`{"logger":"access","status":401,"agent":"` + "\t" + `","addr":"203.0.113.1"}`:                             `refused - -`,
		`{"logger":"access","status":401,"agent":"\x22","addr":"203.0.113.1"}`:                                     `refused - -`,
		`{"logger":"access","status":401,"addr":"203.0.113.1"`:                                                     `refused - -`,
		`{"logger":"access",status:401,"addr":"203.0.113.1"}`:                                                      `refused - -`,
		`{"logger":"access","status":0401,"addr":"203.0.113.1"}`:                                                   `refused - -`,
		`{"message":"Login failed: a b (Remote IP: 203.0.113.1)","addr":"203.0.113.9"}`:                            `failure log-in 203.0.113.1 "a b"`,
		`{"message":"Login failed: x (Remote IP: 8.8.8.8)\n (Remote IP: 203.0.113.1)"}`:                            `failure log-in 203.0.113.1 "x (Remote IP: 8.8.8.8)\n"`,
		`{"message":"Login failed: x (Remote IP: 8.8.8.8) y"}`:                                                     `none - -`,
		`{"logger":"other","user_id":"","addr":"203.0.113.1"}`:                                                     `failure anonymous 203.0.113.1 ""`,
		`{"logger":"other","addr":"203.0.113.1","user_id":null}`:                                                   `failure anonymous 203.0.113.1 ""`,
		`{"logger":"other","addr":"203.0.113.1","user_id":"x"}`:                                                    `none - -`,
		`refused 203.0.113.1`: `failure text 203.0.113.1 ""`,
		`{}`:                  `none - -`,
		`{`:                   `refused - -`,
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70): `refused - -`,
	} {
		if got := describe(m.Match([]byte(message), nil)); got != want {
			t.Errorf("%s\n\tgot %s, want %s", message, got, want)
		}
	}
}

func prefixes4(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Behind a proxy the right-most hop that is none is the client; the rest is what the
// client says of itself.
func TestBehind(t *testing.T) {
	f, err := Parse("test", "test.toml", webserver)
	if err != nil {
		t.Fatal(err)
	}
	m := f.Compile(Normal).Behind(prefixes4("127.0.0.1/32", "10.0.0.0/8", "2001:db8:1::/64"))
	for message, want := range map[string]string{
		`refused 203.0.113.1`:                                    `failure text 203.0.113.1 ""`,
		`refused 203.0.113.1 "8.8.8.8"`:                          `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "203.0.113.1"`:                         `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "8.8.8.8, 203.0.113.1"`:                `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "8.8.8.8, 203.0.113.1, 10.0.0.2"`:      `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "8.8.8.8,203.0.113.1:4711,10.0.0.2:1"`: `failure text 203.0.113.1 ""`,
		`refused 127.0.0.1 "x, [2001:db8::1]:4711"`:              `failure text 2001:db8::1 ""`,
		`refused 2001:db8:1::5 "2001:db8::1"`:                    `failure text 2001:db8::1 ""`,
		`refused ::ffff:10.0.0.1 "203.0.113.1"`:                  `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "8.8.8.8, unknown"`:                    `refused text -`,
		`refused 10.0.0.1 "8.8.8.8, "`:                           `refused text -`,
		`refused 10.0.0.1 "[[203.0.113.1]]"`:                     `refused text -`,
		`refused 10.0.0.1 "255.255.255.255"`:                     `refused text -`,
		`refused 10.0.0.1 "for=203.0.113.1"`:                     `refused text -`,
		`refused 10.0.0.1 "8.8.8.8 203.0.113.1"`:                 `refused text -`,
		`refused 10.0.0.1 "8.8.8.8, ::ffff:203.0.113.1"`:         `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "203.0.113.1, ::ffff:10.0.0.2"`:        `failure text 203.0.113.1 ""`,
		`refused 10.0.0.1 "-"`:                                   `refused text -`,
		`refused 10.0.0.1`:                                       `refused text -`,
		`refused 10.0.0.1 "10.0.0.2"`:                            `refused text -`,
		`refused 10.0.0.1 "8.8.8.8, 127.0.0.9"`:                  `refused text -`,
		`refused 127.0.0.9`:                                      `refused text -`,
		`{"logger":"access","status":401,"addr":"10.0.0.1","request":{"headers":{"X-Forwarded-For":["8.8.8.8","203.0.113.1"]}}}`: `failure refused 203.0.113.1 ""`,
		`{"logger":"access","status":401,"addr":"10.0.0.1","request":{"headers":{"X-Forwarded-For":"8.8.8.8, 203.0.113.1"}}}`:    `failure refused 203.0.113.1 ""`,
		`{"logger":"access","status":401,"addr":"10.0.0.1"}`:                                                                     `refused refused -`,
		`{"logger":"access","status":401,"addr":"203.0.113.1","request":{"headers":{"X-Forwarded-For":"8.8.8.8"}}}`:              `failure refused 203.0.113.1 ""`,
	} {
		if got := describe(m.Match([]byte(message), nil)); got != want {
			t.Errorf("%s\n\tgot %s, want %s", message, got, want)
		}
	}
}

// What looks like a failure and can be forged is told as such, and blames nobody.
func TestRefusedRules(t *testing.T) {
	m := compile(t, `
[json]
address = "addr"
[[rule]]
name    = "raw"
kind    = "refused"
reason  = "can be forged"
pattern = '^denied <ADDR>$'
[[rule]]
name    = "raw-json"
kind    = "refused"
reason  = "so can this"
where   = { a = 1 }
`)
	for message, want := range map[string]string{"denied 8.8.8.8": "can be forged", `{"a":1,"addr":"8.8.8.8"}`: "so can this"} {
		if v := m.Match([]byte(message), nil); v.Kind != Refused || v.Reason != want || v.Addr.IsValid() {
			t.Errorf("%s: %s, %s, %q", message, v.Kind, v.Addr, v.Reason)
		}
	}
	for _, text := range []string{"kind = \"refused\"\npattern = '^x$'", "reason = \"x\"\npattern = '^<ADDR>$'"} {
		if _, err := Parse("test", "test.toml", "[[rule]]\nname = \"a\"\n"+text); err == nil || !strings.Contains(err.Error(), `a reason goes with kind = "refused"`) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[[rule]]\nname = \"a\"\nwhere = { x = 1 }":                                                  `test.toml:2: rule "a": whom does it blame?`,
		"[json]\naddress = \"a\"\n[[rule]]\nname = \"a\"\nwhere = { x = 1.5 }":                       `test.toml:5: where wants text, whole numbers`,
		"[json]\naddress = \"a\"\n[[rule]]\nname = \"a\"\nwhere = { x = [] }":                        `test.toml:5: where: an empty list`,
		"[json]\naddress = \"a\"\n[[rule]]\nname = \"a\"\nlike = { x = 'y' }":                        `test.toml:5: rule "a", x: it is not anchored`,
		"[json]\naddress = \"a\"\n[[rule]]\nname = \"a\"\nlike = { x = '^(y$' }":                     `test.toml:5: rule "a", x: missing closing )`,
		"[json]\naddress = \"a\"\n[[rule]]\nname = \"a\"\nlike = { x = '^<ADDR>$', y = '^<ADDR>$' }": `test.toml:5: rule "a" has two <ADDR>`,
		"[json]\naddress = \"\"\n[[rule]]\nname = \"a\"\nwhere = { x = 1 }":                          `test.toml:2: address names no member`,
		"[json]\naddr = \"\"\n[[rule]]\nname = \"a\"\nwhere = { x = 1 }":                             `test.toml:2: unknown key "addr" (valid: address`,
		"[[rule]]\nname = \"a\"\npattern = '^<ADDR>$'\nwhere = { x = 1 }":                            `test.toml:3: rule "a" has a pattern, for a line of text`,
		"[[rule]]\nname = \"a\"": `rule "a" has no pattern, and neither where nor like`,
	} {
		if _, err := Parse("test", "test.toml", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n\tgot  %v\n\twant %s", text, err, want)
		}
	}
}

// What a session says in JSON is worth nothing once it has written a line of another
// format, behind which a client can write lines of its own.
func TestUnless(t *testing.T) {
	f, err := Parse("test", "test.toml", `
[json]
address = "addr"
unless  = "console"
[[rule]]
name    = "console"
kind    = "mark"
pattern = '^INFO .*$'
[[rule]]
name    = "refused"
where   = { status = 401 }
[[rule]]
name    = "accepted"
kind    = "success"
where   = { status = 200 }
`)
	if err != nil {
		t.Fatal(err)
	}
	m, sessions := f.Compile(Normal), state.NewSessions()
	for i, step := range []struct {
		session, message string
		counts           bool
	}{
		{"a/1", `{"status":401,"addr":"203.0.113.1"}`, true},
		{"a/1", `INFO x`, false},
		{"a/1", `{"status":401,"addr":"8.8.8.8"}`, false},
		{"a/2", `{"status":401,"addr":"203.0.113.1"}`, true},
		{"", `{"status":401,"addr":"203.0.113.1"}`, false},
	} {
		v := m.Match([]byte(step.message), nil)
		e, ok := v.Event("test", 7, step.session)
		if !ok {
			t.Fatalf("%d: no event", i)
		}
		if e.Kind == state.KindMark {
			sessions.Mark(&e)
		} else if got := sessions.Counts(&e); got != step.counts {
			t.Errorf("%d: counts %v", i, got)
		}
	}
	if _, err := Parse("test", "test.toml", "[json]\naddress = \"a\"\nunless = \"b\"\n[[rule]]\nname = \"c\"\nwhere = { a = 1 }"); err == nil || !strings.Contains(err.Error(), "test.toml:3: unless names no rule of kind") {
		t.Error(err)
	}
}

// A failure without an address has that which its session has named.
func TestSessionNamesTheClient(t *testing.T) {
	f, err := Parse("test", "test.toml", `
[[rule]]
name    = "accept"
kind    = "mark"
pattern = '^conn=<SESSION> from <ADDR>$'
[[rule]]
name    = "refused"
after   = "accept"
pattern = '^conn=<SESSION> refused$'
`)
	if err != nil {
		t.Fatal(err)
	}
	m, sessions := f.Compile(Normal), state.NewSessions()
	for i, step := range []struct{ session, message, want string }{
		{"a/1", "conn=7 refused", ""},
		{"a/1", "conn=7 from 203.0.113.1", ""},
		{"a/1", "conn=8 from 203.0.113.2", ""},
		{"a/1", "conn=9 from 127.0.0.1", ""},
		{"a/1", "conn=10 from host.example", ""},
		{"a/1", "conn=7 refused", "203.0.113.1"},
		{"a/1", "conn=8 refused", "203.0.113.2"},
		{"a/1", "conn=7 refused", "203.0.113.1"},
		{"a/1", "conn=9 refused", ""},
		{"a/1", "conn=10 refused", ""},
		{"a/2", "conn=7 refused", ""},
		{"", "conn=7 refused", ""},
		{"a/1", "conn=7 from 2001:db8::1", ""},
		{"a/1", "conn=7 refused", "2001:db8::1"},
	} {
		v := m.Match([]byte(step.message), nil)
		e, ok := v.Event("test", 7, step.session)
		switch {
		case ok && e.Kind == state.KindMark:
			sessions.Mark(&e)
		case ok:
			counts := sessions.Counts(&e)
			if counts != (step.want != "") || counts && e.Addr.String() != step.want {
				t.Errorf("%d: counts %v, for %s, want %q", i, counts, e.Addr, step.want)
			}
		}
	}
	if _, err := Parse("test", "test.toml", "[[rule]]\nname = \"a\"\nkind = \"mark\"\npattern = '^x$'\n[[rule]]\nname = \"b\"\nafter = \"a\"\npattern = '^y$'"); err == nil || !strings.Contains(err.Error(), `rule "b" has no <ADDR>`) {
		t.Error(err)
	}
}

// FuzzObject: what is taken for an object is one to encoding/json too, and the
// values are those that it reads.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":"x\u00e4","d":[1,{"a":2}]},"a.b":null}`))
	f.Add([]byte(`{"b":{"c":true},"x":"\ud800"}`))
	f.Add([]byte(`{"a":"1","a":2}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		o := &object{paths: map[string]int{"a": 0, "b.c": 1}, values: make([][]byte, 2)}
		if !o.read(message) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(message, &want); err != nil {
			t.Fatalf("%q is an object here, and not to encoding/json: %v", message, err)
		}
		if a := o.values[0]; a != nil && string(a) != string(want["a"]) {
			t.Errorf("%q: a is %s, not %s", message, a, want["a"])
		}
		textOf(o.values[0])
	})
}
