package fail2ban

import (
	"slices"
	"strings"
	"testing"
)

// TestEscalation: what of bantime.* becomes an escalation, and what is noted where.
// A line of left is "LINE: how it begins".
func TestEscalation(t *testing.T) {
	const counted = "2: bantime.increment: a failure"
	for _, c := range []struct {
		about, options, want string
		left                 []string
	}{
		{"off", "bantime.increment = false\nbantime.factor = 3", "", nil},
		{"alone", "bantime.increment = true", "{ factor = 2 }", []string{counted}},
		{"all that there is", "bantime.increment = true\nbantime.maxtime = 5w\nbantime.rndtime = 10m\nbantime.overalljails = yes\nbantime.factor = 1",
			`{ factor = 2, max = '5w', jitter = '10m', across_jails = true }`, []string{counted, "4: bantime.rndtime: a first"}},
		{"a factor shifts all but the first", "bantime.increment = true\nbantime.factor = 3", "{ factor = 2 }", []string{counted, "3: bantime.factor = 3: no factor"}},
		{"a factor that reaches the limit at once", "bantime.increment = true\nbantime.factor = 3\nbantime.maxtime = 1h", `{ factor = 6, max = '1h' }`, []string{counted}},
		{"a factor that is computed", "bantime.increment = true\nbantime.factor = 2.0 / math.exp(1)", "{ factor = 2 }", []string{counted, "3: bantime.factor = 2.0 / math.exp(1) is no"}},
		{"multipliers", "bantime.increment = true\nbantime.multipliers = 1 2 4 8 16 32 64", `{ factor = 2, max = '640m' }`, []string{counted}},
		{"multipliers with a lower limit", "bantime.increment = true\nbantime.multipliers = 1 3 9\nbantime.maxtime = 1h", `{ factor = 3, max = '1h' }`, []string{counted}},
		{"multipliers of no factor", "bantime.increment = true\nbantime.multipliers = 1 5 30 60 300 720 1440 2880", "{ factor = 2 }", []string{counted, "3: bantime.multipliers = 1 5 30"}},
		{"multipliers that do nothing", "bantime.increment = true\nbantime.multipliers = 1", "", []string{counted}},
		{"the formula that is there anyway", "bantime.increment = true\nbantime.formula = ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor", "{ factor = 2 }", []string{counted}},
		{"the formula of the example", "bantime.increment = true\nbantime.formula = ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)\nbantime.factor = 0.5",
			"{ factor = 1.6487212707001282 }", []string{counted}},
		{"another formula", "bantime.increment = true\nbantime.formula = ban.Time * 7", "{ factor = 2 }", []string{counted, "3: bantime.formula = ban.Time * 7"}},
		{"no time", "bantime.increment = true\nbantime.maxtime = soon", "{ factor = 2 }", []string{counted, "3: bantime.maxtime = soon is no time"}},
	} {
		got, left := section(t, c.options)
		if got["escalation"] != c.want || !begin(left, c.left) {
			t.Errorf("%s: got %s\n%s\nwant %s\n%s", c.about, got["escalation"], strings.Join(left, "\n"), c.want, strings.Join(c.left, "\n"))
		}
	}
}

func TestIgnored(t *testing.T) {
	for _, c := range []struct {
		about, options, want string
		left                 []string
	}{
		{"addresses", "ignoreip = 127.0.0.1/8 ::1, 192.0.2.1", "['127.0.0.1/8', '::1', '192.0.2.1']", nil},
		{"the host's own name", "ignoreip = LocalHost 127.0.0.1/8 ip6-loopback", "['127.0.0.1/8', '::1']", nil},
		{"a name", "ignoreip = 192.0.2.1\n  mail.example.com", "['192.0.2.1']", []string{"2: ignoreip mail.example.com: it is no address"}},
	} {
		got, left := section(t, c.options)
		if got["ignoreip"] != c.want || !begin(left, c.left) {
			t.Errorf("%s: got %s\n%s", c.about, got["ignoreip"], strings.Join(left, "\n"))
		}
	}
}

// section imports one jail with the options, and gives its keys and what is left of it.
func section(t *testing.T, options string) (keys map[string]string, left []string) {
	dir := lay(t, map[string]string{
		"jail.conf":       "[x]\n" + options + "\nenabled = true\nbantime = 10m\naction = nftables\n",
		"filter.d/x.conf": "[Definition]\nfailregex = ^bad <HOST>$\n",
	})
	r, err := Options{Dir: dir}.Read()
	if err != nil {
		t.Fatal(err)
	}
	keys = map[string]string{}
	for line := range strings.Lines(r.Config) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			keys[key] = value
		}
	}
	for _, l := range r.Left {
		if l.Where == "" { // of filters in general
			continue
		}
		left = append(left, l.Where[strings.LastIndexByte(l.Where, ':')+1:]+": "+l.What)
	}
	return keys, left
}

func begin(got, want []string) bool {
	return slices.EqualFunc(got, want, strings.HasPrefix)
}
