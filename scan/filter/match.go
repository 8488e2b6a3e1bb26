package filter

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"scan2ban/state"
)

// Matcher is a filter made ready for one mode. It keeps nothing between lines, but for
// what a script remembers (Recall): several goroutines may use it.
//
// Its rules are compiled when the first message comes, and the expression of a
// rule when a message first needs it: an idle pass pays for none of them.
type Matcher struct {
	filter    *Filter
	mode      Mode
	ready     sync.Once
	maxLength int
	echoed    bool // a rule that counts is an echo of the others
	rules     []compiled
	byFirst   *[256][]candidate // by a message's first byte, in the order of the rules; nil: not compiled
	objects   []int             // the rules on JSON, in their order
	places    *places           // of their members; nil: the filter reads no JSON
	proxies   []netip.Prefix    // whose word on the client is taken

	script sync.Mutex         // guards what follows: what a script remembers
	memory *Memory            // nil: the filter has rules
	logs   map[string]*recall // by log; nil: no line has come
	left   json.RawMessage    // by an earlier pass
}

// candidate is a rule that a message with this beginning may match.
type candidate struct {
	prefix []byte
	rule   int
}

// begins looks at the end of the prefix first: many begin alike.
func (c *candidate) begins(message []byte) bool {
	n := len(c.prefix)
	return n == 0 || n <= len(message) && message[n-1] == c.prefix[n-1] && bytes.HasPrefix(message, c.prefix)
}

type compiled struct {
	*Rule
	part
	active          bool
	inactive        string // the reason of a verdict where it is not
	suffix, literal []byte
	conditions      []condition // of a rule on JSON, which has no expression of its own
}

// Compile makes the filter's rules ready for a mode. The filter must come from
// Load or Parse, which have checked its patterns.
func (f *Filter) Compile(mode Mode) *Matcher {
	return &Matcher{filter: f, mode: mode, maxLength: f.MaxLength}
}

func (m *Matcher) compile() {
	if m.filter.Script != nil {
		m.openScript()
		return
	}
	rules := m.filter.Rules()
	m.byFirst = new([256][]candidate)
	if !m.filter.JSON.empty() || slices.ContainsFunc(rules, func(r Rule) bool { return len(r.Conditions) > 0 }) {
		m.places = newPlaces(&m.filter.JSON)
	}
	for i := range rules {
		r := &rules[i]
		m.echoed = m.echoed || r.Echo && r.Active(m.mode)
		c := compiled{Rule: r, active: r.Active(m.mode), inactive: reasonMode + string(r.Modes[0])}
		if r.Pattern == "" {
			c.conditions = m.conditions(r)
			m.objects = append(m.objects, i)
		} else {
			tree, err := syntax.Parse(expand(r.Pattern), syntax.Perl)
			if err != nil {
				panic(err) // Load has parsed it
			}
			c.part = newPart(tree)
			c.suffix, c.literal = []byte(c.shape.suffix), []byte(c.shape.literal)
			for _, p := range c.prefixes {
				m.dispatch(p, i)
			}
		}
		m.rules = append(m.rules, c)
	}
}

func (m *Matcher) conditions(r *Rule) (all []condition) {
	for i := range r.Conditions {
		c := condition{Condition: &r.Conditions[i], place: m.places.place(r.Conditions[i].Path)}
		if c.Like != "" {
			tree, err := parseLike(c.Like)
			if err != nil {
				panic(err) // Load has parsed it
			}
			like := newPart(tree)
			c.like = &like
		}
		all = append(all, c)
	}
	return all
}

func (m *Matcher) dispatch(prefix string, rule int) {
	c := candidate{[]byte(prefix), rule}
	if prefix != "" {
		m.byFirst[prefix[0]] = append(m.byFirst[prefix[0]], c)
		return
	}
	for first := range m.byFirst {
		m.byFirst[first] = append(m.byFirst[first], c)
	}
}

// Verdict is what a message proves.
type Verdict struct {
	Kind   Kind
	Rule   *Rule      // that decided; nil where none matched
	Addr   netip.Addr // of Failure, Success and Mark, where the line names one; never mapped, never with a zone
	User   string     // as the client wrote it; escape before showing
	PID    string     // the process whose session the line speaks of, where it is not the writer
	Conn   string     // the number of the session in that process; empty: it has one alone
	Weight int        // failures that the line counts for; at least 1 for Failure and Success
	Moves  bool       // Addr may be another one where the end of the line is missing
	echoed bool       // a line of the service's own, where echoes are listened to
	Reason string     // why Refused; why a rule that matched is Benign
}

// Understood tells whether a rule says what the message is. A line that is refused proves
// nothing: a log of which all lines are has a blind reader.
func (v *Verdict) Understood() bool { return v.Kind != None && v.Kind != Refused }

// maxMessage is the longest message whose address may stand after free text that is not
// parted from it.
const maxMessage = 8 << 10

// Reasons of a Verdict.
const (
	reasonTooLong   = "too long: its end may be missing"
	reasonControl   = "a line feed or NUL inside"
	reasonTwoAddr   = "can be read with two addresses"
	reasonHostName  = "a host name, not an address"
	reasonZone      = "an address with a zone"
	reasonLoopback  = "a loopback address"
	reasonLinkLocal = "a link-local address"
	reasonMulticast = "a multicast address"
	reasonUnspec    = "the unspecified address"
	reasonJSON      = "not one whole JSON object, or a member that is there twice"
	reasonProxy     = "from a trusted proxy that names no client here"
	reasonHop       = "a trusted proxy names something that is no address"
	reasonNoAddr    = "no address where one should be"
	reasonMode      = "counts in mode "
)

// Match judges one message without its syslog prefix. program gives who wrote
// it, SYSLOG_IDENTIFIER or the syslog tag; it is called only when a rule that
// asks for programs has matched, so a reader may fetch the field in it. Where
// it is nil or answers "" the program is unknown, and every rule's list holds it.
func (m *Matcher) Match(message []byte, program func() string) (v Verdict) {
	m.MatchInto(&v, message, program)
	return v
}

// MatchInto is Match for who reads many lines: a verdict is large, and copying one that has
// just been written costs as much as many a rule.
func (m *Matcher) MatchInto(v *Verdict, message []byte, program func() string) {
	m.ready.Do(m.compile)
	*v = Verdict{}
	switch {
	case len(message) == 0:
		return
	case m.memory != nil:
		*v = m.MatchLine(message, "", time.Time{})
		return
	case m.maxLength > 0 && len(message) >= m.maxLength:
		v.Kind, v.Reason = Refused, reasonTooLong
		return
	case bytes.IndexByte(message, '\n') >= 0 || bytes.IndexByte(message, 0) >= 0:
		v.Kind, v.Reason = Refused, reasonControl
		return
	}
	if m.places != nil && message[0] == '{' {
		*v = m.matchObject(message, program)
		return
	}
	for i := range m.byFirst[message[0]] {
		c := &m.byFirst[message[0]][i]
		if !c.begins(message) {
			continue
		}
		r := &m.rules[c.rule]
		if !bytes.HasSuffix(message, r.suffix) || !bytes.Contains(message, r.literal) {
			continue
		}
		if m.try(v, r, message, program) {
			v.echoed = m.echoed && !r.Echo
			return
		}
	}
}

// try tells whether a rule decides, and then puts into v, which is empty, what.
func (m *Matcher) try(v *Verdict, r *compiled, message []byte, program func() string) bool {
	if r.Kind == Benign || r.Kind == Refused || !r.active {
		if !r.engine().Match(message) || !r.writtenBy(program) {
			return false
		}
		v.Kind, v.Rule = r.Kind, r.Rule
		v.aside(r)
		return true
	}
	var places [maxGroups]int
	at := r.engine().find(message, places[:0])
	if at == nil || !r.writtenBy(program) {
		return false
	}
	v.Kind, v.Rule = r.Kind, r.Rule
	v.User, v.PID, v.Conn, v.Weight = group(message, at, r.user), group(message, at, r.pid), group(message, at, r.session), r.Weight
	if r.count > 0 {
		n, _ := strconv.Atoi(group(message, at, r.count)) // digits alone
		v.Weight *= max(1, n)
	}
	if r.addr == 0 {
		return true
	}
	v.Moves = r.freeLeft && !r.parted && at[2*r.addr] > 0
	switch {
	case len(message) > maxMessage && v.Moves:
		v.Kind, v.Reason = Refused, reasonTooLong
	case r.ambiguous(message, at):
		v.Kind, v.Reason = Refused, reasonTwoAddr
	default:
		m.blame(v, message[at[2*r.addr]:at[2*r.addr+1]], []byte(group(message, at, r.forwarded)))
	}
	return true
}

// aside completes the verdict of a rule that blames nobody here.
func (v *Verdict) aside(r *compiled) {
	switch {
	case r.Kind == Benign:
	case r.Kind == Refused:
		v.Reason = r.Reason
	default:
		v.Kind, v.Reason = Benign, r.inactive
	}
}

func group(message []byte, at []int, n int) string {
	if n == 0 || at[2*n] < 0 {
		return ""
	}
	return string(message[at[2*n]:at[2*n+1]])
}

// writtenBy tells whether the rule is for that program.
func (r *compiled) writtenBy(program func() string) bool {
	if len(r.Program) == 0 || program == nil {
		return true
	}
	name := program()
	return name == "" || slices.Contains(r.Program, name)
}

// ambiguous tells whether a text in which the expression has found an address can
// be read with another one: whether it still matches when that is no address.
func (p *part) ambiguous(text []byte, at []int) bool {
	if !p.freeLeft || !p.freeRight {
		return false
	}
	other := bytes.Clone(text)
	for i := at[2*p.addr]; i < at[2*p.addr+1]; i++ {
		other[i] = '~' // free text, but of no address
	}
	return p.engine().Match(other)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// blame parses the address that stands in the line; forwarded is what stands there
// of the client of a proxy.
func (m *Matcher) blame(v *Verdict, text, forwarded []byte) {
	addr, err := parseAddr(text)
	switch {
	case len(text) == 0:
		v.Kind, v.Reason = Benign, reasonNoAddr
		return
	case err != nil:
		v.Kind, v.Reason = Benign, reasonHostName
		return
	}
	reason := ""
	if m.trusts(addr) {
		addr, reason = m.behind(forwarded)
	}
	v.Addr = addr.Unmap()
	switch {
	case reason != "":
	case addr.Zone() != "":
		reason = reasonZone
	case v.Addr.IsLoopback():
		reason = reasonLoopback
	case v.Addr.IsUnspecified():
		reason = reasonUnspec
	case v.Addr.IsMulticast(), v.Addr == broadcast:
		reason = reasonMulticast
	case v.Addr.IsLinkLocalUnicast():
		reason = reasonLinkLocal
	default:
		return
	}
	v.Addr = netip.Addr{}
	if v.Kind == Success || v.Kind == Mark { // nothing to refuse: nobody is blamed
		v.Kind, v.Reason = Benign, reason
		return
	}
	v.Kind, v.Reason = Refused, reason
}

// parseAddr is netip.ParseAddr with a short way for IPv4: most addresses are of it.
func parseAddr(text []byte) (netip.Addr, error) {
	if addr, ok := state.ParseIPv4(text); ok {
		return addr, nil
	}
	return netip.ParseAddr(string(text))
}

// Event is the verdict for the judging: of jail, at t in seconds since the Unix
// epoch, in the session of the process that wrote the line ("BOOT/PID", or the
// pid alone; "" where there is none). ok is false for what judging has no use for.
func (v *Verdict) Event(jail string, t int64, session string) (e state.Event, ok bool) {
	switch v.Kind {
	case Failure:
		e.Kind = state.KindFailure
	case Success:
		e.Kind = state.KindSuccess
	case Mark:
		e.Kind = state.KindMark
	default:
		return e, false
	}
	r := v.Rule
	switch {
	case r.Alone:
		session = ""
	case v.PID != "" && session != "":
		session = session[:strings.LastIndexByte(session, '/')+1] + v.PID
	}
	if v.Conn != "" && session != "" {
		session += "/" + v.Conn
	}
	e.Failure = state.Failure{Jail: jail, Addr: v.Addr, Time: t, Weight: v.Weight, User: v.User, Rule: r.Name, Lingers: r.Lingers}
	e.Session, e.Stage, e.Once, e.After, e.Unless = session, r.Stage, r.Once, r.After, r.Unless
	e.Echo, e.Echoed = r.Echo, v.echoed
	return e, true
}
