package state

import (
	"reflect"
	"testing"
)

// TestIDs: a history is read by what its decisions are named, so the names stay as they are from
// one version to the next, and nothing that was decided can be another thing under the same one.
func TestIDs(t *testing.T) {
	ban := &Ban{Jail: "sshd", Key: Key(must("203.0.113.1")), Since: T, Until: T + 3600, N: 2}
	banned, unbanned, warning := ban.decision(Banned, T), ban.decision(Unbanned, T+9), Warning(T, "sshd", "text")
	for _, test := range []struct {
		d    Decision
		want string
	}{{banned, "b91c0ba8bd3c59a6fbba"}, {unbanned, "c42d2eafef12811b657f"}, {warning, "8d95b1e2aa933f455702"}} {
		if test.d.ID != test.want {
			t.Errorf("%s is %s, want %s", test.d.Verb, test.d.ID, test.want)
		}
	}
	key, until := Key(must("203.0.113.2")), int64(0)
	for _, test := range []struct {
		name   string
		d      Decision
		change func(*Decision)
		same   bool
	}{
		{"verb", banned, func(d *Decision) { d.Verb = Expired }, false},
		{"jail", banned, func(d *Decision) { d.Jail = "other" }, false},
		{"key", banned, func(d *Decision) { d.Key = &key }, false},
		{"since", banned, func(d *Decision) { d.Since++ }, false},
		{"until", banned, func(d *Decision) { d.Until = &until }, false},
		{"n", banned, func(d *Decision) { d.N++ }, false},
		{"by hand", banned, func(d *Decision) { d.ByHand = true }, false},
		{"a repeated pass tells of a ban later", banned, func(d *Decision) { d.Time++ }, true},
		{"and of its end", ban.decision(Expired, T+3600), func(d *Decision) { d.Time++ }, true},
		{"what an admin does twice is two things", unbanned, func(d *Decision) { d.Time++ }, false},
		{"the text of a ban", banned, func(d *Decision) { d.Text = "x" }, true},
		{"the text of a warning", warning, func(d *Decision) { d.Text = "x" }, false},
	} {
		d := test.d
		if test.change(&d); (d.hash() == test.d.ID) != test.same {
			t.Errorf("%s: %s, before %s", test.name, d.hash(), test.d.ID)
		}
	}
}

func TestBanOfADecision(t *testing.T) {
	ban := &Ban{Jail: "sshd", Key: Key(must("203.0.113.0/24")), Addr: addr("203.0.113.1"), Since: T, Until: T + 3600, Failures: 5, Users: []string{"root"}, N: 2, Rule: "r"}
	d := ban.decision(Banned, T)
	if again, err := d.Ban(); err != nil || !reflect.DeepEqual(again, ban) {
		t.Errorf("%+v, %v", again, err)
	}
	for name, change := range map[string]func(*Decision){
		"another verb": func(d *Decision) { d.Verb = Expired },
		"no key":       func(d *Decision) { d.Key = nil },
		"no end":       func(d *Decision) { d.Until = nil },
		"no address":   func(d *Decision) { d.Address = "x" },
		"of elsewhere": func(d *Decision) { d.Address = "203.0.114.1" },
	} {
		d := ban.decision(Banned, T)
		change(&d)
		if b, err := d.Ban(); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// TestPriorCountsOnce: a ban that is told of twice, as by a repeated pass, is one.
func TestPriorCountsOnce(t *testing.T) {
	p, key := NewPrior(), Key(must("203.0.113.1"))
	for range 2 {
		p.Add("sshd", key, T)
		p.Add("sshd", key, T+10)
		p.Add("other", key, T)
	}
	for _, test := range []struct {
		from, to int64
		across   bool
		want     int
	}{{T - 1, T + 11, false, 2}, {T - 1, T + 11, true, 3}, {T, T + 11, true, 1}, {T - 1, T + 10, false, 1}} {
		if n := p.Count("sshd", key, test.from, test.to, test.across); n != test.want {
			t.Errorf("%+v: %d", test, n)
		}
	}
}
