package pass

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"scan2ban/ban/nftables"
	"scan2ban/state"
	"scan2ban/state/report"
)

// Report is what the pass did, or would have done.
func (p *Pass) Report(dry bool) *report.Pass {
	r := report.FromPass(p.Judge.Decisions, p.Ledger, p.Now.Unix())
	r.Entries, r.Failures, r.Repaired, r.DryRun = p.Entries, p.Failures, p.Repaired, dry
	for _, g := range p.Gaps {
		r.Gaps = append(r.Gaps, report.NewGap(g.From/1e6, g.To/1e6, g.Lost, g.Unit, g.Reason))
	}
	r.Warnings = append(r.Warnings, p.Warnings...)
	if dry {
		for _, jail := range slices.Sorted(maps.Keys(p.gaveUp)) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("jail %q: %s", jail, p.gaveUp[jail]))
		}
	}
	return r
}

// Status are the jails of these names, or all of them. The error names one that
// is not known.
func (p *Pass) Status(names []string) (*report.Status, error) {
	names, err := p.Jails(names)
	if err != nil {
		return nil, err
	}
	s := report.NewStatus(p.LastRun, p.Warnings, p.Now.Unix())
	s.Known = p.Known()
	pending := p.pending()
	for _, name := range names {
		is := p.condition(name)
		is.Known, is.Pending = s.Known, pending
		s.Jails = append(s.Jails, report.FromJail(p.Ledger.Jail(name), p.Now.Unix(), is))
	}
	s.Lists = p.listsShown()
	return s, nil
}

// Guards says of each jail what it guards and by which policy: "sshd guards port
// 22: 5 failures within 1h ban for 1d".
func (p *Pass) Guards() (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Rules)) {
		r := p.Rules[name]
		verb, what := "guards", "failures"
		if !r.Enforce {
			verb = "watches, without banning,"
		}
		if r.Ledger {
			what = "bans by other jails"
		}
		ban := "ban for " + r.BanTime.String()
		if r.BanTime == state.Permanent {
			ban = "ban for ever"
		}
		line := fmt.Sprintf("%s %s %s: %d %s within %s %s", name, verb, r.Ports.Words(), r.MaxRetry, what, r.FindTime, ban)
		if r.Subnets.Count > 0 {
			line += ", " + r.Subnets.Words() + " the network"
		}
		lines = append(lines, line)
	}
	return lines
}

// Bans are the live bans of the jails of these names, or of all, each with the
// packets that the kernel dropped where it tells. The error names a jail that is
// not known.
func (p *Pass) Bans(ctx context.Context, names []string) ([]report.Ban, error) {
	bans, err := p.Live(names)
	if err != nil {
		return nil, err
	}
	packets := p.packets(ctx)
	for i := range bans {
		if n, ok := packets[bans[i].Jail+" "+bans[i].Key]; ok {
			bans[i].Packets, bans[i].Pending = &n, false // the kernel has it
		}
	}
	kept := func(b report.Ban) bool { return !b.Observed && !b.Pending }
	if packets != nil && len(packets) == 0 && slices.ContainsFunc(bans, kept) && !p.paused {
		p.Warn("none of these bans is in the kernel: nobody is kept out until the next pass (scan2ban install, if none comes)")
	}
	return bans, nil
}

// Live is Bans without a look at the kernel. Where no pass has run there are none,
// which is warned of.
func (p *Pass) Live(names []string) ([]report.Ban, error) {
	names, err := p.Jails(names)
	if err != nil {
		return nil, err
	}
	bans := []report.Ban{}
	if p.Known() == report.NoPass {
		p.noPass()
		return bans, nil
	}
	pending := p.pending()
	for _, name := range names {
		for _, b := range p.Ledger.Jail(name).Live(p.Now.Unix()) {
			shown := report.FromBan(b)
			shown.Observed, shown.Pending = !p.Ledger.Jail(name).Reach.Enforce, pending.Has(b)
			bans = append(bans, shown)
		}
	}
	return bans, nil
}

// packets are how many packets the kernel dropped for each ban, by "JAIL KEY"; nil: that is
// not known, which is warned of but where hooks enforce the bans.
func (p *Pass) packets(ctx context.Context) map[string]uint64 {
	if p.Kernel.Backend == nftables.ByHooks {
		return nil
	}
	kernel, err := nftables.Dump(ctx)
	if err != nil {
		p.Warn("packets are not known: %v", err)
		return nil
	}
	packets := map[string]uint64{}
	for _, e := range kernel.Elements {
		packets[e.Group+" "+e.Key.String()] = e.Packets
	}
	return packets
}

// History calls each with the decisions that the ledger vouches for, from the oldest, and
// with those of this pass.
func (p *Pass) History(each func(state.Decision)) error {
	if p.store != nil {
		length := p.Ledger.History.Length
		err := p.store.History(nil, func(d state.Decision, end int64) {
			if end <= length {
				each(d)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, d := range p.Judge.Decisions {
		each(d)
	}
	return nil
}

// NotJudged says why a jail judges nobody: it is switched off, broken, or could not be
// judged in this pass; empty: it judges.
func (p *Pass) NotJudged(name string) string {
	switch is := p.condition(name); {
	case is.Off:
		return "it is switched off"
	case is.Broken:
		return cmp.Or(is.Trouble, "it is broken (see scan2ban check)")
	}
	return ""
}
