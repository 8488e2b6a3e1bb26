package state

import "math"

// A jail that reads another source than before finds there, once more, what was judged
// already: all after the second to which that source had been read. Its windows are
// replaced piece by piece, as the source comes by, so that each failure is in them once
// wherever the reading is broken off and whatever is read next. What was judged from a
// source stays where the new one does not go back so far.

// skew is how many seconds two sources may tell one failure apart.
const skew = 1

// Recount has a jail judge anew what comes after the second from, up to the second until:
// it is about to be read once more, from another source, which had been read up to from, 0
// where it never was. What has led to recorded bans or came during them counts no more. alike
// says that both sources name sessions alike.
func (j *Judge) Recount(name string, from, until int64, alike bool) {
	jail := j.state.Jail(name)
	if alike {
		jail.sessions.set(NewSessions())
	} else if from == 0 { // else those of the source are as it was left: one attempt may go on
		jail.sessions.get().unheard()
	}
	jail.Recounted, jail.recount = max(jail.Recounted, until), recount{from: from, reached: from}
	jail.changed = true
}

// recount is how far a jail has come with it.
type recount struct {
	from    int64 // the second up to which the source had been read before; 0: none of it
	reached int64 // that up to which the windows are as they are to be; what is later was judged from another source

	last int64 // of the last event in this judging; 0: none was
}

// anew notes an event of a jail that is judged anew.
func (c *recount) anew(t int64) {
	if c.last == 0 && c.reached == c.from { // before its beginning the source has nothing to say
		c.reached = max(c.from, t-skew-1)
	}
	c.last = max(c.last, t)
}

// replace drops what the window of key holds from another source, up to the second of a
// failure that has come by.
func (jail *Jail) replace(key Key, t int64) {
	if w := jail.windows.get()[key]; w != nil {
		jail.cut(w, min(t+skew, jail.Recounted))
	}
}

// replaced tells whether what a window holds of that second is of another source, and so
// is about to come by or to be dropped.
func (jail *Jail) replaced(w *window, t int64) bool {
	return t > max(jail.recount.reached, int64(w.anew)) && t <= jail.Recounted
}

// cut drops the hits of a window up to the second to that are of another source.
func (jail *Jail) cut(w *window, to int64) {
	for i := len(w.hits) - 1; i >= 0; i-- {
		if t := w.hits[i].time; t <= to && jail.replaced(w, t) {
			w.drop(i)
			jail.changed = true
		}
	}
	if len(w.hits) == 0 {
		jail.forget(w)
	} else if jail.ranking != nil {
		jail.ranking.moved(w)
	}
}

// Reread ends a judging of a jail that is judged anew. all says that its source was read to
// the end: what that did not bring, it has told a little apart or has not yet. Else the rest
// of its last second may come by in the next judging.
func (j *Judge) Reread(jail *Jail, all bool) {
	c, end := &jail.recount, jail.Recounted
	if c.last == 0 { // nothing has come by
		return
	}
	if !all {
		end = c.last
	}
	for _, w := range jail.windows.get() {
		jail.cut(w, end)
		w.anew = 0
	}
	c.reached, c.last = max(c.reached, end), 0
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
			case Spared:
				if !d.ofNetwork() {
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
	if f.Time <= jail.recount.from {
		return true
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
