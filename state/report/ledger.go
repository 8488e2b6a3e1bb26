package report

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"scan2ban/state"
)

// Health says whether a jail does its work.
type Health string

const (
	OK     Health = "ok"
	Blind  Health = "blind"  // reads entries and understands none
	Silent Health = "silent" // has nothing to read
	Error  Health = "error"  // its configuration is broken, or its source cannot be read
)

// Jail is one jail in `status`.
type Jail struct {
	Name          string   `json:"name"`
	Enabled       bool     `json:"enabled"`
	Enforce       bool     `json:"enforce"`
	Backend       string   `json:"backend"`
	Entries       int64    `json:"entries"`
	Understood    int64    `json:"understood"`
	Failures      int64    `json:"failures"`       // of the last seven days
	FailuresTotal int64    `json:"failures_total"` // ever
	Tracked       int      `json:"tracked"`
	Banned        int      `json:"banned"`
	BannedTotal   int64    `json:"banned_total"`
	Addresses     []string `json:"addresses"`
	Health        Health   `json:"health"`
	Message       string   `json:"message"`
}

// Status is what `status` shows.
type Status struct {
	Jails    []Jail   `json:"jails"`
	LastRun  *LastRun `json:"last_run"` // null: none is known since the host started
	Warnings []string `json:"warnings"`
}

// LastRun is the last pass.
type LastRun struct {
	state.LastRun
	Time string `json:"time"`
}

// NewStatus shows no jail yet.
func NewStatus(last *state.LastRun, warnings []string) *Status {
	s := &Status{Jails: []Jail{}, Warnings: append([]string{}, warnings...)}
	if last != nil {
		s.LastRun = &LastRun{*last, UTC(last.Time)}
	}
	return s
}

// Condition is what the ledger does not know of a jail.
type Condition struct {
	Broken bool // its configuration is, or it cannot be judged
	Off    bool // it is switched off
	Ledger bool // its failures are the bans of the others
}

// FromJail shows a jail of the ledger at the clock time now, in seconds.
func FromJail(j *state.Jail, now int64, is Condition) Jail {
	shown := Jail{Name: j.Name, Enabled: !is.Off, Enforce: j.Reach.Enforce, Backend: "journal", Tracked: j.Tracked(),
		FailuresTotal: j.Seen.Total.Failures, BannedTotal: j.Seen.Total.Bans, Addresses: []string{}, Health: OK}
	week := UTC(now - 6*86400)[:len(time.DateOnly)]
	for name, day := range j.Seen.Days {
		if name < week {
			continue
		}
		shown.Entries += day.Entries
		shown.Understood += day.Understood
		shown.Failures += day.Failures
	}
	for _, b := range j.Live(now) {
		shown.Banned++
		shown.Addresses = append(shown.Addresses, b.Key.String())
	}
	switch {
	case is.Off:
	case is.Broken:
		shown.Health, shown.Message = Error, "its configuration is broken (scan2ban check)"
	case j.Name == state.ByHand:
		shown.Backend = "none"
	case is.Ledger:
		shown.Backend = "ledger"
	case shown.Entries == 0:
		shown.Health, shown.Message = Silent, "nothing to read in seven days: is the service running, and does it log to the journal?"
	case shown.Understood == 0 && shown.Entries >= 20:
		shown.Health, shown.Message = Blind, fmt.Sprintf("%d entries and none understood: try \"scan2ban match %s\"", shown.Entries, j.Name)
	}
	return shown
}

// Write draws the table, and the addresses where only one jail is shown.
func (s *Status) Write(w io.Writer, addresses bool) {
	t := table{
		heading: []string{"JAIL", "SOURCE", "ENTRIES", "FAILURES", "TOTAL", "BANNED", "TOTAL", "HEALTH"},
		right:   map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true},
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, j := range s.Jails {
		health := string(j.Health)
		if !j.Enabled {
			health = "off"
		} else if !j.Enforce {
			health += ", observing"
		}
		if j.Message != "" {
			health += ": " + j.Message
		}
		t.rows = append(t.rows, []string{j.Name, j.Backend, number(j.Entries), number(j.Failures), number(j.FailuresTotal),
			strconv.Itoa(j.Banned), number(j.BannedTotal), health})
	}
	t.write(w)
	if addresses {
		for _, j := range s.Jails {
			for _, a := range j.Addresses {
				fmt.Fprintln(w, a)
			}
		}
	}
	if r := s.LastRun; r != nil {
		fmt.Fprintf(w, "\nLast pass %s: %s in %.0f ms.\n", Local(r.LastRun.Time), entries(r.Entries), r.Seconds*1000)
	} else {
		fmt.Fprintln(w, "\nNo pass is known to have run since the host started.")
	}
}

// WriteBans draws the live bans.
func WriteBans(w io.Writer, bans []Ban) {
	if len(bans) == 0 {
		fmt.Fprintln(w, "Nobody is banned.")
		return
	}
	t := table{heading: []string{"JAIL", "BANNED", "UNTIL", "FAILURES", "LATE", "N", "PACKETS", "USERS"},
		right: map[int]bool{3: true, 4: true, 5: true, 6: true}}
	for _, b := range bans {
		packets := "-"
		if b.Packets != nil {
			packets = strconv.FormatUint(*b.Packets, 10)
		}
		t.rows = append(t.rows, []string{b.Jail, b.Key, End(b.ban.Until), strconv.Itoa(b.Failures), strconv.Itoa(b.Late),
			strconv.Itoa(b.N), packets, users(b.Users)})
	}
	t.write(w)
}
