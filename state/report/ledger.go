package report

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"scan2ban/state"
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
	Pending       int      `json:"pending,omitempty"` // of the banned: they come with the next pass
	Addresses     []string `json:"addresses"`
	Health        Health   `json:"health"`
	Message       string   `json:"message"`
}

// Status is what `status` shows.
type Status struct {
	Jails    []Jail   `json:"jails"`
	LastRun  *LastRun `json:"last_run"` // null: none is known since the host started
	Lists    []List   `json:"lists,omitempty"`
	Warnings []string `json:"warnings"`

	Known Known `json:"-"`

	now int64 // seconds since the Unix epoch
}

// LastRun is the last pass.
type LastRun struct {
	state.LastRun
	Time string `json:"time"`
}

// overdue is how many seconds after a pass the next one is missed.
const overdue = 600

// NewStatus shows no jail yet, at the clock time now in seconds.
func NewStatus(last *state.LastRun, warnings []string, now int64) *Status {
	s := &Status{Jails: []Jail{}, Warnings: append([]string{}, warnings...), now: now}
	if last != nil {
		s.LastRun = &LastRun{*last, UTC(last.Time)}
	}
	return s
}

// FromJail shows a jail of the ledger at the clock time now, in seconds.
func FromJail(j *state.Jail, now int64, is Condition) Jail {
	shown := Jail{Name: j.Name, Enabled: !is.Off, Enforce: j.Reach.Enforce, Backend: cmp.Or(is.Backend, "journal"), Tracked: j.Tracked(),
		FailuresTotal: j.Seen.Total.Failures, BannedTotal: j.Seen.Total.Bans, Addresses: []string{}}
	first, week := UTC(now - 6*86400)[:len(time.DateOnly)], state.Tally{}
	for name, day := range j.Seen.Days {
		if name < first {
			continue
		}
		week.Add(*day)
	}
	shown.Entries, shown.Understood, shown.Failures = week.Entries, week.Understood, week.Failures
	if is.Known == NoPass {
		shown.BannedTotal = 0
	}
	for _, b := range j.Live(now) {
		if is.Known == NoPass {
			break
		} else if is.Pending.Has(b) {
			shown.Pending++
		}
		shown.Banned++
		shown.Addresses = append(shown.Addresses, b.Key.String())
	}
	switch {
	case is.Broken || is.Off:
	case j.Name == state.ByHand:
		shown.Backend = "none"
	case is.Ledger:
		shown.Backend = "ledger"
	}
	shown.Health, shown.Message = health(j, &week, is, now)
	if j.Full(is.Most) {
		shown.Message = strings.TrimPrefix(shown.Message+"; "+Full(is.Most), "; ")
	}
	return shown
}

// condition is the jail's health in a table, with what there is to say of it.
func (j *Jail) condition() string {
	health := string(j.Health)
	if !j.Enabled {
		health = "off"
	} else if !j.Enforce {
		health += ", observing"
	}
	if j.Message != "" {
		health += ": " + j.Message
	}
	return health
}

// Full says that a jail has all the bans that it keeps.
func Full(most int) string {
	return fmt.Sprintf("its ledger is full: of more than %d bans (max_ledger) those that end first are taken back", most)
}

// Write draws the table, and the addresses where only one jail is shown.
func (s *Status) Write(w io.Writer, addresses bool) {
	t := table{
		heading: []string{"JAIL", "SOURCE", "ENTRIES", "FAILURES", "TOTAL", "BANNED", "TOTAL", "HEALTH"},
		right:   map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true},
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, j := range s.Jails {
		t.rows = append(t.rows, []string{j.Name, j.Backend, number(j.Entries), number(j.Failures), number(j.FailuresTotal),
			strconv.Itoa(j.Banned), number(j.BannedTotal), j.condition()})
	}
	t.write(w)
	if !addresses {
		writeLists(w, s.Lists, s.now)
	}
	pending := 0
	for _, j := range s.Jails {
		pending += j.Pending
		if addresses {
			for _, a := range j.Addresses {
				fmt.Fprintln(w, a)
			}
		}
	}
	writePending(w, pending, s.Known)
	if r := s.LastRun; s.Known == NoPass {
		fmt.Fprintln(w, "\nNo pass has run yet (scan2ban run --dry-run shows whom it would ban).")
	} else if r != nil {
		fmt.Fprintf(w, "\nLast pass %s: %s in %.0f ms.\n", Local(r.LastRun.Time), state.Plural(r.Entries, "entry"), r.Seconds*1000)
		if s.now-r.LastRun.Time >= overdue {
			fmt.Fprintf(w, "None for %s: is the timer running (systemctl status scan2ban.timer)?\n", state.Duration(time.Duration(s.now-r.LastRun.Time)*time.Second))
		}
	} else {
		fmt.Fprintln(w, "\nNo pass is known to have run since the host started.")
	}
}

// WriteBans draws the live bans, and nothing where no pass has run.
func WriteBans(w io.Writer, bans []Ban, known Known) {
	if known == NoPass {
		return
	}
	if len(bans) == 0 {
		fmt.Fprintln(w, "Nobody is banned.")
		return
	}
	t := table{heading: []string{"JAIL", "BANNED", "UNTIL", "FAILURES", "LATE", "N", "PACKETS", "USERS"},
		right: map[int]bool{3: true, 4: true, 5: true, 6: true}}
	pending := 0
	for _, b := range bans {
		packets := "-"
		if b.Pending {
			packets = "next pass"
			pending++
		} else if b.Observed {
			packets = "observed"
		} else if b.Packets != nil {
			packets = strconv.FormatUint(*b.Packets, 10)
		}
		t.rows = append(t.rows, []string{b.Jail, b.Key, End(b.ban.Until), strconv.Itoa(b.Failures), strconv.Itoa(b.Late),
			strconv.Itoa(b.N), packets, users(b.Users)})
	}
	t.write(w)
	writePending(w, pending, known)
}
