package journal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Exhausted is what a pass knows of the journal's files at its end: which of
// them hold nothing after its position. It spares the next pass opening them,
// and tells it exactly what is new where clocks cannot. It is worthless without
// the position that it was made with, so keep it together with that one, or
// throw it away: [Open] ignores it for any other, but for what was told. It may be lost.
type Exhausted struct {
	Cursor string          `json:"cursor"` // of the position that it belongs to
	Files  []ExhaustedFile `json:"files"`
	// Damaged files that a pass has warned of, by path: the inode and id, and hashes of
	// what was told. It is not told again of that file.
	Damaged map[string]string `json:"damaged,omitempty"`
}

// ExhaustedFile is one file as its header was before it was read to its end. Every pass
// reads and writes one for each file of the journal, so in JSON it is one string.
type ExhaustedFile struct {
	ID       string // of the file; it survives renaming
	Entries  uint64 // n_entries of the header; 0: not exhausted
	SeqnumID string // the numbering of its entries
	Seqnum   uint64 // of the last entry that was complete, or was read; 0: of none
	Surveyed uint64 // the offset up to which it has been looked at for damage
}

// MarshalText gives "ID ENTRIES SEQNUMID SEQNUM SURVEYED", the numbers in decimal.
func (f ExhaustedFile) MarshalText() ([]byte, error) {
	b := append(make([]byte, 0, 128), f.ID...)
	b = strconv.AppendUint(append(b, ' '), f.Entries, 10)
	b = append(append(b, ' '), f.SeqnumID...)
	b = strconv.AppendUint(append(b, ' '), f.Seqnum, 10)
	return strconv.AppendUint(append(b, ' '), f.Surveyed, 10), nil
}

// UnmarshalText reads what MarshalText gives.
func (f *ExhaustedFile) UnmarshalText(text []byte) error { return f.parse(string(text)) }

func (f *ExhaustedFile) parse(text string) error {
	var fields [5]string
	rest := text
	for i := range fields {
		fields[i], rest, _ = strings.Cut(rest, " ")
	}
	if strings.Count(text, " ") != len(fields)-1 {
		return fmt.Errorf("%q is no file of a journal", text)
	}
	f.ID, f.SeqnumID = fields[0], fields[2]
	var errs [3]error
	f.Entries, errs[0] = strconv.ParseUint(fields[1], 10, 64)
	f.Seqnum, errs[1] = strconv.ParseUint(fields[3], 10, 64)
	f.Surveyed, errs[2] = strconv.ParseUint(fields[4], 10, 64)
	return cmp.Or(errs[:]...)
}

// ReadExhausted reads the JSON of an Exhausted. Every pass does, so what is as it mostly is,
// a cursor and files alone, is read without encoding/json.
func ReadExhausted(text []byte) (x *Exhausted, err error) {
	if x = readPlain(string(text)); x == nil {
		x = &Exhausted{}
		err = json.Unmarshal(text, x)
	}
	return x, err
}

// readPlain gives nil for what is anything else.
func readPlain(text string) *Exhausted {
	text, begins := strings.CutPrefix(text, `{"cursor":"`)
	cursor, list, _ := strings.Cut(text, `","files":["`)
	list, ends := strings.CutSuffix(list, `"]}`)
	if !begins || !ends || strings.Contains(cursor, `"`) || strings.Contains(text, `\`) || !utf8.ValidString(text) {
		return nil
	}
	x := &Exhausted{Cursor: cursor, Files: make([]ExhaustedFile, strings.Count(list, `","`)+1)}
	for i := range x.Files {
		var item string
		if item, list, _ = strings.Cut(list, `","`); strings.Contains(item, `"`) || x.Files[i].parse(item) != nil {
			return nil
		}
	}
	return x
}

// Same tells whether two say the same, of no damage.
func (x *Exhausted) Same(y *Exhausted) bool {
	return x.Cursor == y.Cursor && len(x.Damaged)+len(y.Damaged) == 0 && slices.Equal(x.Files, y.Files)
}

// file is what is known of file number i of the listing; zero: nothing. The
// order of files rarely changes, so it is usually number i here too.
func (x *Exhausted) file(i int, f FileInfo) ExhaustedFile {
	if x == nil {
		return ExhaustedFile{}
	}
	if i >= len(x.Files) || x.Files[i].ID != f.FileID {
		i = slices.IndexFunc(x.Files, func(k ExhaustedFile) bool { return k.ID == f.FileID })
	}
	if i < 0 {
		return ExhaustedFile{}
	}
	return x.Files[i]
}

// exhausts tells whether file number i of the listing holds nothing new.
func (x *Exhausted) exhausts(i int, f FileInfo) bool {
	known := x.file(i, f)
	return known.Entries != 0 && known.Entries == f.Entries
}

// lastSeqnums are the last sequence numbers that were read, by seqnum id.
func (x *Exhausted) lastSeqnums() map[string]uint64 {
	if x == nil {
		return nil
	}
	last := map[string]uint64{}
	for _, k := range x.Files {
		last[k.SeqnumID] = max(last[k.SeqnumID], k.Seqnum)
	}
	return last
}

// settle is how old the last entry of a file must be for the file to count as
// exhausted, in µs: a younger one may not have been linked to its fields when
// we read (see plan.safeTail), so the file is opened once more.
const settle = 2_000_000

// isSettled tells whether the last entry of file number i was complete when its header was read. One
// that is later than now is of a clock that went back, or was written since the pass began: it was
// complete if the pass before met it and nothing came since. None counts as complete where a damaged
// header has not come to what its file holds.
func (p *plan) isSettled(i int, f FileInfo) bool {
	if p.now == 0 || f.State == Archived {
		return true
	}
	age := p.now - f.TailRealtime
	return !p.uncounted && (age >= settle || age <= -settle && f.surveyed > 0 && f.surveyed == p.known.file(i, f).Surveyed)
}

// isFresh tells of a time, in µs, that is about now.
func (p *plan) isFresh(t int64) bool { return -settle < p.now-t && p.now-t < settle }

// newExhausted describes the files as their headers were at Open. read holds, by seqnum id, the
// last number that this pass is known to have read.
func (p *plan) newExhausted(position string, read map[string]uint64) *Exhausted {
	x := &Exhausted{Cursor: position, Files: make([]ExhaustedFile, 0, len(p.files))}
	for i, f := range p.files {
		if p.known.exhausts(i, f) { // what is in the header was read then, and looked at
			k := p.known.file(i, f)
			k.Surveyed = max(k.Surveyed, f.surveyed)
			x.Files = append(x.Files, k)
			continue
		}
		known := p.known.file(i, f)
		k := ExhaustedFile{ID: f.FileID, SeqnumID: f.SeqnumID, Seqnum: f.TailSeqnum, Surveyed: max(f.surveyed, known.Surveyed)}
		n := read[f.SeqnumID]
		if known.SeqnumID == f.SeqnumID {
			n = max(n, known.Seqnum)
		}
		switch {
		case f.Entries == 0: // its header may name the last number of the file before it
			k.Seqnum = 0
		case !f.passed && p.isSettled(i, f):
			k.Entries = f.Entries
		case n >= f.TailSeqnum, f.passed:
			k.Seqnum = n
		default: // see safeTail
			k.Seqnum -= min(k.Seqnum, 1)
		}
		x.Files = append(x.Files, k)
	}
	x.keepAbsent(p.known)
	return x
}

// mostAbsent bounds the numberings of which files are absent.
const mostAbsent = 32

// keepAbsent takes over, one for a numbering, how far it was read in files that are absent: they
// may come back, with a file system that is mounted late or a header that is whole again.
func (x *Exhausted) keepAbsent(known *Exhausted) {
	if known == nil {
		return
	}
	listed, last := len(x.Files), x.lastSeqnums()
	for i, k := range known.Files {
		if x.file(i, FileInfo{FileID: k.ID}).ID != "" {
			continue
		}
		if k.Seqnum <= last[k.SeqnumID] {
			continue
		}
		of := slices.IndexFunc(x.Files[listed:], func(a ExhaustedFile) bool { return a.SeqnumID == k.SeqnumID })
		switch {
		case of >= 0:
			x.Files[listed+of] = k
		case len(x.Files) < listed+mostAbsent:
			x.Files = append(x.Files, k)
		default:
			continue
		}
		last[k.SeqnumID] = k.Seqnum
	}
}
