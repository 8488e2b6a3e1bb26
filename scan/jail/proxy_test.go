package jail

import (
	"strings"
	"testing"

	"scan2ban/scan/filter"
)

const ownFilter = `description = "test"
ports = ["http"]
[file]
paths = ["/var/log/test.log"]
[[rule]]
name    = "refused"
pattern = '^refused <ADDR>(?: "<FORWARDED>")?$'
[[rule]]
name    = "accepted"
kind    = "success"
pattern = '^accepted <ADDR>$'
`

func TestTrustedProxies(t *testing.T) {
	for proxies, want := range map[string]struct {
		enforce, note bool
		blamed        string
	}{
		`["127.0.0.1", "::1"]`:                       {true, false, ""},
		`["10.0.0.0/8"]`:                             {false, true, "203.0.113.1"},
		"[\"10.0.0.0/8\"]\nenforce = true":           {true, false, "203.0.113.1"},
		"[\"10.0.0.0/8\", \"::1\"]\nenforce = false": {false, false, "203.0.113.1"},
	} {
		c, err := Load(write(t, map[string]string{"filters/test.toml": ownFilter, "scan2ban.toml": "[jail.test]\nenabled = true\ntrusted_proxies = " + proxies + "\n"}))
		if err != nil || len(c.Jails) != 1 {
			t.Fatal(err, c.Broken)
		}
		j := c.Jails[0]
		noted := strings.Contains(strings.Join(c.Notes, "\n"), "not laid in this host's firewall")
		v := j.Matcher.Match([]byte(`refused 10.1.2.3 "8.8.8.8, 203.0.113.1"`), nil)
		if want.blamed != "" && v.Addr.String() != want.blamed || want.blamed == "" && v.Addr.String() != "10.1.2.3" {
			t.Errorf("%s: blames %s (%s)", proxies, v.Addr, v.Reason)
		}
		if j.Enforce != want.enforce || noted != want.note {
			t.Errorf("%s: enforce %v, note %v", proxies, j.Enforce, noted)
		}
		if v := j.Matcher.Match([]byte(`refused 203.0.113.9 "8.8.8.8"`), nil); v.Kind != filter.Failure || v.Addr.String() != "203.0.113.9" {
			t.Errorf("%s: one who comes without the proxy: %s %s", proxies, v.Kind, v.Addr)
		}
	}
	if _, err := Load(write(t, map[string]string{"scan2ban.toml": "[defaults]\ntrusted_proxies = [\"10.0.0.1\"]\n"})); err == nil || !strings.Contains(err.Error(), "scan2ban.toml:2: trusted_proxies belongs into [jail.NAME]") {
		t.Errorf("in [defaults]: %v", err)
	}
}

func TestInstant(t *testing.T) {
	for text, want := range map[string]string{
		`["refused"]`:  "",
		`["refusd"]`:   `scan2ban.toml:3: jail "test": filter "test" has no rule "refusd" that is a failure (did you mean "refused"?)`,
		`["accepted"]`: `no rule "accepted" that is a failure`,
	} {
		c, err := Load(write(t, map[string]string{"filters/test.toml": ownFilter, "scan2ban.toml": "[jail.test]\nenabled = true\ninstant = " + text + "\n"}))
		if err != nil {
			t.Fatal(err)
		}
		switch broken := c.Broken["test"]; {
		case want == "" && (broken != nil || len(c.Jails) != 1 || c.Jails[0].Instant[0] != "refused"):
			t.Errorf("%s: %v", text, broken)
		case want != "" && (broken == nil || !strings.Contains(broken.Error(), want)):
			t.Errorf("%s: got %v, want %s", text, broken, want)
		}
	}
}
