package filter

import (
	"fmt"
	"strings"
	"testing"

	"scan2ban/scan/filter/forgery"
)

// templates are sshd's own formats (auth.c, auth2.c, auth-pam.c, packet.c,
// kex.c, sshd.c, 7.4 to 10.x), PAM's and tcp wrappers': %H is the client's
// address, %U a name cut at 100 bytes, %L one cut at 200, %T text of any length.
var templates = []string{
	"Invalid user %U from %H port 50022",
	"Invalid user %U from %H",
	"Failed password for invalid user %U from %H port 50022 ssh2",
	"Failed none for invalid user %U from %H port 50022 ssh2",
	"Failed %T for invalid user %U from %H port 50022 ssh2",
	"Failed publickey for invalid user %U from %H port 50022 ssh2: RSA SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ",
	"Failed publickey for invalid user %U from %H port 50022 ssh2: RSA-CERT SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ ID %T (serial 0) CA RSA SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ",
	"Failed hostbased for invalid user %U from %H port 50022 ssh2: RSA SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ, client user \"%T\", client host \"%T\"",
	"Failed password for alice from %H port 50022 ssh2",
	"Failed publickey for alice from %H port 50022 ssh2: RSA-CERT SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ ID %T (serial 0) CA RSA SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ",
	"Accepted publickey for alice from %H port 50022 ssh2: RSA-CERT SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ ID %T (serial 0) CA RSA SHA256:F6X0YGJUI2EpI1U8YxDjZda3J0A+sOhZvvOwU7ljtLQ",
	"error: PAM: Authentication failure for illegal user %U from %H",
	"error: PAM: User not known to the underlying authentication module for illegal user %U from %H",
	"Postponed keyboard-interactive for invalid user %U from %H port 50022 ssh2 [preauth]",
	"error: maximum authentication attempts exceeded for invalid user %U from %H port 50022 ssh2 [preauth]",
	"Disconnecting invalid user %L %H port 50022: Too many authentication failures [preauth]",
	"Disconnecting invalid user %L %H port 50022: Change of username or service not allowed: (%T,%T) -> (%T,%T) [preauth]",
	"Disconnecting authenticating user alice %H port 50022: Change of username or service not allowed: (alice,ssh-connection) -> (%T,%T) [preauth]",
	"Connection closed by invalid user %L %H port 50022 [preauth]",
	"Connection reset by invalid user %L %H port 50022 [preauth]",
	"Disconnected from invalid user %L %H port 50022 [preauth]",
	"Connection closed by authenticating user alice %H port 50022 [preauth]",
	"Connection from invalid user %L %H port 50022 timed out [preauth]",
	"ssh_dispatch_run_fatal: Connection from invalid user %L %H port 50022: message authentication code incorrect [preauth]",
	"ssh_packet_disconnect: Connection from invalid user %L %H port 50022: Broken pipe [preauth]",
	"Received disconnect from %H port 50022:11: %T [preauth]",
	"error: Received disconnect from %H port 50022:3: %T [preauth]",
	"error: Received disconnect from %H port 50022:14: %T [preauth]",
	"Unable to negotiate with %H port 50022: no matching cipher found. Their offer: %T [preauth]",
	"Unable to negotiate with invalid user %L %H port 50022: no matching cipher found. Their offer: %T [preauth]",
	"error: kex_exchange_identification: client sent invalid protocol identifier \"%T\"",
	"Bad protocol version identification '%T' from %H port 50022",
	"Protocol major versions differ for %H port 50022: SSH-2.0-x vs. %T",
	"input_userauth_request: invalid user %U [preauth]",
	"userauth_pubkey: unsupported public key algorithm: %T [preauth]",
	"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%H  user=%T",
	"pam_sss(sshd:auth): received for user %T: 10 (User not known to the underlying authentication module)",
	"PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=%H  user=%T",
	"reverse mapping checking getaddrinfo for %T [%H] failed.",
	"subsystem request for %T by user alice",
}

// hosts are what stands for the client; the last as with UseDNS.
var hosts = []string{"203.0.113.7", "2001:db8::7", "scanner.example.net"}

// fill puts text where a template has the client's.
func fill(template, host, text string) string {
	return strings.NewReplacer("%H", host, "%T", text,
		"%U", text[:min(100, len(text))], "%L", text[:min(200, len(text))]).Replace(template)
}

// vis escapes as sshd does (vis(3), VIS_SAFE|VIS_OCTAL).
func vis(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// forgeries begin where an attacker would: ends of real lines with another's
// address, so that one rule's line looks like another's.
func forgeries() []string {
	const v = "8.8.8.8"
	all := []string{"", " ", "admin", v, "from " + v, "x from " + v, "invalid user", "[preauth]",
		strings.Repeat("x", 80) + " from " + v + " port 22 ssh2", strings.Repeat("\x01", 90) + " " + v + " port 4444 [preauth]"}
	for _, template := range templates {
		line := fill(template, v, "x")
		all = append(all, line, "x\n"+line, line+"\n")
		for _, begin := range []string{" user x ", " for x ", " from ", "user ", ": "} {
			if at := strings.Index(line, begin); at >= 0 {
				all = append(all, "x"+line[at:], line[at+len(begin):])
			}
		}
		if at := strings.Index(line, v); at >= 0 {
			all = append(all, line[at:], "x "+line[at:], "x from "+line[at:], "rhost="+line[at:])
		}
	}
	return all
}

// innocent tells whether the verdict on a line of template, whole or cut, in
// which the client wrote text, blames nobody but the host.
func innocent(t *testing.T, m *Matcher, template, host, text string) {
	for _, client := range []string{text, vis(text), vis(vis(text))} {
		message := fill(template, host, client)
		message = message[:min(500, len(message))]
		v := m.Match([]byte(message), nil)
		if v.Addr.IsValid() && v.Addr.String() != host {
			t.Errorf("%s blames %s, not %s: %q", v.Rule.Name, v.Addr, host, message)
		}
	}
}

func TestForged(t *testing.T) {
	m := sshd(t, Aggressive)
	n := 0
	texts := forgeries()
	for _, text := range texts {
		for _, template := range templates {
			for _, host := range hosts {
				n++
				innocent(t, m, template, host, text)
			}
		}
	}
	t.Logf("%d forged lines of %d texts in %d templates", 3*n, len(texts), len(templates))
}

// FuzzForged: no address that stands only in a client's text is ever blamed.
func FuzzForged(f *testing.F) {
	for i, text := range forgeries() {
		f.Add(text, "", uint(i))
		f.Add("x ", text, uint(i))
	}
	m := sshd(f, Aggressive)
	f.Fuzz(func(t *testing.T, a, b string, choice uint) {
		for _, text := range []string{a, a + "8.8.8.8" + b} {
			for i := range 4 { // a few templates for each text: the others come with another choice
				template := templates[(choice+uint(i)*11)%uint(len(templates))]
				innocent(t, m, template, hosts[(choice/7)%3], text)
			}
		}
	})
}

// FuzzForgedByGrammar is the same with the grammar of forgeries.
func FuzzForgedByGrammar(f *testing.F) {
	m := sshd(f, Aggressive)
	var lines []string
	for i, template := range templates {
		lines = append(lines, fill(template, forgery.Victim4, "x"), fill(template, forgery.Victim6, "x"))
		if i%8 == 0 {
			f.Add(uint(i), []byte{0, 2, 5, byte(i), 1, 3, 0, 0, 9, 1, 1})
		}
	}
	f.Fuzz(func(t *testing.T, which uint, choices []byte) {
		c := forgery.From(choices)
		host := hosts[c.N(len(hosts))]
		innocent(t, m, templates[which%uint(len(templates))], host, forgery.Text(c, lines))
	})
}

func BenchmarkMatch(b *testing.B) {
	m := sshd(b, Aggressive)
	var messages [][]byte
	size := 0
	for _, r := range records(b) {
		if r.Sink == "journal:syslog" {
			messages = append(messages, []byte(r.Line))
			size += len(r.Line)
		}
	}
	program := func() string { return "sshd" }
	b.SetBytes(int64(size / len(messages)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Match(messages[i%len(messages)], program)
	}
}
