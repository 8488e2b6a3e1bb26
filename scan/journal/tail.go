package journal

import (
	"context"
	"slices"
)

// findTail learns the last entry of the open files, after the headers were
// read and before anything else is.
//
// Since systemd 254 the header names it. Before, the boot in the header may be
// a later one than the entry's, and a monotonic time without its boot is
// worth nothing; then the entry itself is asked for, which takes the files
// that are being written, or all.
func (r *Reader) findTail(ctx context.Context) error {
	p := r.plan
	exact := true
	var active []FileInfo
	for _, f := range p.open {
		exact = exact && f.TailBoot
		if f.State != Archived {
			active = append(active, f)
		}
	}
	if exact {
		for _, f := range p.open {
			if c := f.tail(); p.tail == nil || p.later(c, *p.tail) {
				p.tail = &c
			}
		}
		return nil
	}
	if len(active) == 0 {
		active = p.open
	}
	src, _, _, err := openSource(ctx, r.o.Reader, query{files: active, last: true})
	if err != nil {
		return err
	}
	defer src.close()
	if ok, err := src.next(); err != nil || !ok {
		return err
	}
	text, err := src.cursor()
	if err != nil {
		return err
	}
	c, err := ParseCursor(text)
	if err != nil {
		return err
	}
	if p.counted(c) {
		p.tail = &c
	}
	return nil
}

// counted tells whether the header of a file has come to the entry by now. Else the number is
// damaged: a position made of it would lie behind all that is to come.
func (p *plan) counted(c Cursor) bool {
	return c.Seqnum <= p.tails[c.SeqnumID] || slices.ContainsFunc(p.open, func(f FileInfo) bool {
		now, err := readInfo(f.Path)
		return err == nil && now.SeqnumID == c.SeqnumID && now.TailSeqnum >= c.Seqnum
	})
}

// bounded is the cursor without times that lie behind the last one of its file: a damaged one would
// lie behind all that is to come in others.
func (p *plan) bounded(c Cursor) Cursor {
	i := holder(p.files, c)
	if !p.doubtful || i < 0 {
		return c
	}
	f := p.files[i]
	if int64(c.Realtime) <= f.TailRealtime && (c.BootID != f.BootID || c.Monotonic <= f.TailMono) {
		return c
	}
	return Cursor{SeqnumID: c.SeqnumID, Seqnum: c.Seqnum, Realtime: min(c.Realtime, uint64(f.TailRealtime)), HasRealtime: true}
}

// tail is the cursor of the last entry, where TailBoot is set.
func (f FileInfo) tail() Cursor {
	return Cursor{SeqnumID: f.SeqnumID, Seqnum: f.TailSeqnum, BootID: f.BootID,
		Monotonic: f.TailMono, HasMonotonic: true,
		Realtime: uint64(f.TailRealtime), HasRealtime: true}
}

// beyond tells whether the entry was written after the headers and the tail
// were read. It is left to the next pass, and the position stays before it.
//
// Why: journald writes two files in turn. While libsystemd looks for the next
// entry it may have passed over file A when A gets an entry and then B gets
// one, which it finds and hands out; A's, older, is then skipped by libsystemd
// and lies before our position: lost. An entry not later than the tail has no
// such neighbour: all that was written before it was there before the reading
// began. Nor has one of files that nobody writes to, whatever their headers count. What no header has
// come to even now is behind one that is damaged: to the next pass it would be new. Of a file that was
// rotated meanwhile the header is not read, and says nothing.
func (p *plan) beyond(e Cursor) bool {
	return !p.over[e.SeqnumID] && e.Seqnum > p.tails[e.SeqnumID] && (p.tail == nil || p.later(e, *p.tail) || !p.counted(e) && !isMoved(p.open))
}

// safeTail is a position at the tail of the journal: where a pass may go on
// after one that found nothing of its own there, so that its position does not
// grow old and get vacuumed.
//
// journald writes an entry in steps: it raises tail_entry_seqnum, appends the
// entry, links it into the file (n_entries), sets the tail's times, and only
// then links it to its fields, which is where matches find it
// (journal_file_append_entry_internal, journal_file_link_entry in systemd's
// journal-file.c). So the number N of the tail may belong to an entry that a
// match did not find yet. But there is one writer: when N was taken, N-1 was
// complete, and was there to be found when we read later. The position is
// therefore N-1, with times just below those of N. (Where N itself matched and
// was taken, its own cursor is later than this one and is the position.)
func (p *plan) safeTail() *Cursor {
	if p.tail == nil || p.tail.Seqnum < 2 {
		return nil
	}
	c := *p.tail
	c.Seqnum--
	c.Realtime -= min(c.Realtime, 1)
	c.Monotonic -= min(c.Monotonic, 1)
	c.HasXor = false
	return &c
}
