package scan

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// datedWatch is a jail whose filter finds the time of a line by its own pattern.
func datedWatch(t testing.TB, jail, dates string, zone *time.Location, paths ...string) Watch {
	text := "[script]\ndates = ['" + dates + "']\n[[script.failure]]\nname = 'wrong'\npattern = '(?:^|\\s)wrong <ADDR>$'\n"
	if dates == "" {
		text = strings.Replace(text, "dates = ['']\n", "", 1)
	}
	rules, err := filter.Parse(jail, jail+".toml", text)
	if err != nil {
		t.Fatal(err)
	}
	return Watch{Jail: jail, Matcher: rules.Compile(filter.Normal), Paths: paths, Zone: zone}
}

func said(f Finding) string {
	return fmt.Sprintf("%s %s %s", f.Jail, time.Unix(f.Time, 0).UTC().Format(time.DateTime), f.Verdict.Addr)
}

// The time of a line is what the filter's pattern finds, in the jail's zone.
func TestDates(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dates string
		zone  *time.Location
		line  string
		want  string // "": none is blamed
	}{
		{`^%d/%m/%Y %H:%M:%S`, time.UTC, "04/11/2026 08:14:01 wrong 203.0.113.1", "2026-11-04 08:14:01"},
		{`^%m/%d/%Y %H:%M:%S`, time.UTC, "04/11/2026 08:14:01 wrong 203.0.113.1", "2026-04-11 08:14:01"},
		{`^%Y-%d-%m %H:%M:%S`, time.UTC, "2026-04-11 08:14:01 wrong 203.0.113.1", "2026-11-04 08:14:01"}, // the layouts take it for April
		{`^%d/%m/%Y %H:%M:%S`, berlin, "22/11/2026 09:14:01 wrong 203.0.113.1", "2026-11-22 08:14:01"},
		{`^%d/%m/%Y %H:%M:%S`, berlin, "04/07/2026 09:14:01 wrong 203.0.113.1", "2026-07-04 07:14:01"}, // in summer
		{`^%d/%m/%Y %H:%M:%S %z`, berlin, "22/11/2026 09:14:01 +0300 wrong 203.0.113.1", "2026-11-22 06:14:01"},
		{`^%d\.%m\. %H:%M:%S`, time.UTC, "24.12. 08:14:01 wrong 203.0.113.1", "2025-12-24 08:14:01"}, // not yet this year
		{`^%d\.%m\. %H:%M:%S`, time.UTC, "29.02. 08:14:01 wrong 203.0.113.1", "2024-02-29 08:14:01"},
		{`^%d\.%m\.%Y %H:%M`, time.UTC, "29.02.2026 08:14 wrong 203.0.113.1", ""},
		{`^app \[{EPOCH}\]`, berlin, "app [1795335241] wrong 203.0.113.1", "2026-11-22 08:14:01"},
		{`{^LN-BEG}EPOCH`, berlin, "[1795335241.345] wrong 203.0.113.1", "2026-11-22 08:14:01"},
		{`{^LN-BEG}TAI64N`, berlin, "@400000006a016cc9077a9e94 wrong 203.0.113.1", "2026-05-11 05:44:41"},
		{``, time.UTC, "11-22-2026 08:14:01 wrong 203.0.113.1", "2026-11-22 08:14:01"},
		{`^%d/%m/%Y %H:%M:%S`, time.UTC, "22/11/2026 08:31:00 wrong 203.0.113.1", "2026-11-22 08:31:00"}, // 60 s ahead
		{`^%d/%m/%Y %H:%M:%S`, time.UTC, "22/11/2026 08:31:01 wrong 203.0.113.1", ""},
		{`^%H:%M:%S`, time.UTC, "08:14:01 wrong 203.0.113.1", ""}, // of which day?
		{`{NONE}`, time.UTC, "2026-11-22 08:14:01 wrong 203.0.113.1", ""},
		{`^%d/%m/%Y %H:%M:%S`, time.UTC, "2026-11-22 08:14:01 wrong 203.0.113.1", ""},
	} {
		path := writeLog(t, "app.log", c.line)
		want := []string{}
		if c.want != "" {
			want = append(want, "app "+c.want+" 203.0.113.1")
		}
		got := []string{}
		l := logs(t, logfile.Options{}, datedWatch(t, "app", c.dates, c.zone, path))
		l.Rest(func(f Finding) { got = append(got, said(f)) })
		if !slices.Equal(got, want) || (len(l.Warnings()) == 0) != (c.want != "") {
			t.Errorf("%s in %q: %q, want %q; %q", c.dates, c.line, got, want, l.Warnings())
		}
	}
}

// A line without a date is of the time of the one before it in its log, in another pass
// too; and before there was any it blames nobody, and is told of.
func TestUndated(t *testing.T) {
	path := writeLog(t, "app.log", "wrong 203.0.113.1", "04/11/2026 08:14:01 begins", "wrong 203.0.113.2")
	w := datedWatch(t, "app", `^%d/%m/%Y %H:%M:%S`, time.UTC, path)
	var got []string
	l := logs(t, logfile.Options{}, w)
	l.Rest(func(f Finding) { got = append(got, said(f)) })
	if want := []string{"app 2026-11-04 08:14:01 203.0.113.2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if told := l.Warnings(); len(told) != 1 || !strings.HasPrefix(told[0], `jail "app": 1 line of `+path+" is refused: no date") {
		t.Errorf("told %q", told)
	}
}

// One file, read once, that jails read the time of each in its own way.
func TestDatesOfSeveralJails(t *testing.T) {
	path := writeLog(t, "app.log",
		"04/11/2026 08:14:01 wrong 203.0.113.1",
		"2026-11-05 08:14:01 wrong 203.0.113.2",
		"25/11/2026 08:14:01 wrong 203.0.113.3") // for the first it is not yet; for the second there is no such month
	first, second := datedWatch(t, "day", `^%d/%m/%Y %H:%M:%S`, time.UTC, path), datedWatch(t, "month", `^%m/%d/%Y %H:%M:%S`, time.UTC, path)
	plain := sshdWatch(t, "plain", path) // it has no rule for such lines
	var got []string
	l := logs(t, logfile.Options{Since: T - 30*86400}, first, plain, second)
	l.Rest(func(f Finding) { got = append(got, said(f)) })
	want := []string{ // April is too long ago; and a line without a date is of the time of the one before
		"day 2026-11-04 08:14:01 203.0.113.1",
		"day 2026-11-04 08:14:01 203.0.113.2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	info, err := os.Stat(path)
	if err != nil || l.Bytes() != info.Size() {
		t.Errorf("%d bytes were read of %v", l.Bytes(), info.Size())
	}
}

// The search for where to begin in a large file goes by the filter's dates.
func TestDatesAreSearched(t *testing.T) {
	var lines []string
	for i := range 60_000 {
		at := time.Unix(T-60_000+int64(i), 0).UTC().Format("2006/02/01 15:04:05") // which the layouts read otherwise, or not
		lines = append(lines, at+" wrong 203.0.113.1 and more of it")
	}
	lines = append(lines, time.Unix(T, 0).UTC().Format("2006/02/01 15:04:05")+" wrong 203.0.113.1")
	path := writeLog(t, "app.log", lines...)
	n := 0
	l := logs(t, logfile.Options{Since: T - 600}, datedWatch(t, "app", `^%Y/%d/%m %H:%M:%S`, time.UTC, path))
	l.Rest(func(f Finding) { n++ })
	if n != 1 || l.Entries() != 601 || l.Bytes() > 1<<20 {
		t.Errorf("%d findings of %d lines in %d bytes", n, l.Entries(), l.Bytes())
	}
}

// However a log is cut into passes, what is found is the same.
func TestDatesSplitLaw(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{
		"wrong 203.0.113.1", // without a date, and none before
		"25/10/2026 02:30:00 wrong 203.0.113.2",
		"wrong 203.0.113.3",
		"25/10/2026 02:59:00 wrong 203.0.113.4",
		"25/10/2026 02:10:00 wrong 203.0.113.5", // the clock was set back
		"11/06/2026 10:00:00 wrong 203.0.113.6", // November for one jail, June for the other
		"wrong 203.0.113.7",
		"12/31/2026 10:00:00 wrong 203.0.113.8", // no date, and one that is ahead
		"wrong 203.0.113.9",
		"21/11/2026 10:00:00 wrong 203.0.113.10",
		"wrong 203.0.113.11",
	}
	path := filepath.Join(t.TempDir(), "app.log")
	// read reads the log in passes that find what was written until each of cuts.
	read := func(cuts ...int) (got []string) {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		var after []state.FilePosition
		left := make([]json.RawMessage, 2)
		from := 0
		for _, to := range append(cuts, len(lines)) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			for ; from < to; from++ {
				fmt.Fprintln(f, lines[from])
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			ws := []Watch{datedWatch(t, "day", `^%d/%m/%Y %H:%M:%S`, berlin, path), datedWatch(t, "month", `^%m/%d/%Y %H:%M:%S`, time.UTC, path)}
			for i := range ws {
				ws[i].Matcher.Recall(left[i])
			}
			l := logs(t, logfile.Options{After: after}, ws...)
			l.Rest(func(f Finding) { got = append(got, said(f)) })
			after = l.Positions()
			for i := range ws {
				left[i] = ws[i].Matcher.Recalled()
			}
			l.Close()
		}
		return got
	}
	want := read()
	for _, line := range []string{
		"day 2026-10-25 00:30:00 203.0.113.3", "day 2026-10-25 01:10:00 203.0.113.5", "day 2026-06-11 08:00:00 203.0.113.7",
		"month 2026-11-06 10:00:00 203.0.113.7", "day 2026-11-21 09:00:00 203.0.113.11",
	} {
		if !slices.Contains(want, line) {
			t.Errorf("not found: %s", line)
		}
	}
	for a := range lines {
		for b := a; b < len(lines); b++ {
			if got := read(a, b); !slices.Equal(got, want) {
				t.Fatalf("cut at %d and %d:\n%q, want\n%q", a, b, got, want)
			}
		}
	}
	if len(want) < 12 {
		t.Errorf("%q", want)
	}
}
