package state

import (
	"net/netip"
	"slices"
	"strings"
)

// One wrong password writes up to four lines. Sessions remember what each
// server process has been counted for, so that an attempt counts once.
//
// The rule: a line with a Stage begins a new attempt when its session has
// reached that stage already, and goes on with the counted attempt when it has
// not; a Once line counts only where the session has counted nothing.
//
// An Echo is another program's word on an attempt, PAM's on sshd's for one. It
// counts while the service itself has written nothing of the address, and what
// the service then writes is not counted a second time.

const (
	sessionSpan = 10 * 60 // seconds of log time after which a session is forgotten
	maxSessions = 65_536  // per jail; the oldest is forgotten first
)

// Sessions of one jail.
type Sessions struct {
	byID  map[string]*session
	order []string // by first sight; may hold names already forgotten
}

type session struct {
	last    int64    // second of the last line
	stage   int      // the furthest stage of the attempt counted last; of an address: echoes counted too early
	counted bool     // whether anything was counted; of an address: whether the service itself was heard
	marks   []string // names of the marking rules seen, with "@ADDRESS" where they named the client
}

// NewSessions knows of no session.
func NewSessions() *Sessions { return &Sessions{byID: map[string]*session{}} }

// Counts tells whether the failure e is an attempt not counted before. Where its
// line names nobody, e is given the client that the session named in the line of
// e.After; without one it does not count.
func (s *Sessions) Counts(e *Event) bool {
	if !e.Addr.IsValid() {
		if e.Addr = s.client(e); !e.Addr.IsValid() {
			return false
		}
	}
	if e.Echo {
		x := s.of(e)
		if !x.counted {
			x.stage += e.Weight
		}
		return !x.counted
	}
	if !s.inSession(e) {
		s.Heard(e)
		return false
	}
	if x := s.Heard(e); x != nil && x.stage > 0 {
		x.stage -= e.Weight
		return false
	}
	return true
}

// of gives what is known of an address, as a session of its own kind.
func (s *Sessions) of(e *Event) *session { return s.at("@"+e.Addr.String(), e.Time) }

// Heard notes that the service itself wrote of the address, where the filter has
// echoes; nil where it has none.
func (s *Sessions) Heard(e *Event) *session {
	if !e.Echoed || !e.Addr.IsValid() {
		return nil
	}
	x := s.of(e)
	x.counted = true
	return x
}

// unheard forgets what is known of addresses.
func (s *Sessions) unheard() {
	s.order = slices.DeleteFunc(s.order, func(id string) bool {
		address := strings.HasPrefix(id, "@")
		if address {
			delete(s.byID, id)
		}
		return address
	})
}

// inSession tells whether the session of e has not counted this attempt yet.
func (s *Sessions) inSession(e *Event) bool {
	if !s.believed(e) {
		return false
	}
	if e.Session == "" {
		return !e.Once && e.After == ""
	}
	if e.After != "" && !s.marked(e.Session, e.After, e.Time) {
		return false
	}
	x := s.at(e.Session, e.Time)
	counts := true
	switch {
	case e.Once:
		counts = !x.counted
	case e.Stage > 0:
		counts = !x.counted || e.Stage <= x.stage
		x.stage = e.Stage
	}
	x.counted = x.counted || counts
	return counts
}

// Mark notes that the session has written a line of that rule.
func (s *Sessions) Mark(e *Event) {
	if e.Session == "" {
		return
	}
	x := s.at(e.Session, e.Time)
	mark := e.Rule
	if e.Addr.IsValid() {
		mark += "@" + e.Addr.String()
	}
	if i := slices.IndexFunc(x.marks, func(known string) bool { return isMark(known, e.Rule) }); i >= 0 {
		x.marks[i] = mark
	} else {
		x.marks = append(x.marks, mark)
	}
}

// isMark tells whether a mark is that of a rule.
func isMark(mark, rule string) bool {
	rest, ok := strings.CutPrefix(mark, rule)
	return ok && (rest == "" || rest[0] == '@')
}

// client is whom the session of e has named in the line of e.After.
func (s *Sessions) client(e *Event) (addr netip.Addr) {
	x, ok := s.byID[e.Session]
	if !ok || x.stale(e.Time) || e.After == "" {
		return addr
	}
	for _, mark := range x.marks {
		if isMark(mark, e.After) {
			addr, _ = netip.ParseAddr(strings.TrimPrefix(mark[len(e.After):], "@")) // none where the line had none
		}
	}
	return addr
}

// believed tells whether the session of e has not written what makes its other
// lines worthless.
func (s *Sessions) believed(e *Event) bool {
	return e.Unless == "" || e.Session != "" && !s.marked(e.Session, e.Unless, e.Time)
}

func (s *Sessions) marked(id, rule string, t int64) bool {
	x, ok := s.byID[id]
	return ok && !x.stale(t) && slices.ContainsFunc(x.marks, func(mark string) bool { return isMark(mark, rule) })
}

func (x *session) stale(t int64) bool { return t-x.last > sessionSpan }

// at gives the session, a new one when it is unknown or too long ago.
func (s *Sessions) at(id string, t int64) *session {
	x, ok := s.byID[id]
	switch {
	case !ok:
		x = &session{last: t}
		s.byID[id] = x
		s.order = append(s.order, id)
		s.bound(t)
	case x.stale(t):
		*x = session{}
	}
	x.last = max(x.last, t)
	return x
}

// bound forgets the first sessions while there are too many, and those that are over at the
// time t of the log, but for lines that come a little late: a long log has hundreds of
// thousands, and few at a time.
func (s *Sessions) bound(t int64) {
	for len(s.order) > 0 {
		x, ok := s.byID[s.order[0]]
		if ok && len(s.byID) <= maxSessions && !x.stale(t-sessionSpan) {
			return
		}
		delete(s.byID, s.order[0])
		s.order = s.order[1:]
	}
}

// prune forgets the sessions that no entry after the horizon can belong to.
func (s *Sessions) prune(horizon int64) {
	s.order = slices.DeleteFunc(s.order, func(id string) bool {
		x, ok := s.byID[id]
		if ok && x.stale(horizon) {
			delete(s.byID, id)
			ok = false
		}
		return !ok
	})
}
