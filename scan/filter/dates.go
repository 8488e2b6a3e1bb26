package filter

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"scan2ban/state/lazy"
)

// Dates finds the time in a line by date patterns, and what is left of the line
// without it. A pattern is an expression in which stand
//
//	%Y %y %m %d %b %B %a %A %H %k %I %l %M %S %f %p %j %z %Z ...   as in strptime(3)
//	%ExY %Exy %Exm %Exd %ExH %ExM %ExS ...   the same with all their digits
//	{DATE}       any of the usual dates
//	{EPOCH} {LEPOCH}   seconds (milliseconds, microseconds) since 1970
//	EPOCH, LEPOCH, TAI64N   the pattern alone
//	{^LN-BEG}    at the beginning of the line, perhaps after two signs
//	{UNB}        the pattern may begin and end within a word; also ** at an end
//	{NONE}       there is no date
//	{DEFAULT}    the usual dates, also "{^LN-BEG}" alone: those at the beginning
//
// The first group, if there is one, is what is cut out.
//
// A Dates keeps which pattern held last: it is one log's, and one goroutine's.
type Dates struct {
	templates []*dateTemplate
	held      *dateHeld
	timeouts  int
}

type dateTemplate struct {
	kind      int // dateFields, dateEpoch, dateTAI
	regex     string
	e         *expression
	lineBegin bool
	anchored  bool // at the beginning or the end
	long      bool // LEPOCH
}

// dateHeld is which pattern of a log held last, and where in the line.
type dateHeld struct {
	Last  int `json:"last"` // its number, from 1; 0: none did
	Start int `json:"start"`
	End   int `json:"end"`
}

// hold goes on with another log.
func (d *Dates) hold(held *dateHeld) {
	if held.Last < 0 || held.Last > len(d.templates) { // they were changed
		*held = dateHeld{}
	}
	d.held = held
}

const (
	dateFields = iota
	dateEpoch
	dateTAI
)

// usualDates are what is looked for where no pattern is named: formats, most
// exact first.
var usualDates = []string{
	`%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?`,
	`(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`,
	`(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?`,
	`%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S`,
	`%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?`,
	`%m/%d/%ExY:%H:%M:%S`,
	`%m-%d-%ExY %k:%M:%S(?:\.%f)?`,
	`EPOCH`,
	`{^LN-BEG}%H:%M:%S`,
	`^<%m/%d/%Exy@%H:%M:%S>`,
	`%Exy%Exm%Exd  ?%H:%M:%S`,
	`%b %d, %ExY %I:%M:%S %p`,
	`^%b-%d-%Exy %k:%M:%S`,
	`%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?`,
	`(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`,
	`(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`,
	`TAI64N`,
}

const zoneName = `[A-Z](?:[A-Z]{2,4})?`

var dateDirectives = map[string]string{
	"a": `(?P<a>sun|mon|tue|wed|thu|fri|sat)`, "A": `(?P<A>sunday|monday|tuesday|wednesday|thursday|friday|saturday)`,
	"b": `(?P<b>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`,
	"B": `(?P<B>january|february|march|april|may|june|july|august|september|october|november|december)`,
	"d": `(?P<d>[1-2]\d|[0 ]?[1-9]|3[0-1])`, "m": `(?P<m>0?[1-9]|1[0-2])`, "Y": `(?P<Y>\d{4})`, "y": `(?P<y>\d\d)`,
	"H": `(?P<H>[0-1]?\d|2[0-3])`, "k": ` ?(?P<H>[0-2]?\d)`, "I": `(?P<I>1[0-2]|0?[1-9]| [1-9])`, "l": ` ?(?P<I>1?\d)`,
	"M": `(?P<M>[0-5]?\d)`, "S": `(?P<S>[0-5]?\d|6[0-1])`, "f": `(?P<f>[0-9]{1,6})`, "p": `(?P<p>am|pm)`,
	"j": `(?P<j>36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9])`,
	"w": `(?P<w>[0-6])`, "u": `(?P<u>[1-7])`, "U": `(?P<U>5[0-3]|[0-4]\d|\d)`, "W": `(?P<W>5[0-3]|[0-4]\d|\d)`, "G": `(?P<G>\d{4})`, "V": `(?P<V>5[0-3]|0[1-9]|[1-4]\d|\d)`,
	"z": `(?P<z>Z|UTC|GMT|[+-][01]\d(?::?\d{2})?)`, "Z": `(?P<Z>Z|[A-Z]{3,5})`,
	"ExZ": `(?P<Z>` + zoneName + `)`, "Exz": `(?P<z>(?:` + zoneName + `)?[+-][01]\d(?::?\d{2})?|` + zoneName + `)`,
	"Exd": `(?P<d>[1-2]\d|0[1-9]|3[0-1])`, "Exm": `(?P<m>0[1-9]|1[0-2])`, "ExH": `(?P<H>[0-1]\d|2[0-3])`,
	"Exk": ` ?(?P<H>[0-1]?\d|2[0-3])`, "Exl": ` ?(?P<I>1[0-2]|\d)`, "ExM": `(?P<M>[0-5]\d)`, "ExS": `(?P<S>[0-5]\d|6[0-1])`,
	"ExY": `(?P<Y>20\d\d)`, "Exy": `(?P<y>\d{2})`,
}

var (
	dateDirective = lazy.Regexp(`%(%|Ex[ZzdmHklMSYy]|[a-zA-Z])`)
	hasLetters    = lazy.Regexp(`(?:^|[^%])%[aAbBpc]`)
	globalFlags   = lazy.Regexp(`\(\?[a-z]+\)`)
	boundBegin    = lazy.Regexp(`^\(*(?:\(\?\w+\))?(?:\^|\(*\*\*|\((?:\?:)?\^)`)
	boundEnd      = lazy.Regexp(`(?:\$\)?|\\b|\\s|\*\*\)*)$`)
	lineBegin     = lazy.Regexp(`^(?:\(\?\w+\))?(?:\^|\((?:\?:)?\^(?:[^|]|$))`)
	wraps         = lazy.Regexp(`(?s)^((?:\(\?\w+\))?\^?(?:\(\?\w+\))?)(.*?)(\$?)$`)
	starsBegin    = lazy.Regexp(`^(\(*(?:\(\?\w+\))?\(*)\*\*`)
	starsEnd      = lazy.Regexp(`\*\*(\)*)$`)
	epochInside   = lazy.Regexp(`(?i)\{(L?)EPOCH\}`)
	dateInside    = lazy.Regexp(`(?i)\{DATE\}`)
	edgeBegin     = lazy.Regexp(`^(?:\{UNB\}|\{\^LN-BEG\})`)
)

// newDates reads date patterns; none of them means the usual ones.
func newDates(patterns []string) (*Dates, error) {
	d := &Dates{held: &dateHeld{}}
	if len(patterns) == 0 {
		patterns = []string{"{DEFAULT}"}
	}
	for _, pattern := range patterns {
		all, err := dateTemplates(pattern)
		if err != nil {
			return nil, fmt.Errorf("date pattern %q: %w", pattern, err)
		}
		for _, t := range all {
			if !slices.ContainsFunc(d.templates, func(o *dateTemplate) bool { return o.regex == t.regex }) {
				d.templates = append(d.templates, t)
			}
		}
	}
	return d, nil
}

// datesRead are the templates of the patterns that were read: a script is read when it is checked, and
// again when it is opened, and most have the same few.
var datesRead struct {
	sync.Mutex
	of map[string][]*dateTemplate
}

// datesReadMost bounds them.
const datesReadMost = 256

// dateTemplates gives those of a pattern, which several scripts may share.
func dateTemplates(pattern string) (all []*dateTemplate, err error) {
	datesRead.Lock()
	defer datesRead.Unlock()
	if all = datesRead.of[pattern]; all != nil {
		return all, nil
	}
	if all, err = readTemplates(pattern); err != nil {
		return nil, err
	}
	if datesRead.of == nil || len(datesRead.of) >= datesReadMost {
		datesRead.of = map[string][]*dateTemplate{}
	}
	datesRead.of[pattern] = all
	return all, nil
}

// Undatable are the script's date patterns that say of no line on which day it was
// logged: {NONE}, and those of a clock alone. In a log file that proves nothing.
func (s *Script) Undatable() (patterns []string) {
	for _, pattern := range s.Dates {
		all, err := dateTemplates(pattern)
		if err == nil && !slices.ContainsFunc(all, func(t *dateTemplate) bool { return t.days() }) {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

// days tells whether the pattern can say on which day it was.
func (t *dateTemplate) days() bool {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(t.e.names, name) })
	}
	return t.kind != dateFields || has("d") && has("m", "b", "B") || has("j") && has("Y", "y")
}

func readTemplates(pattern string) (all []*dateTemplate, err error) {
	key := pattern
	if !strings.Contains(pattern, "%") {
		key = strings.ToUpper(pattern)
	}
	var list []string
	switch {
	case key == "{DEFAULT}" || key == "{^LN-BEG}":
		for _, usual := range usualDates {
			if !strings.HasPrefix(usual, "^") && !strings.HasPrefix(usual, "{^") {
				list = append(list, "{^LN-BEG}"+usual)
			}
		}
		list = append(list, usualDates...)
	case dateInside().MatchString(key):
		for _, usual := range usualDates {
			if usual == "EPOCH" || usual == "TAI64N" {
				if dateInside().ReplaceAllLiteralString(pattern, "") != "" && usual == "TAI64N" {
					continue
				}
				usual = "{" + usual + "}"
			}
			usual = edgeBegin().ReplaceAllString(usual, "")
			list = append(list, dateInside().ReplaceAllLiteralString(pattern, usual))
		}
	case key == "{NONE}":
		list = []string{"{UNB}^"}
	default:
		list = []string{pattern}
	}
	for _, p := range list {
		t, err := newDateTemplate(p)
		if err != nil {
			return nil, err
		}
		if key == "{^LN-BEG}" && !t.lineBegin {
			continue
		}
		all = append(all, t)
	}
	return all, nil
}

func newDateTemplate(pattern string) (*dateTemplate, error) {
	t := &dateTemplate{}
	word, wordEnd, start := true, true, false
	key := strings.ToUpper(pattern)
	if strings.Contains(pattern, "%") {
		key = pattern
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(key, "{^LN-BEG}"), "^")
	anchored := bare != key
	regex := pattern
	switch m := epochInside().FindStringSubmatch(pattern); {
	case m != nil:
		t.kind, t.long = dateEpoch, m[1] != ""
		regex = "(" + epochInside().ReplaceAllLiteralString(edgeBegin().ReplaceAllString(pattern, ""), "("+epochDigits(t.long)+")") + ")"
		start = strings.HasPrefix(key, "{^LN-BEG}")
		regex = dateRegex(regex)
	case bare == "EPOCH" || bare == "LEPOCH":
		t.kind, t.long = dateEpoch, bare == "LEPOCH"
		if anchored {
			start = true
			regex = `((?P<square>(?<=^\[))?` + epochDigits(t.long) + `)(?(square)(?=\]))`
		} else {
			word = false
			regex = `((?:^|(?<=^\[)(?=[\d.]+\])|(?<=\baudit\()(?=[\d.]+:\d+\)))` + epochDigits(t.long) + `)`
		}
	case bare == "TAI64N":
		t.kind = dateTAI
		word, start = anchored, anchored
		regex = `@[0-9a-f]{24}`
	default:
		if strings.HasPrefix(regex, "{UNB}") {
			regex, word, wordEnd = regex[len("{UNB}"):], false, false
		} else if strings.HasPrefix(regex, "{^LN-BEG}") {
			regex, start = regex[len("{^LN-BEG}"):], true
		}
		letters := hasLetters().MatchString(regex)
		regex = dateRegex(regex)
		if letters {
			regex = "(?iu)" + regex
		}
	}
	t.bound(regex, word, wordEnd, start)
	translated, err := dialectBacktracking(t.regex, true)
	if err != nil {
		return nil, err
	}
	if t.e, err = compileExpression(translated, true, false); err != nil {
		return nil, err
	}
	return t, nil
}

// dateRegex puts expressions for the directives. A field that is there twice is
// captured once.
func dateRegex(pattern string) string {
	return dateDirective().ReplaceAllStringFunc(pattern, func(d string) string {
		switch d {
		case "%%":
			return "%"
		case "%c":
			return dateRegex(`%a %b %d %H:%M:%S %Y`)
		case "%x":
			return dateRegex(`%m/%d/%y`)
		case "%X":
			return dateRegex(`%H:%M:%S`)
		}
		if re, ok := dateDirectives[d[1:]]; ok {
			return re
		}
		return d
	})
}

func epochDigits(long bool) string {
	if long {
		return `\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?`
	}
	return `\d{10,11}\b(?:\.\d{3,6})?`
}

// bound adds what keeps the pattern from beginning or ending within a word.
func (t *dateTemplate) bound(regex string, word, wordEnd, start bool) {
	regex = strings.TrimSpace(regex)
	flags := globalFlags().FindString(regex)
	if flags != "" {
		regex = strings.Replace(regex, flags, "", 1)
	}
	begin := word && !boundBegin().MatchString(regex)
	end := wordEnd && !boundEnd().MatchString(regex)
	if !hasPlainGroup(regex) {
		regex = wraps().ReplaceAllString(regex, "${1}(${2})${3}")
	}
	if begin && start {
		regex = `^(?:\W{0,2})?` + regex
		t.lineBegin = true
	} else if begin {
		regex = `(?=^|\b|\W)` + regex
	}
	if end {
		regex += `(?=\b|\W|$)`
	}
	if lineBegin().MatchString(regex) {
		t.lineBegin = true
	}
	t.anchored = t.lineBegin || !end && strings.HasSuffix(strings.TrimSuffix(regex, ")"), "$")
	regex = starsBegin().ReplaceAllString(regex, "$1")
	regex = starsEnd().ReplaceAllString(regex, "$1")
	t.regex = flags + regex
}

// hasPlainGroup tells whether a group without a name stands in regex.
func hasPlainGroup(regex string) bool {
	for i := 0; i < len(regex); i++ {
		switch {
		case regex[i] == '\\':
			i++
		case regex[i] == '(' && !strings.HasPrefix(regex[i+1:], "?") && !(i >= 2 && regex[i-2:i] == "(?"):
			return true
		}
	}
	return false
}

// find gives the place of the date in line, and what it says; dated is false where no
// pattern holds, and where what stands there is no date.
func (d *Dates) find(line string) (at [2]int, date Date, dated bool) {
	try := func(t *dateTemplate) *found {
		f, err := t.e.find(line)
		if err != nil {
			d.timeouts++
		}
		return f
	}
	var best *found
	var by *dateTemplate
	if d.held.Last > 0 {
		t := d.templates[d.held.Last-1]
		if f := try(t); f != nil && (t.anchored || len(d.templates) == 1 || f.start == d.held.Start && f.end == d.held.End) {
			best, by = f, t
		} else if f != nil {
			best, by = f, t
			for _, o := range d.templates {
				if o == t {
					continue
				}
				if g := try(o); g != nil && g.start < best.start {
					best, by = g, o
				}
			}
		}
	}
	if best == nil {
		for _, t := range d.templates {
			f := try(t)
			if f == nil {
				continue
			}
			if t.anchored {
				best, by = f, t
				break
			}
			if best == nil || f.start < best.start {
				best, by = f, t
			}
		}
	}
	if best == nil {
		return at, date, false
	}
	*d.held = dateHeld{1 + slices.Index(d.templates, by), best.start, best.end}
	at = best.first
	if at[0] == at[1] {
		return at, date, false
	}
	date, dated = by.date(best, line[at[0]:at[1]])
	return at, date, dated
}
