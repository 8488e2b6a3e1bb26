package pass

import (
	"maps"
	"net/netip"
	"slices"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/state"
)

// shield adds Setup.Shield to what the jails ignore, for this pass alone: their
// failures up to now count for nothing, later ones count again.
func (p *Pass) shield() {
	p.Shielded = map[string]int{}
	if p.Shield == nil {
		return
	}
	own := make(map[string]*state.Rules, len(p.Rules))
	for name, r := range p.Rules {
		both := *r
		both.Ignored = state.NewIgnored()
		both.Ignored.AddAll(r.Ignored)
		both.Ignored.AddAll(p.Shield)
		own[name] = &both
	}
	p.bare, p.Rules = p.Rules, own
}

// spares tells whether only the shield kept a failure from counting.
func (p *Pass) spares(f scan.Finding) bool {
	bare := p.bare[f.Jail] // nil: there is no shield, or the jail is not judged
	if bare == nil || f.Verdict.Kind != filter.Failure || !f.Verdict.Addr.IsValid() {
		return false
	}
	if _, _, ok := p.Shield.Covers(f.Verdict.Addr); !ok {
		return false
	}
	_, _, ignored := bare.Ignored.Covers(f.Verdict.Addr)
	return !ignored
}

// warnShielded names those whom this pass left alone, once it has read.
func (p *Pass) warnShielded() {
	for _, address := range slices.Sorted(maps.Keys(p.Shielded)) {
		_, origin, _ := p.Shield.Covers(netip.MustParseAddr(address))
		p.Warn("%s is %s: not banned for what it got wrong up to now (%s); put it into ignoreip to spare it for good",
			address, origin, state.Plural(p.Shielded[address], "line"))
	}
}
