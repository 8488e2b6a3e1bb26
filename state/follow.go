package state

import "net/netip"

// Several policies can be judged over one reading of a log: what does not depend on a
// policy, who has counted in which session, is asked of one Judge, which others follow.

// Fail is Event of a failure that another Judge of the same jails has counted, as its
// OnFailure tells of it.
func (j *Judge) Fail(f Failure) {
	if r := j.rules[f.Jail]; r != nil && j.Err == nil {
		j.reach(f.Time)
		j.failure(j.state.Jail(f.Jail), r, f)
	}
}

// Login is Event of a log-in that another Judge has believed, as its OnLogin tells of it.
func (j *Judge) Login(e Event) {
	if r := j.rules[e.Jail]; r != nil && j.Err == nil {
		j.reach(e.Time)
		j.success(j.state.Jail(e.Jail), r, e)
	}
}

// Key is what failures of addr are counted for in the jail; ok is false where the jail
// is not judged.
func (j *Judge) Key(jail string, addr netip.Addr) (key Key, ok bool) {
	r := j.rules[jail]
	if r == nil {
		return key, false
	}
	return r.key(addr), true
}

// under is the ban in force that should have kept a failure out: the key's own, that of
// its network, or one by a jail that closes every port; of several the eldest, which was
// in the kernel first.
func (j *Judge) under(jail *Jail, r *Rules, key Key, f Failure) (eldest *Ban) {
	older := func(b *Ban) {
		if b == nil || !b.covers(f.Time) {
			return
		}
		if eldest == nil || b.Since < eldest.Since || b.Since == eldest.Since && eldest.Jail != jail.Name && b.Jail < eldest.Jail {
			eldest = b
		}
	}
	older(jail.Bans()[key])
	older(jail.banOf(r, f.Addr))
	for name, r := range j.rules {
		other := j.state.Jails[name]
		if other == nil || other == jail || !r.Ports.All() {
			continue
		}
		older(other.Bans()[r.key(f.Addr)])
		older(other.banOf(r, f.Addr))
	}
	return eldest
}

// Network is the network of addr that the jail may ban; ok is false where there is none.
func (j *Judge) Network(jail string, addr netip.Addr) (n Key, ok bool) {
	if r := j.rules[jail]; r != nil {
		return r.Network(addr)
	}
	return n, false
}

// Until prunes, at the second t of the log, what no later entry can need: bans that are
// over, windows that have closed. Nothing is announced.
func (j *Judge) Until(t int64) {
	j.state.Sources.Journal = &JournalPosition{Time: t * 1e6}
	for _, jail := range j.state.Jails {
		for key, b := range jail.Bans() {
			if b.Over(t) {
				delete(jail.Bans(), key)
			}
		}
		jail.changed = true
	}
	j.prune(t)
}
