package journal

import (
	"fmt"
	"slices"
	"time"
)

// plan is what Open decides from the headers alone: which files to open, where
// to begin, and how an entry is known to be new.
type plan struct {
	after *Cursor           // go on after this; nil: from since
	known *Exhausted        // what the pass that saved after knew; nil: nothing
	read  map[string]uint64 // by seqnum id: the last number that it knew to be read
	since int64             // µs; entries before are passed over when after is nil
	boot  string            // the running boot, "" unknown
	now   int64             // µs, 0 unknown

	files     []FileInfo // all that can be read
	open      []FileInfo // those that may hold something new
	doubtful  bool       // one of these is damaged: its numbers may be
	uncounted bool       // of such, entries were met that no header has come to
	renamed   []FileInfo // whose numbering has another name than before
	unlinked  bool       // of one of these a match does not find all that it should
	seek      string     // the cursor to begin at; "": the head
	all       bool       // compare every entry, not only the first ones

	tail  *Cursor           // the last entry of the open files at Open; nil: not known
	tails map[string]uint64 // by seqnum id: the last sequence number, by the headers
	over  map[string]bool   // by seqnum id: nobody writes to its files any more

	spoiled map[string][]uint64 // by seqnum id: entries that are not what was written, ascending

	gaps     []Gap
	warnings []string
}

// spoil takes note of entries that must not be judged.
func (p *plan) spoil(seqnumID string, seqnums []uint64) {
	if len(seqnums) == 0 {
		return
	}
	if p.spoiled == nil {
		p.spoiled = map[string][]uint64{}
	}
	all := append(p.spoiled[seqnumID], seqnums...)
	slices.Sort(all)
	p.spoiled[seqnumID] = all
}

// passOver takes note of a file that libsystemd could not open: what is in it has not been read.
func (p *plan) passOver(f FileInfo) {
	for i := range p.files {
		if p.files[i].Path == f.Path {
			p.files[i].passed = true
		}
	}
	if p.tail != nil && holder([]FileInfo{f}, *p.tail) == 0 {
		p.tail = nil
	}
}

// newPlan reads the position and chooses the files.
func newPlan(o *Options, l *listing) *plan {
	p := &plan{since: o.Since, boot: o.Boot, now: o.Now, files: l.files}
	if o.After != nil && o.After.Cursor != "" {
		p.goOn(o)
	}
	p.renumber()
	p.read = p.known.lastSeqnums()
	for i, f := range l.files {
		if p.mayHoldNew(i, f) {
			p.open = append(p.open, f)
		}
	}
	return p
}

// mayHoldNew tells whether file number i of the listing is to be opened, unless that is damaged.
func (p *plan) mayHoldNew(i int, f FileInfo) bool {
	return (f.Entries > 0 || f.HeadRealtime > 0) && !p.known.exhausts(i, f)
}

// isOvertaken tells whether a file that is not to be opened has got an entry since the headers were
// read, or is new, or was rotated away and so not listed. Another, of which the header or the tail
// was read later, may have got one after that: the position would lie behind what was not read.
func (p *plan) isOvertaken(path string) bool {
	now, err := list(path)
	if err != nil {
		return false
	}
	for i, f := range now.files {
		is := func(g FileInfo) bool { return g.FileID == f.FileID && (g.inode == f.inode || g.Path == f.Path) }
		if i >= len(p.files) || !is(p.files[i]) {
			i = slices.IndexFunc(p.files, is)
		}
		if i < 0 || p.files[i].Entries != f.Entries && !p.mayHoldNew(i, p.files[i]) {
			return true
		}
	}
	return false
}

// renumber takes over how far a file was read whose numbering has another name than it had: that
// is damaged, and all that is in the file would seem to be new. One that held no entry may take over
// the numbering of the one that it gets (journal_file_append_entry of systemd 254).
func (p *plan) renumber() {
	for i, f := range p.files {
		if k := p.known.file(i, f); k.Entries+k.Surveyed > 0 && k.SeqnumID != f.SeqnumID {
			known := *p.known
			known.Files = append(slices.Clip(known.Files), ExhaustedFile{SeqnumID: f.SeqnumID, Seqnum: k.Seqnum})
			p.known, p.renamed = &known, append(p.renamed, f)
		}
	}
}

// countTails learns the last sequence numbers.
func (p *plan) countTails() {
	p.tails, p.over = map[string]uint64{}, map[string]bool{}
	for _, f := range p.files {
		p.tails[f.SeqnumID] = max(p.tails[f.SeqnumID], f.TailSeqnum)
		over, met := p.over[f.SeqnumID]
		p.over[f.SeqnumID] = (over || !met) && (f.State == Archived || f.isUnclean())
	}
}

// goOn reads the position that an earlier pass saved.
func (p *plan) goOn(o *Options) {
	c, err := ParseCursor(o.After.Cursor)
	if err != nil {
		p.warnf("journal: the saved position cannot be read (%v): going on from %s", err, since(o.Since))
		return
	}
	if !c.HasRealtime && o.After.Time > 0 {
		c.Realtime, c.HasRealtime = uint64(o.After.Time), true
	}
	if o.Exhausted != nil && o.Exhausted.Cursor == o.After.Cursor {
		p.known = o.Exhausted
	}
	p.after = &c
	if p.now > 0 && int64(c.Realtime) > p.now {
		told := p.known != nil || slices.ContainsFunc(p.files, func(f FileInfo) bool {
			return f.SeqnumID == c.SeqnumID || f.BootID == c.BootID
		})
		if !told {
			p.after = nil
			p.warnf("journal: the saved position lies in the future (%s) and nothing in the journal goes on from it: the clock stepped back; going on from %s",
				clock(c.Realtime), since(o.Since))
			return
		}
		p.warnf("journal: the saved position lies in the future (%s): the clock stepped back; going on by sequence number", clock(c.Realtime))
	}
	p.findGap(c)
}

// findGap tells from the headers whether the entry of the cursor is gone and
// what may be gone with it. A file of the same numbering that covers it, or
// begins right behind it, says no.
func (p *plan) findGap(c Cursor) {
	var first *FileInfo // the oldest entry that is left: of the same numbering, else of all
	same, at := false, 0
	for i, f := range p.files {
		if f.Entries == 0 {
			continue
		}
		if f.SeqnumID == c.SeqnumID {
			if f.HeadSeqnum <= c.Seqnum+1 {
				return
			}
			if !same || f.HeadSeqnum < first.HeadSeqnum {
				first, same, at = &p.files[i], true, i
			}
		} else if !same && (first == nil || f.HeadRealtime < first.HeadRealtime) {
			first, at = &p.files[i], i
		}
	}
	if first == nil || !same && first.HeadRealtime <= int64(c.Realtime) {
		return
	}
	if p.known.file(at, *first).Seqnum > 0 { // it was read already, and what is gone was told of
		return
	}
	gap := Gap{From: int64(c.Realtime), To: first.HeadRealtime, Lost: -1,
		Reason: "the saved position is no longer in the journal: what was logged in between was deleted before it was read (SystemMaxUse= in journald.conf keeps more)"}
	if same {
		gap.Lost = int(min(first.HeadSeqnum-c.Seqnum-1, 1<<31-1))
	}
	p.gaps = append(p.gaps, gap)
	p.warnf("journal: %s; %s lost, from %s to %s; going on from the oldest entry left in %s",
		gap.Reason, span(gap.To-gap.From), clock(c.Realtime), clock(uint64(first.HeadRealtime)), first.Path)
}

// chooseSeek finds the cursor that makes libsystemd begin, in every open file,
// at or before the first entry that is new.
//
// sd_journal_seek_cursor(3) places each file by itself: by the sequence number
// where the numbering is the cursor's, else by the monotonic time where the
// file knows the cursor's boot, else by the wall clock. The last is wrong for
// a boot that began with an older clock (a host without one). Such a file is
// sought by the head of the boot of its first new entry instead (of its last one where
// that is not known), which the same cursor can carry: b and m are replaced. Where that
// boot is not known for sure, or files want several, everything is read.
func (p *plan) chooseSeek() {
	if p.after == nil {
		if p.since > 0 {
			p.seek = Cursor{Realtime: uint64(p.since), HasRealtime: true}.String()
		}
		return
	}
	c := *p.after
	doubtful := map[string]bool{}
	for _, f := range p.open {
		if f.SeqnumID == c.SeqnumID {
			continue
		}
		p.all = true
		boot, sure := f.newBoot, true
		if boot == "" {
			boot, sure = f.BootID, f.TailBoot || f.BootID == p.boot && f.State != Archived
		}
		if boot == c.BootID && c.HasMonotonic && f.newBoot == "" {
			continue
		}
		if p.known == nil && boot != p.boot {
			continue // the wall clock must do
		}
		if !sure {
			return
		}
		doubtful[boot] = true
	}
	if len(doubtful) > 1 {
		return
	}
	for boot := range doubtful {
		if boot == c.BootID && c.HasMonotonic {
			break
		}
		c.BootID, c.Monotonic, c.HasMonotonic, c.HasXor = boot, 0, true, false
	}
	p.seek = c.String()
}

// isNew tells whether the entry was written after the position.
//
// Decisive is, in this order: what the earlier pass knew of the numbering, which is exact;
// [Cursor.Compare], where sequence numbers or a boot are shared; that what such a pass did
// not know of another boot is new; that the running boot is later than any other; the wall
// clock.
func (p *plan) isNew(e Cursor) bool {
	if p.after == nil {
		return true
	}
	c := *p.after
	if c.Same(e) {
		return false
	}
	switch {
	// Where clocks went back, the position is not at the last entry of its numbering.
	case 0 < e.Seqnum && e.Seqnum <= p.read[e.SeqnumID]:
		return false
	case c.sameSeqnums(e) || c.sameBoot(e):
		return e.Compare(c) > 0
	case p.known != nil && c.BootID != e.BootID && c.SeqnumID != "": // a time alone names no boot
		return true
	}
	return p.later(e, c)
}

// later is the order of [Cursor.Compare], and that the running boot is later
// than any other.
func (p *plan) later(c, d Cursor) bool {
	if !c.sameSeqnums(d) && p.boot != "" && (c.BootID == p.boot) != (d.BootID == p.boot) && c.BootID != "" && d.BootID != "" {
		return c.BootID == p.boot
	}
	return c.Compare(d) > 0
}

func (p *plan) warnf(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func clock(µs uint64) string {
	return time.UnixMicro(int64(µs)).UTC().Format(time.RFC3339)
}

// span is so long a time, 290 years at most: a damaged time may be later, and would turn negative.
func span(µs int64) time.Duration {
	const most = 290 * 365 * 24 * 3600e6
	return (time.Duration(min(max(0, µs), most)) * time.Microsecond).Round(time.Second)
}

func since(µs int64) string {
	if µs <= 0 {
		return "the oldest entry"
	}
	return clock(uint64(µs))
}
