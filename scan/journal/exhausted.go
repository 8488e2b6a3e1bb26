package journal

import "slices"

// Exhausted is what a pass knows of the journal's files at its end: which of
// them hold nothing after its position. It spares the next pass opening them,
// and tells it exactly what is new where clocks cannot. It is worthless without
// the position that it was made with, so keep it together with that one, or
// throw it away: [Open] ignores it for any other. It may be lost.
type Exhausted struct {
	Cursor string          `json:"cursor"` // of the position that it belongs to
	Files  []ExhaustedFile `json:"files"`
	// Damaged files that a pass has warned of, by path, with a fingerprint:
	// they are passed over in silence until they change.
	Damaged map[string]string `json:"damaged,omitempty"`
}

// ExhaustedFile is one file as its header was before it was read to its end.
type ExhaustedFile struct {
	ID       string `json:"id"`       // of the file; it survives renaming
	Entries  uint64 `json:"entries"`  // n_entries of the header; 0: not exhausted
	SeqnumID string `json:"seqnumid"` // the numbering of its entries
	Seqnum   uint64 `json:"seqnum"`   // of its last entry; 0: not known to be complete
	Surveyed uint64 `json:"surveyed"` // the offset up to which it has been looked at for damage
}

// exhausts tells whether file number i of the listing holds nothing new. The
// order of files rarely changes, so it is usually number i here too.
func (x *Exhausted) exhausts(i int, f FileInfo) bool {
	if x == nil {
		return false
	}
	if i >= len(x.Files) || x.Files[i].ID != f.FileID {
		i = slices.IndexFunc(x.Files, func(k ExhaustedFile) bool { return k.ID == f.FileID })
	}
	return i >= 0 && x.Files[i].Entries != 0 && x.Files[i].Entries == f.Entries
}

// lastSeqnum is the last sequence number that was read of a numbering. Not ok:
// the numbering is new. 0: unknown.
func (x *Exhausted) lastSeqnum(seqnumID string) (last uint64, ok bool) {
	for _, k := range x.Files {
		if k.SeqnumID != seqnumID {
			continue
		}
		ok = true
		if k.Seqnum == 0 {
			return 0, true
		}
		last = max(last, k.Seqnum)
	}
	return last, ok
}

// surveyed is how far a file has been looked at for damage.
func (x *Exhausted) surveyed(fileID string) uint64 {
	if x != nil {
		for _, k := range x.Files {
			if k.ID == fileID {
				return k.Surveyed
			}
		}
	}
	return 0
}

// settle is how old the last entry of a file must be for the file to count as
// exhausted, in µs: a younger one may not have been linked to its fields when
// we read (see plan.safeTail), so the file is opened once more.
const settle = 2_000_000

// newExhausted describes the files as their headers were at Open.
func (p *plan) newExhausted(position string) *Exhausted {
	x := &Exhausted{Cursor: position}
	for _, f := range p.files {
		k := ExhaustedFile{ID: f.FileID, SeqnumID: f.SeqnumID, Surveyed: max(f.surveyed, p.known.surveyed(f.FileID))}
		age := p.now - f.TailRealtime
		if settled := p.now == 0 || f.State == Archived || age >= settle || age <= -settle; settled && f.Entries > 0 {
			k.Entries, k.Seqnum = f.Entries, f.TailSeqnum
		}
		x.Files = append(x.Files, k)
	}
	return x
}
