// Package journal reads systemd's journal from where the last pass ended.
//
//	r, err := journal.Open(ctx, journal.Options{Matches: m, After: saved.Position, Exhausted: saved.Exhausted, Now: now})
//	for r.Next() {
//		judge(r.Time(), r.Message())
//	}
//	// r.Err, r.Gaps, r.Warnings; then save r.Position and r.Exhausted together
//
// # What it promises
//
// Every entry that matches is handed out once, in the journal's order, however
// the journal is cut into passes: across rotation, vacuuming, --flush, reboots,
// clock steps and hosts without a clock. What is known to be lost is a [Gap].
// A damaged or unreadable file costs a warning, not the pass. A pass reads what
// stood in the journal when it was opened; what is written meanwhile is the next
// pass's.
//
// # In which order things happen
//
// [Open] reads the header of each file (one open and one read a file, without
// libsystemd), passes over the files in which the earlier pass left nothing, and
// only if any is left loads a reader, seeks, and skips what is not after the
// position. So a pass over an unchanged journal costs some header reads,
// whatever the size of the journal. Where something is new it reads the headers
// once more when it knows how far it will read, and begins anew if a file that it
// passed over may hold something up to there. [Reader.Position] and
// [Reader.Exhausted] are final when Next has returned false.
//
// # The readers
//
// With cgo libsystemd reads (github.com/coreos/go-systemd/v22/sdjournal, which
// loads it at run time). Without cgo, or where the library cannot be loaded,
// "journalctl -o export" does, as a child process. Both give the same entries.
//
// # What it never does
//
// It does not write, does not ask what time it is (Options.Now), and starts no
// goroutine but what os/exec needs for the child. A [Reader] is for one
// goroutine.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"scan2ban/state"
	"scan2ban/state/bootid"
)

// ErrNoJournal says that there is no journal file at all where one was looked
// for. (libsystemd opens an empty directory without complaint.)
var ErrNoJournal = errors.New("no journal files")

// Match is one conjunction: FIELD=value and FIELD=value ... A field may be
// named once.
type Match []string

// Options say what to read.
type Options struct {
	// Path is a directory (it and its subdirectories that are named for a
	// machine id) or one file. "": the host's journal, which is its own machine
	// id's directories under /run/log/journal and /var/log/journal.
	Path    string
	Matches []Match  // ORed; none: everything
	Fields  []string // what Field may be asked for, beside MESSAGE

	After     *state.JournalPosition // go on after this entry; nil: from Since
	Since     int64                  // µs since the Unix epoch, where After is nil or of no use; 0: from the oldest entry
	Now       int64                  // µs since the Unix epoch, the clock of the pass; 0: unknown
	Exhausted *Exhausted             // what the pass that saved After knew; nil: nothing

	// Boot is the id of the running boot (32 hexadecimal digits), which is later
	// than any other, whatever the clock says. "": the host's for Path "", else unknown.
	Boot   string
	Reader string // "" automatic; "library" or "journalctl" force one
}

// Gap is a stretch of time in which messages were lost.
type Gap struct {
	From   int64  `json:"from"`           // µs since the Unix epoch
	To     int64  `json:"to"`             // µs since the Unix epoch
	Lost   int    `json:"lost"`           // messages, of all services where Unit is empty; -1: unknown
	Unit   string `json:"unit,omitempty"` // whose, where one unit is known
	Reason string `json:"reason"`
}

// mostTries bounds how often files that change meanwhile are looked at.
const mostTries = 10

// Open finds the files and begins to read. It fails with [ErrNoJournal] where
// there are none, with an error that wraps fs.ErrPermission where none may be
// read, and for a match that makes no sense.
func Open(ctx context.Context, o Options) (*Reader, error) {
	for tries := 1; ; tries++ {
		r, moved, err := openOnce(ctx, o)
		if !moved || tries == mostTries || ctx.Err() != nil {
			return r, err
		}
		if r != nil {
			_ = r.Close()
		}
	}
}

// openOnce is one try of Open. It tells whether it was in vain: a file was overtaken, or rotated away
// when its header had been read and it was not open yet. What is at its place now may have no header,
// and the old one is not read.
func openOnce(ctx context.Context, o Options) (r *Reader, moved bool, err error) {
	terms, err := o.terms()
	if err != nil {
		return nil, false, err
	}
	if o.Boot == "" && o.Path == "" {
		o.Boot = strings.ReplaceAll(bootid.Running(), "-", "") // where nothing tells, the headers must do
	}
	l, err := list(o.Path)
	if err != nil {
		return nil, false, err
	}
	listed()
	p := newPlan(&o, l)
	r, err = p.begin(ctx, o, terms, l)
	return r, errors.Is(err, errOvertaken) || isMoved(p.open), err
}

// errOvertaken says that what the position would lie behind was not looked at.
var errOvertaken = errors.New("its files come and go faster than they are looked at")

// listed is called when the headers have been read: in tests they change then.
var listed = func() {}

// begin opens what is to be read.
func (p *plan) begin(ctx context.Context, o Options, terms []Match, l *listing) (*Reader, error) {
	r := &Reader{ctx: ctx, o: o, plan: p, told: map[string]bool{}, bad: l.remembered(o.Exhausted), comparing: p.after != nil, gaps: p.gaps, warned: p.warnings}
	r.question = question{names: o.Fields, matches: o.Matches}
	for _, term := range terms {
		r.question.values = append(r.question.values, term...)
	}
	r.passOver(l)
	if len(r.expected) > mostExpected {
		r.expected = nil
	}
	p.chooseSeek()
	p.countTails()
	if len(p.open) == 0 {
		return r, nil
	}
	if err := r.findTail(ctx); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if p.isOvertaken(o.Path) {
		return nil, fmt.Errorf("open journal: %w", errOvertaken)
	}
	if p.tail != nil && !p.doubtful { // numbers need not follow the times there
		r.near = int64(p.tail.Realtime) - settle
	}
	for i, f := range p.open { // for what is known any number will do
		if !p.isSettled(i, f) && f.TailRealtime < r.near {
			r.fresh = append(r.fresh, f.TailRealtime)
		}
	}
	q := query{terms: terms, fields: withOwn(o.Fields), seek: p.seek}
	readAll := func() { // what is asked for is chosen here
		q.terms = nil
		for _, m := range o.Matches {
			for _, name := range m.fields() {
				if !slices.Contains(q.fields, name) {
					q.fields = append(q.fields, name)
				}
			}
		}
	}
	if p.unlinked {
		readAll()
	}
	kind := o.Reader
	open := func(files []FileInfo) (reader, error) {
		q.files = files
		src, used, bad, err := openSource(ctx, kind, q)
		kind = used
		for _, b := range bad {
			if !isVanished(b.err) && !isMoved([]FileInfo{b.file}) { // else it is the next pass's
				r.passed(b.file, b.err)
				p.passOver(b.file)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("open journal: %w", err)
		}
		return src, nil
	}
	again := func() (reader, error) {
		q.seek = ""
		if apart := p.numberings(); len(apart) > 1 {
			return mergeFiles(apart, open, p.later)
		}
		return open(p.open)
	}
	if !p.unlinked || q.seek != "" {
		r.others = append(r.others, func() (reader, error) { readAll(); return again() })
	}
	if p.unlinked {
		r.others = append(r.others, func() (reader, error) { q.terms = terms; return again() })
	}
	var err error
	if apart := p.numberings(); len(apart) > 1 && (p.doubtful || p.wentBack()) {
		r.src, err = mergeFiles(apart, open, p.later)
	} else {
		r.src, err = openStaged(p.stages(), open)
	}
	if err != nil {
		return nil, err
	}
	r.kind = kind
	return r, nil
}

// withOwn adds the fields that suppressed messages are known by.
func withOwn(fields []string) []string {
	return append(append([]string{}, fields...), "MESSAGE_ID", "_TRANSPORT")
}

// passOver warns of the files that cannot be read, or not to their end.
func (r *Reader) passOver(l *listing) {
	for _, f := range l.bad {
		if err := l.errs[f.Path]; !errors.Is(err, errUnbegun) || !r.plan.isFresh(f.written) {
			r.passed(f, err)
		} // else it is read when it has a header
	}
	if len(l.denied) > 0 {
		f := FileInfo{Path: l.denied[0], inode: uint64(len(l.denied))} // more of them are told of
		more := ""
		if n := len(l.denied) - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		r.passed(f, withRemedy(fmt.Errorf("%w%s", fs.ErrPermission, more)))
	}
	for i, f := range r.plan.files {
		if !f.isUnclean() || r.plan.known.file(i, f).Surveyed == uint64(f.Size) {
			continue
		}
		if at := uncounted(f); at > 0 {
			r.remark(f, "journal file %s is %v at byte %d: its header is older than what stands there, which is not read", f.Path, errDamaged, at)
		}
		r.plan.files[i].surveyed = uint64(f.Size)
	}
	for _, f := range r.plan.renamed {
		r.remark(f, "journal file %s is %v: its entries belonged to another numbering before; it is read on from where it was read to", f.Path, errDamaged)
	}
	all := r.plan.open
	r.plan.open = nil
	for _, f := range all {
		if r.survey(&f) {
			r.plan.open = append(r.plan.open, f)
		}
	}
}

// survey warns of a file that a host which lost power leaves, and of worse. It tells whether
// the file can be opened.
func (r *Reader) survey(f *FileInfo) bool {
	p := r.plan
	if p.after == nil && f.TailRealtime < p.since && f.HeadRealtime <= f.TailRealtime {
		return true // nothing in it is asked for
	}
	at := slices.IndexFunc(p.files, func(g FileInfo) bool { return g.Path == f.Path })
	from := p.known.file(at, *f).Surveyed
	if f.isUnclean() {
		from = 0 // what was sound before may have been lost
	}
	q := r.question
	expecting := q
	expecting.isNew = p.isNew
	expecting.expect = func(c Cursor) bool { return r.expect(c, f.Path) }
	expecting.isSettled = func() bool { return f.isUnclean() || p.isSettled(at, *f) } // that one has no writer any more
	if p.known != nil {
		q = expecting
	}
	spoiled, err := surveyFile(f, from, q)
	p.spoil(f.SeqnumID, spoiled)
	if p.known == nil && errors.Is(err, errDamaged) { // a first pass expects nothing of what is sound: that may be much
		again := *f
		_, _ = surveyFile(&again, from, expecting)
	}
	switch {
	case isRefused(err):
		r.passed(*f, err)
		maps.DeleteFunc(r.expected, func(_ uint64, path string) bool { return path == f.Path })
	case errors.Is(err, errDamaged):
		p.doubtful = true
		does := "what stands before the damage is read, of the rest something may be lost"
		switch {
		case errors.As(err, new(unlinked)):
			p.unlinked = true
			does = "what is asked for is looked for in all that it holds"
		case errors.As(err, new(spoilt)):
			does = "entries that hold it are left out"
		}
		r.remark(*f, "journal file %s is %v: %s (journalctl --verify --file=%s shows where)", f.Path, err, does, f.Path)
	}
	if f.isUnclean() {
		f.surveyed = uint64(f.Size)
	}
	p.files[at] = *f
	return !isRefused(err)
}

// Lacking tells whether a warning of a Reader says that something could not be read.
func Lacking(warning string) bool {
	return strings.HasPrefix(warning, "journal file ") || strings.HasPrefix(warning, "journal: a damaged file ") || strings.Contains(warning, " could not be read, the first")
}

// badFile is a file that a reader could not open.
type badFile struct {
	file FileInfo
	err  error
}

// openSource opens the reader that was asked for.
func openSource(ctx context.Context, kind string, q query) (reader, string, []badFile, error) {
	switch kind {
	case "", "library":
		src, bad, err := openLibrary(q)
		if err == nil || kind == "library" || !errors.Is(err, errNoLibrary) {
			return src, "library", bad, err
		}
	case "journalctl":
	default:
		return nil, "", nil, fmt.Errorf("no reader %q: want library or journalctl", kind)
	}
	src, bad, err := openChild(ctx, q)
	return src, "journalctl", bad, err
}

// errNoLibrary says that libsystemd is not there.
var errNoLibrary = errors.New("libsystemd cannot be loaded")

// Held tells whether the journal holds an entry for the matches. It looks into
// the files that are being written first, so the usual yes is cheap; and from their
// beginnings, for the end is what a crash damages, and libsystemd, asked for the last
// of several matches, aborts there.
func Held(ctx context.Context, o Options) (bool, error) {
	for _, m := range o.Matches {
		if err := m.check(); err != nil {
			return false, err
		}
	}
	for tries := 1; ; tries++ {
		l, err := list(o.Path)
		if err != nil {
			return false, err
		}
		listed()
		held, err := o.held(ctx, l)
		if held || tries == mostTries || ctx.Err() != nil || !isMoved(l.files) {
			return held, err
		}
	}
}

// held is one try of Held, on files whose headers have been read.
func (o *Options) held(ctx context.Context, l *listing) (bool, error) {
	var active, archived []FileInfo
	for _, f := range l.files {
		switch {
		case f.Entries == 0:
		case f.State == Archived:
			archived = append(archived, f)
		default:
			active = append(active, f)
		}
	}
	for _, files := range [][]FileInfo{active, archived} {
		if len(files) == 0 {
			continue
		}
		src, _, _, err := openSource(ctx, o.Reader, query{files: files, terms: coalesce(o.Matches)})
		if err != nil {
			return false, fmt.Errorf("open journal: %w", err)
		}
		held, err := src.next()
		if closeErr := src.close(); err == nil {
			err = closeErr
		}
		if held || err != nil {
			return held, err
		}
	}
	return false, nil
}
