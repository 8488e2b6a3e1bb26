package state

import (
	"maps"
	"slices"
)

// window holds the failures of one key that may still lead to a ban, oldest
// first.
type window struct {
	key    Key
	hits   []hit
	weight int    // sum over hits
	place  int32  // in a ranking
	anew   uint32 // the second up to which its hits are of the source that is judged anew, see recount; 0: none is
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
	for j.Tracked() > 1 {
		over := j.ranking.stale(h.time - findtime)
		if over == nil {
			break
		}
		j.forget(over)
	}
	if j.Tracked() > maxTracked {
		evicted = j.ranking.lightest()
		j.forget(evicted)
	}
	return w, evicted
}

// forget drops the window.
func (j *Jail) forget(w *window) {
	windows := j.windows.get()
	delete(windows, w.key)
	if j.ranking != nil {
		j.ranking.remove(w)
	}
	j.changed = true
	if j.forgotten++; j.forgotten > 4*max(len(windows), 1000) {
		j.windows.set(compact(windows))
		j.forgotten = 0
	}
}

// compact makes a map anew: one of Go 1.26 that loses and gains members for long grows to
// several times its size.
func compact(windows map[Key]*window) map[Key]*window {
	anew := make(map[Key]*window, len(windows))
	maps.Copy(anew, windows)
	return anew
}
