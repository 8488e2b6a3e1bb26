package past

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/journal"
	"scan2ban/scan/pass"
	"scan2ban/state"
	"scan2ban/state/order"
	"scan2ban/state/report"
)

// mostLines is how many lines of a log are shown of one jail, the latest.
const mostLines = 50

// Why tells of an address what each jail makes of it and what it has written to the log.
// The pass has read its sources and will not commit. What cannot be read back is among the
// errors; the rest is told.
func Why(ctx context.Context, p *pass.Pass, addr netip.Addr) (*report.Why, error) {
	addr = addr.Unmap().WithZone("")
	w := &report.Why{Address: addr.String(), Never: !state.Countable(addr), Jails: []report.WhyJail{}}
	ends, networks, banned, err := decided(p, addr)
	names, _ := p.Jails(nil)
	if !slices.Contains(names, state.ByHand) { // the ledger forgets it with its last ban
		names = append(names, state.ByHand)
	}
	w.Lists = p.Listed(addr)
	from := p.Now.Unix()
	var told []*report.WhyJail
	for _, name := range names {
		if why := p.NotJudged(name); why != "" {
			w.NotJudged = append(w.NotJudged, report.NotJudged{Jail: name, Reason: why})
		}
		j := inJail(p, name, addr, ends[name], networks[name])
		if j == nil {
			continue
		}
		if r := p.Rules[name]; r != nil {
			began := p.Now.Unix()
			if j.Ban != nil || j.Network != nil {
				began = j.Since()
			} else if end := ends[name]; end != nil {
				began = end.Since
			}
			from = min(from, began-r.FindTime.Seconds(), p.Now.Unix()-r.FindTime.Seconds())
			if last, err := time.Parse(time.RFC3339, j.Last); err == nil { // older than all that counts
				from = min(from, last.Unix()-r.FindTime.Seconds())
			}
		}
		told = append(told, j)
	}
	from = max(from, p.Now.Unix()-p.State.Memory.Seconds())
	lines, warnings, bad := evidence(ctx, p, addr, from)
	for _, text := range warnings { // a damaged file that an earlier pass has told of may have held its lines
		if !journal.Lacking(text) {
			continue
		}
		same := func(told string) bool { return uncounted(told) == uncounted(text) }
		if !slices.ContainsFunc(p.Warnings, same) {
			p.Warn("%s", text)
		}
	}
	for _, j := range told {
		if j.Lines = lines[j.Jail]; j.Recidive {
			j.Lines = others(p, banned, from)
		}
		if j.More = len(j.Lines) - mostLines; j.More > 0 {
			j.Lines = j.Lines[j.More:]
		}
		j.More = max(j.More, 0)
		w.Jails = append(w.Jails, *j)
	}
	for _, name := range names { // what was given up may have been its lines
		if gave := p.GaveUp(name); gave != "" && (len(told) == 0 || slices.ContainsFunc(told, func(j *report.WhyJail) bool { return j.Jail == name })) {
			p.Warn("jail %q: %s", name, gave)
		}
	}
	for _, known := range p.Errs { // what the pass could not read cannot be read now
		bad = slices.DeleteFunc(bad, func(err error) bool { return err.Error() == known.Error() })
	}
	return w, errors.Join(append(bad, err)...)
}

// decided is what the history says of the address: by jail, the decision that ended its
// last ban, the ban itself where it ended by its own time, the same of its networks; and
// all its own bans.
func decided(p *pass.Pass, addr netip.Addr) (ends, networks map[string]*state.Decision, banned []state.Decision, err error) {
	ends, networks = map[string]*state.Decision{}, map[string]*state.Decision{}
	err = p.History(func(d state.Decision) {
		if d.Key == nil || !d.Key.Contains(addr) {
			return
		}
		switch d.Verb {
		case state.Banned:
			if len(d.Members) > 0 {
				networks[d.Jail] = &d
				break
			}
			banned = append(banned, d)
			ends[d.Jail] = &d
		case state.Expired, state.Released, state.Unbanned:
			of := ends
			if was := networks[d.Jail]; was != nil && *was.Key == *d.Key {
				of = networks
			}
			if was := of[d.Jail]; was != nil {
				d.Since, d.N, d.Until = was.Since, was.N, was.Until
				of[d.Jail] = &d
			}
		}
	})
	return ends, networks, banned, err
}

// others are the bans of other jails since that second: what a recidive jail counts.
func others(p *pass.Pass, banned []state.Decision, since int64) []report.Evidence {
	list := []report.Evidence{}
	for _, d := range banned {
		if r := p.Rules[d.Jail]; d.ByHand || r == nil || r.Ledger || d.Time < since {
			continue
		}
		line := fmt.Sprintf("banned in %s after %s", d.Jail, state.Plural(d.Failures, "failure"))
		list = append(list, report.Evidence{Time: report.UTC(d.Time), Kind: "ban", Rule: "ban in " + d.Jail, Address: d.Address, Weight: 1, Line: line})
	}
	return list
}

// inJail is what one jail makes of the address; nil: nothing.
func inJail(p *pass.Pass, name string, addr netip.Addr, end, network *state.Decision) *report.WhyJail {
	now, jail := p.Now.Unix(), p.Ledger.Jail(name)
	w := &report.WhyJail{Jail: name, Key: addr.String(), Lines: []report.Evidence{}}
	for _, b := range jail.Live(now) {
		if b.Key.Contains(addr) {
			shown := report.FromBan(b)
			shown.Observed, shown.Pending = !jail.Reach.Enforce, p.Pending(b)
			if w.State = report.IsBanned; b.IsNetwork() {
				w.Network = &shown
			} else {
				w.Ban, w.Key = &shown, b.Key.String()
			}
		}
	}
	r := p.Rules[name]
	if r == nil {
		if w.State == "" && end != nil && name == state.ByHand {
			over(w, end)
		}
		if w.State != "" {
			return w
		}
		return nil
	}
	key, _ := p.Judge.Key(name, addr)
	w.Key, w.MaxRetry, w.FindTime, w.Recidive = key.String(), r.MaxRetry, r.FindTime.String(), r.Ledger
	next := 1
	if end != nil {
		next = end.N + 1
	}
	if w.Ban != nil {
		next, w.Key = w.Ban.N+1, w.Ban.Key
	}
	if seconds, ends := r.Lasts(next); ends {
		w.Next = state.Duration(seconds * 1e9).String()
	} else {
		w.Next = state.Permanent.String()
	}
	waiting, last := jail.Waiting(key, now, r.FindTime.Seconds())
	if w.Waiting = waiting; last > 0 {
		w.Last = report.UTC(last)
	}
	entry, origin, ignored := r.Ignored.Covers(addr)
	pardon := jail.Pardoned(addr)
	switch {
	case w.State != "":
	case ignored:
		w.State, w.Ignored = report.IsIgnored, entry.String()+" ("+origin+")"
	case waiting > 0:
		w.State = report.IsCounted
	case pardon > 0 && (end == nil || end.Time <= pardon) && (network == nil || network.Time <= pardon):
		w.State, w.Ended = report.IsPardoned, report.UTC(pardon)
	case network != nil && (end == nil || network.Time > end.Time):
		over(w, network)
		w.OfNetwork = network.Key.String()
	case end != nil:
		over(w, end)
	case last > 0:
		w.State = report.IsStale
	default:
		return nil
	}
	return w
}

// over says that the last ban has ended, when and how.
func over(w *report.WhyJail, end *state.Decision) {
	w.State, w.Ended, w.How = report.IsOver, report.UTC(end.Time), string(end.Verb)
	if end.Verb == state.Banned || end.Verb == state.Expired {
		w.How = string(state.Expired)
		if end.Until != nil && *end.Until > 0 {
			w.Ended = report.UTC(*end.Until)
		}
	}
	if end.Verb != state.Banned && end.Text != "" {
		w.How += ": " + end.Text
	}
}

// uncounted is a warning of the journal without how much of it could not be read: what is
// read back begins elsewhere than the pass.
func uncounted(warning string) string {
	return strings.TrimLeft(strings.TrimPrefix(warning, "journal: "), "0123456789")
}

// evidence reads back what the address has written since that second, by jail, and warns of
// what could not be read.
func evidence(ctx context.Context, p *pass.Pass, addr netip.Addr, since int64) (lines map[string][]report.Evidence, warnings []string, errs []error) {
	lines = map[string][]report.Evidence{}
	setup := p.Setup
	rules := map[string]*state.Rules{}
	for name, r := range p.Rules {
		own := *r
		own.Ignored = state.NewIgnored() // what an ignored address does is worth seeing
		rules[name] = &own
	}
	prior := state.NewPrior()
	j := state.NewJudge(state.New(), rules, p.State, func() (*state.Prior, error) { return prior, nil })
	r := &reading{Options: Options{Setup: setup, Since: since}, ctx: ctx}
	of := map[string]state.Key{}
	for name := range rules {
		of[name], _ = p.Judge.Key(name, addr)
	}
	j.OnFailure = func(f state.Failure, key state.Key, _ *state.Ban) {
		if key == of[f.Jail] && !rules[f.Jail].Ledger {
			lines[f.Jail] = append(lines[f.Jail], report.Evidence{Time: report.UTC(f.Time), Kind: "failure", Rule: f.Rule, Address: f.Addr.String(), User: f.User, Weight: f.Weight, Line: r.line()})
		}
	}
	j.OnLogin = func(e state.Event) {
		if of[e.Jail].Contains(e.Addr) {
			lines[e.Jail] = append(lines[e.Jail], report.Evidence{Time: report.UTC(e.Time), Kind: "log-in", Rule: e.Rule, Address: e.Addr.String(), User: e.User, Line: r.line()})
		}
	}
	r.all(func(_ string, f scan.Finding) {
		if e, ok := f.Event(); ok {
			j.Event(e)
		}
	})
	for name := range lines {
		order.By(lines[name], func(a, b report.Evidence) int {
			if a.Time < b.Time {
				return -1
			} else if a.Time > b.Time {
				return 1
			}
			return 0
		})
	}
	return lines, r.warnings, r.errs
}
