package journal

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"syscall"
)

// Object types, and the offsets of their variable parts, from the structs of systemd's
// journal-def.h. A data object's payload begins 8 bytes later in a compact file.
const (
	objectData       = 1
	objectField      = 2
	objectEntry      = 3
	objectDataTable  = 4
	objectFieldTable = 5
	objectArray      = 6
	objectTag        = 7

	objectHead   = 16 // type uint8, flags uint8, 6 reserved, size uint64
	tableItems   = 16
	arrayItems   = 24
	fieldPayload = 40
	dataPayload  = 64
	entryItems   = 64
	tagSize      = 64

	compressions  = 0b111   // of the flags: XZ, LZ4, ZSTD
	possibleTime  = 1 << 55 // µs; VALID_REALTIME, VALID_MONOTONIC
	surveyedBytes = 256 << 10
)

// survey is a walk over the objects of a file.
type survey struct {
	file     *os.File
	info     *FileInfo
	buf      []byte // of the file, from at
	at       uint64
	entries  uint64    // met so far
	offset   uint64    // of the last of them
	last     entryHead // of that one
	before   entryHead // of the one before
	boot     [16]byte  // of the last
	from     uint64    // where it begins; 0: with the first object
	links    *links
	question question
	expected *Cursor  // of the last entry that is asked for and not told of
	spoiled  []uint64 // numbers of entries that are not what was written
	broken   uint64   // of one that could not be looked at to its end
	lost     uint64   // where the walk has lost its way; 0: nowhere
}

// entryHead are the numbers of an entry that the header repeats of the last one.
type entryHead struct{ seqnum, realtime, mono uint64 }

// surveyFile walks the objects of a file to the last one that its header names, and says
// where there is none that libsystemd takes: it reads up to such an object and leaves the
// rest of the file without a word. What the objects hold may still be damaged.
//
// It begins with the entry at the offset from, where an earlier survey ended, or, for 0,
// with the first object; and leaves the offset for the next one in info.surveyed, 0 where there is none.
// [errTooLarge] and [errTorn] say that the file is not to be opened, [unlinked] that a match does not
// find what it should: the survey goes to the fields that are asked for, and to the entries that it
// met, as libsystemd does. The entries that are spoiled must not be judged.
//
// Where the header contradicts the last entry, info is left with the lower numbers: a position
// made of the higher ones could lie behind all that is to come.
func surveyFile(info *FileInfo, from uint64, q question) (spoiled []uint64, err error) {
	file, err := os.OpenFile(info.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if is, err := file.Stat(); err != nil || is.Sys().(*syscall.Stat_t).Ino != info.inode {
		return nil, err // it was rotated away, and this is another
	}
	if from > info.tailObject {
		from = 0
	}
	s := &survey{file: file, info: info, from: from, question: q, links: newLinks(q, info.hash())}
	if info.surveyed, err = s.walk(); err == nil || info.surveyed >= s.offset {
		s.expectLast()
	}
	switch l := s.links; {
	case isRefused(err):
	case s.from > 0 && l.spoilt > l.sound: // of few fields that says little
		return surveyFile(info, 0, q)
	case l.spoilt > l.sound: // it is not the fields
		s.spoiled = nil
		if err == nil {
			err = damaged(fault("its fields are filed under another file's id"))
		}
		err = unlinked{err}
	case err == nil && l.spoilt > 0:
		err = spoilt{damagedAt(s.links.first, fault("a field that is not what was written"))}
	}
	return s.spoiled, err
}

// walk is surveyFile but for what fields say.
func (s *survey) walk() (end uint64, err error) {
	info := s.info
	at := s.from
	if at == 0 {
		at = info.headerSize
	}
	var first error
	for at < info.tailObject {
		size, err := s.object(at)
		if err != nil && info.State != Archived && s.offset != at { // it may have been in the making
			s.buf = nil
			size, err = s.object(at)
		}
		if isRefused(err) {
			return 0, err
		}
		if err != nil {
			if first == nil {
				first = damagedAt(at, err)
			}
			if s.broken > 0 {
				s.spoiled, s.broken = append(s.spoiled, s.broken), 0
			}
			if size == 0 {
				if err := s.behind(at); err != nil {
					return 0, err
				}
				break
			}
		}
		at += (size + 7) &^ 7
	}
	if first != nil {
		end = info.tailObject // what is appended does not depend on what stands before it
		if s.offset != end {  // else it was come to already
			if _, err := s.object(end); isRefused(err) {
				return 0, err
			} else if err != nil {
				end = 0
			}
		}
		if s.allListed() {
			first = unlinked{first}
		}
		return end, first
	}
	b, err := s.bytes(at, objectHead)
	if err != nil || at != info.tailObject || b[0] == 0 || b[0] > objectTag {
		return 0, damaged(fault("its last object is none"))
	}
	switch size, err := s.object(at); {
	case isRefused(err):
		return 0, err
	case err != nil && info.State == Archived:
		return s.offset, damagedAt(at, err)
	case err == nil && info.State != Archived && !info.isUnclean() && s.isOutgrown(at+(size+7)&^7):
		return s.offset, damagedAt(at, fault("its header is older than what stands behind"))
	}
	if err := s.compare(s.from == 0); err != nil {
		return s.offset, err
	}
	return s.offset, s.compareLinks()
}

// compare holds the header against the entries. journald counts an entry once it is written,
// and then sets the times; an entry that it could not finish is never counted.
func (s *survey) compare(all bool) error {
	i := s.info
	counted := !all || s.entries == i.Entries || s.entries == i.Entries+1
	head := entryHead{i.TailSeqnum, uint64(i.TailRealtime), i.TailMono}
	agrees := s.entries == 0 || head == s.last
	if i.State != Archived && s.entries > 0 { // it may be one entry behind, or its number one ahead
		sound := func(e entryHead) bool { return head.realtime == e.realtime && head.mono == e.mono }
		agrees = (sound(s.last) || sound(s.before)) && head.seqnum-s.last.seqnum <= 1
	}
	if counted && agrees {
		if s.entries > 0 { // what is in the making is the next pass's
			i.TailSeqnum, i.TailRealtime, i.TailMono = s.last.seqnum, int64(s.last.realtime), s.last.mono
		}
		return nil
	}
	if s.entries > 0 && !agrees {
		i.TailSeqnum, i.TailRealtime, i.TailMono = min(i.TailSeqnum, s.last.seqnum), min(i.TailRealtime, int64(s.last.realtime)), min(i.TailMono, s.last.mono)
	}
	return damaged(fault("its header contradicts its entries"))
}

// expect tells of the entry before, if it is asked for: the last one may be in the making.
func (s *survey) expect(at uint64, c Cursor, boot [16]byte) {
	c.SeqnumID, c.BootID = s.info.SeqnumID, hex.EncodeToString(boot[:])
	c.HasMonotonic, c.HasRealtime, c.HasXor = true, true, true
	if s.info.newBoot == "" && s.question.isNew(c) {
		s.info.newBoot = c.BootID
	}
	if s.question.expect == nil {
		return
	}
	if last := s.expected; last != nil && last.Seqnum != c.Seqnum && !s.question.expect(*last) {
		s.question.expect = nil
	}
	s.expected = nil
	if s.links.fulfils(at, s.question.matches) {
		s.expected = &c
	}
}

// expectLast tells of the last entry, if it is asked for and complete.
func (s *survey) expectLast() {
	if s.question.expect != nil && s.expected != nil && s.question.isSettled() {
		s.question.expect(*s.expected)
	}
}

// bytes reads n bytes of the file at the offset.
func (s *survey) bytes(at, n uint64) ([]byte, error) {
	if at > uint64(s.info.Size) || n > uint64(s.info.Size)-at {
		return nil, fault("an object goes beyond the end")
	}
	if at >= s.at && at+n <= s.at+uint64(len(s.buf)) {
		return s.buf[at-s.at:][:n], nil
	}
	if n > surveyedBytes {
		return nil, fault("an object is too large")
	}
	if cap(s.buf) == 0 {
		s.buf = make([]byte, surveyedBytes)
	}
	s.buf = s.buf[:min(surveyedBytes, uint64(s.info.Size)-at)]
	read, err := s.file.ReadAt(s.buf, int64(at))
	if s.buf = s.buf[:read]; uint64(read) < n {
		return nil, err
	}
	s.at = at // of a file that is archived meanwhile what is not used is cut off: less may be read
	return s.buf[:n], nil
}

// object looks at one object, as journal_file_check_object of systemd's journal-file.c does,
// and gives its size; 0 where that cannot be.
func (s *survey) object(at uint64) (size uint64, err error) {
	b, err := s.bytes(at, objectHead)
	if err != nil {
		return 0, err
	}
	kind, flags, size := b[0], b[1], binary.LittleEndian.Uint64(b[8:])
	fixed, item := s.shape(kind)
	switch {
	case fixed == 0:
		return 0, fault("no object")
	case size <= fixed-1 || size > uint64(s.info.Size) || at > uint64(s.info.Size)-size:
		return 0, fault("an object of an impossible size")
	case item > 0 && (size == fixed || (size-fixed)%item != 0):
		return 0, fault("an object of an impossible size")
	case flags&^compressions != 0 || bits.OnesCount8(flags) > 1 || flags != 0 && kind != objectData:
		return 0, fault("an object of an unknown kind")
	}
	if kind == objectDataTable || kind == objectFieldTable {
		table := map[byte]table{objectDataTable: s.info.dataTable, objectFieldTable: s.info.fieldTable}[kind]
		if table.offset != at+fixed || table.size != size-fixed {
			return 0, fault("a hash table where the header names another")
		}
		return size, s.table(at+fixed, size-fixed)
	}
	if b, err = s.bytes(at, fixed); err != nil {
		return 0, err
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	switch kind {
	case objectData: // hash, next_hash_offset, next_field_offset, entry_offset, entry_array_offset, n_entries
		if size == fixed {
			return 0, fault("a field that is none")
		}
		hash, leads := u64(16), isOffset(u64(24), u64(32), u64(40), u64(48)) && (u64(40) == 0) == (u64(56) == 0)
		switch n, most := s.unpacked(at+fixed, size-fixed, flags); {
		case n > most:
			return 0, fault("a field that is none")
		case n > maxField:
			return 0, fmt.Errorf("%w: %d bytes", errTooLarge, n)
		case flags == 1<<2 && !s.isWhole(at+fixed, size-fixed):
			return 0, fmt.Errorf("%w: at byte %d", errTorn, at)
		}
		s.links.isField.add(at)
		if n := size - fixed; n <= surveyedBytes && at < s.info.tailObject { // that one may be in the making
			if b, err = s.bytes(at+fixed, n); err != nil {
				return 0, err
			}
			s.links.field(at, hash, flags, b)
		}
		if !leads {
			return size, fault("a field that is none")
		}
	case objectField: // hash, next_hash_offset, head_data_offset
		if size == fixed || !isOffset(u64(24), u64(32)) {
			return 0, fault("a field that is none")
		}
	case objectEntry: // seqnum, realtime, monotonic
		e, boot := entryHead{u64(16), u64(24), u64(32)}, [16]byte(b[40:])
		if e.realtime == 0 || e.realtime >= possibleTime || e.mono >= possibleTime || e.seqnum < max(1, s.info.HeadSeqnum) || e.seqnum <= s.last.seqnum || e.seqnum-1 > s.info.TailSeqnum {
			return 0, fault("an entry that is none")
		}
		here := Cursor{Seqnum: e.seqnum, Monotonic: e.mono, Realtime: e.realtime, XorHash: u64(56)}
		s.broken = e.seqnum
		missing, err := s.items(at, size-fixed, item, e.seqnum)
		if err != nil {
			return size, err
		}
		s.broken = 0
		if s.question.isNew != nil {
			s.expect(at, here, boot)
		}
		s.info.wentBack = s.info.wentBack || e.realtime < s.last.realtime || e.mono < s.last.mono && boot == s.boot
		s.boot = boot
		s.entries, s.offset, s.last, s.before = s.entries+1, at, e, s.last
		return size, missing
	case objectArray: // next_entry_array_offset
		if next := u64(16); !isOffset(next) || next != 0 && next <= at {
			return size, fault("a list of entries that leads back")
		}
		return size, s.array(at+fixed, size-fixed, item)
	}
	return size, nil
}

// maxField is the largest value of a field, in bytes, that a file may hold to be read: twice
// what journald takes from a client without privileges (ENTRY_SIZE_UNPRIV_MAX of systemd's
// journal-importer.h). libsystemd unpacks a value whole, so a few kilobytes could fill the memory.
const maxField = 64 << 20

// The causes of a file being passed over.
var (
	errTooLarge = errors.New("a field is too large")
	errTorn     = errors.New("a compressed field is torn") // libsystemd and journalctl abort on it
)

// isRefused tells whether the file is not to be opened.
func isRefused(err error) bool { return errors.Is(err, errTooLarge) || errors.Is(err, errTorn) }

// shape is the least size of an object of the kind, and the size of the items that follow:
// 0 for what is no kind, and where no items follow.
func (s *survey) shape(kind byte) (fixed, item uint64) {
	switch kind {
	case objectData:
		if s.info.compact {
			return dataPayload + 8, 0
		}
		return dataPayload, 0
	case objectField:
		return fieldPayload, 0
	case objectEntry:
		if s.info.compact {
			return entryItems, 4
		}
		return entryItems, 16
	case objectDataTable, objectFieldTable:
		return tableItems, 16
	case objectArray:
		if s.info.compact {
			return arrayItems, 4
		}
		return arrayItems, 8
	case objectTag:
		return tagSize, 0
	}
	return 0, 0
}

// table looks at the items of a hash table: of each chain the first and the last object, which
// libsystemd finds what it is asked for by.
func (s *survey) table(at, n uint64) error {
	for n > 0 {
		b, err := s.bytes(at, min(n, surveyedBytes/2))
		if err != nil {
			return err
		}
		at, n = at+uint64(len(b)), n-uint64(len(b))
		for ; len(b) > 0; b = b[16:] {
			first, last := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			beyond := last > uint64(s.info.Size) && s.info.State == Archived // another may have grown meanwhile
			if !isOffset(first, last) || first > last || (first == 0) != (last == 0) || beyond {
				return fault("a hash table with items that are none")
			}
		}
	}
	return nil
}

var errNoFields = errors.New("an entry of fields that are none")

// items looks at the fields of the entry at the offset, which begin behind its fixed part:
// each was written before it. What stands behind the last object has not been looked at. An entry that
// only misses fields, since these are damaged, is one all the same: libsystemd passes over what does
// not begin like a field.
func (s *survey) items(at, n, item, seqnum uint64) (missing, err error) {
	b, err := s.bytes(at+entryItems, n)
	if err != nil {
		return nil, err
	}
	spoiled := false
	for ; len(b) > 0 && err == nil; b = b[item:] {
		field := offset(b, item)
		switch {
		case s.lost > 0: // libsystemd passes over fields that are none
			if field&7 == 0 && field < at && (field >= s.lost || field < s.from) {
				_ = s.older(field, at)
			}
		case field == 0 || field&7 != 0 || field >= at:
			err = errNoFields
		case field < s.from && s.older(field, s.from) != nil, field >= s.from && !s.links.isField.has(field):
			if b, readErr := s.read(field, 1); readErr != nil || b[0] == objectData { // in a client's text, say
				err = errNoFields
			}
			missing = errNoFields
		}
		spoiled = s.links.hold(at, field) || spoiled
	}
	if err != nil {
		return nil, err
	}
	if s.links.all.add(at); spoiled {
		s.spoiled = append(s.spoiled, seqnum)
	}
	return missing, nil
}

// array looks at the items of a list of entries: offsets that grow, and then zeros.
func (s *survey) array(at, n, item uint64) error {
	previous, ended, beyond := uint64(0), false, uint64(s.info.Size)
	if s.info.State != Archived && !s.info.isUnclean() { // it may have grown meanwhile
		beyond = 1<<64 - 1
	}
	for n > 0 {
		b, err := s.bytes(at, min(n, surveyedBytes/2))
		if err != nil {
			return err
		}
		at, n = at+uint64(len(b)), n-uint64(len(b))
		for len(b) > 0 {
			var next uint64
			if item == 4 {
				next, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
			} else {
				next, b = binary.LittleEndian.Uint64(b), b[8:]
			}
			if next == 0 {
				ended = true
				continue
			}
			if ended || next <= previous || next&7 != 0 || next > beyond {
				return fault("a list of entries with holes")
			}
			previous = next
		}
	}
	return nil
}

// isOffset tells whether all can be offsets of objects, or none.
func isOffset(offsets ...uint64) bool {
	for _, o := range offsets {
		if o%8 != 0 {
			return false
		}
	}
	return true
}
