package scan

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"scan2ban/scan/logfile"
)

// many is a log of n failures, of 203.0.113.0, .1 and so on in turn, one a second.
func many(t *testing.T, n int) (path string) {
	lines := make([]string, n)
	for i := range lines {
		at := time.Unix(T-int64(n)+int64(i), 0).UTC().Format(time.Stamp)
		lines[i] = fmt.Sprintf("%s host sshd[%d]: Failed password for root from 203.0.113.%d port 1 ssh2", at, i, i%250)
	}
	return writeLog(t, "auth.log", lines...)
}

// Reading is ended in the middle: what was read is handed out, and the next pass begins
// behind that.
func TestEndedInTheMiddle(t *testing.T) {
	const n = 50_000
	path := many(t, n)
	w := sshdWatch(t, "sshd", path)
	var got []string
	o := logfile.Options{Now: T}
	for pass := 0; len(got) < n; pass++ {
		if pass > n {
			t.Fatalf("%d of %d after %d passes", len(got), n, pass)
		}
		ctx, stop := context.WithCancel(context.Background())
		l := OpenLogs(ctx, []Watch{w}, o)
		before := len(got)
		l.Rest(func(f Finding) {
			if got = append(got, f.Session); len(got) == before+1000 {
				stop()
			}
		})
		stop()
		o.After = l.Positions()
		l.Close()
		if len(got) == before {
			t.Fatalf("pass %d read nothing: %v", pass, l.Unread())
		}
	}
	if len(got) != n {
		t.Fatalf("%d findings, want %d", len(got), n)
	}
	for i, session := range got {
		if want := fmt.Sprintf("file/%d", i); session != want {
			t.Fatalf("finding %d is %s, want %s", i, session, want)
		}
	}
}

// Who wants no more ends the reading.
func TestClosedInTheMiddle(t *testing.T) {
	path := many(t, 50_000)
	for i := range 20 {
		l := OpenLogs(context.Background(), []Watch{sshdWatch(t, "sshd", path)}, logfile.Options{Now: T})
		if i%2 == 0 {
			l.Until(T-40_000, func(Finding) {})
		}
		l.Close()
		if _, open := <-l.ahead.read; open {
			t.Fatal("it is still being read")
		}
	}
}

// The findings of several logs and of what they are merged with come in the order of time,
// however many there are.
func TestMergedInOrder(t *testing.T) {
	const n = 5000
	one, two := many(t, n), many(t, n)
	l := logs(t, logfile.Options{}, sshdWatch(t, "sshd", one, two))
	var times []int64
	for second := T - n; second <= T; second += 7 {
		l.Until(second, func(f Finding) {
			if f.Time > second {
				t.Fatalf("%d comes before %d", f.Time, second)
			}
			times = append(times, f.Time)
		})
	}
	l.Rest(func(f Finding) { times = append(times, f.Time) })
	if len(times) != 2*n || !slices.IsSorted(times) {
		t.Errorf("%d findings, want %d; sorted: %v", len(times), 2*n, slices.IsSorted(times))
	}
}
