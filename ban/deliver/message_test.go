package deliver

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// hostile are user names as an attacker writes them.
var hostile = []string{
	"root\r\nBcc: victim@example.org\r\n\r\nbuy", "\n.\nMAIL FROM:<x>", "=?utf-8?q?From:_x?=", "<script>alert(1)</script>", `"; rm -rf / #`, "$(id)`id`",
	".", "From me", "\x00\x01\x1b[2J", "\xff\xfe", "\u202eelbisrever", strings.Repeat("a", 5000), strings.Repeat("ü", 3000), "--=_0123", "%s%n", "é\u0301",
}

// parse reads a mail as a mail program does.
func parse(t *testing.T, text []byte) (header mail.Header, parts map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if len(line) > 76 && !bytes.HasPrefix(line, []byte("Subject:")) || len(line) > 200 {
			t.Errorf("line %d has %d bytes: %s", i+1, len(line), line)
		}
		if bytes.IndexFunc(line, func(r rune) bool { return r > '~' || r < ' ' }) >= 0 {
			t.Errorf("line %d is not printable ASCII: %q", i+1, line)
		}
		if bytes.HasPrefix(line, []byte(".")) {
			t.Errorf("line %d begins with a dot", i+1)
		}
	}
	parts = map[string]string{}
	kind, with, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(r io.Reader, kind string) {
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		parts[kind] = string(body)
	}
	if kind == "text/plain" {
		read(quotedprintable.NewReader(m.Body), kind)
		return m.Header, parts
	}
	all := multipart.NewReader(m.Body, with["boundary"])
	for {
		part, err := all.NextPart() // it decodes quoted-printable
		if err == io.EOF {
			return m.Header, parts
		} else if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		read(part, kind)
	}
}

func TestMessage(t *testing.T) {
	for _, name := range hostile {
		for _, html := range []string{"", "<p>" + name} {
			m := &message{id: "0123456789abcdef0123", subject: "[scan2ban] host: users " + name, text: "users\n" + name + "\n" + name, html: html, time: time.Unix(1_700_000_000, 0)}
			header, parts := parse(t, m.bytes("scan2ban@example.org", []Recipient{"root", "admin@example.org"}, "host.example"))
			if len(header) != map[bool]int{true: 9, false: 8}[html == ""] {
				t.Errorf("%q: headers %v", name, header)
			}
			if to := header.Get("To"); to != "root, admin@example.org" {
				t.Errorf("to %q", to)
			}
			if id := header.Get("Message-ID"); id != "<0123456789abcdef0123@host.example>" {
				t.Errorf("id %q", id)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
			if err != nil || !strings.HasPrefix(subject, "[scan2ban] host: users ") || strings.ContainsAny(subject, "\r\n\x00\x1b\u202e") || strings.Contains(subject, "From: x") {
				t.Errorf("%q: subject %q, %v", name, subject, err)
			}
			for kind, want := range map[string]string{"text/plain": m.text, "text/html": m.html} {
				want = strings.ReplaceAll(strings.TrimRight(want, "\n"), "\r\n", "\n")
				if got := strings.TrimRight(strings.ReplaceAll(parts[kind], "\r\n", "\n"), "\n"); got != want {
					t.Errorf("%s of %q is %q", kind, name, got)
				}
			}
			if _, err := header.Date(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestEncodedWords(t *testing.T) {
	letters := []rune("aZ09 ~!=?_.\u00fc\u20ac\U0001f600\ufffd")
	rapid.Check(t, func(t *rapid.T) {
		text := "\u00fc" + string(rapid.SliceOfN(rapid.SampledFrom(letters), 0, 200).Draw(t, "text"))
		want := strings.ReplaceAll(mime.QEncoding.Encode("utf-8", text), " =?", "\n =?")
		if got := encodedWords(text); got != want {
			t.Errorf("%q is\n%s\nwant\n%s", text, got, want)
		}
	})
}

func TestWhois(t *testing.T) {
	tests := []struct{ name, answer, want string }{
		{"RIPE", "% Abuse contact for '192.0.2.0 - 192.0.2.255' is 'abuse@example.net'\n\ninetnum:        192.0.2.0 - 192.0.2.255\nnetname:        EXAMPLE-NET\nabuse-mailbox:  other@example.net\n",
			"EXAMPLE-NET 192.0.2.0 - 192.0.2.255, abuse@example.net"},
		{"ARIN", "NetRange:       192.0.2.0 - 192.0.2.255\nCIDR:           192.0.2.0/24\nNetName:        TEST\nOrgAbuseEmail:  abuse@example.com\nComment: abuse-mailbox of nobody\n",
			"TEST 192.0.2.0 - 192.0.2.255, abuse@example.com"},
		{"the most specific of two", "NetRange: 192.0.0.0 - 192.255.255.255\nNetName: BIG\nNetRange: 192.0.2.0 - 192.0.2.255\nNetName: SMALL\n", "SMALL 192.0.2.0 - 192.0.2.255"},
		{"LACNIC", "inetnum:     192.0.2.0/24\nowner:       Exemplo S.A.\ne-mail:      abuso@example.br\n", "Exemplo S.A. 192.0.2.0/24, abuso@example.br"},
		{"a terminal's escapes", "netname: \x1b[2JX\r\n", `\x1b[2JX`},
		{"nothing", "% no entries found\n", ""},
		{"rubbish", "::::\n:x\nx:\n", ""},
	}
	for _, test := range tests {
		if got := readWhois(test.answer); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
