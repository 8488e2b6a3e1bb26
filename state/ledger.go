package state

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// ByHand is the name under which bans live that an admin laid without naming a
// jail. No jail may have it.
const ByHand = "by-hand"

// State is what one pass leaves to the next: all that judging depends on.
type State struct {
	Saved   int64 // when it was written, seconds since the Unix epoch; 0: never
	Pruned  int64 // when the history was pruned last
	History Vouch
	Sources Sources
	Jails   map[string]*Jail

	horizon int64 // of that file's positions, see Horizon; 0: it was read from none
	urgent  bool  // something changed that must not wait for the checkpoint
}

// Vouch is how much of history.jsonl a state knows of. What lies beyond was
// written by a pass that died before it saved its state, and is cut.
type Vouch struct {
	Length int64 // bytes
	Seq    int64 // number of the last decision within them; 0: none
}

// Sources are the positions up to which everything has been judged.
type Sources struct {
	Journal *JournalPosition `json:"journal,omitempty"`
	Path    string           `json:"path,omitempty"` // of the journal; empty: the host's
	// Files is what the journal source knows of its files at that position, for the
	// matches that hash to Matches. Without it nothing is lost on a host with a clock.
	Files   json.RawMessage `json:"files,omitempty"`
	Matches string          `json:"matches,omitempty"`

	// Streams are those of containers that stand inside a line at that position, see
	// package scan.
	Streams []string `json:"streams,omitempty"`

	Logs     *LogPosition      `json:"logs,omitempty"`     // nil: no log file was read yet
	Backends map[string]string `json:"backends,omitempty"` // where each jail that may choose reads, see package scan/pass
	Named    map[string]string `json:"named,omitempty"`    // where each other jail that could choose was told to read
	Paths    map[string]string `json:"paths,omitempty"`    // of each jail that read log files, its globs, one a line
}

// Horizon is the log time, in seconds, before which no source brings anything
// new. A pass reads the journal and the log files to their ends, so the later
// of the two tells how far the log has come, however long the other is silent; where
// it could not, Judge.Behind and Judge.Partial tell. It is never later than the clock
// time now, for an entry from the future counts as logged when it was read. ok is false
// when nothing was read yet.
func (s Sources) Horizon(now int64) (t int64, ok bool) {
	if s.Journal != nil {
		t, ok = s.Journal.Time/1e6, true
	}
	if s.Logs != nil {
		t, ok = max(t, s.Logs.Time/1e6), true
	}
	return min(t, now), ok
}

// Jail is one jail's share of the state. Windows and bans stay as they lie in
// the file until they are asked for: an idle pass asks for neither.
type Jail struct {
	Name      string
	Reach     Reach         // as of the last pass: bans stay enforced while the configuration is broken
	Prefixes  [2]int        // bits of an IPv4 and of an IPv6 key, as of the last pass
	Seen      Seen          // tallies
	Pardons   map[Key]int64 // unbans, and spares where a log was judged again: failures of the key at or before that second are void
	Successes map[Key]int64 // second of the last log-in of a key; kept only where a policy asks
	Ignored   string        // fingerprint of the ignore rules that the bans were last held against
	Through   *Through      // failures that came through its bans; nil: none. Judging ignores it

	// Recall is what a filter remembers of the lines before the positions, see package
	// scan/filter; nil: nothing. It goes with the positions, and judging ignores it.
	Recall json.RawMessage

	// Recounted is the second up to which what is read from another source than before was
	// judged from that one; 0: nothing of it is left to be read.
	Recounted int64
	recount   recount // of that

	windows   lazy[map[Key]*window]
	networks  lazy[map[Key]*window] // bans that count for a network; each hit's user is the key banned
	bans      lazy[map[Key]*Ban]
	sessions  lazy[*Sessions]
	nextEnd   int64 // the earliest end of a live ban; 0: none ends
	ranking   *ranking
	forgotten int // windows, since their map was made
	endings   *endings
	byHand    int   // bans laid by hand; known where endings are
	changed   bool  // windows, sessions or bans differ from what was loaded
	wide      []int // the lengths of the pardons, for that many of them
	wideOf    int

	throughBefore *Through // Through at the beginning of the judging
	overflowed    bool     // keys were forgotten in this judging, which has been said
	crowded       bool     // bans were taken back for want of room, which has been said
	recalled      bool     // Pardons has those of the history too
}

// New is the state before the first pass.
func New() *State { return &State{Jails: map[string]*Jail{}} }

// Jail gives the share of the jail of that name, empty when it is new: then its
// bans do not reach the kernel before a judging has given it a reach.
func (s *State) Jail(name string) *Jail {
	j, ok := s.Jails[name]
	if !ok {
		j = &Jail{Name: name, Reach: Reach{BlockType: Drop}, Prefixes: [2]int{32, 64}, Pardons: map[Key]int64{}, Successes: map[Key]int64{}}
		if name == ByHand {
			j.Reach, j.Prefixes = byHandReach(), [2]int{32, 128}
		}
		j.windows.set(map[Key]*window{})
		j.networks.set(nil)
		j.bans.set(map[Key]*Ban{})
		j.sessions.set(NewSessions())
		s.Jails[name] = j
	}
	return j
}

// Names lists the jails of the state in order.
func (s *State) Names() []string { return slices.Sorted(maps.Keys(s.Jails)) }

// Loaded is the ledger as it lies in its file, for who asks for its bans before any of s
// was asked for. It has nothing else of its own.
func (s *State) Loaded() *State {
	was := &State{Jails: make(map[string]*Jail, len(s.Jails))}
	for name, j := range s.Jails {
		was.Jails[name] = &Jail{Name: j.Name, Reach: j.Reach, Prefixes: j.Prefixes, bans: j.bans}
	}
	return was
}

// Bans are the bans in the ledger of the jail, by key. A ban that is over stays
// until the log has passed its end, so that what is read late still finds it.
// It is called in many places, and not inlined there.
//
//go:noinline
func (j *Jail) Bans() map[Key]*Ban { return j.bans.get() }

// Live are the bans of the jail in force at now, in the order of their keys.
func (j *Jail) Live(now int64) []*Ban {
	live := make([]*Ban, 0, len(j.Bans()))
	for _, b := range j.Bans() {
		if !b.Over(now) {
			live = append(live, b)
		}
	}
	slices.SortFunc(live, func(a, b *Ban) int { return compareKeys(a.Key, b.Key) })
	return live
}

// Waiting are the failures of a key that may still lead to a ban: how many, by weight,
// lie within the findtime seconds before now, and when the last was; 0 where none was.
func (j *Jail) Waiting(key Key, now, findtime int64) (weight int, last int64) {
	w := j.windows.get()[key]
	if w == nil {
		return 0, 0
	}
	for _, h := range w.hits {
		if h.time > now-findtime {
			weight += h.weight
		}
	}
	return weight, w.last()
}

// Pardoned is until when failures of addr are void because of an unban, in seconds; 0:
// none was.
func (j *Jail) Pardoned(addr netip.Addr) (until int64) {
	for key, t := range j.Pardons {
		if key.Contains(addr) {
			until = max(until, t)
		}
	}
	return until
}

// Tracked is the number of keys with a window.
func (j *Jail) Tracked() int { return len(j.windows.get()) }

// Remember makes it what the jail's filter remembers.
func (j *Jail) Remember(recall json.RawMessage) {
	if !bytes.Equal(recall, j.Recall) {
		j.Recall, j.changed = recall, true
	}
}

// SaveSoon makes the next save due, though nothing was decided.
func (s *State) SaveSoon() { s.urgent = true }

// Changed tells whether judging has altered anything but tallies since loading.
func (s *State) Changed() bool {
	for _, j := range s.Jails {
		if j.changed {
			return true
		}
	}
	return false
}

// longestPause is how long, in seconds, an idle host's position may stay unsaved.
const longestPause = 3600

// Due tells whether the state must be saved at the clock time now, in seconds.
// What was judged may wait for the checkpoint, for it can be read again; a
// position that merely moved, and tallies, for an hour. Decisions never wait.
func (s *State) Due(now int64, decided bool, o Options) bool {
	age := now - s.Saved
	return decided || s.urgent || age < 0 || age >= longestPause || s.Changed() && age >= o.Checkpoint.Seconds()
}

// Over tells whether the ban has ended at now.
func (b *Ban) Over(now int64) bool { return b.Until != 0 && now >= b.Until }

// covers tells whether a failure at t falls into the ban.
func (b *Ban) covers(t int64) bool { return t >= b.Since && !b.Over(t) }

// outlasts tells whether b ends after other.
func (b *Ban) outlasts(other *Ban) bool {
	return other.Until != 0 && (b.Until == 0 || b.Until > other.Until)
}

func (j *Jail) setBan(b *Ban) {
	if was := j.Bans()[b.Key]; j.endings != nil && was != nil && was.ByHand {
		j.byHand--
	}
	j.Bans()[b.Key] = b
	j.changed = true
	switch {
	case j.endings == nil:
	case b.ByHand:
		j.byHand++
	default:
		j.endings.add(ending{b})
	}
	if b.Until != 0 && (j.nextEnd == 0 || b.Until < j.nextEnd) {
		j.nextEnd = b.Until
	}
}

func (j *Jail) dropBan(key Key) {
	if b := j.Bans()[key]; j.endings != nil && b != nil && b.ByHand {
		j.byHand--
	}
	delete(j.Bans(), key)
	j.takenBack(key)
	j.changed = true // nextEnd may now be too early, which only costs a look
}

func compareKeys(a, b Key) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// Tally counts what a jail has seen.
type Tally struct {
	Entries    int64 `json:"entries"`    // read for this jail
	Understood int64 `json:"understood"` // of them, matched by a rule and not refused
	Failures   int64 `json:"failures"`   // attempts counted, ignored ones left out
	Bans       int64 `json:"bans"`

	Refused map[string]int64 `json:"refused,omitempty"` // of the entries, those that prove nothing, by the reason; of a day alone
}

// Seen are the tallies of a jail: in total, and by UTC day of the log for the
// last seven days seen.
type Seen struct {
	Total Tally             `json:"total"`
	Days  map[string]*Tally `json:"days,omitempty"`  // by day, "2026-11-22"
	Since int64             `json:"since,omitempty"` // the second from which on its log was read; 0: not known

	day   int64 // the day counted last, in days since the Unix epoch, and its tally
	today *Tally
}

const daysKept = 7

// Add counts t at that second of log time.
func (s *Seen) Add(second int64, t Tally) {
	total := t
	total.Refused = nil
	s.Total.Add(total)
	if day := second / 86400; s.today == nil || s.day != day {
		s.day, s.today = day, s.of(time.Unix(second, 0).UTC().Format(time.DateOnly))
	}
	s.today.Add(t)
}

// of gives the tally of a day, and drops the oldest day when there are too many.
func (s *Seen) of(day string) *Tally {
	if s.Days[day] == nil {
		if s.Days == nil {
			s.Days = map[string]*Tally{}
		}
		s.Days[day] = &Tally{}
		if len(s.Days) > daysKept {
			delete(s.Days, slices.Min(slices.Collect(maps.Keys(s.Days))))
		}
		if s.Days[day] == nil { // older than all that is kept
			return &Tally{}
		}
	}
	return s.Days[day]
}

// Add counts u too.
func (t *Tally) Add(u Tally) {
	t.Entries += u.Entries
	t.Understood += u.Understood
	t.Failures += u.Failures
	t.Bans += u.Bans
	if t.Refused == nil && len(u.Refused) > 0 {
		t.Refused = map[string]int64{}
	}
	for reason, n := range u.Refused {
		t.Refused[reason] += n
	}
}

// Refusals are how many entries were refused, and the commonest reason.
func (t *Tally) Refusals() (n int64, why string) {
	for _, reason := range slices.Sorted(maps.Keys(t.Refused)) {
		n += t.Refused[reason]
		if why == "" || t.Refused[reason] > t.Refused[why] {
			why = reason
		}
	}
	return n, why
}
