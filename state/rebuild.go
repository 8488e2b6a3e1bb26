package state

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// A state that is missing or damaged is made again from three witnesses: the
// history, the log, and the kernel. What the history recorded holds; the log is
// read again and judged over it; what the kernel holds and neither explains is
// taken over as it is.

// Recorded is what the history tells of the bans of jails.
type Recorded struct {
	bans []*Ban            // in the order of their beginnings
	gone map[priorKey]bool // keys whose last word is an end: unbanned, released, expired
	at   int64             // the clock time of the rebuild, in seconds; 0: there is no history
}

// Recall makes the state that the history of the store tells of at the clock
// time now, in seconds: bans and unbans by hand that are in force. Bans of jails
// come back through the judging, see Judge.Replay: recorded are those that end
// after from, the second from which the log will be read again.
func (s *Store) Recall(now, from int64) (*State, *Recorded, error) {
	state, recorded := New(), &Recorded{gone: map[priorKey]bool{}}
	live := map[Key]*Ban{}
	laid, taken := map[priorKey][]*Ban{}, map[*Ban]bool{}
	err := s.History(nil, func(d Decision, end int64) {
		state.History, recorded.at = Vouch{Length: end, Seq: d.Seq}, now
		if d.Key == nil {
			return
		}
		at := priorKey{d.Jail, *d.Key}
		switch d.Verb {
		case Banned:
			delete(recorded.gone, at)
			b, err := d.Ban()
			switch {
			case err != nil:
			case b.ByHand && b.Jail == ByHand:
				live[b.Key] = b
			case b.Until == 0 || b.Until > from || b.IsNetwork(): // what it was banned for counts no more
				recorded.bans, laid[at] = append(recorded.bans, b), append(laid[at], b)
			}
		case Spared: // though the log-in be long ago
			if pardons := state.Jail(d.Jail).Pardons; !d.ofNetwork() {
				pardons[*d.Key] = max(pardons[*d.Key], d.Time)
			}
		case Unbanned, Released, Expired:
			recorded.gone[at] = true
			if d.Jail == ByHand {
				delete(live, *d.Key)
			}
			if d.Verb == Expired { // it still covers what was logged while it lasted
				for _, b := range laid[at] {
					b.Ended = b.Ended || b.Since == d.Since
				}
			} else {
				for _, b := range laid[at] {
					taken[b] = true
				}
				delete(laid, at)
			}
			if d.Verb == Unbanned && d.Jail != ByHand { // however old: what is read again may be older
				state.Jail(d.Jail).Pardons[*d.Key] = d.Time
			}
		}
	})
	for _, b := range live {
		if !b.Over(now) {
			state.Jail(ByHand).setBan(b)
		}
	}
	recorded.bans = slices.DeleteFunc(recorded.bans, func(b *Ban) bool { return taken[b] })
	slices.SortStableFunc(recorded.bans, func(a, b *Ban) int { return cmp.Compare(a.Since, b.Since) })
	return state, recorded, err
}

// Replay makes the judging one of a rebuild: bans that the history recorded, in
// the order of their beginnings, are entered as the log reaches them, and their
// decisions are not repeated. What is decided anew is marked as summed up; what is older
// than the history remembers was dropped from it, and is not told again.
func (j *Judge) Replay(recorded *Recorded) {
	j.rebuilding = true
	j.known = map[priorKey]map[int64]*Ban{}
	if recorded == nil {
		return
	}
	j.replay, j.gone = recorded.bans, recorded.gone
	if recorded.at != 0 {
		j.dropped = recorded.at - j.memory
	}
	for _, b := range recorded.bans {
		k := priorKey{b.Jail, b.Key}
		if j.known[k] == nil {
			j.known[k] = map[int64]*Ban{}
		}
		j.known[k][b.Since] = b
	}
}

// reach enters the recorded bans that began before t and that the log no longer
// tells of.
func (j *Judge) reach(t int64) {
	for len(j.replay) > 0 && j.replay[0].Since < t {
		b := j.replay[0]
		j.replay = j.replay[1:]
		jail := j.state.Jail(b.Jail)
		have := jail.Bans()[b.Key]
		if have != nil && have.Since == b.Since {
			continue // judged again just now
		}
		if have == nil || b.outlasts(have) {
			if w := jail.windows.get()[b.Key]; w != nil {
				jail.forget(w)
			}
			jail.setBan(b)
		}
		if b.IsNetwork() {
			delete(jail.networks.get(), b.Key)
		}
		j.again(b)
		j.subnet(jail, b)
	}
}

// adopted is the rule of a ban that was taken over from the kernel.
const adopted = "found in the kernel"

// Adopt takes over a ban that only the kernel knows of, before Finish. left is
// what remains of it, 0 for a permanent one. It is not taken over when it is to
// be ignored, when the history knows that it was taken back, or the log when it ended.
func (j *Judge) Adopt(name string, key Key, now int64, left time.Duration) bool {
	j.reach(math.MaxInt64)
	jail := j.state.Jails[name]
	if name == ByHand && jail == nil {
		jail = j.state.Jail(name)
	}
	if jail == nil || j.gone[priorKey{name, key}] {
		return false
	}
	if jail.Bans()[key] != nil || jail.covered(key, now) { // one that is over ended, whatever clock the kernel went by
		return false
	}
	var ignored *Ignored
	if r := j.rules[name]; r != nil {
		ignored = r.Ignored
	} else {
		ignored = j.ignoredByAny()
	}
	if _, _, ok := ignored.Touches(key); ok {
		return false
	}
	b := &Ban{Jail: name, Key: key, Since: now, N: 1, Rule: adopted, fresh: true, ByHand: name == ByHand}
	if left > 0 {
		b.Until = now + int64((left+time.Second-1)/time.Second)
	}
	if key.IsSingleIP() {
		b.Addr = key.Addr()
	}
	j.record(jail, b)
	return true
}

// covered tells whether live bans of networks hold every address of a range of the
// kernel: it joins networks that lie side by side, and cuts those that hold one another.
func (j *Jail) covered(key Key, now int64) bool {
	if key.IsSingleIP() || key.Bits() == j.Prefixes[family(key.Addr())] {
		return false // stands in its set as it was laid
	}
	var near []Key
	for k, b := range j.Bans() {
		if k.Overlaps(key.Prefix) && !b.Over(now) && k.Bits() != j.Prefixes[family(k.Addr())] {
			near = append(near, k)
		}
	}
	return allHeld(near, key)
}

// allHeld tells whether every address of key is in one of the list.
func allHeld(list []Key, key Key) bool {
	inside := false
	for _, k := range list {
		if holds(k, key) {
			return true
		}
		inside = inside || holds(key, k)
	}
	if !inside {
		return false
	}
	half := netip.PrefixFrom(key.Addr(), key.Bits()+1)
	upper := half.Addr().AsSlice()
	upper[key.Bits()/8] |= 0x80 >> (key.Bits() % 8)
	addr, _ := netip.AddrFromSlice(upper)
	return allHeld(list, Key{half}) && allHeld(list, Key{netip.PrefixFrom(addr, half.Bits())})
}

// Summary says in one decision what a rebuild found.
func (j *Judge) Summary(now int64, why string) {
	found, live, observed := 0, 0, 0
	for _, d := range j.Decisions {
		if d.Verb == Banned {
			found++
		}
	}
	for _, jail := range j.state.Jails {
		n := len(jail.Live(now))
		live += n
		if !jail.Reach.Enforce {
			observed += n
		}
	}
	text := fmt.Sprintf("%s: judged the log again; %s in force, %d of them new", why, Plural(live, "ban"), found)
	if observed > 0 {
		text = fmt.Sprintf("%s: judged the log again; %s, %d of them new, %d only observed", why, Plural(live, "ban"), found, observed)
	}
	d := Decision{Verb: Rebuilt, Time: now, Text: text}
	d.Identify()
	j.Decisions = append(j.Decisions, d)
}
