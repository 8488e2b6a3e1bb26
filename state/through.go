package state

import "slices"

// Through tells of failures that came through a ban: of a key whose ban the
// kernel had held for more than throughAfter. The ban closes a port that the
// client does not use, or the client's packets never come by as its own: a proxy,
// a container, another address family. It changes no ban; status shows it.
type Through struct {
	First    int64  `json:"first"`    // log time of the first of them, seconds since the Unix epoch
	Last     int64  `json:"last"`     // and of the last
	Failures int    `json:"failures"` // their weights
	Key      Key    `json:"key"`      // whose ban the last came through
	Address  string `json:"address"`  // of the last
	Jail     string `json:"jail"`     // that understood the last; another one where the ban closes every port
	Rule     string `json:"rule"`
}

const (
	// throughAfter is how many seconds after a ban was in the kernel a failure
	// proves that it came through: a pass comes every minute, and a service may
	// take a while to say what it was asked.
	throughAfter = 60
	// throughShown is how many seconds such a failure is worth telling of.
	throughShown = 24 * 3600
)

// Enforced notes that the kernel holds the live bans of all jails but those left
// out at the clock time now, in seconds. It is to be called after the kernel was
// brought to the ledger and before the state is saved; it makes no save due. mended
// says that the kernel had not held them until now: then what this judging took for
// failures through a ban was none.
func (s *State) Enforced(now int64, mended bool, leftOut func(jail string) bool) {
	for name, j := range s.Jails {
		if mended {
			j.Through = j.throughBefore
		}
		if !j.Reach.Enforce || leftOut != nil && leftOut(name) {
			continue
		}
		for _, b := range j.Bans() {
			if b.Enforced == 0 && !b.Over(now) {
				b.Enforced = now
			}
		}
	}
}

// unenforced is for a jail whose reach has changed: its bans are to be laid anew,
// and what came through the old ones says nothing of the new.
func (j *Jail) unenforced() {
	j.Through, j.throughBefore = nil, nil
	for _, b := range j.Bans() {
		b.Enforced = 0
	}
}

// through notes a failure of a key of jail that a ban should have kept from happening: one
// of its own, or one of a jail that closes every port.
func (j *Judge) through(jail *Jail, r *Rules, key Key, f Failure) {
	if f.Lingers {
		return
	}
	if b := jail.Bans()[key]; b != nil {
		jail.cameThrough(b, f, j.Held)
	}
	if b := jail.banOf(r, f.Addr); b != nil {
		jail.cameThrough(b, f, j.Held)
	}
	for _, name := range j.closing() {
		other := j.state.Jails[name]
		if other == nil || other == jail {
			continue
		}
		for _, bits := range j.lengths[name] {
			if p, err := f.Addr.Prefix(bits); err == nil && other.Bans()[Key{p}] != nil {
				other.cameThrough(other.Bans()[Key{p}], f, j.Held)
			}
		}
	}
}

// closing are the jails whose bans close every port, in order. Their bans at the
// beginning of the judging are looked at: later ones are not in the kernel yet.
func (j *Judge) closing() []string {
	if j.lengths == nil {
		j.lengths = map[string][]int{}
		for _, name := range j.state.Names() {
			jail := j.state.Jails[name]
			if !jail.Reach.Enforce || !jail.Reach.Ports.All() {
				continue
			}
			j.wide = append(j.wide, name)
			for key := range jail.Bans() {
				if !slices.Contains(j.lengths[name], key.Bits()) {
					j.lengths[name] = append(j.lengths[name], key.Bits())
				}
			}
		}
	}
	return j.wide
}

// cameThrough counts a failure in b, where that was in the kernel for long enough.
func (jail *Jail) cameThrough(b *Ban, f Failure, held int64) {
	if b.Enforced == 0 || !b.covers(f.Time) || f.Time <= max(b.Enforced, held)+throughAfter {
		return
	}
	t := Through{First: f.Time}
	if jail.Through != nil && f.Time-jail.Through.Last < throughShown {
		t = *jail.Through
	}
	t.Last, t.Failures = max(t.Last, f.Time), t.Failures+f.Weight
	t.Key, t.Address, t.Jail, t.Rule = b.Key, f.Addr.String(), f.Jail, f.Rule
	jail.Through, jail.changed = &t, true
}

// takenBack forgets what came through a ban that is no more.
func (j *Jail) takenBack(key Key) {
	if j.Through != nil && j.Through.Key == key {
		j.Through = nil
	}
	if j.throughBefore != nil && j.throughBefore.Key == key {
		j.throughBefore = nil
	}
}

// Ineffective tells of the failures that came through the bans of the jail of
// late, nil where none did or the kernel is not to hold them.
func (j *Jail) Ineffective(now int64) *Through {
	if j.Through == nil || !j.Reach.Enforce || now-j.Through.Last >= throughShown {
		return nil
	}
	return j.Through
}
