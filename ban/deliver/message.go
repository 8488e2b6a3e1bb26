package deliver

import (
	"bytes"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// message is a mail: text, and the same as HTML where there is such.
type message struct {
	id      string // the same for the same content; the left side of its Message-ID
	subject string
	text    string
	html    string
	time    time.Time
}

// subjectMost is how long a subject may be, in bytes.
const subjectMost = 150

// bytes is the message as RFC 5322 and 2045 to 2047 have it, in ASCII with lines of at
// most 76 characters, ended by a line feed as sendmail -t reads them. Whatever the texts
// hold: a header is one line, since what could end it is encoded, and the bodies are
// quoted-printable.
func (m *message) bytes(from Recipient, to []Recipient, host string) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, value) }
	domain := asDomain(host)
	header("From", string(from))
	names := make([]string, len(to))
	for i, r := range to {
		names[i] = string(r)
	}
	header("To", strings.Join(names, ",\n "))
	header("Subject", encoded(m.subject))
	header("Date", m.time.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	header("Message-ID", "<"+m.id+"@"+domain+">")
	header("Auto-Submitted", "auto-generated") // RFC 3834: no vacation answers it
	header("MIME-Version", "1.0")
	part := func(kind, text string) {
		header("Content-Type", kind+"; charset=utf-8")
		header("Content-Transfer-Encoding", "quoted-printable")
		b.WriteString("\n")
		b.Write(quoted(text))
	}
	if m.html == "" {
		part("text/plain", m.text)
		return b.Bytes()
	}
	boundary := "=_" + state.Hash(m.id+m.text) // "=_" stands in no quoted-printable text (RFC 2045, 6.7)
	header("Content-Type", `multipart/alternative; boundary="`+boundary+`"`)
	b.WriteString("\n")
	for _, p := range []struct{ kind, text string }{{"text/plain", m.text}, {"text/html", m.html}} {
		fmt.Fprintf(&b, "--%s\n", boundary)
		part(p.kind, p.text)
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "--%s--\n", boundary)
	return b.Bytes()
}

// encoded is text for a header: as it is, or as encoded words.
func encoded(text string) string {
	text = report.Clean(text)
	if len(text) > subjectMost {
		text = strings.ToValidUTF8(text[:subjectMost], "") + "..."
	}
	text = strings.ReplaceAll(text, "=?", "= ?") // no encoded word that we did not write
	if strings.IndexFunc(text, func(r rune) bool { return r > '~' }) < 0 {
		return text
	}
	return encodedWords(text)
}

// encodedWords is text in encoded words, a line each: RFC 2047, 2 and 4.2.
func encodedWords(text string) string {
	const most, open, shut = 75, "=?utf-8?q?", "?="
	words, word := "", open
	for _, r := range text {
		as := string(r)
		switch {
		case r == ' ':
			as = "_"
		case r > '~' || strings.ContainsRune("=?_", r):
			as = strings.ReplaceAll(fmt.Sprintf("=% X", as), " ", "=")
		}
		if len(word)+len(as)+len(shut) > most {
			words, word = words+word+shut+"\n ", open
		}
		word += as
	}
	return words + word + shut
}

// quoted is text as quoted-printable. A line is never a dot alone, nor begins with
// "From ", which old mail programs act on.
func quoted(text string) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a buffer takes everything
	_ = w.Close()
	lines := strings.Split(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = harmless(line)
	}
	return []byte(strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n")
}

// harmless is a line of quoted-printable without such a beginning; one that becomes too
// long by that is cut in two.
func harmless(line string) string {
	const most = 76
	if strings.HasPrefix(line, ".") {
		line = "=2E" + line[1:]
	} else if strings.HasPrefix(line, "From ") {
		line = "=46" + line[1:]
	}
	if len(line) <= most {
		return line
	}
	at := most - 1
	if escape := strings.LastIndexByte(line[:at], '='); escape > at-3 {
		at = escape
	}
	return line[:at] + "=\n" + harmless(line[at:])
}

// asDomain is a host's name as the right side of an address.
func asDomain(host string) string {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, host)
	if name = strings.Trim(name, ".-"); name == "" {
		return "localhost"
	}
	return name
}
