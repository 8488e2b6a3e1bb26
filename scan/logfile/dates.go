package logfile

import "scan2ban/scan/filter"

// Dates reads the times of a group's lines in its own way, as its filter has it.
// *filter.Matcher does.
type Dates interface {
	// Date gives the time of a line in microseconds since the Unix epoch, which at makes
	// of the date in it; of a line without one that of the line before it in that log. ok
	// is false where there is none. Without the name of a log nothing is remembered, nor
	// a time after latest.
	Date(line []byte, log string, latest int64, at func(filter.Date) (t int64, ok bool)) (t int64, ok bool)
}

// datings are how the groups of a file read its times, by index in its groups; nil: all do
// by the layouts.
type datings []dating

type dating struct {
	dates Dates // nil: by the layouts
	clock Clock // makes times of what the dates say
}

// datings gives those of groups; a clock goes on from last, the time of the line before.
func newDatings(all []Group, groups []int, now, last int64) (d datings) {
	for i, g := range groups {
		if all[g].Dates == nil {
			continue
		}
		if d == nil {
			d = make(datings, len(groups))
		}
		d[i] = dating{all[g].Dates, Clock{Zone: all[g].Zone, Now: now, Last: last}}
	}
	return d
}

// read puts the time of a line for each group into times; 0: for that one there is none.
// plain gives that by the layouts, and is asked at most once.
func (d datings) read(line []byte, log string, times []int64, plain func() int64) []int64 {
	times = times[:0]
	byLayout, asked := int64(0), false
	for i := range d {
		t, ok := int64(0), true
		switch {
		case d[i].dates != nil:
			t, ok = d[i].dates.Date(line, log, d[i].clock.Now+MaxAhead*1e6, d[i].clock.At)
		case !asked:
			byLayout, asked = plain(), true
			fallthrough
		default:
			t = byLayout
		}
		if !ok {
			t = 0
		}
		times = append(times, t)
	}
	return times
}

// first is the first time that is known; 0: none is.
func first(times []int64) int64 {
	for _, t := range times {
		if t != 0 {
			return t
		}
	}
	return 0
}

// At makes a time of a date: in microseconds since the Unix epoch, with the zone, the year
// and the hour of an ambiguous one as Read has them. ok is false where the calendar has no
// such day.
func (c *Clock) At(d filter.Date) (t int64, ok bool) {
	t, ok = c.unix(&moment{year: d.Year, month: d.Month, day: d.Day, hour: d.Hour, minute: d.Minute, second: min(d.Second, 60), micro: d.Micros,
		zoned: d.Zoned, offset: d.Offset, absolute: d.Absolute, unix: d.Unix})
	if ok {
		c.Last = t
	}
	return t, ok
}
