package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// links are the lists of entries that a reading goes by: of each field that is asked for, or of
// all entries where none is. An object may be whole and yet be lost to libsystemd, which passes
// over what no list leads to without a word: a crash leaves pages of which one was written and
// another was not.
type links struct {
	asked   map[string]bool   // FIELD=value; empty: all entries are read
	lists   map[uint64]*tally // what entries hold, by the offset of the field
	all     tally             // of the entries
	likely  [1024]bool        // by a part of the offset, whether there may be a list: most fields have none
	longest int               // of asked
}

// tally tells one list of entries from another.
type tally struct{ n, sum, last uint64 }

func (t *tally) add(entry uint64) {
	if entry != t.last { // one that was looked at again; before systemd 249 a field may be listed twice
		t.n, t.sum, t.last = t.n+1, t.sum+entry, entry
	}
}

func newLinks(asked []string) *links {
	l := &links{asked: map[string]bool{}, lists: map[uint64]*tally{}}
	for _, field := range asked {
		l.asked[field], l.longest = true, max(l.longest, len(field))
	}
	return l
}

// isAsked tells whether a value of that many bytes may be one of those asked for.
func (l *links) isAsked(n uint64) bool { return l != nil && n <= uint64(l.longest) }

// field takes note of a field that was met.
func (l *links) field(at uint64, value []byte) {
	if l.asked[string(value)] {
		l.lists[at], l.likely[at/8%1024] = &tally{}, true
	}
}

// hold takes note that the entry holds the field.
func (l *links) hold(entry, field uint64) {
	if l == nil || !l.likely[field/8%1024] {
		return
	}
	if t := l.lists[field]; t != nil {
		t.add(entry)
	}
}

// compareLinks holds the lists against the entries that were met.
func (s *survey) compareLinks() error {
	l := s.links
	if l == nil {
		return nil
	}
	if len(l.asked) == 0 {
		b, err := s.read(0, headerSize)
		if err == nil {
			err = s.compareList(tally{}, binary.LittleEndian.Uint64(b[atEntryArray:]), binary.LittleEndian.Uint64(b[atEntries:]), l.all)
		}
		if err != nil {
			return fmt.Errorf("%w at byte %d: %w", errDamaged, atEntryArray, err)
		}
		return nil
	}
	for _, at := range slices.Sorted(maps.Keys(l.lists)) {
		if err := s.compareField(at, *l.lists[at]); err != nil {
			return fmt.Errorf("%w at byte %d: %w", errDamaged, at, err)
		}
	}
	return nil
}

// compareField goes to the field and to its entries as libsystemd does.
func (s *survey) compareField(at uint64, held tally) error {
	b, err := s.read(at, dataPayload)
	if err != nil {
		return err
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	hash, first, array, n := u64(16), u64(40), u64(48), u64(56)
	table := s.info.dataTable
	if table.size < 16 {
		return errors.New("a field without a hash table")
	}
	for next, before := table.offset+hash%(table.size/16)*16, uint64(0); next != at; {
		if b, err = s.read(next, 8); err != nil {
			return err
		}
		if next = u64(0); next <= before || next > at { // what is later stands behind
			return errors.New("a field that its hash table does not lead to")
		}
		if before = next; next != at {
			next += 24 // next_hash_offset
		}
	}
	listed := tally{}
	if n > 0 && first <= s.info.tailObject {
		listed.add(first)
	}
	return s.compareList(listed, array, n-min(n, 1), held)
}

// compareList goes through n items of a chain of lists, which come after those that are listed. What
// was written meanwhile does not count, and what was written last may not be listed yet.
func (s *survey) compareList(listed tally, array, n uint64, held tally) error {
	_, item := s.shape(objectArray)
	for n > 0 && array != 0 && array <= s.info.tailObject { // one behind it was made for what was written last
		b, err := s.read(array, arrayItems)
		if err != nil {
			return err
		}
		size, next := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
		if b[0] != objectArray || size <= arrayItems || next != 0 && next <= array {
			return errors.New("a list of entries that is none")
		}
		at, k := array+arrayItems, min(n, (size-arrayItems)/item)
		for n -= k; k > 0; {
			part := min(k, surveyedBytes/item)
			if b, err = s.bytes(at, part*item); err != nil {
				return err
			}
			at, k = at+part*item, k-part
			for ; len(b) > 0; b = b[item:] {
				entry := uint64(binary.LittleEndian.Uint32(b))
				if item != 4 {
					entry = binary.LittleEndian.Uint64(b)
				}
				if entry != 0 && entry <= s.info.tailObject {
					listed.add(entry)
				}
			}
		}
		array = next
	}
	unlisted := tally{listed.n + 1, listed.sum + s.offset, s.offset}
	if listed != held && (s.info.State == Archived || unlisted != held) {
		return errors.New("a list of entries that lacks some, or has others")
	}
	return nil
}

// read reads few bytes of the file, beside those that are kept.
func (s *survey) read(at, n uint64) ([]byte, error) {
	b := make([]byte, n)
	if at > uint64(s.info.Size) {
		return nil, errors.New("an object goes beyond the end")
	}
	_, err := s.file.ReadAt(b, int64(at))
	return b, err
}
