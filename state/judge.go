package state

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Rules are what a jail is judged by in one pass.
type Rules struct {
	Policy
	Reach
	Ignored *Ignored
	Ledger  bool // a recidive jail: its failures are the bans of all other jails

	holding   map[netip.Prefix]bool // keys that hold an ignored address: banned address by address
	remembers int64                 // for how many seconds log-ins matter
}

// Judge folds events into a state. It is a pure function of the state, the
// rules and the events in their order: it reads no clock, no file but the
// earlier bans that prior looks up, and leaves its decisions for the caller to
// apply to the kernel and to save, in that order.
//
// Events are to come in time order. One that comes late is judged at its own
// time: it may complete a window, and never moves a ban that is recorded.
type Judge struct {
	state  *State
	rules  map[string]*Rules
	recid  []string // the jails fed by the ledger, in order
	memory int64
	prior  func() (*Prior, error)

	maxLedger int // bans in the ledger of a jail; 0: no limit

	rebuilding bool
	dropped    int64                       // what is over and began until then is no longer in the history
	replay     []*Ban                      // recorded bans that the log has not reached yet
	known      map[priorKey]map[int64]*Ban // all recorded bans, by their beginnings
	gone       map[priorKey]bool           // whose last word in the history is an end

	ignored *Ignored // by any jail; nil: nobody asked

	lengths map[string][]int // of the keys banned by the jails that close every port; see closing
	wide    []string         // those jails

	// Held is since when the kernel has held the bans without a break, by the clock
	// in seconds; 0: since each was laid. Only Through depends on it.
	Held int64

	// Partial says that the log was not read to its end: nothing is dropped as too old.
	Partial bool

	// Behind are the jails of whose log something could not be read, with the second from
	// which on it may come later; see horizon.
	Behind map[string]int64

	// Who draws a report hears of every failure that counted, with the ban in force that
	// should have kept it out (nil: none), and of every log-in that is believed. nil:
	// nobody asks. Judging does not depend on them.
	OnFailure func(f Failure, key Key, under *Ban)
	OnLogin   func(e Event)

	// Settled gives what was judged before, for jails that read it once more; see
	// Jail.Recounted. nil: no jail does.
	Settled func() (*Settled, error)

	Decisions []Decision // what was decided, in order
	Err       error      // the history could not be read: nothing of this judging may be saved
}

// NewJudge judges by rules, a map from jail to its rules. prior gives the bans
// of the history, and is called when the first ban is decided.
func NewJudge(s *State, rules map[string]*Rules, o Options, prior func() (*Prior, error)) *Judge {
	j := &Judge{state: s, rules: rules, memory: o.Memory.Seconds(), maxLedger: o.MaxLedger, Behind: map[string]int64{}, prior: prior}
	for name, r := range rules {
		jail := s.Jail(name)
		prefixes := [2]int{r.IPv4Prefix, r.IPv6Prefix}
		if jail.Prefixes != prefixes || !jail.Reach.same(r.Reach) {
			jail.Reach, jail.Prefixes, jail.changed, s.urgent = r.Reach, prefixes, true, true
			jail.unenforced()
		}
		r.holding = r.Ignored.within(jail.Prefixes)
		if r.Ledger {
			j.recid = append(j.recid, name)
		}
	}
	remember(rules)
	slices.Sort(j.recid)
	for _, jail := range s.Jails {
		jail.throughBefore, jail.overflowed, jail.crowded = jail.Through, false, false
	}
	return j
}

// Event judges what a filter understood of one entry, and tells whether it
// counted as a failure.
func (j *Judge) Event(e Event) bool {
	r := j.rules[e.Jail]
	if r == nil || j.Err != nil {
		return false
	}
	j.reach(e.Time)
	jail := j.state.Jail(e.Jail)
	if e.Time <= jail.Recounted && e.Time > jail.recount.from {
		jail.recount.anew(e.Time)
	}
	switch e.Kind {
	case KindMark:
		jail.sessions.get().Mark(&e)
		jail.changed = true
	case KindSuccess:
		if e.Unless != "" && !jail.sessions.get().believed(&e) {
			return false
		}
		if e.Echoed && jail.sessions.get().Heard(&e) != nil {
			jail.changed = true
		}
		j.success(jail, r, e)
	case KindFailure:
		if e.Session != "" || e.Echo || e.Echoed {
			jail.changed = true
		}
		if e.Addr.IsValid() && !Countable(e.Addr) || !jail.sessions.get().Counts(&e) || !Countable(e.Addr) {
			return false
		}
		return j.failure(jail, r, e.Failure)
	}
	return false
}

// Countable tells whether an address can stand for a client: not loopback,
// link-local, multicast or unspecified.
func Countable(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() && !a.IsUnspecified()
}

// nat64 is the well-known prefix of RFC 6052; its addresses are IPv4 hosts.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// key is what failures of addr are counted for.
func (r *Rules) key(addr netip.Addr) Key {
	full := Key{netip.PrefixFrom(addr, addr.BitLen())}
	bits := r.IPv4Prefix
	if addr.Is6() {
		if bits = r.IPv6Prefix; r.translated(addr) {
			return full
		}
	}
	masked := netip.PrefixFrom(addr, bits).Masked()
	if r.holding[masked] {
		return full
	}
	return Key{masked}
}

// translated tells whether an IPv6 address is an IPv4 host behind NAT64.
func (r *Rules) translated(addr netip.Addr) bool {
	return nat64.Contains(addr) || slices.ContainsFunc(r.NAT64, func(p Prefix) bool { return p.Contains(addr) })
}

func (j *Judge) success(jail *Jail, r *Rules, e Event) {
	if j.OnLogin != nil && e.Addr.IsValid() {
		j.OnLogin(e)
	}
	if !e.Addr.IsValid() || (!r.Forgive && r.remembers == 0) {
		return
	}
	key := r.key(e.Addr)
	if r.remembers != 0 {
		jail.Successes[key] = max(jail.Successes[key], e.Time)
		jail.changed = true
	}
	if w := jail.windows.get()[key]; w != nil && r.Forgive {
		jail.forget(w)
	}
}

func (j *Judge) failure(jail *Jail, r *Rules, f Failure) bool {
	if _, _, ignored := r.Ignored.Covers(f.Addr); ignored {
		return false
	}
	key := r.key(f.Addr)
	if jail.pardoned(key, f) || j.settled(jail, r, key, f) {
		return false
	}
	if f.Time <= jail.Recounted {
		jail.replace(key, f.Time)
	}
	f.User = cleanUser(f.User)
	jail.Seen.Add(f.Time, Tally{Failures: int64(f.Weight)})
	j.through(jail, r, key, f)
	if j.OnFailure != nil {
		j.OnFailure(f, key, j.under(jail, r, key, f))
	}
	b := jail.Bans()[key]
	if b == nil || !b.covers(f.Time) {
		b = jail.banOf(r, f.Addr)
	}
	if b != nil && b.covers(f.Time) {
		b.late(f)
		jail.changed = true
		return true
	}
	findtime := r.FindTime.Seconds()
	if slices.Contains(r.Instant, f.Rule) {
		f.Weight = max(f.Weight, r.MaxRetry)
	}
	w, evicted := jail.hit(key, hit{f.Time, f.Weight, f.User}, findtime, r.MaxTracked)
	if f.Time <= jail.Recounted {
		w.anew = max(w.anew, uint32(f.Time))
	}
	if evicted != nil {
		j.full(jail, r, f.Time)
	}
	if i, ok := w.decides(f.Time, findtime, r.MaxRetry); ok && w != evicted && !jail.replaced(w, w.hits[i].time) {
		j.ban(jail, r, w, i, f)
	}
	return true
}

// pardoned tells whether an unban has made a failure void.
func (jail *Jail) pardoned(key Key, f Failure) bool {
	if len(jail.Pardons) == 0 {
		return false
	}
	if t, ok := jail.Pardons[key]; ok && f.Time <= t {
		return true
	}
	if jail.wideOf != len(jail.Pardons) {
		jail.wide, jail.wideOf = nil, len(jail.Pardons)
		for k := range jail.Pardons {
			if !slices.Contains(jail.wide, k.Bits()) {
				jail.wide = append(jail.wide, k.Bits())
			}
		}
	}
	for _, bits := range jail.wide {
		if p, err := f.Addr.Prefix(bits); err == nil && f.Time <= jail.Pardons[Key{p}] {
			return true
		}
	}
	return false
}

// late counts a failure that came while the ban was in force.
func (b *Ban) late(f Failure) {
	b.Late += f.Weight
	b.Users = addUser(b.Users, f.User)
}

// ban decides on the i-th hit of the window.
func (j *Judge) ban(jail *Jail, r *Rules, w *window, i int, f Failure) {
	t := w.hits[i].time
	b := &Ban{Jail: jail.Name, Key: w.key, Addr: f.Addr, Since: t, Rule: f.Rule, fresh: true}
	for k, h := range w.hits {
		if k <= i && h.time > t-r.FindTime.Seconds() {
			b.Failures += h.weight
			b.Users = addUser(b.Users, h.user)
		}
	}
	after := slices.Clone(w.hits[i+1:])
	jail.forget(w)
	if s, ok := jail.Successes[w.key]; ok && r.Spare != 0 && s <= t && t-s < r.Spare.Seconds() {
		d := b.decision(Spared, t)
		d.Text = fmt.Sprintf("logged in %s before", Duration(time.Duration(t-s)*time.Second))
		j.Decisions = append(j.Decisions, d)
		return
	}
	prior, err := j.prior()
	if err != nil {
		j.Err = err
		return
	}
	b.N = 1 + prior.Count(jail.Name, w.key, t-j.memory, t, r.Escalation.AcrossJails)
	b.Until = r.end(t, w.key, b.N)
	prior.Add(jail.Name, w.key, t)
	for _, h := range after { // read before the late failure that decided
		if b.covers(h.time) {
			b.Late += h.weight
			b.Users = addUser(b.Users, h.user)
		}
	}
	j.record(jail, b)
	j.again(b)
	j.subnet(jail, b)
}

// again makes a ban a failure in the recidive jails.
func (j *Judge) again(b *Ban) {
	if r := j.rules[b.Jail]; !b.counts() || !b.Addr.IsValid() || r == nil || r.Ledger {
		return
	}
	for _, name := range j.recid {
		j.failure(j.state.Jail(name), j.rules[name], Failure{Jail: name, Addr: b.Addr, Time: b.Since, Weight: 1, Rule: "ban in " + b.Jail, Lingers: true})
	}
}

// record enters a new ban into the ledger. A ban that is there and ends later
// stays: both are in the history.
func (j *Judge) record(jail *Jail, b *Ban) {
	if known := j.known[priorKey{b.Jail, b.Key}][b.Since]; known != nil {
		known.Late = b.Late
		jail.setBan(known)
		jail.Seen.Add(b.Since, Tally{Bans: 1})
		return
	}
	if have := jail.Bans()[b.Key]; have == nil || b.outlasts(have) {
		if have != nil && have.Over(b.Since) && !have.Ended && !have.fresh {
			j.Decisions = append(j.Decisions, have.decision(Expired, have.Until))
		}
		jail.setBan(b)
	}
	jail.Seen.Add(b.Since, Tally{Bans: 1})
	if j.rebuilding && b.Since <= j.dropped && b.Over(j.dropped+j.memory) {
		return
	}
	d := b.decision(Banned, b.Since)
	d.Enforced, d.Summed = jail.Reach.Enforce, j.rebuilding
	j.Decisions = append(j.Decisions, d)
	j.makeRoom(jail, b)
}

// Span is for how many seconds a log matters: what lies before can neither ban, nor spare,
// nor lie inside a ban in force. It is at most memory, in seconds.
func (r *Rules) Span(memory int64) int64 {
	longest := max(r.BanTime.Seconds(), r.Escalation.Max.Seconds())
	if r.BanTime == Permanent {
		longest = memory
	}
	guests := r.Spare.Seconds() // log-ins that speak for a key, or for a network
	if r.Subnets.Count > 0 {
		guests = max(guests, guestSpan)
	}
	return min(r.FindTime.Seconds()+longest+guests, memory)
}

// end of the n-th ban of key that begins at t; 0: never.
func (r *Rules) end(t int64, key Key, n int) int64 {
	seconds, ends := r.Lasts(n)
	if !ends {
		return 0
	}
	return t + seconds + r.jitter(t, key)
}

// Lasts is how many seconds the n-th ban of a key lasts, without the jitter; ends is
// false where it lasts for ever.
func (r *Rules) Lasts(n int) (seconds int64, ends bool) {
	if r.BanTime == Permanent {
		return 0, false
	}
	length := float64(r.BanTime.Seconds())
	if e := r.Escalation; e.Factor > 1 && n > 1 {
		length *= math.Pow(e.Factor, float64(n-1))
		if e.Max > 0 {
			length = min(length, float64(e.Max.Seconds()))
		}
		length = min(length, time.Duration(maxDuration).Seconds())
	}
	return int64(length), true
}

// jitter spreads the ends of escalated bans; a replay gives the same.
func (r *Rules) jitter(t int64, key Key) int64 {
	span := r.Escalation.Jitter.Seconds()
	if span <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", key, t)
	return int64(h.Sum64() % uint64(span+1))
}

// full warns, once in a judging, that a jail tracks all that it may.
func (j *Judge) full(jail *Jail, r *Rules, t int64) {
	if !jail.overflowed {
		jail.overflowed = true
		j.Warn(jail.Name, t, fmt.Sprintf("jail %q tracks %s (max_tracked): the lightest and stalest are being forgotten", jail.Name, Plural(r.MaxTracked, "key")))
	}
}

// Warn puts a message for the admin among the decisions.
func (j *Judge) Warn(jail string, t int64, text string) {
	j.Decisions = append(j.Decisions, Warning(t, jail, text))
}

// cleanUser bounds what a client wrote as its name, and keeps it valid UTF-8.
func cleanUser(user string) string {
	const most = 64 // bytes
	if len(user) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(user[cut]) {
			cut--
		}
		user = user[:cut]
	}
	return strings.ToValidUTF8(user, "\uFFFD")
}

func addUser(users []string, user string) []string {
	if user == "" || len(users) >= maxUsers || slices.Contains(users, user) {
		return users
	}
	return append(users, user)
}
