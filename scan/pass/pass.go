// Package pass puts one pass together: read the sources, judge, bring the kernel
// to the result, save.
//
//	p, err := pass.Begin(setup)  configuration in, state loaded or to be rebuilt
//	p.Read(ctx)                  sources -> failures -> decisions; nothing is changed yet
//	p.Commit(ctx)                kernel first, files second
//
// Commands that only look stop after Read; `run --dry-run` and `run` are the same
// up to there. What fails on the way is collected in Errs and does not stop what
// can still be done.
package pass

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/ban/deliver"
	"scan2ban/ban/deliver/metrics"
	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/state"
)

// Setup is what a pass needs to know.
type Setup struct {
	Watches []scan.Watch            // what the jails read
	Rules   map[string]*state.Rules // what they are judged by
	Kept    map[string]bool         // jails that are broken: their bans stay
	Off     map[string]bool         // jails that are switched off
	Causes  map[string]error        // why a jail is broken, where that is known
	State   state.Options
	Kernel  nftables.Options
	Deliver deliver.Config
	Lists   []*list.Options       // that others keep
	Allowed []list.Known          // of the allow lists among them, as they were read
	Spared  *state.Ignored        // who is in no list; nil: that is not known
	Ignored func() *state.Ignored // what [defaults] and jails that are kept ignore, for who bans by hand: no pass reads it; nil: nothing
	Metrics metrics.Config
	Version string   // of this program, for the metrics
	Unread  error    // why the configuration could not be read, for Restore alone; nil: it was
	Errs    []error  // of the configuration: the pass goes on without what they name
	Notes   []string // of the configuration, for those who ask

	Shield      *state.Ignored // who is left alone in this pass beside what the jails ignore
	StatePath   string
	JournalPath string // empty: the host's journal
	Now         time.Time
	Past        bool // Now is a moment of the past: entries after it are left out
	Write       bool // the pass will Commit: take the lock
}

// Pass is one pass in the making.
type Pass struct {
	Setup
	Ledger *state.State // as judged
	Judge  *state.Judge

	Entries  int // read
	Failures int // counted
	Repaired int // pieces of the kernel that were not as the ledger said
	Gaps     []journal.Gap
	Warnings []string
	Trace    []string       // how it was done, for those who ask
	Shielded map[string]int // failures, by address, of those that only Shield spared
	LastRun  *state.LastRun // the pass before this one, nil: not known
	Step     func(t int64)  // called for each entry with its second, to show progress

	entered  []scan.Watch            // of Watches, those that read the journal
	filed    []scan.Watch            // and those that read log files
	logs     *scan.Logs              // nil: there are none of these
	bare     map[string]*state.Rules // as configured, where there is a shield
	failed   map[string]string       // what keeps jails from their work
	gaveUp   map[string]string       // what of their lines jails did not judge for want of time
	store    *state.Store            // nil: there is no state directory yet
	marked   string                  // the mark of the ledger as it was loaded; empty: nobody asked
	rests    bool                    // that mark, of what the kernel was brought to, is still the ledger's
	was      *state.State            // the ledger as it was loaded, which the kernel was brought to; nil: that is not known
	volatile *state.Volatile
	noted    []state.Decision       // warnings that are news
	saved    *state.JournalPosition // the position on disk
	lost     string                 // why the state is made anew; empty: it is not
	unread   bool                   // neither it nor the history can be read
	closed   error                  // what keeps a pass that only looks from its state directory
	paused   bool                   // of such a pass: the host is, which it has warned of
	most     int                    // decisions after which reading stops; 0: none
	full     bool                   // they were reached
	stop     context.CancelFunc     // ends the reading
	begun    time.Time              // by the real clock
}

// lockWait is how long a pass waits for another to end.
const lockWait = 5 * time.Second

// Begin loads the state. Errors: state.ErrLocked, state.ErrNewer, for a writing pass
// *state.PausedError and what keeps it from its state directory. A pass that only looks takes a state
// that it cannot read as empty.
func Begin(s Setup) (p *Pass, err error) {
	if s.JournalPath != "" { // the state remembers it
		if s.JournalPath, err = filepath.Abs(s.JournalPath); err != nil {
			return nil, err
		}
	}
	p = &Pass{Setup: s, begun: time.Now(), Trace: s.Notes, Step: func(int64) {}}
	p.shield()
	p.store, err = state.OpenStore(s.StatePath, s.Write)
	switch {
	case err == nil && s.Write:
		if err = p.store.Lock(lockWait); err == nil {
			err = p.store.Paused()
		}
	case err == nil:
		if paused := p.store.Paused(); paused != nil {
			p.Warn("%v", paused)
			p.paused = true
		}
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil && !s.Write:
		p.Warn("%v; nothing is known of earlier passes", err)
		p.unread, p.closed, err = true, err, nil
	}
	p.volatile = state.LoadVolatile(state.VolatilePath(s.StatePath)) // under the lock: another pass may have ended meanwhile
	p.LastRun = p.volatile.LastRun
	if err == nil {
		err = p.load()
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close releases the lock.
func (p *Pass) Close() {
	if p.store != nil {
		p.store.Close()
		p.store = nil
	}
}

// Warn notes what an admin should know and nothing can be done about here.
// It is called in many places, and not inlined there.
//
//go:noinline
func (p *Pass) Warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

func (p *Pass) fail(err error) {
	if err != nil {
		p.Errs = append(p.Errs, err)
	}
}

// Why a state is made anew, beside that it cannot be read.
const (
	firstRun     = "first run"
	otherJournal = "another journal than before"
)

// load reads the state, or begins to make it anew.
func (p *Pass) load() (err error) {
	p.lost = firstRun
	if p.Past && p.store != nil { // what is known is of a later time
		p.store.Close()
		p.store = nil
	}
	if p.store != nil {
		p.Ledger, err = p.store.LoadKnown(func(s *state.State) bool { return p.LastRun != nil && p.stayed(s) })
		if p.lost, err = p.lostTo(err); err != nil {
			return err
		}
		if known := p.Ledger; known != nil && known.Sources.Journal != nil && known.Sources.Path != p.JournalPath {
			p.lost = otherJournal
			if !p.Write { // looked at by itself
				p.store.Close()
				p.store = nil
			}
		}
	}
	var recorded *state.Recorded
	prior := func() (*state.Prior, error) { return state.NewPrior(), nil }
	switch {
	case p.store == nil:
		p.Ledger = state.New()
	case p.lost != "":
		from := p.floor()
		if p.JournalPath != "" { // read from its beginning, see readJournal
			from = 0
		}
		p.Ledger, recorded, err = p.store.Recall(p.Now.Unix(), from)
		if err != nil && p.Write {
			return err
		} else if err != nil {
			p.Warn("%v; taken as empty", err)
			p.unread = true
			break
		}
		prior = p.store.Prior(p.Ledger.History)
	default:
		p.saved = p.Ledger.Sources.Journal
		prior = p.store.Prior(p.Ledger.History)
		if p.stayed(p.Ledger) && !p.volatile.Left && !p.volatile.Stays && (p.volatile.Kernel != nil || p.LastRun == nil || p.LastRun.Error == "") {
			p.was = p.Ledger.Loaded() // else the last pass may not have reached the kernel
		}
	}
	p.begins()
	p.Judge = state.NewJudge(p.Ledger, p.Rules, p.State, prior)
	p.Judge.Held = p.volatile.Held
	if p.store != nil && p.lost == "" {
		p.Judge.Settled = p.store.Settled(p.Ledger.History)
	}
	if p.lost != "" {
		p.Judge.Replay(recorded)
	}
	return nil
}

// lostTo tells why the state is lost, given the error of loading it; an error
// is one that ends the pass.
func (p *Pass) lostTo(err error) (why string, fatal error) {
	damaged := (*state.DamagedError)(nil)
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, fs.ErrNotExist):
		return firstRun, nil
	case errors.Is(err, state.ErrNewer):
		return "", err
	case !p.Write:
		p.Warn("%v; taken as empty", err)
		return "the state cannot be read", nil
	case errors.As(err, &damaged):
		aside, err := p.store.SetAside(p.Now.Unix())
		if err != nil {
			return "", errors.Join(damaged, err)
		}
		p.Warn("%v; it is kept as %s and made anew", damaged, aside)
		return "the state was damaged", nil
	}
	return "", err
}

// begins notes from when on the logs of jails are read that the ledger does not know.
func (p *Pass) begins() {
	since := p.floor()
	if p.lost == "" {
		since, _ = p.Ledger.Sources.Horizon(p.Now.Unix())
	} else if p.JournalPath != "" { // read from its beginning
		return
	}
	for name := range p.Rules {
		if p.lost != "" || p.Ledger.Jails[name] == nil {
			p.Ledger.Jail(name).Seen.Since = since
		}
	}
}

// floor is the second from which a log is read whose position is not known:
// what lies before can neither ban nor lie inside a ban in force.
func (p *Pass) floor() int64 {
	back := int64(0)
	for _, r := range p.Rules {
		back = max(back, r.Span(p.State.Memory.Seconds()))
	}
	return p.Now.Unix() - back
}

// Read reads the sources to their end and judges what they hold, in memory.
func (p *Pass) Read(ctx context.Context) {
	p.recall()
	p.choose(ctx)
	reading, stop := p.bounded(ctx)
	defer stop()
	p.openLogs(reading)
	if len(p.entered) > 0 {
		err := p.readJournal(reading)
		if at := p.Ledger.Sources.Journal; err != nil && at != nil {
			p.behind(at.Time/1e6, p.watching()...)
		}
		p.failFor(p.beside(err), p.watching()...)
	}
	p.closeLogs()
	p.Judge.Partial = reading.Err() != nil
	p.recounted()
	p.remembered()
	p.warnFull()
	if p.lost != "" && p.Write {
		p.adopt(ctx)
	}
	p.warnShielded()
	if gone := p.Unconfigured(p.Ledger); gone != "" {
		p.Warn("the bans of jails that the configuration does not have are released: %s (another configuration wants a state of its own: --state FILE)", gone)
	}
	p.Judge.Finish(p.Now.Unix(), p.Kept)
	p.fail(p.Judge.Err)
	if p.lost != "" {
		p.Judge.Summary(p.Now.Unix(), p.lost)
	}
	if p.store != nil && p.store.Damaged > 0 {
		p.Warn("%s of the history cannot be read: earlier bans may be counted too low", state.Plural(p.store.Damaged, "line"))
	}
}

func (p *Pass) readJournal(ctx context.Context) error {
	matches := scan.Matches(p.entered)
	asked := named(matches)
	known, text := p.exhausted(asked)
	from := journal.Options{Path: p.JournalPath, After: p.Ledger.Sources.Journal, Since: p.floor() * 1e6,
		Now: p.Now.UnixMicro(), Fields: scan.Fields(p.entered), Exhausted: known, Matches: matches}
	if p.JournalPath != "" {
		from.Since = 0
	}
	r, err := journal.Open(ctx, from)
	if err != nil {
		return err
	}
	defer r.Close()
	last, streams := int64(0), scan.Resume(p.Ledger.Sources.Streams)
	p.Entries = scan.JournalFrom(r, p.entered, scan.Limit{Second: p.Now.Unix(), Drop: p.Past}, streams, func(f scan.Finding) {
		p.before(f.Time)
		p.settle(f.Jail)
		p.Ledger.Jail(f.Jail).Seen.Add(f.Time, f.Tally())
		p.judge(f)
		last = max(last, f.Time)
		p.Step(f.Time)
	})
	p.Warnings = append(p.Warnings, r.Warnings()...)
	p.Gaps = append(p.Gaps, r.Gaps()...)
	p.Trace = append(p.Trace, fmt.Sprintf("journal: %s by %s", state.Plural(p.Entries, "entry"), cmp.Or(r.Source(), "the file headers alone: nothing is new")))
	p.Ledger.Sources.Journal, p.Ledger.Sources.Path, p.Ledger.Sources.Streams = r.Position(), p.JournalPath, streams.Open()
	// What was read is judged, so the position goes with it even where reading ended
	// in an error.
	now := r.Exhausted()
	if now == nil || known == nil || !now.Same(known) {
		text = nil
	}
	p.remember(now, text, asked)
	if len(r.Gaps())+len(r.Warnings()) > 0 {
		p.Ledger.SaveSoon() // told once
	}
	if p.JournalPath != "" && !p.Write && !p.Past && last > 0 {
		p.Now = time.Unix(min(last, p.Now.Unix()), 0) // a copied journal is judged as of its end
	}
	return r.Err()
}

// behind notes that what these jails' logs hold from that second on may be read later.
func (p *Pass) behind(second int64, jails ...string) {
	for _, name := range jails {
		if was, ok := p.Judge.Behind[name]; !ok || second < was {
			p.Judge.Behind[name] = second
		}
	}
}

// judge hands on what the finding says.
func (p *Pass) judge(f scan.Finding) {
	e, ok := f.Event()
	if !ok {
		return
	}
	if p.Judge.Event(e) {
		p.Failures++
		p.bound()
	} else if p.spares(f) {
		p.Shielded[f.Verdict.Addr.String()]++
	}
}

// exhausted is what is known of the journal's files at the position on disk, or without any: by
// the pass before, else by the one that saved the position; and its text. It is for the matches
// of that name.
func (p *Pass) exhausted(asked string) (x *journal.Exhausted, text json.RawMessage) {
	known, at := p.Ledger.Sources, ""
	if p.saved != nil {
		at = p.saved.Cursor
	}
	for _, from := range []state.Sources{{Files: p.volatile.Journal, Matches: p.volatile.Matches}, known} {
		if from.Matches != asked {
			continue
		}
		if x, err := journal.ReadExhausted(from.Files); err == nil && x.Cursor == at {
			return x, from.Files
		}
	}
	return nil, nil
}

// named names what is asked of the journal: another question begins anew.
func named(matches []journal.Match) string {
	var lines []string
	for _, term := range matches {
		lines = append(lines, strings.Join(term, " "))
	}
	return state.Hash(strings.Join(lines, "\n"))
}

// remember keeps x, which belongs to the position of this pass, for the next one; text is what
// it is written as, nil: not known.
// That begins at the position on disk: where this pass is not saved and read
// nothing after that one, files that are exhausted now are so for it too.
func (p *Pass) remember(x *journal.Exhausted, text json.RawMessage, asked string) {
	p.Ledger.Sources.Files, p.Ledger.Sources.Matches = nil, asked
	if x == nil {
		return
	}
	write := func() (err error) { text, err = json.Marshal(x); return err }
	if text == nil {
		p.fail(write())
	}
	p.Ledger.Sources.Files = text
	if p.Entries == 0 && p.saved != nil && x.Cursor != p.saved.Cursor {
		x.Cursor = p.saved.Cursor
		p.fail(write())
	}
	p.volatile.Journal, p.volatile.Matches = text, asked
}

// adopt takes over what the kernel holds and the rebuilt ledger does not.
func (p *Pass) adopt(ctx context.Context) {
	if p.Kernel.Backend == nftables.ByHooks {
		return
	}
	kernel, err := nftables.Dump(context.WithoutCancel(ctx)) // a pass that is to end saves all the same
	if err != nil {
		return // Commit will name it
	}
	for _, e := range kernel.Elements {
		p.Judge.Adopt(e.Group, e.Key, p.Now.Unix(), e.Left)
	}
}

// Jails are those named, or all that the ledger or the configuration knows.
func (p *Pass) Jails(names []string) ([]string, error) {
	known := slices.Concat(p.Ledger.Names(), slices.Collect(maps.Keys(p.Kept)), slices.Collect(maps.Keys(p.Off)))
	slices.Sort(known)
	known = slices.Compact(known)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no jail %q%s", name, filter.DidYouMean(name, known))
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	return known, nil
}

// Recidive tells whether the jail's failures are the bans of the others.
func (p *Pass) Recidive(name string) bool { return p.Rules[name] != nil && p.Rules[name].Ledger }
