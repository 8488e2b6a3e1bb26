package state

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// outcome is what the split law holds to be the same however a log is cut.
type outcome struct {
	jail         string
	key          string
	since, until int64
	n            int
}

func outcomes(decisions []Decision) (list []outcome) {
	for _, d := range decisions {
		if d.Verb == Banned {
			list = append(list, outcome{d.Jail, d.Key.String(), d.Since, *d.Until, d.N})
		}
	}
	return list
}

// someRules draws the policies of two jails and of a recidive one.
func someRules(t *rapid.T) map[string]*Rules {
	rules := map[string]*Rules{}
	for _, name := range []string{"one", "two", "again"} {
		p := DefaultPolicy()
		p.MaxRetry = rapid.IntRange(1, 4).Draw(t, "maxretry")
		p.FindTime = Duration(time.Duration(rapid.IntRange(1, 60).Draw(t, "findtime")) * time.Second)
		p.BanTime = Duration(time.Duration(rapid.IntRange(1, 90).Draw(t, "bantime")) * time.Second)
		if rapid.IntRange(0, 9).Draw(t, "permanent") == 0 {
			p.BanTime = Permanent
		}
		p.MaxTracked = rapid.SampledFrom([]int{2, 3, 1000}).Draw(t, "max_tracked")
		p.Forgive = rapid.Bool().Draw(t, "forgive")
		p.Spare = Duration(time.Duration(rapid.SampledFrom([]int{0, 0, 20}).Draw(t, "spare")) * time.Second)
		p.Escalation = Escalation{Factor: rapid.SampledFrom([]float64{0, 1.5, 2}).Draw(t, "factor"),
			Max: Duration(300 * time.Second), Jitter: Duration(rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "jitter")),
			AcrossJails: rapid.Bool().Draw(t, "across")}
		if p.Subnets.Count = rapid.SampledFrom([]int{0, 2, 3}).Draw(t, "subnets"); p.Subnets.Count > 0 {
			p.Subnets.IPv4 = rapid.IntRange(29, 31).Draw(t, "network")
		}
		rules[name] = &Rules{Policy: p, Reach: DefaultReach(), Ignored: NewIgnored(), Ledger: name == "again"}
		if rapid.IntRange(0, 4).Draw(t, "ignored") == 0 {
			rules[name].Ignored.Add(must("203.0.113.0"), "ignoreip")
		}
	}
	return rules
}

// someEvents draws a log in time order.
func someEvents(t *rapid.T) []Event {
	second := int64(1_700_000_000)
	var events []Event
	for range rapid.IntRange(1, 120).Draw(t, "events") {
		second += int64(rapid.SampledFrom([]int{0, 0, 1, 2, 5, 30, 700}).Draw(t, "pause"))
		e := Event{Failure: Failure{Jail: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "jail"),
			Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(rapid.IntRange(1, 4).Draw(t, "addr"))}),
			Time: second, Weight: rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "weight"), User: rapid.SampledFrom([]string{"", "root"}).Draw(t, "user"), Rule: "r"}}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			e.Kind = KindSuccess
		case 1:
			e.Kind, e.Rule, e.Session = KindMark, "mark", "b/1"
		case 2:
			e.Session, e.After = "b/1", "mark"
		case 3:
			e.Session, e.Once = fmt.Sprint("b/", rapid.IntRange(1, 3).Draw(t, "pid")), true
		case 4, 5:
			e.Session, e.Stage = fmt.Sprint("b/", rapid.IntRange(1, 3).Draw(t, "pid")), rapid.IntRange(1, 3).Draw(t, "stage")
		}
		events = append(events, e)
	}
	return events
}

// judged runs the events in passes that end before the given places. Between
// two passes the state goes through its file form, and n comes from the history.
func judged(t *rapid.T, rules map[string]*Rules, maxLedger int, events []Event, cuts []int) []Decision {
	state, prior, all := New(), NewPrior(), []Decision(nil)
	from := 0
	for _, to := range append(cuts, len(events)) {
		history := NewPrior()
		for key, b := range prior.first {
			history.Add(b.jail, key, b.since)
		}
		for key, bans := range prior.more {
			for _, b := range bans {
				history.Add(b.jail, key, b.since)
			}
		}
		j := NewJudge(state, rules, Options{Memory: Duration(2000 * time.Second), MaxLedger: maxLedger}, func() (*Prior, error) { return history, nil })
		for _, e := range events[from:to] {
			j.Event(e)
			state.Sources.Journal = &JournalPosition{Time: e.Time * 1e6}
		}
		if to > 0 {
			j.Finish(events[to-1].Time+int64(len(cuts)), nil)
		}
		for _, d := range j.Decisions {
			if d.Verb == Banned {
				prior.Add(d.Jail, *d.Key, d.Since)
			}
		}
		all = append(all, j.Decisions...)
		if to > 0 { // what the kernel holds changes no ban
			state.Enforced(events[to-1].Time, to%2 == 0, nil)
		}
		again, err := Decode(state.Encode())
		if err != nil {
			t.Fatal(err)
		}
		state, from = again, to
	}
	return all
}

func TestSplitLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, events := someRules(t), someEvents(t)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(events)), 0, 6).Draw(t, "cuts")
		slices.Sort(cuts)
		maxLedger := rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "max_ledger")
		whole := outcomes(judged(t, rules, maxLedger, events, nil))
		cut := outcomes(judged(t, rules, maxLedger, events, cuts))
		if !slices.Equal(whole, cut) {
			t.Fatalf("in one pass %v\ncut at %v  %v", whole, cuts, cut)
		}
	})
}

// TestSplitLawOfTwoSources: jails of two sources, of which now and then one cannot be read: what
// it holds comes with a later pass, while the other has gone on.
func TestSplitLawOfTwoSources(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, events := someRules(t), someEvents(t)
		delete(rules, "again") // between jails the order of failures counts
		for _, r := range rules {
			r.Escalation.AcrossJails = false
			if r.Subnets.Count > 0 { // and log-ins in one speak for networks in the other
				events = slices.DeleteFunc(events, func(e Event) bool { return e.Kind == KindSuccess })
			}
		}
		if len(events) == 0 {
			return
		}
		options := Options{Memory: Duration(2000 * time.Second)}
		var all [2][]Decision // in one pass, and in several
		for i, cuts := range [][]int{nil, rapid.SliceOfN(rapid.IntRange(1, len(events)), 1, 6).Draw(t, "cuts")} {
			state, prior := New(), NewPrior()
			state.Sources.Journal, state.Sources.Logs = &JournalPosition{}, &LogPosition{}
			position := map[string]*int64{"one": &state.Sources.Journal.Time, "two": &state.Sources.Logs.Time}
			waiting := map[string][]Event{}
			slices.Sort(cuts)
			from := 0
			for _, to := range append(cuts, len(events)) {
				for _, e := range events[from:to] {
					waiting[e.Jail] = append(waiting[e.Jail], e)
				}
				from = to
				now := events[to-1].Time
				j := NewJudge(state, rules, options, func() (*Prior, error) { return prior, nil })
				for _, jail := range []string{"one", "two"} {
					unread := waiting[jail]
					if to < len(events) && len(unread) > 0 && now-unread[0].Time < rules[jail].Span(options.Memory.Seconds()) && rapid.Bool().Draw(t, "fails") {
						j.Behind[jail] = *position[jail] / 1e6
						continue
					}
					for _, e := range unread {
						j.Event(e)
						*position[jail] = e.Time * 1e6
					}
					waiting[jail] = nil
				}
				j.Finish(now, nil)
				all[i] = append(all[i], j.Decisions...)
				again, err := Decode(state.Encode())
				if err != nil {
					t.Fatal(err)
				}
				state = again
				position = map[string]*int64{"one": &state.Sources.Journal.Time, "two": &state.Sources.Logs.Time}
			}
		}
		for _, jail := range []string{"one", "two"} {
			of := func(list []outcome) []outcome {
				return slices.DeleteFunc(list, func(o outcome) bool { return o.jail != jail })
			}
			if whole, cut := of(outcomes(all[0])), of(outcomes(all[1])); !slices.Equal(whole, cut) {
				t.Fatalf("jail %s in one pass %v\nin several %v", jail, whole, cut)
			}
		}
	})
}

// TestAgainstSlowModel compares the judging with a direct reading of the rule:
// a failure at t bans when the weights in (t - findtime, t] reach maxretry, since
// the end of the key's last ban's beginning; inside a ban nothing is counted. A network is
// banned when that many of its addresses were, since its last ban and within findtime.
func TestAgainstSlowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := someRules(t)
		delete(rules, "again")
		for _, r := range rules {
			r.MaxTracked, r.Forgive, r.Spare, r.Escalation = 1000, false, 0, Escalation{}
		}
		var events []Event
		for _, e := range someEvents(t) {
			if e.Kind == KindFailure && e.Session == "" {
				events = append(events, e)
			}
		}
		var want []outcome
		type place struct {
			jail string
			addr netip.Addr
		}
		last := map[place]outcome{}
		late := make([]bool, len(events)) // came inside a ban
		inside := func(ban outcome, banned bool, t int64) bool {
			return banned && (ban.until == 0 || t < ban.until)
		}
		for i, e := range events {
			r, at := rules[e.Jail], place{e.Jail, e.Addr}
			net := place{e.Jail, netip.PrefixFrom(e.Addr, r.Subnets.IPv4).Masked().Addr()}
			net.jail += "/"
			ban, banned := last[at]
			netBan, netBanned := last[net]
			if late[i] = inside(ban, banned, e.Time) || inside(netBan, netBanned, e.Time); late[i] {
				continue
			}
			sum := 0
			for k, f := range events[:i+1] {
				before := banned && f.Time <= ban.since
				if f.Jail == e.Jail && f.Addr == e.Addr && f.Time > e.Time-r.FindTime.Seconds() && !late[k] && !before {
					sum += f.Weight
				}
			}
			if sum < r.MaxRetry {
				continue
			}
			b := outcome{e.Jail, e.Addr.String(), e.Time, e.Time + r.BanTime.Seconds(), ban.n + 1}
			if r.BanTime == Permanent {
				b.until = 0
			}
			last[at] = b
			want = append(want, b)
			if r.Subnets.Count == 0 || r.Ignored.entries[netip.MustParsePrefix("203.0.113.0/32")] != "" && net.addr == netip.MustParseAddr("203.0.113.0") {
				continue
			}
			members := map[string]bool{}
			for _, m := range want {
				a, err := netip.ParseAddr(m.key)
				if err == nil && m.jail == e.Jail && netip.PrefixFrom(a, r.Subnets.IPv4).Masked().Addr() == net.addr &&
					m.since > e.Time-r.FindTime.Seconds() && (!netBanned || m.since > netBan.since) {
					members[m.key] = true
				}
			}
			if len(members) >= r.Subnets.Count {
				b.key = fmt.Sprint(net.addr, "/", r.Subnets.IPv4)
				last[net] = b
				want = append(want, b)
			}
		}
		for i := range want { // n counts within memory only
			want[i].n = 0
		}
		got := outcomes(judged(t, rules, 0, events, nil))
		for i := range got {
			got[i].n = 0
		}
		if !slices.Equal(want, got) {
			t.Fatalf("model %v\njudge %v", want, got)
		}
	})
}
