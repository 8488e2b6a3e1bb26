package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/bootid"
	"scan2ban/state/report"
)

// Hooks that enforce bans ([kernel] backend = "hook") are brought to what the ledger says,
// as else the kernel is. Events tell them of most of it. What no event tells of is told
// here: all bans in force of every jail after a boot, and of a jail that enforces its bans
// from now on; their release, of one that only observes now, and of all while the host is
// paused. A jail that is gone was released by events.

// kept is how far that has come.
type kept struct {
	Boot  string           `json:"boot,omitempty"`  // of the host, since which it holds
	Jails map[string]share `json:"jails,omitempty"` // those of the ledger

	// The jail under way, and of its bans the last one that was told.
	Jail  string     `json:"jail,omitempty"`
	Ends  bool       `json:"ends,omitempty"` // they are released
	After *state.Key `json:"after,omitempty"`

	Refused []string `json:"refused,omitempty"` // "JAIL KEY", of which the hook was told in vain
	Never   []string `json:"never,omitempty"`   // bans that it has not taken at any time: nothing is to be lifted

	trying // to tell of those
}

// share says which of the bans in force of a jail a hook has laid, if it did as it was told.
type share string

const (
	none share = "none"
	some share = "some" // that is not known
	all  share = "all"
)

const (
	refusedMost = hookMost        // bans that are tried again; of more the oldest are given up
	refusedTurn = 100             // in a row, after which a round stops: whatever keeps them may keep all
	keptTurn    = 2 * time.Minute // of a round, for new events wait meanwhile
)

func (k *kept) copy() *kept {
	if k == nil {
		return nil
	}
	c := *k
	c.Jails, c.Refused = maps.Clone(k.Jails), slices.Clone(k.Refused)
	c.Never = slices.Clone(k.Never)
	return &c
}

// standing is what there is to deliver.
type standing struct {
	seq    int64           // the last decision
	now    int64           // the clock, in seconds
	boot   string          // of the host
	jails  map[string]bool // of the ledger; true: they enforce their bans
	paused bool            // and nobody is to be banned
}

func stands(ledger *state.State, now time.Time, paused bool) standing {
	at := standing{seq: ledger.History.Seq, now: now.Unix(), boot: bootid.Running(), jails: map[string]bool{}, paused: paused}
	for name, jail := range ledger.Jails {
		at.jails[name] = jail.Reach.Enforce
	}
	return at
}

// share is what a hook is to have laid of a jail.
func (at *standing) share(jail string) share {
	if at.jails[jail] && !at.paused {
		return all
	}
	return none
}

// outstanding are the jails whose bans the hook is to be told of, or their release, or that are
// gone.
func (k *kept) outstanding(at standing) (jails []string) {
	for name, has := range k.Jails {
		if _, there := at.jails[name]; !there || has != at.share(name) {
			jails = append(jails, name)
		}
	}
	slices.Sort(jails)
	return jails
}

// news tells whether there are jails that were not there before.
func (k *kept) news(at standing) bool {
	for name := range at.jails {
		if k.Jails[name] == "" {
			return true
		}
	}
	return false
}

// turned tells whether there is what no round has begun with: that waits for no pause.
func (k *kept) turned(at standing) bool {
	return k == nil || k.Boot != at.boot || slices.ContainsFunc(k.outstanding(at), func(name string) bool { return k.Jails[name] != some })
}

// keeps tells whether there is something of that to tell: to a hook that hears of bans.
func (h *hookSink) keeps(p *position, at standing) bool {
	k := p.Kept
	return h.resend && slices.Contains(h.On, "ban") && (k == nil || k.Boot != at.boot || len(k.Refused) > 0 || k.news(at) || len(k.outstanding(at)) > 0)
}

// keep tells of what the ledger has and the hook was not told of. It goes on where the
// last round ended, past bans that the hook refuses: those are tried again, and given up
// like events.
func (h *hookSink) keep(ctx context.Context, r *round, p *position) error {
	at, first := r.standing, all // all bans of a jail that is new come as events
	if p.Kept == nil {
		if p.Kept = (&kept{Boot: at.boot}); p.Boot != at.boot { // or came before
			first = some
		}
	}
	k := p.Kept
	p.Boot = ""
	if k.Jails == nil {
		k.Jails = map[string]share{}
	}
	if k.Boot != at.boot { // what the hook had laid may be gone
		*k = kept{Boot: at.boot, Jails: k.Jails, Never: k.Never}
		for name, has := range k.Jails {
			if has == all {
				k.Jails[name] = some
			}
		}
	}
	for name, enforces := range at.jails {
		if k.Jails[name] == "" {
			if k.Jails[name] = none; enforces {
				k.Jails[name] = first
			}
		}
	}
	if len(k.Refused) > 0 && k.hopeless(at.now, hookTries, hookAge) {
		r.say(report.LevelWarning, "%s: of the bans in force %d given up after %s (%s)", h.title(), len(k.Refused), state.Plural(k.Tries, "try"), k.Error)
		k.Refused = nil
		k.went()
	}
	for _, name := range k.outstanding(at) {
		k.Jails[name] = some
	}
	t := &telling{hookSink: h, ctx: ctx, round: r, p: p, begun: time.Now(), tried: map[string]bool{}}
	t.jails()
	t.again()
	if t.full > 0 {
		r.say(report.LevelWarning, "%s: more than %d of the bans in force are refused, the oldest %d are given up", h.title(), refusedMost, t.full)
	}
	return errors.Join(t.failed, r.set(p, func() {
		if t.told > 0 || t.failed == nil && len(k.Refused) == 0 {
			k.went() // if one fails now, it is another one
		}
		if t.failed != nil {
			k.failed(at.now, t.failed)
		}
	}))
}

// passed notes that an event has not told of a ban of a jail, for nobody is to be banned by
// it now: it would come after the release. If it enforces again all are told.
func (p *position) passed(jail string) {
	k := p.Kept
	if k == nil {
		p.Boot = ""
		return
	}
	if k.Jails[jail] == all {
		k.Jails[jail] = some
	}
	if k.Jail == jail && !k.Ends {
		k.Jail, k.After = "", nil
	}
}

// telling is one round of that.
type telling struct {
	*hookSink
	*round
	ctx    context.Context
	p      *position
	begun  time.Time
	saved  time.Time
	tried  map[string]bool // "JAIL KEY"
	told   int
	inVain int   // in a row
	full   int   // given up for want of room
	failed error // the first that did
}

// jails goes through those that are to be told of.
func (t *telling) jails() {
	k := t.p.Kept
	for _, name := range k.outstanding(t.standing) {
		ends := t.standing.share(name) == none
		if k.Jail != name || k.Ends != ends {
			k.Jail, k.Ends, k.After = name, ends, nil
		}
		for _, b := range t.live(name) {
			if k.After != nil && !after(b.Key, *k.After) {
				continue
			}
			if t.over() || !t.tell(b, ends) {
				return
			}
			k.After = &b.Key
			if time.Since(t.saved) > savedEach {
				t.saved = time.Now()
				_ = t.set(t.p, func() {}) // the end of the round tells
			}
		}
		k.Jail, k.After, k.Jails[name] = "", nil, t.standing.share(name)
		if _, there := t.standing.jails[name]; !there {
			delete(k.Jails, name)
		}
	}
}

// again tries what the hook has refused, and forgets what is over.
func (t *telling) again() {
	k := t.p.Kept
	for _, name := range slices.Clone(k.Refused) {
		if t.tried[name] {
			continue
		}
		b := t.ban(name)
		if b == nil {
			k.taken(name)
		} else if t.over() || !t.tell(b, t.standing.share(b.Jail) == none) {
			return
		}
	}
}

// over tells whether the round has had its time.
func (t *telling) over() bool {
	return t.ctx.Err() != nil || t.inVain >= refusedTurn || time.Since(t.begun) > keptTurn && !t.letGo
}

// tell tells of a ban in force, or of its release. It is false where the round was over
// before that was done.
func (t *telling) tell(b *state.Ban, ends bool) bool {
	name := b.Jail + " " + b.Key.String()
	t.tried[name] = true
	e, ok := t.standingEvent(b, ends)
	if !ok || !t.takes(&e) {
		t.p.Kept.taken(name)
		return true
	}
	err := t.run(t.ctx, t.round, &e)
	switch {
	case err == nil:
		t.p.Kept.taken(name)
		t.told, t.inVain = t.told+1, 0
		return true
	case isOver(t.ctx, err):
		return false
	}
	t.inVain++
	if t.failed == nil {
		t.failed = err
	}
	if t.p.Kept.refused(name) {
		t.full++
	}
	return true
}

// standingEvent tells that a ban is in force, or that it is released by no decision: the
// ledger keeps it.
func (r *round) standingEvent(b *state.Ban, ends bool) (e Event, ok bool) {
	d := b.Decision()
	if ends {
		d.Verb, d.Enforced = state.Released, false
		d.Identify()
	}
	e, ok = r.event(d)
	e.seq = 0
	if ends {
		e.Observed, e.Time, e.Text = false, report.UTC(r.standing.now), report.Clean(fmt.Sprintf("%s: released %s", b.Jail, b.Key))
	} else {
		e.Again = true
	}
	return e, ok
}

// refused notes that, behind those that wait for longer, and tells whether the first of
// them had to make room.
func (k *kept) refused(name string) (full bool) {
	k.Refused = append(without(k.Refused, name), name)
	if full = len(k.Refused) > refusedMost; full {
		k.Refused = k.Refused[1:]
	}
	return full
}

// never notes that the hook has refused a ban that is new.
func (k *kept) never(name string) {
	k.Never = append(without(k.Never, name), name)
	k.Never = k.Never[max(0, len(k.Never)-refusedMost):]
}

// taken notes that a ban, or its end, is no longer to be told of.
func (k *kept) taken(name string) {
	k.Refused, k.Never = without(k.Refused, name), without(k.Never, name)
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(list, func(n string) bool { return n == name })
}

// live are the bans of a jail in force, in the order of their keys.
func (r *round) live(jail string) []*state.Ban {
	r.asking.Lock()
	defer r.asking.Unlock()
	if r.ledger.Jails[jail] == nil {
		return nil
	}
	return r.ledger.Jails[jail].Live(r.standing.now)
}

// ban is the one named "JAIL KEY"; nil: it is not in force.
func (r *round) ban(name string) *state.Ban {
	jail, text, _ := strings.Cut(name, " ")
	key, err := state.ParsePrefix(text)
	r.asking.Lock()
	defer r.asking.Unlock()
	if err != nil || r.ledger.Jails[jail] == nil {
		return nil
	}
	if b := r.ledger.Jails[jail].Bans()[state.Key(key)]; b != nil && !b.Over(r.standing.now) {
		return b
	}
	return nil
}

// after tells whether a comes after b in that order.
func after(a, b state.Key) bool {
	c := a.Addr().Compare(b.Addr())
	return c > 0 || c == 0 && a.Bits() > b.Bits()
}

// ErrHeld says that hooks may still hold bans.
var ErrHeld = errors.New("hooks may still hold bans")

// Held tells whether hooks may hold bans by what the deliveries of the state have noted.
func Held(statePath string) bool {
	for _, p := range savedPositions(statePath).Sinks {
		if p.Boot != "" || p.Kept != nil && len(p.Kept.Refused) > 0 {
			return true
		}
		if p.Kept == nil {
			continue
		}
		for _, has := range p.Kept.Jails {
			if has != none {
				return true
			}
		}
	}
	return false
}

// LetGo has the hooks that enforce bans release all of them, whatever is due, and tells
// of nothing else. Without such hooks there is nothing to do. What fails is ErrHeld.
func LetGo(ctx context.Context, o Options) error {
	if !o.Resend {
		return nil
	}
	o.letGo = true
	switch err := Run(ctx, o); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: called off before all were released (%w)", ErrHeld, ctx.Err())
	default:
		return fmt.Errorf("%w: %w", ErrHeld, err)
	}
}

// Before gives what is to be done about an error of LetGo before it is run again, in words
// that stand before "run it again"; nothing where it was called off.
func Before(err error) string {
	if errors.Is(err, context.Canceled) {
		return ""
	}
	return "mend the hook and "
}
