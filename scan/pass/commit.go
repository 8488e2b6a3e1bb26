package pass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"scan2ban/ban"
	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// due tells whether the state will be saved.
func (p *Pass) due() bool {
	return p.Ledger.Due(p.Now.Unix(), len(p.Judge.Decisions)+len(p.noted) > 0, p.State)
}

// Commit brings the kernel to what was decided and then saves: in this order, so
// that a pass that dies in between is repeated and nothing is lost. Without
// permission for the kernel the decisions are saved all the same, and the next
// pass that has it applies them.
func (p *Pass) Commit(ctx context.Context) {
	if p.Judge.Err == nil {
		p.enforce(ctx)
		p.note()
		p.save()
		p.settled()
	}
	run := &state.LastRun{Time: p.Now.Unix(), Seconds: time.Since(p.begun).Seconds(), Entries: p.Entries, Failures: p.Failures, Failed: p.failed, GaveUp: p.gaveUp}
	for _, d := range p.Judge.Decisions {
		if d.Verb == state.Banned {
			run.Banned++
		}
	}
	if err := errors.Join(p.Errs...); err != nil {
		run.Error = err.Error()
	}
	p.volatile.LastRun = run
	if run.Error == "" {
		p.volatile.Good = run.Time
	}
	_ = p.volatile.Save(state.VolatilePath(p.StatePath)) // without it the next pass has more to do, no less
	p.Deliver.Wake(p.StatePath, p.Ledger, p.Now)
	p.measure(run)
}

func (p *Pass) enforce(ctx context.Context) {
	if p.Kernel.Backend == nftables.ByHooks {
		p.leave(ctx)
		return
	}
	p.volatile.Left, p.volatile.Stays = false, false
	var memory *nftables.Memory
	if json.Unmarshal(p.volatile.Kernel, &memory) != nil {
		memory = nil
	}
	if p.calm(ctx, memory) {
		return
	}
	p.volatile.Kernel = nil
	want, was := ban.Groups(p.Ledger, p.Now), []nftables.Group(nil)
	if p.was != nil {
		was = ban.Groups(p.was, p.Now)
	}
	if elapsed := time.Since(p.begun); elapsed > time.Second { // a long catch-up: ends are on the clock
		want = ban.Later(want, elapsed)
		if was != nil {
			was = ban.Later(was, elapsed)
		}
	}
	listed, before, known := p.look(knownLists(p.volatile), func(err error) { p.Warn("%v", err) })
	want = slices.Concat(listed, want)
	if was != nil {
		was = slices.Concat(before, was)
	}
	result, err := p.Kernel.Sync(ctx, want, was, memory)
	if err != nil {
		p.failFor(fmt.Errorf("the bans are decided and not enforced: %w", err), p.enforcing()...)
		return
	}
	for line := range strings.Lines(result.Plan.String()) {
		p.Trace = append(p.Trace, "kernel: "+strings.TrimSpace(line))
	}
	p.Trace = append(p.Trace, "kernel: "+state.Plural(result.Commits, "transaction"))
	for _, name := range slices.Sorted(maps.Keys(result.Failed)) {
		p.failFor(refused(name, result.Failed[name]), name)
	}
	p.volatile.Lists, err = json.Marshal(known)
	p.fail(err)
	p.held(&result)
	p.leftOut(result.LeftOut)
	if p.was != nil && result.Repaired > 0 {
		p.Repaired = result.Repaired
		p.Judge.Repaired(p.Now.Unix(), result.Repaired)
	}
	if result.Memory != nil {
		p.volatile.Kernel, err = json.Marshal(result.Memory)
		p.fail(err)
	}
}

// removeTable takes our table out of the kernel; tests take its place.
var removeTable = nftables.Remove

// leave takes our table out of the kernel, once until the host is booted: hooks enforce the
// bans, and nobody would lift those in it. A pass without permission warns of them, the first
// one, where this kernel has had bans of ours, and leaves it to the first that has it.
func (p *Pass) leave(ctx context.Context) {
	p.volatile.Kernel = nil
	if p.volatile.Left {
		return
	}
	err := removeTable(ctx)
	refused := errors.Is(err, fs.ErrPermission)
	p.volatile.Left = err == nil || refused && p.volatile.Held == 0
	if !p.volatile.Left && !(refused && p.volatile.Stays) {
		p.Warn("hooks enforce the bans (backend = \"hook\"), and those that nftables was given before stay in force (as root: nft delete table inet scan2ban): %v", err)
	}
	p.volatile.Stays = refused && !p.volatile.Left
}

// save writes the state when it is due. What was read and is not saved will be
// read again.
func (p *Pass) save() {
	if !p.due() {
		if p.Entries > p.fromFiles() {
			p.volatile.Journal = nil
		}
		return
	}
	p.rests = false
	p.volatile.Journal = nil // the state has it, for the position that it saves
	p.fail(p.store.Tidy(p.Ledger, p.State, p.Now.Unix()))
	if err := p.store.Commit(p.Ledger, append(p.Judge.Decisions, p.noted...), p.Now.Unix()); err != nil {
		p.fail(err)
		p.volatile.Kernel = nil
		return
	}
	if p.State.Outgrown(p.Ledger.History, p.volatile.Shrunk) {
		p.Warn("the history has grown over max_history: its oldest decisions go, and earlier bans may be counted too low")
		p.fail(p.store.Shrink(p.Ledger, p.State, p.Now.Unix()))
		p.volatile.Shrunk = p.Ledger.History.Length
	}
	if p.note(); len(p.noted) > 0 { // what came of the history itself
		p.fail(p.store.Commit(p.Ledger, p.noted, p.Now.Unix()))
	}
}
