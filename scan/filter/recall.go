package filter

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"scan2ban/state/order"
)

// recall is what a script remembers of one log: the connections that its lines speak
// of, and the last lines. A pass hands it to the next one, so that an event whose
// lines fall into two passes is put together.
//
// All of it ages by the log's own time, as it is read: what has not been heard of for
// recallSpan is forgotten, whether the state was saved in between or not.
//
// Fail2Ban has one such memory for all log files of a jail. Here each log has its own:
// how the lines of two files lie between one another depends on when they are read.
type recall struct {
	buffer   []string
	ages     []int64 // of the lines: where the log stood
	sessions map[string]*connection
	order    []string // of the sessions, by first sight
	bytes    int      // that the sessions hold
	now      int64    // the latest second that was read
	date     dateHeld // how the last date was found
	dated    int64    // it, in microseconds since the Unix epoch; 0: no line had one yet
}

const (
	recallSpan     = 10 * 60 // seconds of log time
	maxConnections = 2_000   // that are remembered of a log; the oldest goes
	maxRecall      = 1 << 20 // bytes of them, likewise
	maxUsers       = 100     // of one connection
	maxLogs        = 100     // of a jail whose memory is kept, the latest
)

func newRecall() *recall { return &recall{sessions: map[string]*connection{}} }

// age brings the memory to where the log stands.
func (r *recall) age(now time.Time) {
	t := now.Unix()
	if t <= r.now {
		return
	}
	r.now = t
	n := 0
	for n < len(r.ages) && t-r.ages[n] > recallSpan {
		n++
	}
	r.buffer, r.ages = slices.Delete(r.buffer, 0, n), slices.Delete(r.ages, 0, n)
}

// push takes one more line, of which the last most are kept.
func (r *recall) push(line string, most int) {
	r.buffer, r.ages = append(r.buffer, line), append(r.ages, r.now)
	if over := len(r.buffer) - most; over > 0 {
		r.buffer, r.ages = slices.Delete(r.buffer, 0, over), slices.Delete(r.ages, 0, over)
	}
}

// known gives the connection; nil: it is new, or was not heard of for too long.
func (r *recall) known(id string) *connection {
	c := r.sessions[id]
	if c != nil && r.now-c.touched > recallSpan {
		r.forget(id)
		return nil
	}
	return c
}

func (r *recall) meet(id string, c *connection) {
	c.id = id
	r.sessions[id] = c
	r.order = append(r.order, id)
	r.grown(c)
}

// grown keeps the bounds after a line of c.
func (r *recall) grown(c *connection) {
	r.bytes -= c.size
	c.size, c.touched = c.weigh(), r.now
	r.bytes += c.size
	for len(r.order) > maxConnections || r.bytes > maxRecall {
		r.forget(r.order[0])
	}
}

func (c *connection) weigh() int {
	n := len(c.id) + 100
	for name, value := range c.groups {
		n += len(name) + len(value) + 6
	}
	for _, user := range c.users {
		n += len(user) + 3
	}
	return n
}

func (r *recall) forget(id string) {
	if c := r.sessions[id]; c != nil {
		r.bytes -= c.size
		delete(r.sessions, id)
		i := slices.Index(r.order, id)
		r.order = slices.Delete(r.order, i, i+1)
	}
}

// kept is a recall as it lies in the state.
type kept struct {
	Now         int64            `json:"now"`
	Lines       []string         `json:"lines,omitempty"`
	Ages        []int64          `json:"ages,omitempty"`
	Connections []keptConnection `json:"connections,omitempty"`
	Date        *dateHeld        `json:"date,omitempty"`
	Dated       int64            `json:"dated,omitempty"`
}

type keptConnection struct {
	ID      string            `json:"id"`
	Groups  map[string]string `json:"groups,omitempty"`
	Users   []string          `json:"users,omitempty"`
	Pending bool              `json:"pending,omitempty"`
	Lines   int               `json:"lines,omitempty"`
	Helpers int               `json:"helpers,omitempty"`
	Touched int64             `json:"touched"`
}

// keep is what the next pass needs of the log; lines are how many are looked at together.
func (r *recall) keep(lines int) kept {
	k := kept{Now: r.now, Dated: r.dated}
	if n := min(len(r.buffer), lines-1); n > 0 {
		k.Lines, k.Ages = r.buffer[len(r.buffer)-n:], r.ages[len(r.ages)-n:]
	}
	for _, id := range r.order {
		if c := r.sessions[id]; r.now-c.touched <= recallSpan {
			k.Connections = append(k.Connections, keptConnection{id, c.groups, c.users, c.pending, c.lines, c.helpers, c.touched})
		}
	}
	if r.date.Last > 0 {
		k.Date = &r.date
	}
	return k
}

func (k *kept) recall() *recall {
	r := newRecall()
	r.now, r.dated = k.Now, k.Dated
	if len(k.Lines) == len(k.Ages) {
		r.buffer, r.ages = k.Lines, k.Ages
	}
	for _, x := range k.Connections {
		c := &connection{id: x.ID, groups: x.Groups, users: x.Users, pending: x.Pending, lines: x.Lines, helpers: x.Helpers}
		if c.groups == nil {
			c.groups = map[string]string{}
		}
		if r.sessions[x.ID] == nil {
			r.meet(x.ID, c)
			c.touched = x.Touched
		}
	}
	if k.Date != nil {
		r.date = *k.Date
	}
	return r
}

// Recall gives the script what an earlier pass has left by Recalled; nil: nothing. It
// also begins to count anew what takes too long. It is read when a line comes.
func (m *Matcher) Recall(left json.RawMessage) {
	m.script.Lock()
	defer m.script.Unlock()
	m.left, m.logs = left, nil
	if m.memory != nil {
		m.memory.slow = slowness{}
	}
}

// Recalled is what the next pass needs to know of the lines that were read; nil: nothing.
func (m *Matcher) Recalled() json.RawMessage {
	m.script.Lock()
	defer m.script.Unlock()
	if m.logs == nil {
		return m.left
	}
	all, names, latest := map[string]kept{}, []string{}, int64(0)
	for name, r := range m.logs {
		names, latest = append(names, name), max(latest, r.now)
	}
	order.By(names, func(a, b string) int { // the latest first
		return cmp.Or(cmp.Compare(m.logs[b].now, m.logs[a].now), cmp.Compare(a, b))
	})
	for _, name := range names[:min(len(names), maxLogs)] {
		if latest-m.logs[name].now <= 24*60*60 {
			all[name] = m.logs[name].keep(m.memory.lines)
		}
	}
	if len(all) == 0 {
		return nil
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // our own plain structs
	}
	return text
}

// of makes the memory that of one log, and the caller its only user.
func (m *Matcher) of(log string) *Memory {
	if m.logs == nil {
		m.logs = map[string]*recall{}
		var left map[string]kept
		if json.Unmarshal(m.left, &left) == nil {
			for name, k := range left {
				m.logs[name] = k.recall()
			}
		}
	}
	r := m.logs[log]
	if r == nil {
		r = newRecall()
		m.logs[log] = r
	}
	m.memory.recall = r
	m.memory.dates.hold(&r.date)
	return m.memory
}
