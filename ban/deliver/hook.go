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
}

const (
	hookTries = 20             // of one event, before it is given up
	hookAge   = 24 * time.Hour // and how long
	hookMost  = 10_000         // events that may wait; of more the oldest are given up
	savedEach = time.Second    // how often positions are saved while events are delivered
)

func (h *hookSink) name() string {
	return "hook " + state.Hash(strings.Join(h.Run, "\x00")+"\x00"+strings.Join(h.Jails, " "))
}

// title leaves the arguments away: there may be secrets among them.
func (h *hookSink) title() string { return "hook " + h.Run[0] }

func (h *hookSink) due(p *position, seq, now int64) bool {
	return now >= p.Next && (p.Seq < seq || h.resend && p.Boot != bootID())
}

// bootID names the time since the host was started.
func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// deliver runs the program for each event that waits, in their order, and stops at the
// first that fails: whatever keeps it may keep the others. That one is given up when it
// has failed too often, and with it what is too old by then.
func (h *hookSink) deliver(ctx context.Context, r *round, p *position) error {
	now := r.Now.Unix()
	if h.resend && p.Boot != bootID() {
		if err := h.again(ctx, r, p); err != nil {
			return err
		}
	}
	events := h.waiting(r, p)
	if over := len(events) - hookMost; over > 0 {
		r.say(levelWarning, "%s: %d events waited, the oldest %d are given up", h.title(), len(events), over)
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
		if e, ok := r.event(d); ok && h.takes(&e) {
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
	r.say(levelWarning, "%s: %s given up after %s (%s)", h.title(), state.Plural(n, "event"), state.Plural(p.Tries, "try"), p.Error)
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
			if err != nil {
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
	if failed == nil {
		failed = ctx.Err()
	}
	return errors.Join(failed, r.set(p, func() {
		if failed == nil {
			p.advance(events, done, r.seq)
			p.went()
			return
		}
		if len(done) > 0 {
			p.went() // it is another one that fails now
		}
		p.advance(events, done, 0)
		p.failed(r.Now.Unix(), failed)
	}))
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

// again tells of the bans in force: the host was started anew, and what the hook had
// laid may be gone.
func (h *hookSink) again(ctx context.Context, r *round, p *position) error {
	var events []*Event
	now := r.Now.Unix()
	for _, d := range r.live(now) {
		if e, ok := r.event(d); ok && h.takes(&e) {
			e.Again, e.seq = true, 0
			events = append(events, &e)
		}
	}
	for _, e := range events {
		if err := h.run(ctx, r, e); err != nil {
			return errors.Join(err, r.set(p, func() { p.failed(now, err) }))
		}
	}
	return r.set(p, func() { p.Boot = bootID(); p.went() })
}

// live are the decisions that laid the enforced bans in force.
func (r *round) live(now int64) (list []state.Decision) {
	r.asking.Lock()
	defer r.asking.Unlock()
	for _, name := range r.ledger.Names() {
		if !r.ledger.Jails[name].Reach.Enforce {
			continue
		}
		for _, b := range r.ledger.Jails[name].Live(now) {
			list = append(list, b.Decision())
		}
	}
	return list
}

// outputMost is how much of a run's output is passed on, in bytes.
const outputMost = 4096

// run tells the program of one event.
func (h *hookSink) run(ctx context.Context, r *round, e *Event) error {
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
		r.say(levelNotice, "%s: %s", filepath.Base(h.Run[0]), strings.TrimRight(line, "\r\n"))
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("not done within %s", h.Timeout)
	case errors.Is(err, exec.ErrWaitDelay): // it went well and left somebody holding its output
		return nil
	case err != nil:
		return fmt.Errorf("%s of %s: %w", e.Event, cmp.Or(e.Key, "this host"), err)
	}
	return nil
}
