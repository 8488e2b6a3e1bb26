package filter

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"scan2ban/state/lazy"
)

// Date is what a date pattern has read in a line: what a calendar and a clock showed, or
// a moment. Whoever reads the log makes a time of it, with the zone and the year that
// it leaves out.
type Date struct {
	Year, Month, Day             int // Year 0: it names none
	Hour, Minute, Second, Micros int
	Zoned                        bool  // Offset counts
	Offset                       int   // seconds east of Greenwich
	Absolute                     bool  // Unix counts, and nothing else
	Unix                         int64 // microseconds since the Unix epoch
}

// date reads what a pattern has found.
func (t *dateTemplate) date(f *found, text string) (d Date, ok bool) {
	d.Absolute = true
	switch t.kind {
	case dateTAI:
		if len(text) < 17 {
			return d, false
		}
		v, err := strconv.ParseInt(text[2:17], 16, 64)
		d.Unix = v * 1e6
		return d, err == nil && v < maxEpoch
	case dateEpoch:
		digits := epochNumber().FindString(text)
		v, err := strconv.ParseFloat(digits, 64)
		if t.long && len(digits) >= 13 {
			if len(digits) >= 16 && !strings.Contains(digits, ".") {
				v /= 1e6
			} else {
				v /= 1e3
			}
		}
		d.Unix = int64(v * 1e6)
		return d, err == nil && v < maxEpoch
	}
	return readFields(f.groups)
}

const maxEpoch = 1 << 40 // seconds: no log's, and still a number that can be reckoned with

var epochNumber = lazy.Regexp(`\d{10,}(?:\.\d{1,6})?`)

var months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// readFields reads the fields of a date. One without a day is none: which day it was
// depends on when the line is read. Whether the month has such a day is not looked at.
func readFields(g map[string]string) (d Date, ok bool) {
	number := func(names ...string) (int, bool) {
		for _, name := range names {
			if text, ok := g[name]; ok && text != "" {
				n, err := strconv.Atoi(strings.TrimSpace(text))
				return n, err == nil
			}
		}
		return 0, false
	}
	d.Year, _ = number("Y")
	if y, ok := number("y"); ok {
		d.Year = y + 2000
	}
	d.Month, _ = number("m")
	if name := g["b"] + g["B"]; len(name) >= 3 {
		d.Month = slices.Index(months, strings.ToLower(name[:3])) + 1
	}
	d.Day, _ = number("d")
	if day, ok := number("j"); ok && d.Year > 0 && (d.Month == 0 || d.Day == 0) {
		d.Month, d.Day = dayOfYear(d.Year, day)
	}
	d.Hour, _ = number("H")
	if h, ok := number("I"); ok {
		d.Hour = h % 12
		if strings.EqualFold(g["p"], "pm") {
			d.Hour += 12
		}
	}
	d.Minute, _ = number("M")
	d.Second, _ = number("S")
	if text := g["f"]; text != "" {
		d.Micros, _ = strconv.Atoi((text + "00000")[:6])
	}
	if text := g["z"] + g["Z"]; text != "" {
		if d.Offset, d.Zoned = zoneOffset(text); !d.Zoned {
			return d, false
		}
	}
	return d, d.Month > 0 && d.Day > 0 && d.Hour < 24 && d.Minute < 60 && d.Second < 62
}

// dayOfYear gives the month and the day in it; 0 where the year has no such day.
func dayOfYear(year, n int) (month, day int) {
	t := time.Date(year, 1, n, 0, 0, 0, 0, time.UTC)
	if n < 1 || t.Year() != year {
		return 0, 0
	}
	return int(t.Month()), t.Day()
}

var zoneText = lazy.Regexp(`^([A-Za-z]{0,5})(?:([+-])(\d\d):?(\d\d)?)?$`)

// zoneOffset gives the seconds east of Greenwich of "Z", "CEST", "+0200" or "UTC+02".
func zoneOffset(text string) (seconds int, ok bool) {
	m := zoneText().FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	if m[1] != "" {
		hours, known := zoneHours[strings.ToUpper(m[1])]
		if !known {
			return 0, false
		}
		seconds = int(hours * 3600)
	}
	h, _ := strconv.Atoi(m[3])
	minutes, _ := strconv.Atoi(m[4])
	if m[2] == "-" {
		return seconds - h*3600 - minutes*60, true
	}
	return seconds + h*3600 + minutes*60, true
}

// zoneHours are the abbreviations of zones that are in use; those that name two zones
// are read as America's.
var zoneHours = map[string]float64{
	"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "BST": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2, "SAST": 2, "EEST": 3, "MSK": 3, "MSD": 4,
	"GST": 4, "PKT": 5, "IST": 5.5, "NPT": 5.75, "ICT": 7, "WIB": 7, "HKT": 8, "SGT": 8, "AWST": 8, "PHT": 8, "JST": 9, "KST": 9, "ACST": 9.5, "AEST": 10,
	"ACDT": 10.5, "AEDT": 11, "NZST": 12, "NZDT": 13, "BRT": -3, "ART": -3, "NST": -3.5, "NDT": -2.5, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "ET": -5, "CST": -6,
	"CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "PT": -8, "AKST": -9, "AKDT": -8, "HST": -10,
}
