package past

import (
	"net/netip"
	"testing"
	"time"

	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/report"
)

// TestOver: when a ban ended, and how.
func TestOver(t *testing.T) {
	at := func(second int64) *int64 { return &second }
	for _, c := range []struct {
		end        state.Decision
		ended, how string
	}{
		{state.Decision{Verb: state.Banned, Time: 1000, Until: at(5000)}, report.UTC(5000), "expiry"}, // nothing but its time ended it
		{state.Decision{Verb: state.Expired, Time: 5003, Until: at(5000)}, report.UTC(5000), "expiry"},
		{state.Decision{Verb: state.Unbanned, Time: 2000, Until: at(5000)}, report.UTC(2000), "unban"},
		{state.Decision{Verb: state.Released, Time: 2000, Until: at(0), Text: "ignored now"}, report.UTC(2000), "release: ignored now"},
		{state.Decision{Verb: state.Banned, Time: 1000, Until: at(0)}, report.UTC(1000), "expiry"}, // for ever: no end to be told
	} {
		var w report.WhyJail
		if over(&w, &c.end); w.State != report.IsOver || w.Ended != c.ended || w.How != c.how {
			t.Errorf("%+v: %s, %s, %q; want %s, %q", c.end, w.State, w.Ended, w.How, c.ended, c.how)
		}
	}
}

// TestForgiven: an unban is told of until a ban of later has ended.
func TestForgiven(t *testing.T) {
	addr := netip.MustParseAddr("203.0.113.7")
	key := state.Key(state.Single(addr))
	network := state.Key{Prefix: netip.MustParsePrefix("203.0.113.0/24")}
	p := &pass.Pass{Setup: pass.Setup{Now: time.Unix(begin, 0), Rules: rules(5, time.Hour, time.Hour)}, Ledger: state.New()}
	p.Judge = state.NewJudge(p.Ledger, p.Rules, state.DefaultOptions(), nil)
	p.Ledger.Jail("sshd").Pardons[key] = begin - 1000
	ended := func(key *state.Key, second int64) *state.Decision {
		return &state.Decision{Verb: state.Expired, Time: second, Until: &second, Key: key}
	}
	for name, c := range map[string]struct {
		end, network *state.Decision
		want         string
	}{
		"never banned":     {nil, nil, report.IsPardoned},
		"banned before":    {ended(&key, begin-1000), ended(&network, begin-2000), report.IsPardoned},
		"banned after":     {ended(&key, begin-500), nil, report.IsOver},
		"its network, too": {ended(&key, begin-2000), ended(&network, begin-500), report.IsOver},
		"that alone":       {nil, ended(&network, begin-500), report.IsOver},
	} {
		if w := inJail(p, "sshd", addr, c.end, c.network); w == nil || w.State != c.want {
			t.Errorf("%s: %+v, want %s", name, w, c.want)
		}
	}
}
