//go:build cgo && !race

package fail2ban

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// marker is an address that is ignored: a line that blames it ends each step.
const marker = "198.18.0.1"

// service is a program whose log was recorded.
type service struct {
	name   string
	jails  []string
	marker logged
	lines  []logged
	hosts  map[string]bool // who was there, by the set-up of the recording
}

// logged is what a service wrote once, as an entry of the journal or as a line of a file.
type logged struct {
	at     time.Time
	text   string            // the message or, without fields, the line after its time
	fields map[string]string // of the journal
}

// services are those of testdata/fail2ban/jail.local.
func services() []*service {
	say := func(unit, comm, identifier, text string) logged {
		return logged{text: text, fields: map[string]string{"_SYSTEMD_UNIT": unit, "_COMM": comm, "_PID": "1", "_UID": "0", "_HOSTNAME": "vm",
			"_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": identifier, "SYSLOG_PID": "1", "PRIORITY": "6"}}
	}
	return []*service{
		{name: "sshd", jails: []string{"sshd", "sshd-short"}, marker: say("ssh.service", "sshd", "sshd", "Failed password for root from "+marker+" port 9 ssh2")},
		{name: "dovecot", jails: []string{"dovecot"}, marker: say("dovecot.service", "log", "dovecot", "imap-login: Disconnected: Aborted login by logging out (auth failed, 1 attempts in 5 secs): user=<root>, method=PLAIN, rip="+marker+", lip=198.18.0.2, session=<a>")},
		{name: "postfix", jails: []string{"postfix"}, marker: say("postfix.service", "smtpd", "postfix/smtpd", "warning: unknown["+marker+"]: SASL PLAIN authentication failed: (reason unavailable), sasl_username=root")},
		{name: "proftpd", jails: []string{"proftpd"}, marker: say("proftpd.service", "proftpd", "proftpd", "vm ("+marker+"["+marker+"]) - USER root: no such user found from "+marker+" ["+marker+"] to 198.18.0.2:21")},
		{name: "vsftpd", jails: []string{"vsftpd", "vsftpd-slow"}, marker: say("vsftpd.service", "vsftpd", "vsftpd", "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=root rhost="+marker)},
	}
}

// record reads what was recorded of a service: of sshd with its times, in the journal or,
// as rsyslog wrote it, in a file; of the others what went to the journal, whose times were
// not kept: it is spread over those of sshd.
func (s *service) record(t *testing.T, file bool, from, to time.Time) {
	root := filepath.Dir(journaltest.Dir())
	path := filepath.Join(root, "services/recorded", s.name+"-bookworm.jsonl")
	if s.name == "sshd" {
		path = filepath.Join(root, "sshd/recorded.jsonl.gz")
	}
	s.hosts = map[string]bool{}
	for _, line := range read(t, path) {
		var r struct {
			Suite, Sink, Line string
			TrueHost          string `json:"true_host"`
			T                 int64  `json:",string"`
			Fields            map[string]string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if r.Suite != "bookworm" || !strings.HasPrefix(r.Sink, "journal:") {
			continue
		}
		s.hosts[r.TrueHost] = true
		r.Fields["_HOSTNAME"] = "vm"
		r.Fields["_TRANSPORT"] = strings.TrimPrefix(r.Sink, "journal:")
		if r.Fields["_UID"] == "" {
			r.Fields["_UID"] = "0"
		}
		s.lines = append(s.lines, logged{at: time.UnixMicro(r.T), text: r.Line, fields: r.Fields})
	}
	switch {
	case s.name != "sshd":
		for i := range s.lines {
			s.lines[i].at = from.Add(to.Sub(from) * time.Duration(i) / time.Duration(len(s.lines)))
		}
	case file:
		s.lines = nil
		for _, line := range read(t, filepath.Join(root, "fail2ban/auth.log.gz")) {
			stamp, rest, _ := strings.Cut(line, " ")
			at, err := time.Parse(time.RFC3339Nano, stamp)
			if err != nil {
				t.Fatal(err)
			}
			s.lines = append(s.lines, logged{at: at, text: rest})
		}
	}
	slices.SortStableFunc(s.lines, func(a, b logged) int { return a.at.Compare(b.at) })
}

// read gives the lines of a file, which may be packed.
func read(t *testing.T, path string) (lines []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// entry is what journald has of it.
func (l logged) entry() journaltest.Entry {
	return journaltest.Entry{Time: l.at.UnixMicro(), Message: l.text, Fields: l.fields}
}

var control = regexp.MustCompile(`[\x00-\x1f\x7f]`)

// line is what rsyslog makes of it.
func (l logged) line() string {
	text := l.text
	if l.fields != nil {
		text = fmt.Sprintf("vm %s[%s]: %s", l.fields["SYSLOG_IDENTIFIER"], l.fields["_PID"], control.ReplaceAllStringFunc(l.text, func(c string) string { return fmt.Sprintf("#%03o", c[0]) }))
	}
	return l.at.UTC().Format("2006-01-02T15:04:05.000000-07:00 ") + text + "\n"
}
