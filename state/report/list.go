package report

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"scan2ban/state"
)

// List is a list of addresses that another program keeps.
type List struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Allow   bool    `json:"allow"`
	Enforce bool    `json:"enforce"`
	Entries int     `json:"entries"` // of the reading that holds
	Ranges  int     `json:"ranges"`  // what they came to, without what is ignored
	Bad     int     `json:"bad"`     // lines that were no address
	Read    *string `json:"read"`    // when it was taken; null: not yet
	Written *string `json:"written"` // when the file was written; null: it cannot be told
	Problem string  `json:"problem,omitempty"`

	written int64
}

// NewList shows a list; times are seconds, 0 unknown.
func NewList(name, file string, allow, enforce bool, entries, ranges, bad int, read, written int64, problem string) List {
	l := List{Name: name, File: file, Allow: allow, Enforce: enforce, Entries: entries, Ranges: ranges, Bad: bad, Problem: problem, written: written}
	at := func(second int64) *string {
		if second == 0 {
			return nil
		}
		text := UTC(second)
		return &text
	}
	l.Read, l.Written = at(read), at(written)
	return l
}

// kind says what the list is for.
func (l List) kind() string {
	switch {
	case l.Allow:
		return "never banned"
	case l.Enforce:
		return "kept out"
	}
	return "observed"
}

func writeLists(w io.Writer, lists []List, now int64) {
	if len(lists) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{heading: []string{"LIST", "ENTRIES", "RANGES", "AGE", "WHAT"}, right: map[int]bool{1: true, 2: true, 3: true}}
	for _, l := range lists {
		age, what := "-", l.kind()
		if l.written != 0 {
			age = state.Duration(time.Duration(max(0, now-l.written)) * time.Second).String()
		}
		if l.Read == nil && l.Problem == "" {
			what += ": not read yet"
		}
		if l.Bad > 0 {
			what += fmt.Sprintf(", %s no address", state.Plural(l.Bad, "line"))
		}
		if l.Problem != "" {
			what += ": " + Clean(l.Problem)
		}
		t.rows = append(t.rows, []string{l.Name, strconv.Itoa(l.Entries), strconv.Itoa(l.Ranges), age, what})
	}
	t.write(w)
}
