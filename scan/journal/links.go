package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
	"sort"
)

// question is what a reading asks of a file.
type question struct {
	values []string // FIELD=value, of all terms; none: all entries are read
	names  []string // of the fields that entries are judged by

	isNew     func(c Cursor) bool // whether the entry was written after the position; nil: not known
	expect    func(c Cursor) bool // is told, until it gives false, of each entry that was met and fulfils one of
	matches   []Match             // these; none: of each
	isSettled func() bool         // whether the last one is complete, see plan.isSettled; is set where expect is
}

// links are the lists of entries that a reading goes by: of each field that is asked for, or of
// all entries where none is. An object may be whole and yet be lost to libsystemd, which passes
// over what no list leads to without a word: a crash leaves pages of which one was written and
// another was not.
type links struct {
	hash    func(field []byte) uint64
	asked   map[string]bool     // FIELD=value; empty: all entries are read
	judged  map[string]bool     // names of fields
	lists   map[uint64]*tally   // what entries hold, by the offset of the field
	values  map[string][]*tally // the same, by FIELD=value
	all     tally               // of the entries
	likely  [1024]bool          // by a part of the offset, whether there may be a list, or it is spoiled: most fields have none
	longest int                 // of asked

	isField offsets         // of fields that were met
	older   offsets         // of fields before the survey's beginning that were looked at
	sound   int             // fields that are what was written, by their hash
	spoilt  int             // that are not
	first   uint64          // the first of these
	spoiled map[uint64]bool // those by which entries are judged
}

// The errors of a file that is read to its end.
type (
	unlinked struct{ error } // matches do not find all that they should
	spoilt   struct{ error } // fields are not what was written
)

func (e unlinked) Unwrap() error { return e.error }
func (e spoilt) Unwrap() error   { return e.error }

// tally tells one list of entries from another.
type tally struct{ n, sum, last uint64 }

func (t *tally) add(entry uint64) {
	if entry != t.last { // one that was looked at again; before systemd 249 a field may be listed twice
		t.n, t.sum, t.last = t.n+1, t.sum+entry, entry
	}
}

func newLinks(q question, hash func(field []byte) uint64) *links {
	l := &links{hash: hash, asked: map[string]bool{}, judged: map[string]bool{"MESSAGE": true}, lists: map[uint64]*tally{}, values: map[string][]*tally{}, spoiled: map[uint64]bool{}}
	for _, field := range q.values {
		l.asked[field], l.longest = true, max(l.longest, len(field))
	}
	for _, name := range q.names {
		l.judged[name] = true
	}
	return l
}

// offsets are a set of offsets of objects, a bit for every eight bytes; each part is for 64 KiB
// of the file. Most surveys begin near its end.
type offsets []*[128]uint64

// mostOffset bounds the set to 16 MiB, for a file may be sparse.
const mostOffset = 1 << 30

func (o *offsets) add(at uint64) {
	if at >= mostOffset {
		return
	}
	i := int(at >> 16)
	if n := i + 1 - len(*o); n > 0 {
		*o = append(*o, make(offsets, n)...)
	}
	part := (*o)[i]
	if part == nil {
		part = new([128]uint64)
		(*o)[i] = part
	}
	part[at/512%128] |= 1 << (at / 8 % 64)
}

func (o offsets) has(at uint64) bool {
	i := at >> 16
	return at >= mostOffset || i < uint64(len(o)) && o[i] != nil && o[i][at/512%128]&(1<<(at/8%64)) != 0
}

// mostSpoiled fields are kept where most are: then it is not the fields, see compareLinks.
const mostSpoiled = 1 << 16

// fewBits of a hash may be damaged: of another field it differs in about 32.
const fewBits = 8

// field takes note of a field that was met, filed under the hash, which says FIELD=value unless it is packed.
func (l *links) field(at, hash uint64, flags byte, field []byte) {
	if isPacked(field, flags) {
		return
	}
	if other := hash ^ l.hash(field); flags == 0 && other == 0 {
		l.sound++
	} else {
		if l.spoilt++; l.spoilt == 1 {
			l.first = at
		}
		name, _, _ := bytes.Cut(field, []byte("="))
		if bits.OnesCount64(other) > fewBits && l.judged[string(name)] && (len(l.spoiled) < mostSpoiled || l.spoilt <= l.sound) {
			l.spoiled[at], l.likely[at/8%1024] = true, true
		}
	}
	if len(field) <= l.longest && l.asked[string(field)] {
		t := &tally{}
		l.lists[at], l.values[string(field)], l.likely[at/8%1024] = t, append(l.values[string(field)], t), true
	}
}

// fulfils tells whether the entry, whose fields were the last that were held, fulfils a match.
func (l *links) fulfils(entry uint64, matches []Match) bool {
	return len(matches) == 0 || slices.ContainsFunc(matches, func(m Match) bool {
		return !slices.ContainsFunc(m, func(field string) bool {
			return !slices.ContainsFunc(l.values[field], func(t *tally) bool { return t.last == entry })
		})
	})
}

// hold takes note that the entry holds the field, and tells whether that is spoiled.
func (l *links) hold(entry, field uint64) (spoiled bool) {
	if !l.likely[field/8%1024] {
		return false
	}
	if t := l.lists[field]; t != nil {
		t.add(entry)
	}
	return l.spoiled[field]
}

// older looks at a field that stands before the offset, and that the walk does not come to.
func (s *survey) older(at, before uint64) error {
	if s.links.older.has(at) {
		return nil
	}
	fixed, _ := s.shape(objectData)
	b, err := s.read(at, fixed)
	if err != nil {
		return err
	}
	size := binary.LittleEndian.Uint64(b[8:])
	if b[0] != objectData || size <= fixed || size > before-at {
		return errNoFields
	}
	if n := size - fixed; n <= surveyedBytes {
		field, err := s.read(at+fixed, n)
		if err != nil {
			return err
		}
		s.links.field(at, binary.LittleEndian.Uint64(b[16:]), b[1], field)
	}
	s.links.older.add(at)
	return nil
}

// compareLinks holds the lists against the entries that were met.
func (s *survey) compareLinks() error {
	l := s.links
	if len(l.asked) == 0 {
		b, err := s.read(0, headerSize)
		if err == nil {
			err = s.compareList(tally{}, binary.LittleEndian.Uint64(b[atEntryArray:]), binary.LittleEndian.Uint64(b[atEntries:]), l.all)
		}
		if err != nil {
			return damagedAt(atEntryArray, err)
		}
		return nil
	}
	for _, at := range slices.Sorted(maps.Keys(l.lists)) {
		if err := s.compareField(at, *l.lists[at]); err != nil {
			return unlinked{damagedAt(at, err)}
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
	if b[1] != 0 {
		return fault("a field that would be packed")
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	hash, first, array, n := u64(16), u64(40), u64(48), u64(56)
	table := s.info.dataTable
	if table.size < 16 {
		return fault("a field without a hash table")
	}
	if b, err = s.read(table.offset+hash%(table.size/16)*16, 8); err != nil {
		return err
	}
	for next, before := u64(0), uint64(0); next != at; before, next = next, u64(24) { // next_hash_offset
		if next <= before || next > at { // what is later stands behind
			return fault("a field that its hash table does not lead to")
		}
		if b, err = s.read(next, dataPayload); err != nil {
			return err
		}
		if b[0] != objectData || b[1]&^compressions != 0 {
			return fault("a hash table that leads to what is no field")
		}
	}
	listed := tally{}
	if n > 0 && s.from <= first && first <= s.info.tailObject {
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
			return fault("a list of entries that is none")
		}
		k := min(n, (size-arrayItems)/item)
		n -= k
		older, err := s.listedBefore(array+arrayItems, k, item)
		if err != nil {
			return err
		}
		at := array + arrayItems + older*item
		for k -= older; k > 0; {
			part := min(k, surveyedBytes/item)
			if b, err = s.bytes(at, part*item); err != nil {
				return err
			}
			at, k = at+part*item, k-part
			for ; len(b) > 0; b = b[item:] {
				if entry := offset(b, item); entry != 0 && entry <= s.info.tailObject {
					listed.add(entry)
				}
			}
		}
		array = next
	}
	unlisted := tally{listed.n + 1, listed.sum + s.offset, s.offset}
	if listed != held && (s.info.State == Archived || unlisted != held) {
		return fault("a list of entries that lacks some, or has others")
	}
	return nil
}

// allListed tells whether the list of all entries leads on to its end.
func (s *survey) allListed() bool {
	b, err := s.read(0, headerSize)
	if err != nil {
		return false
	}
	_, item := s.shape(objectArray)
	array, n := binary.LittleEndian.Uint64(b[atEntryArray:]), binary.LittleEndian.Uint64(b[atEntries:])
	for previous := uint64(0); n > 0; {
		if b, err = s.read(array, arrayItems); err != nil || b[0] != objectArray || array < s.info.headerSize {
			return false
		}
		size, next := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
		if size <= arrayItems || next != 0 && next <= array {
			return false
		}
		k := min(n, (size-arrayItems)/item)
		n -= k
		for at := array + arrayItems; k > 0; k, at = k-1, at+item {
			if b, err = s.bytes(at, item); err != nil || offset(b, item) <= previous {
				return false
			}
			previous = offset(b, item)
		}
		array = next
	}
	return true
}

// listedBefore is how many of the k items of a list stand before the survey's beginning. The last of
// these must be an entry: libsystemd, which looks for its place there, ends the list at what is none.
func (s *survey) listedBefore(at, k, item uint64) (n uint64, err error) {
	if s.from == 0 {
		return 0, nil
	}
	entry := func(i uint64) uint64 {
		b, readErr := s.read(at+i*item, item)
		if err = cmp.Or(err, readErr); err != nil {
			return 0
		}
		return offset(b, item)
	}
	later := func(i int) bool { e := entry(uint64(i)); return e == 0 || e >= s.from }
	if n = k; k > 0 && later(int(k)-1) { // else all of them, as in most lists
		n = uint64(sort.Search(int(k), later))
	}
	if n > 0 && err == nil {
		b, err := s.read(entry(n-1), entryItems)
		if err != nil || b[0] != objectEntry || binary.LittleEndian.Uint64(b[16:]) == 0 {
			return 0, fault("a list of what are no entries")
		}
	}
	return n, err
}

// offset is the first item, of 4 bytes in a compact file and 8 in another.
func offset(b []byte, item uint64) uint64 {
	if item == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// read reads few bytes of the file, beside those that are kept.
func (s *survey) read(at, n uint64) ([]byte, error) {
	b := make([]byte, n)
	if at > uint64(s.info.Size) {
		return nil, fault("an object goes beyond the end")
	}
	_, err := s.file.ReadAt(b, int64(at))
	return b, err
}
