package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
)

// buckets are spans, in hours, that a bar of the chart may stand for.
var buckets = []int64{1, 3, 6, 12, 24, 7 * 24, 28 * 24, 365 * 24}

// bars are the failures over time.
type bars struct {
	begin, step    int64 // in hours since the Unix epoch, and how many hours a bar is
	failures, bans []int
}

// bars cuts the span into at most that many.
func (p *Past) bars(most int64) (b bars) {
	for _, b.step = range buckets {
		if int64(len(p.Hours))/b.step < most {
			break
		}
	}
	b.begin = p.from / 3600
	if b.step >= 24 { // days are local
		_, offset := time.Unix(p.from, 0).Zone()
		b.begin -= (p.from + int64(offset)) % 86400 / 3600
	} else {
		b.begin -= b.begin % b.step
	}
	b.failures = make([]int, (p.to/3600-b.begin)/b.step+1)
	b.bans = make([]int, len(b.failures))
	for i, h := range p.Hours {
		b.failures[(p.from/3600+int64(i)-b.begin)/b.step] += h.Failures
	}
	for i := range p.Bans {
		if k := (p.Bans[i].ban.Since/3600 - b.begin) / b.step; k >= 0 && k < int64(len(b.bans)) {
			b.bans[k]++
		}
	}
	return b
}

// named says what a bar is: "hour", "day", "6h".
func (b *bars) named() string {
	if name, ok := map[int64]string{1: "hour", 24: "day", 7 * 24: "week"}[b.step]; ok {
		return name
	}
	return span(b.step * 3600)
}

// label is when the i-th bar begins.
func (b *bars) label(i int) string {
	layout := "01-02 15:04"
	if b.step >= 24 {
		layout = time.DateOnly
	}
	return time.Unix((b.begin+int64(i)*b.step)*3600, 0).Format(layout)
}

// trend says where it goes; empty where there is too little to say.
func (b *bars) trend() string {
	half := len(b.failures) / 2
	if half < 2 {
		return ""
	}
	first, second := sum(b.failures[:half]), sum(b.failures[len(b.failures)-half:])
	trend := "as many as before"
	if second*10 < first*8 {
		trend = "calming down"
	} else if second*8 > first*10 {
		trend = "growing"
	}
	return fmt.Sprintf("First half %s, second half %s: %s", grouped(first), grouped(second), trend)
}

// chart draws the failures over time, with the bans, and says where it goes.
func (p *Past) chart(w io.Writer, width int) {
	b := p.bars(31)
	top := max(slices.Max(b.failures), 1)
	digits := len(grouped(top))
	fmt.Fprintf(w, "\nFailures by %s\n", b.named())
	room := width - len(b.label(0)) - digits - 14
	for i, n := range b.failures {
		bar := strings.Repeat("█", n*room/top)
		if n > 0 && bar == "" {
			bar = "▏"
		}
		line := fmt.Sprintf("%s %*s %s", b.label(i), digits, grouped(n), bar)
		if b.bans[i] > 0 {
			line += " " + state.Plural(b.bans[i], "ban")
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	if trend := b.trend(); trend != "" {
		fmt.Fprintln(w, trend)
	}
}

func sum(list []int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}
