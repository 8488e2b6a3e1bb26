package state

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// What is decided at the clock of a pass rather than in log time: endings, what
// the configuration takes back, and what an admin does by hand.

// Finish ends a judging at the clock time now, in seconds: bans whose end has
// come are announced, those that the configuration no longer wants are
// released, and what no later entry can need is dropped. kept names jails whose
// configuration is broken; their bans stay as they are.
func (j *Judge) Finish(now int64, kept map[string]bool) {
	j.reach(math.MaxInt64)
	for _, name := range j.state.Names() {
		jail := j.state.Jails[name]
		r := j.rules[name]
		switch {
		case r != nil:
			j.releaseIgnored(jail, r, now)
		case name != ByHand && !kept[name]:
			j.expire(jail, now)
			j.releaseAll(jail, now, "the jail is switched off or no longer in the configuration")
			delete(j.state.Jails, name)
			continue
		}
		if name == ByHand {
			j.releaseIgnored(jail, &Rules{Ignored: j.ignoredByAny()}, now)
		}
		j.expire(jail, now)
		if name == ByHand && len(jail.Bans()) == 0 {
			delete(j.state.Jails, name)
		}
	}
	j.prune(now)
}

// ignoredByAny is what any jail ignores.
func (j *Judge) ignoredByAny() *Ignored {
	if j.ignored == nil {
		j.ignored = NewIgnored()
		for _, r := range j.rules {
			j.ignored.AddAll(r.Ignored)
		}
	}
	return j.ignored
}

// horizon is the second before which no entry comes any more that matters to the jail;
// known is false where there is none. What could not be read is waited for, but not for
// ever: what comes later than its rules' span keeps nobody out any more.
func (j *Judge) horizon(name string, now int64) (t int64, known bool) {
	t, known = j.state.Sources.Horizon(now)
	r := j.rules[name]
	if r == nil {
		return t, known && !j.Partial
	}
	oldest := t - r.Span(j.memory)
	for behind, from := range j.Behind {
		if behind == name || r.Ledger {
			t = min(t, max(from, oldest))
		}
	}
	return t, known && !j.Partial
}

// expire announces the bans of the jail that are over.
func (j *Judge) expire(jail *Jail, now int64) {
	if jail.nextEnd == 0 || now < jail.nextEnd {
		return
	}
	horizon, known := j.horizon(jail.Name, now)
	for _, at := range sortedKeys(jail.Bans()) {
		key := *at
		b := jail.Bans()[key]
		if !b.Over(now) {
			continue
		}
		if !b.Ended && !b.fresh {
			j.Decisions = append(j.Decisions, b.decision(Expired, now))
		}
		b.Ended = true
		jail.changed = true
		if known && b.Over(horizon) || b.ByHand {
			delete(jail.Bans(), key)
		}
	}
	jail.nextEnd = 0
	for _, b := range jail.Bans() {
		if !b.Ended && b.Until != 0 && (jail.nextEnd == 0 || b.Until < jail.nextEnd) {
			jail.nextEnd = b.Until
		}
	}
}

// releaseIgnored takes back the bans that share addresses with what is ignored,
// whenever the ignore rules have changed.
func (j *Judge) releaseIgnored(jail *Jail, r *Rules, now int64) {
	print := r.Ignored.fingerprint()
	if print == jail.Ignored {
		return
	}
	jail.Ignored = print
	jail.changed = true
	for _, at := range sortedKeys(jail.Bans()) {
		key := *at
		b := jail.Bans()[key]
		if entry, origin, ok := r.Ignored.Touches(key); ok && !b.Ended && !b.Forced {
			j.release(jail, key, now, fmt.Sprintf("ignored: %s (%s)", entry, origin))
		}
	}
}

func (j *Judge) releaseAll(jail *Jail, now int64, why string) {
	for _, at := range sortedKeys(jail.Bans()) {
		key := *at
		if !jail.Bans()[key].Over(now) {
			j.release(jail, key, now, why)
		}
	}
}

func (j *Judge) release(jail *Jail, key Key, now int64, why string) {
	d := jail.Bans()[key].decision(Released, now)
	d.Text = why
	j.Decisions = append(j.Decisions, d)
	jail.dropBan(key)
	jail.uncount(key)
}

// prune drops what no entry after the horizon can need. Windows that still lie
// in the file as they were read are left there.
func (j *Judge) prune(now int64) {
	for name, jail := range j.state.Jails {
		horizon, known := j.horizon(name, now)
		if !known {
			return
		}
		r, span := j.rules[name], int64(0)
		if r != nil {
			span = r.Span(j.memory)
		}
		// Lines may be written long after what they tell of: nginx buffers its access log.
		maps.DeleteFunc(jail.Pardons, func(_ Key, t int64) bool { return t < horizon-span })
		if jail.Through != nil && horizon-jail.Through.Last >= throughShown {
			jail.Through = nil
		}
		if r == nil || !jail.changed {
			continue
		}
		maps.DeleteFunc(jail.Successes, func(_ Key, t int64) bool { return t <= horizon-r.remembers })
		jail.pruneNetworks(horizon, r.FindTime.Seconds())
		maps.DeleteFunc(jail.Bans(), func(_ Key, b *Ban) bool { return b.Ended && b.Over(horizon) })
		jail.sessions.get().prune(horizon)
		for _, w := range jail.windows.get() {
			if w.last() <= horizon-r.FindTime.Seconds() {
				jail.forget(w)
			}
		}
	}
}

// BanByHand lays a ban of an admin: in the jail, or in ByHand. until is in
// seconds, 0 for ever. It gives the ban that is then in force, and false when
// that is an earlier one which lasts as long. A forced ban stays although its
// addresses are to be ignored.
func (j *Judge) BanByHand(name string, key Key, now, until int64, forced bool) (*Ban, bool) {
	jail := j.state.Jail(name)
	b := &Ban{Jail: name, Key: key, Since: now, Until: until, N: 1, ByHand: true, Forced: forced, fresh: true}
	if key.IsSingleIP() {
		b.Addr = key.Addr()
	}
	if have := jail.Bans()[key]; have != nil && !have.Over(now) && !b.outlasts(have) {
		return have, false
	}
	if name == ByHand {
		jail.Reach, jail.Prefixes = byHandReach(), [2]int{32, 128}
	}
	if w := jail.windows.get()[key]; w != nil {
		jail.forget(w)
	}
	jail.setBan(b)
	d := b.decision(Banned, now)
	d.Enforced = jail.Reach.Enforce
	j.Decisions = append(j.Decisions, d)
	return b, true
}

// byHandReach is that of bans that name no jail: every port.
func byHandReach() Reach {
	return Reach{Ports: Ports{AllPorts}, Protocol: []string{"tcp", "udp"}, BlockType: Drop, Enforce: true}
}

// UnbanByHand takes back every ban within p and every ban of a jail whose key
// holds p, in the jails named, and makes void the failures of those keys and of
// p up to now. It gives the bans that it took back. A CIDR that was banned by
// hand and is wider than p cannot be taken back in part: that is an error, and
// nothing is changed. A network that was banned for its members is taken back as a
// whole; the bans of its other members stay.
func (j *Judge) UnbanByHand(names []string, p Key, now int64) ([]*Ban, error) {
	for _, name := range names {
		for key, b := range j.state.Jail(name).Bans() {
			if b.ByHand && !b.Over(now) && key != p && holds(key, p) {
				return nil, fmt.Errorf("%s is banned by hand as part of %s: unban that", p, key)
			}
		}
	}
	var freed []*Ban
	for _, name := range names {
		jail := j.state.Jail(name)
		jail.changed = true
		var voided []Key
		jail.uncount(p)
		for _, at := range sortedKeys(jail.Bans()) {
			key := *at
			b := jail.Bans()[key]
			if !holds(p, key) && !holds(key, p) || b.Over(now) {
				continue
			}
			freed = append(freed, b)
			d := b.decision(Unbanned, now)
			j.Decisions = append(j.Decisions, d)
			jail.dropBan(key)
			if !holds(p, key) {
				jail.Pardons[key] = now
				jail.uncount(key)
				voided = append(voided, key)
			}
		}
		if name == ByHand {
			continue
		}
		j.pardon(jail, p, now)
		for key, w := range jail.windows.get() {
			switch {
			case holds(p, key), slices.ContainsFunc(voided, func(v Key) bool { return v != key && holds(v, key) }):
				jail.forget(w)
			case holds(key, p):
				jail.forget(w)
				j.pardon(jail, key, now)
			}
		}
	}
	return freed, nil
}

// pardon makes void what failed of key up to now, in a rebuild too.
func (j *Judge) pardon(jail *Jail, key Key, now int64) {
	jail.Pardons[key] = now
	d := (&Ban{Jail: jail.Name, Key: key, ByHand: true}).decision(Unbanned, now)
	d.Until = nil
	d.Identify()
	j.Decisions = append(j.Decisions, d)
}

// Repaired notes that so many pieces of the kernel had to be mended.
func (j *Judge) Repaired(now int64, pieces int) {
	d := Decision{Verb: Repaired, Time: now, Text: fmt.Sprintf("the kernel did not hold what it should have: %s mended", Plural(pieces, "piece"))}
	d.Identify()
	j.Decisions = append(j.Decisions, d)
}

// Warning is the decision that tells of what an admin should know, of a jail or, where
// that is empty, of the whole.
func Warning(now int64, jail, text string) Decision {
	d := Decision{Verb: Warned, Time: now, Jail: jail, Text: text}
	d.Identify()
	return d
}

// holds tells whether every address of b is one of a.
func holds(a, b Key) bool { return a.Bits() <= b.Bits() && a.Contains(b.Addr()) }

// fingerprint is the same for the same set.
func (g *Ignored) fingerprint() string {
	if g == nil {
		return ""
	}
	lines := make([]string, 0, len(g.entries))
	for p := range g.entries {
		lines = append(lines, p.String())
	}
	slices.Sort(lines)
	return Hash(strings.Join(lines, "\n"))
}

// Everything are the two prefixes that hold every address.
var Everything = []Key{{netip.MustParsePrefix("0.0.0.0/0")}, {netip.MustParsePrefix("::/0")}}
