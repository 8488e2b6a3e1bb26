package pass

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// Where a jail with backend = "auto" reads is decided once and kept in the state:
// the journal if it has ever held an entry of the jail's, else its log files once
// there are any. Until either is the case it is undecided: both are looked at, and
// the first to hold something wins. A choice of files is made anew when they are gone,
// one of the journal when journald is gone and they are there.

// undecided is the mark of a jail whose choice waits for something to be read.
const undecided = "undecided"

// lag is how many seconds later than the other source one may bring what both hold.
const lag = 60

// choose gives each jail that reads a log its source.
func (p *Pass) choose(ctx context.Context) {
	for _, jail := range p.Ledger.Jails {
		if jail.Recounted > p.Now.Unix()+lag { // the clock was set back: what comes now was not judged then
			jail.Recounted = 0
		}
	}
	p.entered = make([]scan.Watch, 0, len(p.Watches))
	chosen, named, paths := map[string]string{}, map[string]string{}, map[string]string{}
	for _, w := range p.Watches {
		if w.Err != nil {
			p.hindered(ctx, w, chosen)
		}
		from := p.backend(ctx, w)
		switch both := len(w.Terms) > 0 && len(w.Paths) > 0; {
		case both && w.Backend == filter.Auto && p.JournalPath == "":
			chosen[w.Jail] = from
		case both:
			named[w.Jail] = from
		}
		was := cmp.Or(p.Ledger.Sources.Backends[w.Jail], p.Ledger.Sources.Named[w.Jail])
		if from != string(filter.File) && len(w.Terms) > 0 {
			p.entered = append(p.entered, w)
			if was == string(filter.File) { // it is read on from where it was left
				p.recount(w.Jail, p.journalRead(), false)
			}
		}
		if from == string(filter.File) {
			p.filed = append(p.filed, w)
			if !w.Container {
				paths[w.Jail] = strings.Join(w.Paths, "\n")
			}
			before, turned := p.Ledger.Sources.Paths[w.Jail], len(w.Terms) > 0 && was == string(filter.Journal)
			if turned || before != "" && before != paths[w.Jail] {
				if read, goesOn := p.filesRead(w.Paths, before); turned || !goesOn { // the same failures may stand there
					p.recount(w.Jail, read, !turned)
				}
			}
		}
	}
	for name := range p.Kept { // it may come back
		takeOver(chosen, p.Ledger.Sources.Backends, name)
		takeOver(named, p.Ledger.Sources.Named, name)
		takeOver(paths, p.Ledger.Sources.Paths, name)
	}
	for name, from := range chosen {
		if p.Ledger.Sources.Backends[name] != from {
			p.Ledger.SaveSoon()
		}
	}
	if len(chosen) == 0 {
		chosen = nil
	}
	p.Ledger.Sources.Backends, p.Ledger.Sources.Named, p.Ledger.Sources.Paths = chosen, named, paths
}

// takeOver keeps what was known of a jail of which nothing is known now.
func takeOver(now, was map[string]string, jail string) {
	if was[jail] != "" && now[jail] == "" {
		now[jail] = was[jail]
	}
}

// recount has a jail judge anew what it reads from another source than before: what comes
// after the second up to which that had been read, 0 where it never was. alike says that both
// are log files.
func (p *Pass) recount(jail string, from int64, alike bool) {
	until, ok := p.Ledger.Sources.Horizon(p.Now.Unix())
	if !ok {
		until = p.Now.Unix()
	}
	if from < until {
		p.Judge.Recount(jail, from, until, alike)
	}
}

// journalRead is the second up to which the journal has been read, 0 where it never was.
func (p *Pass) journalRead() int64 {
	if at := p.Ledger.Sources.Journal; at != nil {
		return at.Time / 1e6
	}
	return 0
}

// filesRead is the second up to which log files of these globs have been read, 0 where none
// was; goesOn says that one of them was read by the globs of before.
func (p *Pass) filesRead(globs []string, before string) (second int64, goesOn bool) {
	logs := p.Ledger.Sources.Logs
	if logs == nil {
		return 0, false
	}
	old := strings.Split(before, "\n")
	for i := range logs.Files {
		if f := &logs.Files[i]; logfile.Fits(globs, f.Log) {
			second, goesOn = max(second, f.Time/1e6), goesOn || logfile.Fits(old, f.Log)
		}
	}
	return second, goesOn
}

// recounted notes which jails have read their logs to the end, and as far as they were judged
// before.
func (p *Pass) recounted() {
	horizon, _ := p.Ledger.Sources.Horizon(p.Now.Unix())
	for name, jail := range p.Ledger.Jails {
		if jail.Recounted == 0 {
			continue
		}
		p.Judge.Reread(jail, !p.Judge.Partial)
		if _, behind := p.Judge.Behind[name]; !behind && !p.Judge.Partial && p.failed[name] == "" && !p.Kept[name] && horizon >= jail.Recounted+lag {
			jail.Recounted = 0
		}
	}
}

// hindered tells what keeps a jail from its logs. Where that are rights to look for its
// containers, and the journal holds what they have logged, nothing does.
func (p *Pass) hindered(ctx context.Context, w scan.Watch, chosen map[string]string) {
	if errors.Is(w.Err, fs.ErrPermission) && len(w.Terms) > 0 {
		held := p.Ledger.Sources.Backends[w.Jail] == string(filter.Journal)
		if !held {
			held, _ = journal.Held(ctx, journal.Options{Path: p.JournalPath, Now: p.Now.UnixMicro(), Matches: scan.Terms(w.Terms)}) // reading will name the reason
		}
		if held {
			chosen[w.Jail] = string(filter.Journal)
			return
		}
	}
	p.failFor(w.Err, w.Jail)
}

// backend says where a jail reads: in the journal, in files, or undecided.
func (p *Pass) backend(ctx context.Context, w scan.Watch) string {
	switch {
	case len(w.Paths) == 0, w.Backend == filter.Journal, w.Backend == "":
		return string(filter.Journal)
	case len(w.Terms) == 0, w.Backend == filter.File:
		return string(filter.File)
	case p.JournalPath != "": // whoever names a journal means it
		return string(filter.Journal)
	}
	return decide(p.Ledger.Sources.Backends[w.Jail], logfile.Any(w.Paths), journal.Written(), func() (bool, error) {
		return journal.Held(ctx, journal.Options{Now: p.Now.UnixMicro(), Matches: scan.Terms(w.Terms)})
	})
}

// decide makes the choice, by the one of before, whether log files are there, whether journald
// runs, and whether the journal has ever held an entry of the jail's.
func decide(was string, files, written bool, ever func() (bool, error)) string {
	switch {
	case files && !written: // the journal is what another init has left
		return string(filter.File)
	case was == string(filter.Journal), was == string(filter.File) && files, was == undecided && !files:
		return was
	}
	held, err := ever()
	switch {
	case held:
		return string(filter.Journal)
	case err == nil && files, errors.Is(err, journal.ErrNoJournal):
		return string(filter.File)
	}
	return undecided // where the journal could not be asked, reading it will name the reason
}

// settle makes the journal the choice of a jail that has read there.
func (p *Pass) settle(jail string) {
	if b := p.Ledger.Sources.Backends; b[jail] == undecided {
		b[jail] = string(filter.Journal)
		p.Ledger.SaveSoon()
	}
}

// source is where a jail reads, as status shows it; "" is the journal.
func (p *Pass) source(name string) string {
	for _, w := range p.filed {
		if w.Jail == name {
			return string(filter.File)
		}
	}
	return ""
}

// openLogs begins to read the log files of the jails that read there.
func (p *Pass) openLogs(ctx context.Context) {
	o := logfile.Options{Since: p.floor(), Now: p.Now.Unix(), Past: p.Past}
	if p.Write && p.lost == "" {
		o.Most, o.Freely = mostNew, newFreely
	}
	o.Doubted = p.store != nil && p.store.Others()
	if known := p.Ledger.Sources.Logs; known != nil && p.lost == "" {
		o.After = known.Files
		if known.Time > 0 { // a clock that is ahead must not make the lines of a new file too old
			o.Since -= max(p.Now.Unix()-known.Time/1e6, 0)
		}
	}
	if len(p.filed) == 0 && len(o.After) == 0 {
		p.Ledger.Sources.Logs = nil
		return
	}
	p.logs = scan.OpenLogs(ctx, p.filed, o)
}

// logged judges what a log file says.
func (p *Pass) logged(f scan.Finding) {
	failures := p.Failures
	p.judge(f)
	if p.Failures > failures {
		p.Ledger.SaveSoon() // a file can be truncated under us
	}
	p.Step(f.Time)
}

// before judges what the log files hold up to that second.
func (p *Pass) before(second int64) {
	if p.logs != nil {
		p.logs.Until(second, p.logged)
	}
}

// fromFiles is how many entries were lines of log files.
func (p *Pass) fromFiles() int {
	if p.logs == nil {
		return 0
	}
	return p.logs.Entries()
}

// muchRead is how many bytes of files are not read a second time.
const muchRead = 1 << 20

// closeLogs judges the rest of the log files and takes their positions.
func (p *Pass) closeLogs() {
	l := p.logs
	if l == nil {
		return
	}
	defer l.Close()
	l.Rest(p.logged)
	p.Entries += l.Entries()
	l.Tallies(func(jail string, second int64, t state.Tally) { p.Ledger.Jail(jail).Seen.Add(second, t) })
	position := &state.LogPosition{Files: l.Positions()}
	if was := p.Ledger.Sources.Logs; was != nil {
		position.Time = was.Time
	}
	for _, f := range position.Files {
		position.Time = max(position.Time, f.Time)
	}
	p.Ledger.Sources.Logs = position
	p.Warnings = append(p.Warnings, l.Warnings()...)
	if len(l.Warnings()) > 0 || l.Bytes() > muchRead {
		p.Ledger.SaveSoon() // told once, read once
	}
	var jails []string
	for _, w := range p.filed {
		jails = append(jails, w.Jail)
	}
	for g, second := range l.Behind() {
		p.behind(second, jails[g])
	}
	for _, u := range l.Unread() {
		var of []string
		for _, g := range u.Groups {
			of = append(of, jails[g])
		}
		slices.Sort(of)
		p.failFor(p.beside(u.Err), slices.Compact(of)...)
	}
	p.Trace = append(p.Trace, fmt.Sprintf("log files: %s of %s in %d bytes", state.Plural(l.Entries(), "line"), strings.Join(jails, ", "), l.Bytes()))
}

// ReadsFiles tells whether a jail reads log files, or looks for containers, once the
// sources are read.
func (p *Pass) ReadsFiles() bool {
	return len(p.filed) > 0 || slices.ContainsFunc(p.Watches, func(w scan.Watch) bool { return w.Container })
}
