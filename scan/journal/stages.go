package journal

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"scan2ban/state/order"
)

// libsystemd asks each open file for its next entry at every step, so a reading of a hundred
// files costs ten times what one of ten does for the same entries. Files that nobody writes to
// any more, and of one numbering without an overlap, are read a few at a time.
const (
	manyFiles = 16 // fewer are opened together
	stageSize = 8  // files, at least
)

// stages divides the open files: what is in one comes before all that is in the next, by
// the sequence numbers, which is the order of entries of one numbering. The last has the
// files that may grow, and all that may hold an entry after their first.
func (p *plan) stages() (list [][]FileInfo) {
	if p.doubtful || len(p.open) < manyFiles || slices.ContainsFunc(p.open, func(f FileInfo) bool {
		return f.SeqnumID != p.open[0].SeqnumID || f.HeadSeqnum == 0 || f.TailSeqnum < f.HeadSeqnum
	}) {
		return [][]FileInfo{p.open}
	}
	files, begin, last := slices.Clone(p.open), 0, uint64(0)
	order.By(files, func(a, b FileInfo) int { return cmp.Compare(a.HeadSeqnum, b.HeadSeqnum) })
	for i, f := range files {
		if i-begin >= stageSize && f.HeadSeqnum > last {
			list, begin = append(list, files[begin:i:i]), i
		}
		if f.State != Archived && !strings.Contains(filepath.Base(f.Path), "@") { // system.journal, not system@NUMBERS.journal
			break
		}
		last = max(last, f.TailSeqnum)
	}
	return append(list, files[begin:])
}

// staged is a reader of stages, one after the other.
type staged struct {
	reader // of the current stage
	open   func(files []FileInfo) (reader, error)
	rest   [][]FileInfo
	read   int      // entries of the current stage
	before string   // cursor of the last entry of the stages before
	warned []string // of these
}

// openStaged begins to read.
func openStaged(stages [][]FileInfo, open func(files []FileInfo) (reader, error)) (reader, error) {
	r, err := open(stages[0])
	if err != nil || len(stages) == 1 {
		return r, err
	}
	return &staged{reader: r, open: open, rest: stages[1:]}, nil
}

func (s *staged) next() (bool, error) {
	for {
		ok, err := s.reader.next()
		if ok {
			s.read++
		}
		if ok || err != nil || len(s.rest) == 0 {
			return ok, err
		}
		if s.before, err = s.cursor(); err != nil && s.read > 0 {
			return false, err
		}
		s.warned = append(s.warned, s.reader.warnings()...)
		if err := s.reader.close(); err != nil {
			return false, err
		}
		s.reader, s.read = empty{}, 0
		r, err := s.open(s.rest[0])
		if err != nil {
			return false, err
		}
		s.reader, s.rest = r, s.rest[1:]
	}
}

func (s *staged) cursor() (string, error) {
	if s.read == 0 {
		return s.last()
	}
	return s.reader.cursor()
}

func (s *staged) previousCursor() (string, error) {
	if s.read < 2 {
		return s.last()
	}
	return s.reader.previousCursor()
}

// last is where the stages before ended.
func (s *staged) last() (string, error) {
	if s.before == "" {
		return "", errNoneBefore
	}
	return s.before, nil
}

func (s *staged) warnings() []string { return append(slices.Clip(s.warned), s.reader.warnings()...) }
