package state

import "math"

// Recount drops from the windows of a jail what came after the second from, and its
// sessions: it is about to be read once more, from another source. So is what has led to
// recorded bans or came during them, up to the second until: that counts no more.
func (j *Judge) Recount(name string, from, until int64) {
	jail := j.state.Jail(name)
	left := map[Key]*window{}
	for key, w := range jail.windows.get() {
		for n := len(w.hits); n > 0 && w.hits[n-1].time > from; n-- { // oldest first
			w.weight -= w.hits[n-1].weight
			w.hits = w.hits[:n-1]
		}
		if len(w.hits) > 0 {
			left[key] = w
		}
	}
	jail.windows.set(left)
	jail.sessions.set(NewSessions())
	jail.ranking, jail.forgotten, jail.changed = nil, 0, true
	jail.Recounted = max(jail.Recounted, until)
}

// Settled is what the history tells of failures that were judged before.
type Settled struct {
	bans    map[priorKey][]settledBan
	pardons map[priorKey]int64 // as Jail.Pardons, however old
}

type settledBan struct{ since, until int64 } // seconds; until where it was taken back, if that is earlier

// Settled reads what the state vouches for. Like Prior it is a function: few judgings need it.
func (s *Store) Settled(vouch Vouch) func() (*Settled, error) {
	var known *Settled
	return func() (*Settled, error) {
		if known != nil {
			return known, nil
		}
		all, names := &Settled{map[priorKey][]settledBan{}, map[priorKey]int64{}}, map[string]string{}
		damaged := s.Damaged
		err := s.History(&vouch, func(d Decision, _ int64) {
			if d.Key == nil || d.Jail == ByHand {
				return
			}
			if names[d.Jail] == "" { // one text for each, not one for each line
				names[d.Jail] = d.Jail
			}
			at := priorKey{names[d.Jail], *d.Key}
			switch d.Verb {
			case Banned:
				if b, err := d.Ban(); err == nil {
					all.bans[at] = append(all.bans[at], settledBan{b.Since, endOf(b)})
				}
			case Unbanned, Released:
				for i := range all.bans[at] {
					b := &all.bans[at][i]
					b.until = max(b.since+1, min(b.until, d.Time))
				}
				if d.Verb == Unbanned {
					all.pardons[at] = max(all.pardons[at], d.Time)
				}
			}
		})
		s.Damaged = max(damaged, s.Damaged)
		if err == nil {
			known = all
		}
		return all, err
	}
}

// endOf is the second in which a ban is over.
func endOf(b *Ban) int64 {
	if b.Until == 0 {
		return math.MaxInt64
	}
	return b.Until
}

// settled tells whether a failure was judged before, and is void or led to a ban or came
// during one.
func (j *Judge) settled(jail *Jail, r *Rules, key Key, f Failure) bool {
	if f.Time > jail.Recounted || j.Settled == nil {
		return false
	}
	known, err := j.Settled()
	if err != nil {
		j.Err = err
		return true
	}
	if !jail.recalled {
		jail.recalled = true
		for at, t := range known.pardons {
			if at.jail == jail.Name && t > jail.Pardons[at.key] {
				jail.Pardons[at.key] = t
			}
		}
	}
	if jail.pardoned(key, f) {
		return true
	}
	for _, b := range known.bans[priorKey{jail.Name, key}] {
		if f.Time < b.until { // it led to the ban or to one before, or came during it
			return true
		}
	}
	if b := jail.Bans()[key]; b != nil && !b.fresh && (f.Time <= b.Since || b.covers(f.Time)) { // what the history has lost
		return true
	}
	if r.Subnets.Count == 0 {
		return false
	}
	if network, ok := r.Network(f.Addr); ok {
		for _, b := range known.bans[priorKey{jail.Name, network}] {
			if f.Time >= b.since && f.Time < b.until {
				return true
			}
		}
	}
	return false
}
