package filter

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Script is the other way to say what lines mean: expressions that are looked for
// anywhere in a line, in order, with a memory of the connections that lines speak of.
// It is for filters that were written for other programs; it proves less than the
// rules do, see the package comment. In the file it is
//
//	[script]
//	prefix  = 'EXPRESSION'      # must match first; its group "content" is what the rest sees
//	ignore  = ['EXPRESSION']    # a failure in which one of these matches is none
//	lines   = 10                # how many lines the expressions see at once (default 1)
//	dates   = ['{^LN-BEG}%Y']   # how to find the time in a line of a log file, see Dates; the usual ones if empty
//	backtracks = ['prefix', 'ignore-1']   # which of them need lookaround or backreferences
//
//	[[script.failure]]
//	name       = "failure-1"
//	pattern    = 'EXPRESSION'
//	backtracks = true           # needs lookaround or backreferences: see package backtrack
//
// An expression sees a line feed after the line: "$" stands before it and after it, "\z" after it.
// In it stand <HOST> (an address or a name), <ADDR>, <IP4>, <IP6>, <DNS>,
// <CIDR> and <SUBNET>, and groups with these names:
//
//	fid         whom the line blames, where that is no address
//	user        and alt_user, alt_user_1 ...: the first that holds something
//	fport       the client's port
//	content     of prefix: the rest of the line
//	mlfid       the connection: its lines are put together
//	nofail      the line alone is no failure; it explains later ones of its connection
//	mlfgained   a log-in: what its connection has done wrong before is forgiven
//	mlfforget   the connection ends
//
// Any other group is carried along.
type Script struct {
	Prefix     string
	Failures   []Expression
	Ignore     []string
	Lines      int
	Dates      []string
	Backtracks []string // "prefix", "ignore-N"
}

// Expression is one of a script's failures.
type Expression struct {
	Name, Pattern string
	Backtracks    bool
}

// Memory is a script that reads one log: it remembers connections and lines.
type Memory struct {
	mu       sync.Mutex
	dates    *Dates
	prefix   *expression
	failures []*expression
	ignore   []*expression
	lines    int
	rules    []Rule
	*recall  // of the log that is being read

	cut  cutLine // the line whose date was looked for last
	slow slowness
}

// connection is what the lines of one have said so far.
type connection struct {
	groups  map[string]string
	users   []string
	pending bool // a failure whose client is not known yet
	lines   int  // of the failure
	helpers int  // lines that will be a failure's
	id      string
	size    int   // in memory, about
	touched int64 // where the log stood at its last line, in seconds
}

// cutLine is a line, and where in it the date stands.
type cutLine struct {
	line   string
	at     [2]int
	unseen bool // nobody looked for a date, for want of time
}

// Open compiles the script.
func (s *Script) Open() (*Memory, error) {
	m := &Memory{lines: max(1, s.Lines), recall: newRecall()}
	var err error
	multiline := m.lines > 1
	if m.dates, err = newDates(s.Dates); err != nil {
		return nil, err
	}
	if s.Prefix != "" {
		if m.prefix, err = compileExpression(s.Prefix, slices.Contains(s.Backtracks, "prefix"), multiline); err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
	}
	for _, f := range s.Failures {
		e, err := compileExpression(f.Pattern, f.Backtracks, multiline)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if !e.identifies() && (m.prefix == nil || !m.prefix.identifies()) {
			return nil, fmt.Errorf("%s: it names nobody (write <HOST>, <ADDR>, or a group fid or mlfid)", f.Name)
		}
		m.failures = append(m.failures, e)
		m.rules = append(m.rules, Rule{Name: f.Name, Kind: Failure, Weight: 1, Modes: []Mode{Normal}, Alone: true})
	}
	for i, pattern := range s.Ignore {
		e, err := compileExpression(pattern, slices.Contains(s.Backtracks, fmt.Sprintf("ignore-%d", i+1)), multiline)
		if err != nil {
			return nil, fmt.Errorf("ignore: %w", err)
		}
		m.ignore = append(m.ignore, e)
	}
	return m, nil
}

func (e *expression) identifies() bool {
	for _, name := range e.names {
		switch name {
		case "fid", "ip4", "ip6", "dns", "mlfid":
			return true
		}
	}
	return false
}

// Found is what a script makes of a line.
type Found struct {
	Rule    int // of Script.Failures; -1: none
	Failure bool
	ID      string // whom it blames: an address, a name, or what fid holds
	Groups  map[string]string
	Users   []string // of the connection
	Lines   int      // that the failure was written in
	Ignored string   // by which expression; empty: by none
	Refused string   // why the line proves nothing; empty: it was looked at whole
}

// Date gives the time of a line in microseconds since the Unix epoch, as at makes it of
// the date that stands in the line; of a line without one that of the last line that
// had one, in this log. ok is false where there was none yet. A time after latest is not
// remembered: the line will be refused for it.
func (m *Memory) Date(line string, latest int64, at func(Date) (t int64, ok bool)) (t int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	line = decodeLine(line)
	if date, dated := m.findDate(line); dated {
		if t, ok = at(date); ok {
			if t <= latest {
				m.dated = t
			}
			return t, true
		}
	}
	if m.cut.unseen { // whatever date it has
		return 0, false
	}
	return m.dated, m.dated != 0
}

// Line judges a line in which a date may stand, and which was logged at the time when.
func (m *Memory) Line(line string, when time.Time) Found {
	m.mu.Lock()
	defer m.mu.Unlock()
	line = decodeLine(line)
	if m.cut.line != line {
		m.findDate(line)
	}
	if m.slow.refuses = ""; m.cut.unseen && m.slow.exhausted() {
		return Found{Rule: -1, Refused: m.slow.refuses}
	}
	at := m.cut.at
	return m.judge(line[:at[0]]+line[at[1]:], when)
}

// findDate looks for the date in a line, while there is time for what is slow.
func (m *Memory) findDate(line string) (date Date, dated bool) {
	m.cut = cutLine{line: line, unseen: m.slow.spent >= SlowLimit}
	if !m.cut.unseen {
		done := m.slow.busy()
		m.cut.at, date, dated = m.dates.find(line)
		done()
	}
	return date, dated
}

// Dated judges a line without a date, which was logged at the time when.
func (m *Memory) Dated(line string, when time.Time) Found {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.judge(decodeLine(line), when)
}

// judge hears a line, which is UTF-8, that was logged at the time now.
func (m *Memory) judge(line string, now time.Time) (f Found) {
	m.slow.begin()
	defer func() { m.slow.end(&f) }()
	none := Found{Rule: -1}
	m.age(now)
	m.push(line, m.lines)
	text := strings.Join(m.buffer, "\n") + "\n"
	if len(m.ignore) > 0 && len(m.ignore) < len(m.failures)-2 {
		if none.Ignored = m.ignored(text); none.Ignored != "" {
			return none
		}
	}
	var pre map[string]string
	content := false
	if m.prefix != nil {
		f := m.find(m.prefix, "prefix", text)
		if f == nil {
			return none
		}
		pre = withAlternatives(f.groups)
		if c := pre["content"]; c != "" {
			text, content = c+"\n", true
		}
		delete(pre, "content")
	}
	for i, e := range m.failures {
		f := m.find(e, m.rules[i].Name, text)
		if f == nil {
			continue
		}
		matched, lines := text, 1
		if m.lines > 1 && !content {
			matched = m.take(text, f)
			lines = strings.Count(matched, "\n")
		}
		if none.Ignored = m.ignored(matched); none.Ignored != "" {
			return none
		}
		groups := withAlternatives(f.groups)
		for name, value := range pre {
			if _, ok := groups[name]; !ok {
				groups[name] = value
			}
		}
		return m.blame(i, groups, lines)
	}
	return none
}

// ignored is the name of the expression that says that it is no failure; empty: none does.
func (m *Memory) ignored(text string) string {
	for i, e := range m.ignore {
		if name := fmt.Sprintf("%s%d", ignorePrefix, i+1); m.find(e, name, text) != nil {
			return name
		}
	}
	return ""
}

// take removes the lines in which f was found from the buffer, but for those that
// it only stepped over, and gives them.
func (m *Memory) take(text string, f *found) string {
	first := strings.Count(text[:f.start], "\n")
	end := f.end
	if end > 0 && end <= len(text) && text[end-1] == '\n' && end > f.start {
		end--
	}
	last := strings.Count(text[:end], "\n")
	skipped := map[string]int{}
	for name, value := range f.groups {
		if strings.HasPrefix(name, "skiplines") {
			for _, line := range strings.Split(strings.TrimSuffix(value, "\n"), "\n") {
				skipped[line]++
			}
		}
	}
	var kept, taken []string
	var ages []int64
	for i, line := range m.buffer {
		switch {
		case i < first || i > last:
			kept = append(kept, line)
		case skipped[line] > 0:
			skipped[line]--
			kept = append(kept, line)
		default:
			taken = append(taken, line)
			continue
		}
		ages = append(ages, m.ages[i])
	}
	m.buffer, m.ages = kept, ages
	return strings.Join(taken, "\n") + "\n"
}

// withAlternatives fills a group that holds nothing from its alternatives, alt_NAME and
// alt_NAME_N, and joins the parts tuple_NAME.
func withAlternatives(groups map[string]string) map[string]string {
	groups = maps.Clone(groups)
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if rest, ok := strings.CutPrefix(name, "alt_"); ok {
			if target := baseName(rest); groups[target] == "" && groups[name] != "" {
				groups[target] = groups[name]
			}
		}
	}
	return groups
}

// baseName is the group that an alternative stands in for.
func baseName(name string) string {
	if i := strings.LastIndexByte(name, '_'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" && i+1 < len(name) {
		name = name[:i]
	}
	switch name {
	case "id":
		return "fid"
	case "port":
		return "fport"
	}
	return name
}

// blame puts what a line says to what its connection has said before.
func (m *Memory) blame(rule int, groups map[string]string, lines int) Found {
	f := Found{Rule: rule, Groups: groups, Lines: lines}
	id, session := groups["mlfid"]
	var c *connection
	if session {
		c, groups = m.merge(id, groups, lines)
		f.Groups = groups
		f.Users, f.Lines = slices.Clone(c.users), c.lines
		if groups["nofail"] != "" {
			return f
		}
	}
	for _, name := range []string{"ip4", "ip6", "dns"} {
		if v, ok := groups[name]; ok {
			f.ID = v
			break
		}
	}
	if fid, ok := groups["fid"]; ok {
		f.ID = fid
	}
	if f.ID == "" {
		if c != nil {
			c.pending = true
		}
		return f
	}
	f.Failure = true
	return f
}

// merge is the memory of a connection: it gives all that its lines have said, with
// "nofail" where that is no failure.
func (m *Memory) merge(id string, groups map[string]string, lines int) (*connection, map[string]string) {
	gained := groups["mlfgained"] != ""
	helps := gained || groups["nofail"] != "" // nobody is blamed for the line
	if gained && groups["nofail"] == "" {
		groups["nofail"] = groups["mlfgained"]
	}
	_, forget := groups["mlfforget"]
	forget = forget && groups["mlfforget"] != ""
	delete(groups, "mlfforget")
	addUser := func(c *connection) {
		if user := groups["user"]; user != "" && len(c.users) < maxUsers && !slices.Contains(c.users, user) {
			c.users = append(c.users, user)
		}
	}
	c := m.known(id)
	pending := false
	if c != nil {
		addUser(c)
		helped := c.groups["nofail"] != "" || c.groups["mlfgained"] != ""
		delete(c.groups, "nofail")
		delete(c.groups, "mlfgained")
		if gained {
			c.pending = false
		}
		pending, c.pending = c.pending, false
		if !helped && !pending {
			c.lines = 0 // they have been reported
		}
		maps.Copy(c.groups, groups)
		if forget {
			m.forget(id)
		} else {
			m.grown(c)
		}
	} else {
		c = &connection{groups: groups}
		addUser(c)
		if !forget {
			m.meet(id, c)
		}
	}
	if pending || len(c.users) > 1 {
		delete(c.groups, "nofail")
		delete(c.groups, "mlfgained")
		gained, helps = false, false
	}
	switch {
	case !helps:
		c.lines, c.helpers = c.lines+c.helpers, 0
		if !gained {
			c.lines += lines
		}
	case !forget:
		c.helpers += lines
	}
	return c, maps.Clone(c.groups)
}

// Verdict is what is found as the rules say it: an address that is one is blamed, a
// name never.
func (m *Memory) Verdict(f Found) Verdict {
	if f.Refused != "" {
		return Verdict{Kind: Refused, Reason: f.Refused}
	}
	if f.Ignored != "" {
		return Verdict{Kind: Benign, Reason: "ignored by " + f.Ignored}
	}
	if f.Rule < 0 {
		return Verdict{}
	}
	v := Verdict{Kind: Benign, Rule: &m.rules[f.Rule], User: f.Groups["user"], Weight: 1}
	if !f.Failure {
		return v
	}
	v.Kind = Failure
	text := f.ID
	if _, mapped, ok := strings.Cut(text, "::ffff:"); ok && mapped != "" {
		text = mapped
	}
	if _, err := netip.ParseAddr(text); err != nil {
		if _, isFid := f.Groups["fid"]; isFid {
			v.Kind, v.Reason = Benign, "it blames no address"
			return v
		}
	}
	(&Matcher{}).blame(&v, []byte(text), nil)
	return v
}
