package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func findings() Findings {
	var f Findings
	f.Fail("jail sshd: ports", "a ban closes 22, and sshd listens on 2222 too: who is banned goes on there", `in [jail.sshd] of /etc/scan2ban/scan2ban.toml write ports = ["ssh", 2222]`)
	f.OK("configuration", "/etc/scan2ban/scan2ban.toml, 1 jail")
	f.Warn("jail sshd", "few lines are understood", "scan2ban match sshd", "Failed \x1b[31mpassword "+strings.Repeat("o", 100), "second")
	f.Note("journal namespace audit-of-a-long-name", "has a journal of its own, which is not read")
	f.OK("nftables", "")
	f.Fail("state", "open /var/lib/scan2ban: permission denied\nand another", "run as root")
	return f
}

func TestFindingsText(t *testing.T) {
	var out bytes.Buffer
	if err := findings().Write(&out, false); !errors.Is(err, ErrFound) || !strings.HasPrefix(err.Error(), "2 findings") {
		t.Errorf("the error is %v", err)
	}
	want := `ok       configuration               /etc/scan2ban/scan2ban.toml, 1 jail
ok       nftables

note     journal namespace audit-of-a-long-name
                                     has a journal of its own, which is not read

warning  jail sshd                   few lines are understood
                                     | Failed \x1b[31mpassword oooooooooooooooooooooooooooooooooooo…
                                     | second
                                     -> scan2ban match sshd

error    jail sshd: ports            a ban closes 22, and sshd listens on 2222 too: who is banned
                                     goes on there
                                     -> in [jail.sshd] of /etc/scan2ban/scan2ban.toml write ports =
                                        ["ssh", 2222]
error    state                       open /var/lib/scan2ban: permission denied
                                     and another
                                     -> run as root

2 errors, 1 warning, 1 note.
`
	if out.String() != want {
		t.Errorf("says\n%swant\n%s", out.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > widest {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

func TestFindingsJSON(t *testing.T) {
	var out bytes.Buffer
	if err := findings().Write(&out, true); !errors.Is(err, ErrFound) {
		t.Errorf("the error is %v", err)
	}
	var got struct{ Findings []Finding }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	last := got.Findings[len(got.Findings)-1]
	if len(got.Findings) != 6 || last.Level != Fatal || last.Remedy != "run as root" {
		t.Errorf("%+v", got.Findings)
	}
	out.Reset()
	if err := (Findings)(nil).Write(&out, true); err != nil || out.String() != "{\"findings\":[]}\n" {
		t.Errorf("nothing found: %q, %v", out.String(), err)
	}
}
