package state

// recount is of a jail that reads what was judged before once more, from another source.
type recount struct {
	bans  map[Key][]*Ban // that the history knows of
	until int64          // the second up to which it was judged
}

// Recount drops the windows and sessions of a jail: what they hold is about to be read once
// more, from another source. So is what has led to recorded bans or came during them, up to
// the second until: that counts no more.
func (j *Judge) Recount(name string, recorded *Recorded, until int64) {
	jail := j.state.Jail(name)
	jail.windows.set(map[Key]*window{})
	jail.sessions.set(NewSessions())
	jail.ranking, jail.forgotten, jail.changed = nil, 0, true
	jail.recount = &recount{bans: map[Key][]*Ban{}, until: until}
	for _, b := range recorded.bans {
		if b.Jail == name {
			jail.recount.bans[b.Key] = append(jail.recount.bans[b.Key], b)
		}
	}
}

// counted tells whether a failure of key was judged before and is settled with a ban.
func (c *recount) counted(r *Rules, key Key, f Failure) bool {
	if c == nil || f.Time > c.until {
		return false
	}
	for _, b := range c.bans[key] {
		if f.Time <= b.Since || b.covers(f.Time) {
			return true
		}
	}
	if r.Subnets.Count == 0 {
		return false
	}
	if network, ok := r.Network(f.Addr); ok {
		for _, b := range c.bans[network] {
			if b.covers(f.Time) {
				return true
			}
		}
	}
	return false
}
