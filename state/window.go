package state

import (
	"container/heap"
	"slices"
)

// window holds the failures of one key that may still lead to a ban, oldest
// first.
type window struct {
	key    Key
	hits   []hit
	weight int    // sum over hits
	index  [2]int // places in the two heaps of a ranking
}

type hit struct {
	time   int64
	weight int
	user   string
}

func (w *window) last() int64 { return w.hits[len(w.hits)-1].time }

// add puts h into its place. Hits that lie findtime or more before it go; what
// is read late may miss them, and then bans less, never more.
func (w *window) add(h hit, findtime int64) {
	place := len(w.hits)
	for place > 0 && w.hits[place-1].time > h.time {
		place--
	}
	w.hits = slices.Insert(w.hits, place, h)
	w.weight += h.weight
	stale := 0
	for w.hits[stale].time <= h.time-findtime {
		w.weight -= w.hits[stale].weight
		stale++
	}
	w.hits = slices.Delete(w.hits, 0, stale)
}

// decides gives the index of the first hit at or after t at which the weights
// of (time - findtime, time] reach maxretry.
func (w *window) decides(t, findtime int64, maxretry int) (int, bool) {
	if w.weight < maxretry {
		return 0, false
	}
	sum, from := 0, 0
	for i, h := range w.hits {
		sum += h.weight
		for w.hits[from].time <= h.time-findtime {
			sum -= w.hits[from].weight
			from++
		}
		if h.time >= t && sum >= maxretry {
			return i, true
		}
	}
	return 0, false
}

// ranking orders the windows of a jail that is full: by what they weigh, to
// choose which goes, and by age, to find those that can no longer ban. It is
// made when a jail first overflows in a pass, so that others do not pay for it.
type ranking struct{ light, old windowHeap }

func newRanking(windows map[Key]*window) *ranking {
	r := &ranking{
		light: windowHeap{slot: 0, less: func(a, b *window) bool {
			if a.weight != b.weight {
				return a.weight < b.weight
			}
			return olderFirst(a, b)
		}},
		old: windowHeap{slot: 1, less: olderFirst},
	}
	for _, w := range windows {
		r.light.Push(w)
		r.old.Push(w)
	}
	heap.Init(&r.light)
	heap.Init(&r.old)
	return r
}

func olderFirst(a, b *window) bool {
	if a.last() != b.last() {
		return a.last() < b.last()
	}
	return compareKeys(a.key, b.key) < 0
}

func (r *ranking) insert(w *window) { heap.Push(&r.light, w); heap.Push(&r.old, w) }
func (r *ranking) moved(w *window)  { heap.Fix(&r.light, w.index[0]); heap.Fix(&r.old, w.index[1]) }
func (r *ranking) remove(w *window) {
	heap.Remove(&r.light, w.index[0])
	heap.Remove(&r.old, w.index[1])
}

// windowHeap is a container/heap that keeps each window's place in slot.
type windowHeap struct {
	windows []*window
	slot    int
	less    func(a, b *window) bool
}

func (h *windowHeap) Len() int           { return len(h.windows) }
func (h *windowHeap) Less(i, j int) bool { return h.less(h.windows[i], h.windows[j]) }
func (h *windowHeap) Swap(i, j int) {
	h.windows[i], h.windows[j] = h.windows[j], h.windows[i]
	h.windows[i].index[h.slot], h.windows[j].index[h.slot] = i, j
}
func (h *windowHeap) Push(x any) {
	w := x.(*window)
	w.index[h.slot] = len(h.windows)
	h.windows = append(h.windows, w)
}
func (h *windowHeap) Pop() any {
	last := len(h.windows) - 1
	w := h.windows[last]
	h.windows[last] = nil
	h.windows = h.windows[:last]
	return w
}

// hit records a failure of key, and makes room when that exceeds maxTracked:
// first all windows that can no longer ban at now, then the one of the lowest
// weight, of those the stalest. It gives the key that was evicted, if any.
func (j *Jail) hit(key Key, h hit, findtime int64, maxTracked int) (w *window, evicted *window) {
	windows := j.windows.get()
	j.changed = true
	if w = windows[key]; w != nil {
		w.add(h, findtime)
		if j.ranking != nil {
			j.ranking.moved(w)
		}
		return w, nil
	}
	w = &window{key: key}
	w.add(h, findtime)
	windows[key] = w
	if j.ranking != nil {
		j.ranking.insert(w)
	}
	if len(windows) <= maxTracked {
		return w, nil
	}
	if j.ranking == nil {
		j.ranking = newRanking(windows)
	}
	for len(windows) > 1 && j.ranking.old.windows[0].last() <= h.time-findtime {
		j.forget(j.ranking.old.windows[0])
	}
	if len(windows) > maxTracked {
		evicted = j.ranking.light.windows[0]
		j.forget(evicted)
	}
	return w, evicted
}

// forget drops the window.
func (j *Jail) forget(w *window) {
	delete(j.windows.get(), w.key)
	if j.ranking != nil {
		j.ranking.remove(w)
	}
	j.changed = true
}
