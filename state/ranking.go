package state

import (
	"encoding/binary"
	"math"
	"slices"
)

// ranking orders the windows of a jail that is full: by what they weigh, to
// choose which goes, and by age, to find those that can no longer ban. It is
// made when a jail first overflows in a pass, so that others do not pay for it.
//
// A flood asks it at every failure, so that its heaps hold what they order by, and a window
// is looked at only when it has come to the top.
type ranking struct {
	light heap4[standing, *standing] // every window; each knows its place
	old   heap4[aged, *aged]         // every window, perhaps as it was when it was younger, and some that are gone
}

// standing is a window's place among those of its jail: the lightest first, of
// those the stalest, of those by a mixture of the key's bits and by the key.
type standing struct {
	last   int64
	weight int32
	mixed  uint32
	window *window
}

// aged is a window as of the second of its last hit, or of one before.
type aged struct {
	last   int64
	window *window
}

// gone is the place of a window that is in no ranking any more. The old ones may hold a
// fourth of the windows, and goneLeast, of such.
const (
	gone      = -1
	goneShare = 4
	goneLeast = 64
)

func newRanking(windows map[Key]*window) *ranking {
	r := &ranking{}
	r.light.items = make([]standing, 0, len(windows)+1)
	r.old.items = make([]aged, 0, len(windows)+len(windows)/goneShare+goneLeast+1)
	for _, w := range windows {
		r.insert(w)
	}
	return r
}

func standingOf(w *window) standing {
	address := w.key.Addr().As16()
	high, low := binary.BigEndian.Uint64(address[:8]), binary.BigEndian.Uint64(address[8:])
	const odd = 0x9e3779b97f4a7c15 // 2^64 / the golden ratio
	return standing{last: w.last(), weight: int32(min(w.weight, math.MaxInt32)), mixed: uint32(((high*odd ^ low) * odd) >> 32), window: w}
}

func (s *standing) before(other *standing) bool {
	switch {
	case s.weight != other.weight:
		return s.weight < other.weight
	case s.last != other.last:
		return s.last < other.last
	case s.mixed != other.mixed:
		return s.mixed < other.mixed
	}
	return compareKeys(s.window.key, other.window.key) < 0
}

func (s *standing) at(place int) { s.window.place = int32(place) }

func (a *aged) before(other *aged) bool { return a.last < other.last }

func (a *aged) at(int) {}

// lightest is the window to go.
func (r *ranking) lightest() *window { return r.light.items[0].window }

// stale is a window without a hit after the horizon; nil: there is none.
func (r *ranking) stale(horizon int64) *window {
	for len(r.old.items) > 0 && r.old.items[0].last <= horizon {
		w := r.old.items[0].window
		switch {
		case w.place == gone:
			r.old.remove(0)
		case w.last() > horizon:
			r.old.items[0].last = w.last()
			r.old.settle(0)
		default:
			return w
		}
	}
	return nil
}

// insert adds a window that has hits.
func (r *ranking) insert(w *window) {
	r.light.add(standingOf(w))
	r.old.add(aged{w.last(), w})
}

// moved puts a window right that was hit.
func (r *ranking) moved(w *window) {
	r.light.items[w.place] = standingOf(w)
	r.light.settle(int(w.place))
}

// remove takes a window out.
func (r *ranking) remove(w *window) {
	r.light.remove(int(w.place))
	w.place = gone
	if most := len(r.light.items); len(r.old.items) > most+most/goneShare+goneLeast {
		left := slices.DeleteFunc(r.old.items, func(a aged) bool { return a.window.place == gone })
		r.old.items = left[:0]
		for _, a := range left {
			r.old.add(a)
		}
	}
}

// heap4 is a heap of which each node has four children: fewer levels than with two, and
// those of one node lie together.
type heap4[T any, P interface {
	*T
	before(*T) bool
	at(place int) // is told to what is put there
}] struct{ items []T }

func (h *heap4[T, P]) add(x T) {
	h.items = append(h.items, x)
	h.settle(len(h.items) - 1)
}

func (h *heap4[T, P]) remove(place int) {
	last := len(h.items) - 1
	h.items[place] = h.items[last]
	clear(h.items[last:])
	if h.items = h.items[:last]; place < last {
		h.settle(place)
	}
}

// settle brings what stands at the place to where it belongs, at the place or above or
// below.
func (h *heap4[T, P]) settle(place int) {
	for place > 0 && h.before(place, (place-1)/4) {
		place = h.swap(place, (place-1)/4)
	}
	for 4*place+1 < len(h.items) {
		least := 4*place + 1
		for i := least + 1; i < min(4*place+5, len(h.items)); i++ {
			if h.before(i, least) {
				least = i
			}
		}
		if !h.before(least, place) {
			break
		}
		place = h.swap(place, least)
	}
	P(&h.items[place]).at(place)
}

func (h *heap4[T, P]) before(a, b int) bool { return P(&h.items[a]).before(&h.items[b]) }

// swap changes the items at two places, and gives the second of these.
func (h *heap4[T, P]) swap(from, to int) int {
	h.items[from], h.items[to] = h.items[to], h.items[from]
	P(&h.items[from]).at(from)
	return to
}
