package logfile

import (
	"bytes"
	"time"
)

// Blocks of a search, in bytes: it stops where no more than searchEnd are left.
const (
	searchBlock = 64 << 10
	searchEnd   = 256 << 10
)

// begins gives the offset from which the file is read that has no position: by the times
// of each of its groups.
func (f *file) begins(r *Reader, zone *time.Location) (at int64) {
	since, now := r.o.Since*1e6, f.clock.Now
	if f.dates == nil {
		return f.search(since, func() func([]byte) (int64, bool) { return (&Clock{Zone: zone, Now: now}).Read })
	}
	at = f.limit
	for i := range f.dates {
		d := f.dates[i]
		at = min(at, f.search(since, func() func([]byte) (int64, bool) {
			if d.dates == nil {
				return (&Clock{Zone: zone, Now: now}).Read
			}
			clock := &Clock{Zone: d.clock.Zone, Now: now}
			return func(line []byte) (int64, bool) { return d.dates.Date(line, "", clock.Now, clock.At) }
		}))
	}
	return at
}

// search gives the offset of a line before which, as far as lines are in the order
// of their times, all are of before since, in microseconds since the Unix epoch. clock gives what reads times.
func (f *file) search(since int64, clock func() func(line []byte) (t int64, ok bool)) int64 {
	low, high := int64(0), f.limit
	block := make([]byte, searchBlock)
	if f.pos.Changed/1000 < since && high > searchBlock { // all of it
		n, _ := f.f.ReadAt(block, high-searchBlock)
		if i := bytes.IndexByte(block[:n], '\n'); i >= 0 {
			return high - searchBlock + int64(i) + 1
		}
	}
	for high-low > searchEnd {
		middle := low + (high-low)/2
		n, _ := f.f.ReadAt(block, middle)
		at, t, ok := firstTime(block[:n], clock())
		switch {
		case !ok:
			return low
		case t < since:
			low = middle + int64(at)
		default:
			high = middle
		}
	}
	return low
}

// firstTime gives the first line in a block, not counting the one that it begins
// in, that has a time.
func firstTime(block []byte, read func(line []byte) (t int64, ok bool)) (at int, t int64, ok bool) {
	for {
		i := bytes.IndexByte(block[at:], '\n')
		if i < 0 {
			return 0, 0, false
		}
		at += i + 1
		end := bytes.IndexByte(block[at:], '\n')
		if end < 0 {
			return 0, 0, false
		}
		if t, ok = read(block[at : at+end]); ok {
			return at, t, true
		}
	}
}
