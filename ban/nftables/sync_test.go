package nftables

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/state"
)

func TestGolden(t *testing.T) {
	web := state.Reach{Ports: []state.Port{{From: 443, To: 443}, {From: 80, To: 80}}, BlockType: state.Reject}
	games := state.Reach{Ports: []state.Port{{From: 6000, To: 6100}, {From: 53, To: 53}}, Protocol: []string{"tcp", "udp"}}
	for name, groups := range map[string][]Group{
		"empty.nft":   {sshd()},
		"default.nft": {sshd(elements(time.Hour, "192.0.2.1", "2001:db8:1:2::/64")...)},
		"all.nft": {
			sshd(append(elements(time.Hour, "192.0.2.1", "192.0.2.2", "2001:db8::/64", "64:ff9b::c000:201"), elements(0, "198.51.100.7")...)...),
			{Name: "nginx-http-auth", Reach: web, IPv4Prefix: 24, IPv6Prefix: 56, Elements: elements(90*time.Minute,
				"192.0.2.0/24", "198.51.100.9", "2001:db8:0:100::/56", "2001:db8::1")},
			{Name: "games", Reach: games},
			{Name: "range", Reach: state.Reach{Ports: []state.Port{{From: 1000, To: 2000}}}},
			{Name: "router", Reach: state.Reach{Ports: []state.Port{state.AllPorts}, Forwarded: true}},
			{Name: "polite", Reach: state.Reach{BlockType: state.Reject}},
			{Name: "by-hand", IPv6Prefix: 128, Elements: append(elements(time.Hour, "203.0.113.0/24", "203.0.113.64/26", "2001:db8:ffff::/48", "192.0.2.77"),
				elements(0, "203.0.113.128/25")...)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			private(t)
			r := sync(t, groups, nil, nil)
			golden(t, name, ours(t))
			if r.Memory == nil {
				t.Error("nobody interfered, yet there is no memory")
			}
			if again := sync(t, groups, groups, nil); again.Commits != 0 || !again.Dumped {
				t.Errorf("what was written does not read back as wanted:\n%v", again.Plan)
			}
			g := generation(t)
			if again := sync(t, groups, groups, r.Memory); again.Commits != 0 || again.Dumped || generation(t) != g {
				t.Errorf("an untouched kernel was not left alone:\n%v", again.Plan)
			}
		})
	}
}

// count tells how many elements a set holds, by nft.
func count(t testing.TB, set string) int {
	t.Helper()
	var list struct {
		Nftables []struct {
			Set *struct{ Elem []any }
		}
	}
	if err := json.Unmarshal([]byte(command(t, "nft", "-j", "list", "set", "inet", tableName, set)), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Nftables {
		if o.Set != nil {
			return len(o.Set.Elem)
		}
	}
	return 0
}

// Every element arrives: a message that is too long loses some silently.
func TestHundredThousand(t *testing.T) {
	for name, v6 := range map[string]bool{"sshd4": false, "sshd6": true} {
		t.Run(name, func(t *testing.T) {
			private(t)
			groups := []Group{sshd(many(hundredThousand, v6, time.Hour)...)}
			if r := sync(t, groups, nil, nil); r.Added != hundredThousand || r.Memory == nil {
				t.Fatalf("added %d, memory %v", r.Added, r.Memory)
			}
			if n := count(t, name); n < hundredThousand*9/10 { // nft may tell too few while the hash table grows
				t.Errorf("nft sees %d", n)
			}
			k, err := Dump(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(k.Elements) != hundredThousand {
				t.Fatalf("%d elements, not %d", len(k.Elements), hundredThousand)
			}
			got := map[state.Key]bool{}
			for _, e := range k.Elements {
				got[e.Key] = true
				if e.Group != "sshd" || e.Left < 50*time.Minute || e.Left > time.Hour {
					t.Fatalf("%+v", e)
				}
			}
			for _, e := range groups[0].Elements {
				if !got[e.Key] {
					t.Fatalf("%v is missing", e.Key)
				}
			}
		})
	}
}

// unordered is a table with its sets sorted: one that was made anew comes last.
func unordered(table string) string {
	parts := strings.Split(strings.TrimPrefix(table, "table inet scan2ban {\n"), "\n\n")
	slices.Sort(parts)
	return strings.Join(parts, "\n\n")
}

// lessThan1h is what is left of an hour after some seconds, as nft writes it.
var lessThan1h = regexp.MustCompile(`timeout 59m5\d\w*`)

// later are the groups when so much time has passed.
func later(groups []Group, passed time.Duration) []Group {
	groups = slices.Clone(groups)
	for i := range groups {
		groups[i].Elements = slices.Clone(groups[i].Elements)
		for j := range groups[i].Elements {
			if e := &groups[i].Elements[j]; e.Left > 0 {
				e.Left -= passed
			}
		}
	}
	return groups
}

// What a stranger did to our table is mended, and what it costs is known.
func TestRepair(t *testing.T) {
	groups := []Group{
		sshd(append(elements(time.Hour, "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8:1:2::/64"), elements(0, "192.0.2.4")...)...),
		{Name: "by-hand", Elements: elements(time.Hour, "203.0.113.0/24", "198.51.100.1")},
		{Name: "web", Reach: reach("tcp", 80, 443), Elements: elements(time.Hour, "192.0.2.9")},
	}
	for _, c := range []struct {
		name, script string
		repaired     int // -1: any, but some
		commits      int
	}{
		{"nothing", "", 0, 0},
		{"flush ruleset", "flush ruleset", 8 + 1, 2},
		{"one set emptied", "flush set inet scan2ban sshd4", 4, 1},
		{"one element deleted", "delete element inet scan2ban sshd4 { 192.0.2.2 }", 1, 1},
		{"a foreign element", "add element inet scan2ban sshd4 { 8.8.8.8 }", 1, 1},
		{"a foreign element for a while", "add element inet scan2ban sshd6 { 2001:db8:9:: timeout 1h }", 1, 1},
		{"an element with another end", "delete element inet scan2ban sshd4 { 192.0.2.2 }; add element inet scan2ban sshd4 { 192.0.2.2 timeout 2h }", 1, 1},
		{"an element for ever", "delete element inet scan2ban sshd4 { 192.0.2.2 }; add element inet scan2ban sshd4 { 192.0.2.2 }", 1, 1},
		{"a permanent one made to end", "delete element inet scan2ban sshd4 { 192.0.2.4 }; add element inet scan2ban sshd4 { 192.0.2.4 timeout 1h }", 1, 1},
		{"a range deleted", "flush set inet scan2ban by-hand4_net", 1, 1},
		{"a foreign range", "add element inet scan2ban by-hand4_net { 10.0.0.0/8 }", 1, 1},
		{"chain removed", "flush chain inet scan2ban prerouting; delete chain inet scan2ban prerouting", 1, 1},
		{"chain emptied", "flush chain inet scan2ban prerouting", 1, 1},
		{"a foreign rule first", "insert rule inet scan2ban prerouting accept", 1, 1},
		{"a foreign rule last", "add rule inet scan2ban prerouting tcp dport 22 drop", 1, 1},
		{"the policy", "chain inet scan2ban prerouting { policy drop; }", 1, 1},
		{"a set removed with its rules", "flush chain inet scan2ban prerouting; delete set inet scan2ban sshd4", 4 + 2, 2},
		{"a set with other flags", "flush chain inet scan2ban prerouting; delete set inet scan2ban sshd4; add set inet scan2ban sshd4 { type ipv4_addr; flags interval; }", 4 + 2, 1},
		{"a set with another key", "flush chain inet scan2ban prerouting; delete set inet scan2ban sshd4; add set inet scan2ban sshd4 { type inet_service; }", 4 + 2, 1},
		{"chain of another priority", "flush chain inet scan2ban prerouting; delete chain inet scan2ban prerouting; add chain inet scan2ban prerouting { type filter hook prerouting priority 0; }", -1, 1},
		{"chain that is no base chain", "flush chain inet scan2ban prerouting; delete chain inet scan2ban prerouting; add chain inet scan2ban prerouting", -1, 1},
		{"a set with a default timeout", `flush chain inet scan2ban prerouting; delete set inet scan2ban sshd4; add set inet scan2ban sshd4 { type ipv4_addr; flags timeout; timeout 1m; counter; comment "sshd /32"; }`, 4 + 2, 1},
		{"table asleep", "add table inet scan2ban { flags dormant; }", -1, 1},
		{"a set no jail has", `add set inet scan2ban old4 { type ipv4_addr; flags timeout; comment "old /32"; }`, 1, 1},
		{"such a set in use", `add set inet scan2ban old4 { type ipv4_addr; flags timeout; comment "old /32"; }; add chain inet scan2ban mine; add rule inet scan2ban mine ip saddr @old4 drop`, -1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			private(t)
			begun := time.Now()
			memory := sync(t, groups, nil, nil).Memory
			want := ours(t)
			if c.script != "" {
				nft(t, strings.NewReplacer("; add", "\nadd", "; delete", "\ndelete").Replace(c.script)+"\n")
			}
			now := later(groups, time.Since(begun))
			r := sync(t, now, now, memory)
			if r.Dumped != (c.script != "") {
				t.Errorf("dumped: %v", r.Dumped)
			}
			if c.repaired >= 0 && r.Repaired != c.repaired || c.repaired < 0 && r.Repaired == 0 || r.Added+r.Removed != 0 || r.Commits != c.commits {
				t.Errorf("repaired %d, added %d, removed %d in %d commits; want %d, 0, 0 in %d\n%v",
					r.Repaired, r.Added, r.Removed, r.Commits, c.repaired, c.commits, r.Plan)
			}
			if got := lessThan1h.ReplaceAllString(ours(t), "timeout 1h"); unordered(got) != unordered(want) {
				t.Errorf("mended to\n%s\nwant\n%s", got, want)
			}
			if r.Memory == nil {
				t.Fatal("no memory")
			}
			if again := sync(t, groups, groups, r.Memory); again.Dumped || again.Commits != 0 {
				t.Errorf("the pass after: %+v", again)
			}
		})
	}
}

// A rule of ours that was altered in its smallest part is noticed.
func TestAlteredRules(t *testing.T) {
	groups := []Group{sshd(), {Name: "web", Reach: state.Reach{BlockType: state.Reject, Ports: []state.Port{{From: 80, To: 80}, {From: 443, To: 444}}}}}
	for _, c := range []struct{ find, put string }{
		{"dport 22 ip saddr @sshd4 drop", "dport 23 ip saddr @sshd4 drop"},
		{"dport 22 ip saddr @sshd4 drop", "dport 22 ip saddr @sshd4 accept"},
		{"dport 22 ip saddr @sshd4 drop", "dport 22 ip saddr @sshd4 counter drop"},
		{"dport 22 ip saddr @sshd4 drop", "dport 22 ip saddr != @sshd4 drop"},
		{"dport 22 ip saddr @sshd4 drop", "dport 22 ip saddr @web4 drop"},
		{"dport 22 ip saddr @sshd4 drop", "dport 22 ip daddr @sshd4 drop"},
		{"tcp dport 22 ip saddr @sshd4 drop", "udp dport 22 ip saddr @sshd4 drop"},
		{"ffff:ffff:ffff:ffff:: == @sshd6", "ffff:ffff:ffff:ff00:: == @sshd6"},
		{"{ 80, 443-444 } ip saddr", "{ 80, 443-445 } ip saddr"},
		{"{ 80, 443-444 } ip saddr", "{ 80, 443 } ip saddr"},
		{"ip saddr @web4 reject with tcp reset", "ip saddr @web4 reject"},
		{"ct direction reply", "ct direction original"},
		{"fib daddr type != local", "fib daddr type != broadcast"},
		{"fib daddr type != local", "fib saddr type != local"},
		{"133-136", "133-137"},
		{`iif "lo"`, `oif "lo"`},
	} {
		t.Run(c.put, func(t *testing.T) {
			private(t)
			memory := sync(t, groups, nil, nil).Memory
			want := ours(t)
			altered := strings.Replace(want, c.find, c.put, 1)
			if altered == want {
				t.Fatalf("%q is not in\n%s", c.find, want)
			}
			if strings.Contains(c.put, "oif") { // not to be had in prerouting
				altered = strings.Replace(want, c.find, "iif != \"lo\"", 1)
			}
			nft(t, "delete table inet scan2ban\n"+altered)
			r := sync(t, groups, groups, memory)
			if r.Repaired == 0 || r.Commits != 1 {
				t.Errorf("repaired %d in %d commits:\n%v", r.Repaired, r.Commits, r.Plan)
			}
			if got := lessThan1h.ReplaceAllString(ours(t), "timeout 1h"); unordered(got) != unordered(want) {
				t.Errorf("mended to\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What a reading of a moving hash table left out is asked for by name, so that it
// is neither called a repair nor put in twice.
func TestConfirm(t *testing.T) {
	private(t)
	groups := []Group{sshd(many(100, false, time.Hour)...)}
	sync(t, groups, nil, nil)
	want, err := arrange(append(groups[:0:0], sshd(many(101, false, time.Hour)...)), 0)
	if err != nil {
		t.Fatal(err)
	}
	want.fill()
	l, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	live, err := l.readTable()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range live.sets {
		s.elements = s.elements[:len(s.elements)/2]
	}
	if err := l.confirm(live, want); err != nil {
		t.Fatal(err)
	}
	p := planFromKernel(live, nil, want, false)
	if len(p.Changes) != 1 || len(p.Changes[0].Add) != 1 || p.Changes[0].Add[0].From.String() != "10.0.0.100" {
		t.Errorf("%v", p)
	}
}
