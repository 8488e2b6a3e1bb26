package state

import (
	"cmp"
	"container/heap"
	"fmt"
)

// endings are the bans of a jail whose ledger is full, those that end first at the top:
// the order in which they give way. It is made when a jail first overflows in a
// judging, and may hold bans that are no more.
type endings []*Ban

func (e endings) Len() int      { return len(e) }
func (e endings) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e endings) Less(i, j int) bool {
	a, b := e[i], e[j]
	if a.Until != b.Until {
		return b.outlasts(a)
	}
	return cmp.Or(cmp.Compare(a.Since, b.Since), compareKeys(a.Key, b.Key)) < 0
}
func (e *endings) Push(b any) { *e = append(*e, b.(*Ban)) }
func (e *endings) Pop() any {
	last := len(*e) - 1
	b := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return b
}

// firstToEnd is the ban of the jail that ends first, nil where an admin laid all.
func (jail *Jail) firstToEnd() *Ban {
	if jail.endings == nil {
		jail.endings = &endings{}
		for _, b := range jail.Bans() {
			if !b.ByHand {
				*jail.endings = append(*jail.endings, b)
			}
		}
		heap.Init(jail.endings)
	}
	for jail.endings.Len() > 0 {
		if b := heap.Pop(jail.endings).(*Ban); jail.Bans()[b.Key] == b {
			return b
		}
	}
	return nil
}

// makeRoom drops, at the second t of the log, bans of the jail beyond the limit of the
// ledger: first those that are over, then those that end first, which are taken back.
func (j *Judge) makeRoom(jail *Jail, t int64) {
	for j.maxLedger > 0 && len(jail.Bans()) > j.maxLedger {
		b := jail.firstToEnd()
		switch {
		case b == nil:
			return
		case !b.Over(t):
			d := b.decision(Released, t)
			d.Text = "max_ledger: this ban ended first"
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
