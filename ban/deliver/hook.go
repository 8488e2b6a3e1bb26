package deliver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// hookSink is a hook. What it was told of is noted one by one, so that a round that is
// killed tells little twice.
type hookSink struct {
	*Hook
	resend bool
	id     string // see names
	was    string // under which its position lies where it is not under id; empty: nowhere
}

const (
	hookTries = 20             // of one event, before it is given up
	hookAge   = 24 * time.Hour // and how long
	hookMost  = 10_000         // events that may wait; of more the oldest are given up
	savedEach = time.Second    // how often positions are saved while events are delivered
)

func (h *hookSink) name() string { return h.id }

// hookSinks are those of the hooks. A position is that of program and jails, so that a hook
// that is to be told of more keeps it; of several with the same ones each has its own, by
// the events too. The same hook twice is one.
func (c *Config) hookSinks() (list []*hookSink) {
	several := map[string]int{}
	for i := range c.Hooks {
		h := &hookSink{Hook: &c.Hooks[i], resend: c.Resend}
		h.id, h.was = h.names()
		if !slices.ContainsFunc(list, func(o *hookSink) bool { return o.was == h.was }) {
			several[h.id]++
			list = append(list, h)
		}
	}
	for _, h := range list {
		if several[h.id] > 1 {
			h.id, h.was = h.was, h.id
		}
	}
	return list
}

// names are that of program and jails, and that with the events.
func (h *Hook) names() (short, long string) {
	text := strings.Join(h.Run, "\x00") + "\x00" + strings.Join(h.Jails, " ")
	on := slices.Compact(slices.Sorted(slices.Values(h.On)))
	return "hook " + state.Hash(text), "hook " + state.Hash(text+"\x00"+strings.Join(on, " "))
}

// Same tells whether two hooks are one.
func (h *Hook) Same(other *Hook) bool {
	_, mine := h.names()
	_, theirs := other.names()
	return mine == theirs
}

// Enforces tells whether the hook hears all that it takes to enforce the bans of a jail;
// how they end, it may know without being told.
func (h *Hook) Enforces(jail string) bool {
	for _, event := range []string{"ban", "unban", "release"} {
		if !h.takes(&Event{Event: event, Jail: jail}) {
			return false
		}
	}
	return true
}

// enforces tells whether it does so for any.
func (h *hookSink) enforces() bool {
	all := *h.Hook
	all.Jails = nil
	return h.resend && all.Enforces("")
}

// title leaves the arguments away: there may be secrets among them.
func (h *hookSink) title() string { return "hook " + h.Run[0] }

func (h *hookSink) due(p *position, at standing) bool {
	return p.Seq < at.seq && p.ready(at.now) || h.keeps(p, at) && (p.Kept.turned(at) || p.Kept.ready(at.now))
}

// deliver runs the program for each event that waits, in their order, and stops at the
// first that fails: whatever keeps it may keep the others. That one is given up when it
// has failed too often, and with it what is too old by then. A hook that enforces bans goes
// on past one that it refuses: that is among those that it is to keep, which come then.
func (h *hookSink) deliver(ctx context.Context, r *round, p *position) (err error) {
	if p.Seq < r.seq && (p.ready(r.standing.now) || r.letGo) {
		err = h.news(ctx, r, p)
	}
	if h.keeps(p, r.standing) && (p.Kept.turned(r.standing) || p.Kept.ready(r.standing.now) || r.letGo) {
		err = errors.Join(err, h.keep(ctx, r, p))
	}
	if r.letGo && err == nil && (p.Seq < r.seq || h.keeps(p, r.standing)) {
		err = errors.New("not told of all yet")
	}
	return err
}

// news delivers the events that wait.
func (h *hookSink) news(ctx context.Context, r *round, p *position) error {
	now := r.standing.now
	events := h.waiting(r, p)
	if over := len(events) - hookMost; over > 0 {
		r.say(report.LevelWarning, "%s: %d events waited, the oldest %d are given up", h.title(), len(events), over)
		events = events[over:]
	}
	if len(events) > 0 && p.hopeless(now, hookTries, hookAge) {
		events = h.giveUp(r, p, events)
	}
	return h.each(ctx, r, p, events)
}

// waiting are the events that were not delivered.
func (h *hookSink) waiting(r *round, p *position) (events []*Event) {
	for _, d := range r.after(p.Seq, 0) {
		if slices.Contains(p.Done, d.Seq) || d.Summed && !h.resend {
			continue
		}
		e, ok := r.event(d)
		switch {
		case !ok || !h.takes(&e):
		case h.resend && e.Event == "ban" && !e.Observed && r.standing.share(e.Jail) == none:
			p.passed(e.Jail)
		default:
			events = append(events, &e)
		}
	}
	return events
}

func (h *hookSink) giveUp(r *round, p *position, events []*Event) []*Event {
	oldest := report.UTC(r.Now.Add(-hookAge).Unix())
	n := 1
	for n < len(events) && events[n].Time < oldest {
		n++
	}
	r.say(report.LevelWarning, "%s: %s given up after %s (%s)", h.title(), state.Plural(n, "event"), state.Plural(p.Tries, "try"), p.Error)
	p.went()
	p.Seq = events[n-1].seq
	return events[n:]
}

// each runs the program for the events, Parallel at a time.
func (h *hookSink) each(ctx context.Context, r *round, p *position, events []*Event) error {
	var (
		wait   sync.WaitGroup
		lock   sync.Mutex
		failed error
		passed error // of the first that was passed
		inVain int   // passed in a row
		places = make(chan bool, h.Parallel)
		saved  = time.Now()
		done   = map[int64]bool{}
	)
	stopped := func() bool {
		lock.Lock()
		defer lock.Unlock()
		return failed != nil || ctx.Err() != nil
	}
	for _, e := range events {
		places <- true
		if stopped() {
			<-places
			break
		}
		wait.Go(func() {
			defer func() { <-places }()
			err := h.run(ctx, r, e)
			lock.Lock()
			defer lock.Unlock()
			switch {
			case err == nil:
				if inVain = 0; p.Kept != nil && e.ban != nil {
					p.Kept.taken(e.Jail + " " + e.ban.Key)
				}
			case isOver(ctx, err):
				return
			case h.passes(r, p, e):
				passed = cmp.Or(passed, err)
				if inVain++; inVain >= refusedTurn { // whatever keeps them may keep all
					failed = cmp.Or(failed, err)
				}
			default:
				failed = cmp.Or(failed, err)
				return
			}
			done[e.seq] = true
			if time.Since(saved) > savedEach {
				saved = time.Now()
				_ = r.set(p, func() { p.advance(events, done, 0) }) // the end of the round tells
			}
		})
	}
	wait.Wait()
	return errors.Join(cmp.Or(failed, passed), r.set(p, func() {
		end := r.seq
		if failed != nil || len(done) < len(events) { // the next round goes on
			end = 0
		}
		if p.advance(events, done, end); end > 0 || len(done) > 0 {
			p.went() // if one fails now, it is another one
		}
		if failed != nil {
			p.failed(r.standing.now, failed)
		}
		if passed != nil {
			p.Kept.failed(r.standing.now, passed)
		}
	}))
}

// passes tells whether an event that the hook has refused keeps none of the others: a ban,
// which is tried again like those in force, and the end of one that it has never taken.
func (h *hookSink) passes(r *round, p *position, e *Event) bool {
	if !h.enforces() || p.Kept == nil || e.ban == nil {
		return false
	}
	name := e.Jail + " " + e.ban.Key
	switch e.Event {
	case "ban":
		if !e.ban.ByHand { // that may follow another that the hook has taken
			p.Kept.never(name)
		}
		if p.Kept.refused(name) {
			r.say(report.LevelWarning, "%s: more than %d bans are refused, the oldest is given up", h.title(), refusedMost)
		}
		return true
	case "expire", "unban", "release":
		if slices.Contains(p.Kept.Never, name) {
			p.Kept.taken(name)
			return true
		}
	}
	return false
}

// advance moves the position behind what is done; end is where it goes when all is, 0
// when not all is.
func (p *position) advance(events []*Event, done map[int64]bool, end int64) {
	if end > 0 {
		p.Seq, p.Done = max(p.Seq, end), nil
		return
	}
	i := 0
	for ; i < len(events) && done[events[i].seq]; i++ {
		p.Seq = max(p.Seq, events[i].seq)
	}
	for _, e := range events[min(i, len(events)):] {
		if done[e.seq] && !slices.Contains(p.Done, e.seq) {
			p.Done = append(p.Done, e.seq)
		}
	}
	p.Done = slices.DeleteFunc(p.Done, func(seq int64) bool { return seq <= p.Seq })
}

// outputMost is how much of a run's output is passed on, in bytes.
const outputMost = 4096

// isOver tells whether err is that the round is over, which is nobody's failure.
func isOver(round context.Context, err error) bool {
	return round.Err() != nil && errors.Is(err, round.Err())
}

// run tells the program of one event. Where the round is over before the program could
// have its time, the error is that of the round.
func (h *hookSink) run(ctx context.Context, r *round, e *Event) error {
	round, begun := ctx, time.Now()
	ctx, stop := context.WithTimeout(ctx, time.Duration(h.Timeout))
	defer stop()
	out := &bounded{most: outputMost}
	c := program(ctx, out, h.Run[0], h.Run[1:]...)
	c.Stderr = out
	c.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SCAN2BAN_") }), e.environment(time.Now())...)
	c.Stdin = bytes.NewReader(e.json())
	err := c.Run()
	if c.Process != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // what it left behind
	}
	for line := range strings.Lines(out.String()) {
		r.say(report.LevelNotice, "%s: %s", filepath.Base(h.Run[0]), strings.TrimRight(line, "\r\n"))
	}
	switch took := time.Since(begun); {
	case err != nil && round.Err() != nil && (took < min(time.Duration(h.Timeout), longest/2) || errors.Is(round.Err(), context.Canceled)):
		return round.Err()
	case err != nil && round.Err() != nil: // as where it may take as long as a round
		return fmt.Errorf("not done within %s", state.Duration(took.Round(time.Second)))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("not done within %s", h.Timeout)
	case errors.Is(err, exec.ErrWaitDelay): // it went well and left somebody holding its output
		return nil
	case err != nil:
		return fmt.Errorf("%s of %s: %w", e.Event, cmp.Or(e.Key, "this host"), err)
	}
	return nil
}
