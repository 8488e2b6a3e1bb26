package jail

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestPolicyKeys: a key that is taken changes how a jail is judged, and any other is refused.
func TestPolicyKeys(t *testing.T) {
	c, err := Load(write(t, map[string]string{"scan2ban.toml": "[defaults]\nescalation = { factor = 2, max = \"1w\" }\n[jail.sshd]\nenabled = true\n"}))
	if err != nil {
		t.Fatal(err)
	}
	rules := c.setup(nil, nil).Rules
	taken := []string{"maxretry=3", "findtime=2h", "bantime=permanent", "ipv4_prefix=24", "ipv6_prefix=56", "forgive=true", "spare=7d", "nat64=2001:db8:64::/96", "max_tracked=10",
		"escalation.factor=3", "escalation.max=2w", "escalation.jitter=60", "escalation.across_jails=true", "subnets.count=5,subnets.ipv4=24", "subnets.count=5,subnets.ipv6=48"}
	for _, text := range taken {
		list, err := c.Policies(rules, []string{text}, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if reflect.DeepEqual(list[0].Rules["sshd"], list[1].Rules["sshd"]) {
			t.Errorf("%s changes nothing", text)
		}
	}
	for _, key := range policyKeys {
		if !slices.ContainsFunc(taken, func(text string) bool { return strings.Contains(text, key+"=") }) {
			t.Errorf("%s is not tried", key)
		}
	}
	for text, want := range map[string]string{
		"maxrety=3": `(did you mean "maxretry"?)`, "escalation.jiter=1m": `(did you mean "escalation.jitter"?)`, "mode=extra": "unknown key", "instant=x": "",
		"findtime=5x": `--policy "findtime=5x": findtime: "5x" is not a duration`, "findtime=2h,maxretry=x": `": maxretry: incompatible types`, "a..b=3": "unexpected '.'",
		"ignoreip=192.0.2.1": "whom to ignore", "maxretry=3,ignoreip=192.0.2.0/24": "whom to ignore", "ignorefile=/etc/hosts": "whom to ignore", "ignoreself=false": "whom to ignore",
	} {
		if _, err := c.Policies(rules, []string{text}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
