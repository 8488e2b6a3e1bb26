package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// Options are what a round of deliveries needs.
type Options struct {
	Config
	StatePath string
	Now       time.Time
	Out       io.Writer // what hooks print, and what was given up; a line each

	Status   func() (*report.Status, error)                         // the jails and their health
	Evidence func(ctx context.Context, address netip.Addr) []string // lines of the log that tell of an address
	Where    report.Networks                                        // nil: not known

	letGo bool // see LetGo
}

// sink is one that decisions are delivered to.
type sink interface {
	// name is what its position is kept under.
	name() string
	// title is what people call it.
	title() string
	// due tells whether there is something to do.
	due(p *position, at standing) bool
	// deliver does it, and moves the position.
	deliver(ctx context.Context, r *round, p *position) error
}

// longest is how long a round may take; what is left is for the next one.
const longest = 10 * time.Minute

// Run delivers what is due to every sink, all at the same time, and gives the errors of
// those that failed. Another round that runs makes it state.ErrLocked.
func Run(ctx context.Context, o Options) error {
	store, err := state.OpenStore(o.StatePath, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no pass has decided anything
	} else if err != nil {
		return err
	}
	defer store.Close()
	wait := time.Duration(0)
	if o.letGo {
		wait = time.Minute
	}
	if err := store.LockBeside(ctx, fileName, wait); errors.Is(err, state.ErrLocked) {
		return fmt.Errorf("%w by deliveries that are under way (or by what fuser -v tells of)", err)
	} else if err != nil {
		return err
	}
	if !o.letGo {
		_ = os.Remove(DuePath(o.StatePath)) // a pass writes it anew
	}
	r, err := begin(store, o)
	if err != nil {
		return err
	}
	called := ctx
	ctx, stop := context.WithTimeout(ctx, longest)
	defer stop()
	sinks := o.sinks()
	errs := make([]error, len(sinks))
	own := make([]*position, len(sinks)) // copies: the others save while one works
	for i, s := range sinks {
		own[i] = r.at.of(s).copy()
		own[i].name = s.name()
	}
	var all sync.WaitGroup
	for i, s := range sinks {
		if h, hook := s.(*hookSink); o.letGo && !(hook && h.enforces()) || !o.letGo && !s.due(own[i], r.standing) {
			continue
		}
		all.Go(func() {
			if err := s.deliver(ctx, r, own[i]); err != nil {
				errs[i] = fmt.Errorf("%s: %w", s.title(), err)
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, r.damaged, r.save(), called.Err())...)
}

// round is one run.
type round struct {
	Options
	store   *state.Store
	ledger  *state.State
	at      *positions
	seq     int64 // the last decision that there is
	list    []state.Decision
	host    string
	damaged error

	standing standing

	lock   sync.Mutex // of at, and of Out
	asking sync.Mutex // of ledger, which reads its bans when it is asked for them
}

// event tells of a decision, see there.
func (r *round) event(d state.Decision) (Event, bool) {
	r.asking.Lock()
	defer r.asking.Unlock()
	return event(d, r.ledger, r.host)
}

// look reads ledger and history.
func look(o Options) (*round, error) {
	store, err := state.OpenStore(o.StatePath, false)
	if errors.Is(err, fs.ErrNotExist) {
		return &round{Options: o, ledger: state.New(), host: hostname()}, nil
	} else if err != nil {
		return nil, err
	}
	defer store.Close()
	r := &round{Options: o, store: store, host: hostname()}
	return r, r.read(0, nil)
}

// read reads the ledger, and the history: what stands after seq, and of the rest what also
// asks for.
func (r *round) read(seq int64, also func(state.Decision) bool) (err error) {
	if r.ledger == nil {
		if r.ledger, err = r.store.Load(); errors.Is(err, fs.ErrNotExist) {
			r.ledger = state.New()
		} else if err != nil {
			return err
		}
		r.seq = r.ledger.History.Seq
	}
	if seq >= r.seq && also == nil {
		return nil
	}
	return r.store.History(&r.ledger.History, func(d state.Decision, _ int64) {
		if d.Seq > seq || also != nil && also(d) {
			r.list = append(r.list, d)
		}
	})
}

// begin reads positions and history, and proves that positions can be saved: what is
// delivered and cannot be noted would be delivered again and again.
func begin(store *state.Store, o Options) (r *round, err error) {
	r = &round{Options: o, store: store, host: hostname()}
	if r.at, r.damaged, err = load(store); err != nil {
		return nil, err
	}
	if err := r.read(math.MaxInt64, nil); err != nil {
		return nil, err
	}
	r.standing = stands(r.ledger, o.Now, o.letGo || store.Paused() != nil)
	known, from := map[string]*position{}, r.seq
	left := r.at.left(o.sinks(), r.seq)
	var also func(state.Decision) bool
	for _, s := range o.sinks() {
		p := r.at.of(s).copy()
		if p == nil || p.Seq > r.seq { // new, or the history was begun anew
			p = &position{Seq: r.seq, Last: o.Now.Unix()}
			if h, ok := s.(*hookSink); ok && h.enforces() { // it may be one that was written anew
				p.Seq = left
			}
		}
		known[s.name()] = p
		from = min(from, p.Seq)
		if m, ok := s.(*digestMail); ok && m.due(p, r.standing) {
			also = m.before(r, p)
		}
	}
	r.at.Sinks = known
	if err := r.save(); err != nil {
		return nil, fmt.Errorf("nothing is delivered: %w", err)
	}
	return r, r.read(from, also)
}

// after are the decisions after seq, up to the last one or to upto where that is not 0.
func (r *round) after(seq, upto int64) []state.Decision {
	i, _ := slices.BinarySearchFunc(r.list, seq+1, func(d state.Decision, seq int64) int { return cmp.Compare(d.Seq, seq) })
	list := r.list[i:]
	if upto != 0 {
		for len(list) > 0 && list[len(list)-1].Seq > upto {
			list = list[:len(list)-1]
		}
	}
	return list
}

func (r *round) save() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.at.save(r.store)
}

// set changes a position, which is the caller's alone, and saves all of them.
func (r *round) set(p *position, change func()) error {
	change()
	r.lock.Lock()
	defer r.lock.Unlock()
	r.at.Sinks[p.name] = p.copy()
	return r.at.save(r.store)
}

// say puts a line out, for people.
func (r *round) say(level int, format string, args ...any) {
	r.lock.Lock()
	defer r.lock.Unlock()
	line := report.Line{Level: level, Text: report.Clean(fmt.Sprintf(format, args...))}
	Tell(r.Out, []report.Line{line})
}

// Wake writes the file that starts the deliveries, if something is due at now by the
// ledger. Failing it, the next pass tries again.
func (c *Config) Wake(statePath string, ledger *state.State, now time.Time) {
	due := c.Due(statePath, ledger, now)
	if len(due) > 0 {
		_ = state.Signal(DuePath(statePath), strings.Join(due, "\n")+"\n")
	}
}

// Due names the sinks that have something to do. It reads positions only where there are
// sinks: most hosts have none.
func (c *Config) Due(statePath string, ledger *state.State, now time.Time) (due []string) {
	sinks := c.sinks()
	if len(sinks) == 0 {
		return nil
	}
	store, err := state.OpenStore(statePath, false)
	if err != nil {
		return nil
	}
	defer store.Close()
	at, _, err := load(store)
	if err != nil {
		return nil
	}
	is := stands(ledger, now, store.Paused() != nil)
	for _, s := range sinks {
		if p := at.of(s); p == nil || s.due(p, is) {
			due = append(due, s.title())
		}
	}
	return due
}
