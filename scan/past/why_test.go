package past

import (
	"testing"

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
