package state

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A network that attacks from one address after another is banned as a whole: when
// Count keys of it were banned by one jail within FindTime.
//
// What counts are bans that the jail itself decided, each key once; not those by hand,
// nor those taken over from the kernel. The network's ban begins with the ban that
// completes the number and lasts like any other, escalated by the earlier bans of the
// same network. While it lasts, failures of its addresses are counted on it and lead to
// no further ban. It is no failure in a recidive jail, where the bans that led to it
// count already.
//
// A wrong ban is worse than a missed one. So a network that holds an ignored address
// (ignoreip, an own address, a gateway) is not banned, nor one from which somebody logged
// in of late, to whichever service; the history says so. What an unban has forgiven counts no more.

// Subnets says when a network is banned. It is a part of the policy.
type Subnets struct {
	Count int `toml:"count"` // keys of one network banned within FindTime that ban it; 0: off
	IPv4  int `toml:"ipv4"`  // bits of such a network, fewer than those of a key; 0: none is banned
	IPv6  int `toml:"ipv6"`
}

// Check finds values that make no sense beside the rest of the policy; report takes the
// key and what is wrong with it.
func (s Subnets) Check(p *Policy, report func(key, problem string)) {
	const key, most = "subnets", 1000
	if s.Count == 0 {
		return
	}
	if s.Count < 2 || s.Count > most {
		report(key, fmt.Sprintf("subnets.count = %d is out of range (2 to %d, or 0 for none)", s.Count, most))
	}
	if s.IPv4 == 0 && s.IPv6 == 0 {
		report(key, "subnets names no network (write subnets = { count = 5, ipv4 = 24, ipv6 = 48 }, or one of the two)")
	}
	for _, f := range []struct {
		name                 string
		bits, low, high, own int
	}{{"ipv4", s.IPv4, 8, 31, p.IPv4Prefix}, {"ipv6", s.IPv6, 16, 127, p.IPv6Prefix}} {
		switch {
		case f.bits == 0:
		case f.bits < f.low || f.bits > f.high:
			report(key, fmt.Sprintf("subnets.%s = %d is out of range (%d to %d)", f.name, f.bits, f.low, f.high))
		case f.bits >= f.own:
			report(key, fmt.Sprintf("subnets.%s = %d is no network of several: failures are counted per /%d (%s_prefix)", f.name, f.bits, f.own, f.name))
		}
	}
}

// Words are "5 banned of one /24 or /48".
func (s Subnets) Words() string {
	text := fmt.Sprintf("%d banned of one ", s.Count)
	switch {
	case s.IPv6 == 0:
		return text + fmt.Sprintf("/%d", s.IPv4)
	case s.IPv4 == 0:
		return text + fmt.Sprintf("/%d", s.IPv6)
	}
	return text + fmt.Sprintf("/%d or /%d", s.IPv4, s.IPv6)
}

// guestSpan is how many seconds after a log-in no network is banned that it came from;
// or as long as Spare says, if that is longer.
const guestSpan = 7 * 24 * 3600

// Network is the network that addr is counted in; ok is false where there is none: they
// are off, or addr stands behind NAT64, where neighbours have nothing in common.
func (r *Rules) Network(addr netip.Addr) (n Key, ok bool) {
	if r.Subnets.Count == 0 {
		return n, false
	}
	bits := r.Subnets.IPv4
	if addr.Is6() {
		if bits = r.Subnets.IPv6; r.translated(addr) {
			return n, false
		}
	}
	return Key{netip.PrefixFrom(addr, bits).Masked()}, bits > 0
}

// banOf is the ban of the network of addr in the jail, over or not; nil: there is none.
func (j *Jail) banOf(r *Rules, addr netip.Addr) *Ban {
	if r.Subnets.Count == 0 {
		return nil
	}
	return j.networkBan(r, addr)
}

func (j *Jail) networkBan(r *Rules, addr netip.Addr) *Ban {
	if n, ok := r.Network(addr); ok {
		return j.Bans()[n]
	}
	return nil
}

// remember tells the jails for how many seconds log-ins matter: where one bans networks,
// those that any of them sees do.
func remember(rules map[string]*Rules) {
	least := int64(0)
	for _, r := range rules {
		if r.Subnets.Count > 0 {
			least = guestSpan
		}
	}
	for _, r := range rules {
		r.remembers = max(least, r.Spare.Seconds())
	}
}

// IsNetwork tells whether the ban is of a network, for the bans of its members.
func (b *Ban) IsNetwork() bool { return len(b.Members) > 0 }

// counts tells whether the ban counts for its network and in the recidive jails. One that
// was taken over from the kernel does not: nobody knows when it began.
func (b *Ban) counts() bool { return !b.ByHand && b.Rule != adopted && !b.IsNetwork() }

// subnet counts a ban for its network, and bans that if it completes the number.
func (j *Judge) subnet(jail *Jail, b *Ban) {
	r := j.rules[jail.Name]
	if r == nil || r.Subnets.Count == 0 || !b.counts() {
		return
	}
	n, ok := r.Network(b.Key.Addr())
	if !ok || n.Bits() >= b.Key.Bits() || jail.voided(n, b) {
		return
	}
	if have := jail.Bans()[n]; have != nil && have.covers(b.Since) {
		return
	}
	w := jail.member(n, b.Key, b.Since, r.FindTime.Seconds())
	i, ok := w.decides(b.Since, r.FindTime.Seconds(), r.Subnets.Count)
	if !ok {
		return
	}
	t := w.hits[i].time
	own := &Ban{Jail: jail.Name, Key: n, Since: t, Rule: "subnets", fresh: true}
	for _, h := range w.hits[:i+1] {
		if h.time > t-r.FindTime.Seconds() {
			var k Key
			_ = k.UnmarshalText([]byte(h.user)) // we wrote it
			own.Members = append(own.Members, k)
		}
	}
	own.Failures = len(own.Members)
	delete(jail.networks.get(), n)
	if why := j.holdsGuest(r, n, t); why != "" {
		d := own.decision(Spared, t)
		d.Text = why
		j.Decisions = append(j.Decisions, d)
		return
	}
	prior, err := j.prior()
	if err != nil {
		j.Err = err
		return
	}
	own.N = 1 + prior.Count(jail.Name, n, t-j.memory, t, r.Escalation.AcrossJails)
	own.Until = r.end(t, n, own.N)
	prior.Add(jail.Name, n, t)
	j.record(jail, own)
}

// holdsGuest says why a network is not to be banned at t; empty: nothing speaks for it.
func (j *Judge) holdsGuest(r *Rules, n Key, t int64) string {
	if entry, origin, ok := r.Ignored.Touches(n); ok {
		return fmt.Sprintf("holds %s (%s)", entry, origin)
	}
	last, guest := int64(0), Key{}
	for _, jail := range j.state.Jails {
		for key, s := range jail.Successes {
			if t-s < r.remembers && key.Overlaps(n.Prefix) && (s > last || s == last && compareKeys(key, guest) < 0) {
				last, guest = s, key
			}
		}
	}
	switch {
	case last == 0:
		return ""
	case last > t: // read before what it came after
		return fmt.Sprintf("%s of it logged in", guest)
	}
	return fmt.Sprintf("%s of it logged in %s before", guest, Duration(time.Duration(t-last)*time.Second))
}

// member notes in the window of a network that a key of it was banned at t. A key is in
// there once, with its latest ban.
func (j *Jail) member(n, key Key, t, findtime int64) *window {
	networks := j.networks.get()
	if networks == nil {
		networks = map[Key]*window{}
		j.networks.set(networks)
	}
	j.changed = true
	w := networks[n]
	if w == nil {
		w = &window{key: n}
		networks[n] = w
	}
	name := key.String()
	if i := slices.IndexFunc(w.hits, func(h hit) bool { return h.user == name }); i >= 0 {
		if w.hits[i].time >= t {
			return w
		}
		w.drop(i)
	}
	w.add(hit{t, 1, name}, findtime)
	return w
}

// drop takes the i-th hit out.
func (w *window) drop(i int) {
	w.weight -= w.hits[i].weight
	w.hits = slices.Delete(w.hits, i, i+1)
}

// voided tells whether an unban, of the network or of the key, has made void that b counts.
func (j *Jail) voided(n Key, b *Ban) bool {
	for key, pardon := range j.Pardons {
		if b.Since <= pardon && (holds(key, n) || holds(key, b.Key)) {
			return true
		}
	}
	return false
}

// uncount forgets the bans of all keys within p that networks have counted.
func (j *Jail) uncount(p Key) {
	for n, w := range j.networks.get() {
		if !holds(p, n) && !holds(n, p) {
			continue
		}
		for i := len(w.hits) - 1; i >= 0; i-- {
			var k Key
			if k.UnmarshalText([]byte(w.hits[i].user)) == nil && holds(p, k) {
				w.drop(i)
				j.changed = true
			}
		}
		if len(w.hits) == 0 {
			delete(j.networks.get(), n)
		}
	}
}

// pruneNetworks forgets what can lead to no ban after the horizon.
func (j *Jail) pruneNetworks(horizon, findtime int64) {
	for n, w := range j.networks.get() {
		if w.last() <= horizon-findtime {
			delete(j.networks.get(), n)
		}
	}
}

// appendMembers writes the members of a ban; nothing where it has none.
func appendMembers(b []byte, members []Key) []byte {
	if len(members) == 0 {
		return b
	}
	return append(append(b, `,"members":`...), mustJSON(members)...)
}
