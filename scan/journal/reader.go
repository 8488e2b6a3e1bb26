package journal

import (
	"context"
	"fmt"
	"slices"

	"scan2ban/state"
)

// reader is one way to read journal files: libsystemd, or journalctl as a child.
type reader interface {
	next() (bool, error)              // goes to the next entry; false at the end
	time() int64                      // µs realtime of the entry
	message() []byte                  // whole, up to maxValue; valid until next; nil: none
	field(name string) ([]byte, bool) // one of query.fields, the first of several
	cursor() (string, error)          // of the entry; at the end, of the last one
	previousCursor() (string, error)  // of the entry before this one
	warnings() []string               // so far
	close() error
}

// The errors of a reader that is asked where it stands.
const (
	errNoEntry    = fault("no entry")
	errNoneBefore = fault("no entry before this one")
)

// query is what a reader is asked for.
type query struct {
	files  []FileInfo
	terms  []Match  // ORed; none: everything
	fields []string // beside MESSAGE
	seek   string   // begin at or after this cursor; "": at the head
	beyond bool     // begin after it
	last   bool     // only the last entry
}

// unreadable counts what a reader met and could not read.
type unreadable struct {
	n    int
	by   error  // why the first could not be read
	file string // that holds it; "": not known
}

// add counts what the entry of the cursor holds.
func (u *unreadable) add(files []FileInfo, cursor string, by error) {
	if u.n++; u.n > 1 {
		return
	}
	u.by = by
	if c, err := ParseCursor(cursor); err == nil {
		if i := holder(files, c); i >= 0 {
			u.file = files[i].Path
		}
	}
}

// holder is the file that the entry is in, by the headers; -1: none.
func holder(files []FileInfo, c Cursor) int {
	return slices.IndexFunc(files, func(f FileInfo) bool {
		return f.SeqnumID == c.SeqnumID && f.HeadSeqnum <= c.Seqnum && c.Seqnum <= f.TailSeqnum
	})
}

// warnings tell of what was counted; whats names it, in the plural.
func (u *unreadable) warnings(whats string) []string {
	switch {
	case u.n == 0:
		return nil
	case u.file == "":
		return []string{fmt.Sprintf("journal: %d %s could not be read, the first because: %v (journalctl --verify names the damaged file)", u.n, whats, u.by)}
	}
	return []string{fmt.Sprintf("journal: %d %s could not be read, the first, in %s, because: %v", u.n, whats, u.file, u.by)}
}

// maxValue bounds one field's value in memory, in bytes; what is longer is cut. journald
// itself takes at most 48 KiB a line from a service's output (LineMax=), and from a client
// without privileges up to 32 MiB (ENTRY_SIZE_UNPRIV_MAX of systemd's journal-importer.h).
const maxValue = 1 << 20

// MaxMessage is the longest message, in bytes, of which the end is sure to be there.
const MaxMessage = maxValue - 1<<10 // libsystemd counts the field's name

// Reader hands out the entries of the journal in order. It is for one
// goroutine.
type Reader struct {
	ctx  context.Context
	o    Options
	plan *plan
	src  reader // nil: nothing can be new
	kind string

	question question
	expected map[uint64]string        // by identity: new entries that were met in a file, and its path, until they are read
	others   []func() (reader, error) // other ways to read: all, and by matches where all was read
	again    bool                     // they are looked for in one of these

	comparing bool              // entries may still be before the position
	near      int64             // µs; from here on an entry may be beyond the tail
	fresh     []int64           // µs; before near, of last entries that may be in the making: each is asked for its cursor
	read      map[string]uint64 // by seqnum id: the last number that was asked for of entries that were taken
	steps     int               // entries looked at
	taken     bool              // one was new, handed out or not
	last      string            // cursor of the last one that was taken; "": ask src
	latest    Cursor            // of those taken whose cursor was asked for; not the last one where files interleave
	tailTaken bool              // the plan's tail was one of them
	skipped   bool              // an entry beyond the tail was left to the next pass

	now      int64 // µs of the current entry
	previous int64 // µs of the one before
	newest   int64 // µs, the largest of those taken
	stepped  int64 // µs, the largest step back of the clock
	at       int64 // µs, where it happened
	msg      []byte
	done     bool
	end      *state.JournalPosition
	exhaust  *Exhausted
	gaps     []Gap
	warned   []string
	bad      map[string]string // see Exhausted.Damaged
	told     map[string]bool   // paths of files whose damage was found
	err      error
}

// Next goes to the next entry. It is false at the end and on an error; see Err.
func (r *Reader) Next() bool {
	for !r.done {
		if r.src == nil {
			r.finish()
			break
		}
		if r.steps++; r.steps%1024 == 0 && r.ctx.Err() != nil {
			r.fail(r.ctx.Err())
			break
		}
		ok, err := r.src.next()
		if err != nil {
			r.fail(err)
			break
		}
		if !ok && r.lookAgain() {
			continue
		}
		if !ok {
			r.finish()
			break
		}
		t := r.src.time()
		if !r.take(t) {
			continue
		}
		r.taken = true
		if r.previous-t > r.stepped && !r.again {
			r.stepped, r.at = r.previous-t, t
		}
		r.previous, r.now, r.newest = t, t, max(r.newest, t)
		if r.plan.after == nil && t < r.plan.since {
			continue
		}
		if len(r.plan.spoiled) > 0 && r.isSpoiled() {
			continue
		}
		r.msg = r.src.message()
		if r.suppressed() || (r.plan.unlinked || r.again) && !r.isAsked() {
			continue
		}
		return true
	}
	return false
}

// isAsked tells whether the entry fulfils a match.
func (r *Reader) isAsked() bool {
	return len(r.o.Matches) == 0 || slices.ContainsFunc(r.o.Matches, func(m Match) bool { return m.holds(r.src.field) })
}

// isSpoiled tells whether the entry is not what was written.
func (r *Reader) isSpoiled() bool {
	text, err := r.src.cursor()
	if err != nil {
		return false
	}
	c, err := ParseCursor(text)
	_, spoiled := slices.BinarySearch(r.plan.spoiled[c.SeqnumID], c.Seqnum)
	return err == nil && spoiled
}

// take tells whether the entry, of time t, is new and was there at Open. It
// leaves its cursor in last where it had to ask for it.
func (r *Reader) take(t int64) bool {
	if !r.comparing && !r.again && t < r.near && len(r.expected) == 0 && !slices.Contains(r.fresh, t) {
		r.last = ""
		return true
	}
	text, err := r.src.cursor()
	if err != nil {
		r.warnf("journal: an entry has no cursor: %v", err)
		return true
	}
	c, err := ParseCursor(text)
	if err != nil {
		r.warnf("journal: %v", err)
		return true
	}
	_, expected := r.expected[c.identity()]
	delete(r.expected, c.identity())
	if r.again {
		if expected {
			r.note(c)
		}
		if expected && (r.latest == (Cursor{}) || r.plan.later(c, r.latest)) {
			r.latest, r.last = c, text
		}
		return expected
	}
	if r.comparing {
		if !r.plan.isNew(c) {
			return false
		}
		r.comparing = r.plan.all
	}
	if r.plan.beyond(c) {
		if r.taken && r.last == "" && !r.skipped {
			if r.last, err = r.src.previousCursor(); err != nil {
				r.fail(err)
			}
		}
		r.skipped, r.plan.uncounted = true, r.plan.doubtful
		return false
	}
	r.last = text
	r.note(c)
	if r.latest == (Cursor{}) || r.plan.later(c, r.latest) {
		r.latest = c
	}
	if tail := r.plan.tail; tail != nil && tail.sameSeqnums(c) && tail.Seqnum == c.Seqnum {
		*tail, r.tailTaken = c, true
	}
	return true
}

// note takes note of the number of an entry that was taken, unless that is damaged.
func (r *Reader) note(c Cursor) {
	if p := r.plan; c.Seqnum > p.tails[c.SeqnumID] && p.over[c.SeqnumID] || !p.counted(c) { // nobody writes a header that comes to it
		return
	}
	if r.read == nil {
		r.read = map[string]uint64{}
	}
	r.read[c.SeqnumID] = max(r.read[c.SeqnumID], c.Seqnum)
}

// fail ends the reading with an error.
func (r *Reader) fail(err error) {
	if r.ctx.Err() != nil {
		err = r.ctx.Err() // and not that the child was killed for it
	}
	r.err, r.done = fmt.Errorf("read journal: %w", err), true
	r.end, r.exhaust = r.lastTaken(), nil
}

// lastTaken is the position after the last entry that was taken, else the one
// that the pass began with.
func (r *Reader) lastTaken() *state.JournalPosition {
	if !r.taken {
		return r.o.After
	}
	text := r.last
	if text == "" {
		var err error
		named := r.plan.doubtful && len(r.plan.open) == 1
		if text, err = r.src.cursor(); err != nil && !named { // libsystemd has left the file that the entry is in
			r.warnf("journal: a damaged file was left before its end (journalctl --verify names it)")
		}
	}
	if c, err := ParseCursor(text); err != nil || !r.plan.counted(c) {
		text = Cursor{Realtime: uint64(r.newest), HasRealtime: true}.String()
	} else {
		text = r.plan.bounded(c).String()
	}
	at := r.now
	if r.again {
		at = int64(r.latest.Realtime)
	}
	return &state.JournalPosition{Cursor: text, Time: at}
}

// finish ends a reading that met the end of the journal.
func (r *Reader) finish() {
	r.done = true
	r.end = r.lastTaken()
	if r.stepped >= stepWorthTelling {
		r.warnf("journal: the clock stepped back by %s, to %s: the journal's own order is kept",
			span(r.stepped), clock(uint64(r.at)))
	}
	if !r.unmoved() {
		return // another file stood at the path than the one whose header we read
	}
	tail := r.plan.safeTail()
	if r.tailTaken || tail != nil && !r.plan.isNew(*r.plan.tail) { // it was taken by an earlier pass
		tail = r.plan.tail
	}
	for _, at := range []*Cursor{tail, &r.latest} {
		if at == nil || *at == (Cursor{}) {
			continue
		}
		if c := r.plan.bounded(*at); r.isLater(c) {
			r.end = &state.JournalPosition{Cursor: c.String(), Time: int64(c.Realtime)}
		}
	}
	switch {
	case r.end != nil:
		r.exhaust = r.plan.newExhausted(r.end.Cursor, r.read)
		r.exhaust.Damaged = r.bad
	case len(r.bad) > 0: // nothing else is known
		r.exhaust = &Exhausted{Damaged: r.bad}
	}
}

// isLater tells whether the cursor lies behind the position.
func (r *Reader) isLater(d Cursor) bool {
	if r.end == nil {
		return true
	}
	c, err := ParseCursor(r.end.Cursor)
	if err != nil || r.plan.after == nil && !r.taken {
		return true
	}
	if !r.taken { // the position of an earlier pass
		return r.plan.isNew(d)
	}
	return r.plan.later(d, c)
}

// stepWorthTelling is in µs: smaller steps are an NTP client at work, and
// entries of two files may interleave within less.
const stepWorthTelling = 10_000_000

// unmoved tells whether the paths that were opened still hold the files whose
// headers were read. journald may rename a file and put a new one in its place
// in between; then the old one was not read to its end.
func (r *Reader) unmoved() bool {
	for _, f := range r.plan.open {
		now, err := readInfo(f.Path)
		if err != nil || now.FileID != f.FileID {
			return false
		}
	}
	return true
}

// Time is the realtime of the current entry, in µs since the Unix epoch.
func (r *Reader) Time() int64 { return r.now }

// Message is the MESSAGE of the current entry, nil when it has none. It is
// valid until the next call of Next.
func (r *Reader) Message() []byte { return r.msg }

// Field is the value of a field of the current entry, one of Options.Fields;
// the first one where the entry has several. It is valid until the next call
// of Next.
func (r *Reader) Field(name string) ([]byte, bool) {
	if r.src == nil || r.done || !slices.Contains(r.o.Fields, name) {
		return nil, false
	}
	return r.src.field(name)
}

// Position is where the next pass goes on: after the current entry, or, at the
// end, behind everything that was there at Open. It is Options.After when
// nothing moved it, so nil for a journal without any entry.
func (r *Reader) Position() *state.JournalPosition {
	if r.done {
		return r.end
	}
	return r.lastTaken()
}

// Exhausted is to be kept with Position for the next pass. nil before the end,
// and where the reading ended with an error.
func (r *Reader) Exhausted() *Exhausted { return r.exhaust }

// Gaps are the losses known so far.
func (r *Reader) Gaps() []Gap { return r.gaps }

// Warnings say what went otherwise than it should, so far, one line each.
func (r *Reader) Warnings() []string {
	if r.src == nil {
		return r.warned
	}
	return append(slices.Clip(r.warned), r.src.warnings()...)
}

// Err is the error that ended the reading, nil at the end of the journal.
func (r *Reader) Err() error { return r.err }

// Source names what reads: "library", "journalctl", or "" when no file could
// hold anything new and so neither was needed.
func (r *Reader) Source() string { return r.kind }

// Close ends the reading. Position, Exhausted, Gaps and Warnings stay.
func (r *Reader) Close() error {
	if r.src == nil {
		return nil
	}
	if !r.done {
		r.end, r.done = r.lastTaken(), true
	}
	r.warned = append(r.warned, r.src.warnings()...)
	err := r.src.close()
	r.src = nil
	return err
}

func (r *Reader) warnf(format string, args ...any) {
	r.warned = append(r.warned, fmt.Sprintf(format, args...))
}
