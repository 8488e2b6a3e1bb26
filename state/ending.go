package state

import (
	"cmp"
	"fmt"
)

// endings are the bans of a jail whose ledger is full, those that end first at the top:
// the order in which they give way. It is made when a jail first overflows in a
// judging, and may hold bans that are no more.
type endings = heap4[ending, *ending]

type ending struct{ ban *Ban }

func (e *ending) before(other *ending) bool {
	a, b := e.ban, other.ban
	if a.Until != b.Until {
		return b.outlasts(a)
	}
	return cmp.Or(cmp.Compare(a.Since, b.Since), compareKeys(a.Key, b.Key)) < 0
}

func (e *ending) at(int) {}

// order makes the endings of the jail.
func (jail *Jail) order() {
	jail.endings, jail.byHand = &endings{}, 0
	for _, b := range jail.Bans() {
		if b.ByHand {
			jail.byHand++
		} else {
			jail.endings.add(ending{b})
		}
	}
}

// firstToEnd is the ban of the jail that ends first, but for the newest, which else could
// be its own victim where all others are long; nil where there is none.
func (jail *Jail) firstToEnd(newest *Ban) *Ban {
	for len(jail.endings.items) > 0 {
		b := jail.endings.items[0].ban
		jail.endings.remove(0)
		switch {
		case jail.Bans()[b.Key] != b:
		case b == newest:
			defer jail.endings.add(ending{b})
		default:
			return b
		}
	}
	return nil
}

// Full tells whether the ledger of the jail holds all the bans that it may: a further one
// takes the place of the one that ends first. Bans by hand take no room.
func (jail *Jail) Full(most int) bool {
	n := len(jail.Bans())
	if most <= 0 || n < most {
		return false
	}
	for _, b := range jail.Bans() {
		if b.ByHand {
			n--
		}
	}
	return n >= most
}

// overfull tells whether the jail has more bans than that, beside those that an admin laid.
func (jail *Jail) overfull(most int) bool {
	if most <= 0 || len(jail.Bans()) <= most {
		return false
	}
	if jail.endings == nil {
		jail.order()
	}
	return len(jail.Bans())-jail.byHand > most
}

// makeRoom drops, for the newest ban of the jail, those beyond the limit of the ledger:
// first what is over when it begins, then what ends first, which is taken back. What an
// admin laid stays, and takes no room.
func (j *Judge) makeRoom(jail *Jail, newest *Ban) {
	t := newest.Since
	for jail.overfull(j.maxLedger) {
		b := jail.firstToEnd(newest)
		switch {
		case b == nil:
			return
		case !b.Over(t):
			d := b.decision(Released, t)
			d.Text = fmt.Sprintf("taken back for want of room: the jail keeps %d bans (max_ledger)", j.maxLedger)
			j.Decisions = append(j.Decisions, d)
			if !jail.crowded {
				jail.crowded = true
				j.Warn(jail.Name, t, fmt.Sprintf("jail %q has %s in the ledger (max_ledger): those that end first are taken back", jail.Name, Plural(j.maxLedger, "ban")))
			}
		case !b.Ended && !b.fresh:
			j.Decisions = append(j.Decisions, b.decision(Expired, b.Until))
		}
		jail.dropBan(b.Key)
	}
}
