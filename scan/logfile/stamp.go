package logfile

import (
	"bytes"
	"time"
)

// Clock reads the times that stand in the lines of one file.
//
// The layout that fitted last is tried first, then the others. It is found at the
// beginning of a line, where the daemon writes; only a web server's stands
// further in, and there it is the one that no client can have written.
type Clock struct {
	Zone *time.Location // of times that name none; nil: the host's
	Now  int64          // microseconds since the Unix epoch: a time without a year lies before it
	Last int64          // the time of the line before, in microseconds since the Unix epoch; 0: unknown

	layout int
	head   int // where the time of the line read last ends; 0: it does not stand at the beginning
	hour   hour
	text   [40]byte // what was read last, and what it meant
	length int
	at     int64
}

// layouts in the order in which they are tried. Each gives the length of the
// time where it stands at the beginning of the line: another line that begins
// with the same bytes, and one more, has the same time. 0: it stands elsewhere.
var layouts = [...]func(line []byte) (m moment, sure int, ok bool){
	readISO, readSyslog, readCtime, readDayFirst, readCompact, readEpoch, readJSON, readCLF, readLogfmt,
}

const lastAtHead = 5 // in layouts: readEpoch

// Read gives the time of a line in microseconds since the Unix epoch; ok is false
// where it has none. A time without a zone is one of c.Zone; of an hour that the
// clocks showed twice it is the first, unless that would go back by more than a
// minute. A time without a year is of the year that makes it the latest that is
// not after c.Now.
func (c *Clock) Read(line []byte) (t int64, ok bool) {
	if n := c.length; n > 0 && len(line) >= n && bytes.Equal(line[:n], c.text[:n]) {
		c.head = n - 1
		return c.at, true
	}
	m, sure, ok := layouts[c.layout](line)
	for i := 0; !ok && i < len(layouts); i++ {
		if i != c.layout {
			if m, sure, ok = layouts[i](line); ok {
				c.layout = i
			}
		}
	}
	c.length, c.head = 0, 0
	if !ok {
		return 0, false
	}
	t, ok = c.unix(&m)
	if ok {
		c.Last, c.head = t, sure
	}
	if ok && sure > 0 && sure < len(c.text) && sure < len(line) && !c.hour.twice {
		c.length, c.at = copy(c.text[:], line[:sure+1]), t
	}
	return t, ok
}

// cut takes off the time that was found in the first head bytes of line, with the brackets
// or quotes around it and the space after it.
func cut(line []byte, head int) []byte {
	if head == 0 {
		return line
	}
	rest := bytes.TrimLeft(line[min(head, len(line)):], `]"`)
	return bytes.TrimLeft(rest, " \t")
}

// CutTime takes a time off the beginning of a message of the journal, where a
// daemon has written one of its own.
func CutTime(message []byte) []byte {
	if len(message) < len("1795335241 ") {
		return message
	}
	switch c := message[0]; {
	case isDigit(c), c == '[', c == '"', c == 't':
	case c >= 'A' && c <= 'W' && message[3] == ' ': // a month or a day of the week
	default:
		return message
	}
	for _, layout := range layouts[:lastAtHead+1] {
		if _, head, ok := layout(message); ok {
			return cut(message, head)
		}
	}
	return message
}

// moment is a time as it stands in a line.
type moment struct {
	year, month, day, hour, minute, second int // year 0: it has none
	micro                                  int
	zoned                                  bool // offset counts
	offset                                 int  // seconds east of Greenwich
	absolute                               bool // unix counts, and nothing else
	unix                                   int64
}

// valid tells whether there is such a day and time; a year of 0 is a leap year.
func (m *moment) valid() bool {
	return m.month >= 1 && m.month <= 12 && m.day >= 1 && m.day <= daysIn(m.year, m.month) &&
		m.hour >= 0 && m.hour <= 23 && m.minute >= 0 && m.minute <= 59 && m.second >= 0 && m.second <= 60
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// days of a date since the Unix epoch. (Counted from March, so that the leap day
// is the last of its year.)
func days(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := y / 400
	yearOfEra := y - era*400
	dayOfYear := int64((153*((month+9)%12)+2)/5 + day - 1)
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

// hour is what one hour of the zone's clock is in Unix time: most lines are of
// the hour of the line before.
type hour struct {
	year, month, day, hour int
	begins                 int64 // seconds since the Unix epoch
	known                  bool
	twice                  bool // the zone's clock showed it twice, or not whole
}

func (c *Clock) unix(m *moment) (int64, bool) {
	if m.absolute {
		return m.unix, true
	}
	if !m.valid() {
		return 0, false
	}
	within := int64(m.minute*60 + min(m.second, 59)) // a leap second is the one before
	if m.zoned {
		if m.year == 0 {
			m.year = c.year(m)
		}
		return (days(m.year, m.month, m.day)*86400+int64(m.hour*3600-m.offset)+within)*1e6 + int64(m.micro), true
	}
	h := &c.hour
	if !h.known || h.year != m.year || h.month != m.month || h.day != m.day || h.hour != m.hour {
		*h = hour{year: m.year, month: m.month, day: m.day, hour: m.hour, known: true}
		of := *m
		if of.year == 0 {
			of.year = c.year(m)
		}
		clock := days(of.year, of.month, of.day)*86400 + int64(of.hour)*3600
		first, n := c.instants(clock)
		last, n2 := c.instants(clock + 3599)
		h.twice = n != 1 || n2 != 1 || last[0]-first[0] != 3599
		h.begins = first[0]
		if h.twice {
			h.begins = clock
		}
	}
	seconds := h.begins + within
	if h.twice {
		seconds = c.choose(h.begins + within)
	}
	return seconds*1e6 + int64(m.micro), true
}

// maxZone is how far ahead of the clock, in seconds, a zone can put a time.
const maxZone = 14 * 3600

// year gives the latest year in which m is not after the clock. What is ahead by
// no more than a wrong zone would put it is not taken for a year old: it is ahead.
func (c *Clock) year(m *moment) int {
	now := time.UnixMicro(c.Now).In(c.zone())
	_, offset := now.Zone()
	limit := now.Unix() + int64(offset) + maxZone
	for year := now.Year() + 1; year > now.Year()-9; year-- {
		if m.day <= daysIn(year, m.month) && days(year, m.month, m.day)*86400+int64(m.hour)*3600 <= limit {
			return year
		}
	}
	return now.Year()
}

func (c *Clock) zone() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}

// instants are the Unix times, the earlier first, at which the zone's clock
// showed what it shows at clock, seconds since the epoch on that clock. There are
// two when it was set back; where it was set forward over it there is none, and
// n is 0 and the first what it would have been.
func (c *Clock) instants(clock int64) (at [2]int64, n int) {
	offset := func(t int64) int64 {
		_, o := time.Unix(t, 0).In(c.zone()).Zone()
		return int64(o)
	}
	before, after := offset(clock-86400), offset(clock+86400)
	at[0] = clock - before
	if offset(clock-before) == before {
		n = 1
	}
	if after != before && offset(clock-after) == after {
		at[n] = clock - after
		n++
	}
	if n == 2 && at[1] < at[0] {
		at[0], at[1] = at[1], at[0]
	}
	return at, n
}

// choose gives one instant for a time of an hour that is not simple: the first,
// unless the line before was already past it.
func (c *Clock) choose(clock int64) int64 {
	const back = 60 // seconds by which lines may be out of order
	at, n := c.instants(clock)
	if n == 2 && c.Last != 0 && at[0] < c.Last/1e6-back && at[1]*1e6 <= c.Now+MaxAhead*1e6 {
		return at[1]
	}
	return at[0]
}
