package journal

import (
	"cmp"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Cursor is a journal cursor taken apart, as sd_journal_get_cursor(3) writes
// it: "s=SEQNUMID;i=SEQNUM;b=BOOTID;m=MONOTONIC;t=REALTIME;x=XORHASH", the
// numbers in hexadecimal. Parts may be missing; an id without its number (or
// the reverse) says nothing to the order.
type Cursor struct {
	SeqnumID  string // 32 hexadecimal digits, "" where missing
	Seqnum    uint64 // from 1; 0: missing
	BootID    string // 32 hexadecimal digits, "" where missing
	Monotonic uint64 // µs since the boot; valid with HasMonotonic
	Realtime  uint64 // µs since the Unix epoch; valid with HasRealtime
	XorHash   uint64 // of the entry's fields; valid with HasXor

	HasMonotonic, HasRealtime, HasXor bool
}

// ParseCursor takes a cursor apart. It refuses what sd_journal_seek_cursor(3)
// refuses: an item without "=", a number or id that is none, and a cursor with
// neither a sequence number nor a monotonic nor a wall clock time.
func ParseCursor(text string) (Cursor, error) {
	var c Cursor
	for rest := text; rest != ""; {
		var item string
		item, rest, _ = strings.Cut(rest, ";")
		if len(item) < 2 || item[1] != '=' {
			return Cursor{}, fmt.Errorf("cursor %.200q: item %.40q is not KEY=VALUE", text, item)
		}
		value := item[2:]
		var err error
		switch item[0] {
		case 's':
			c.SeqnumID, err = parseID(value)
		case 'i':
			c.Seqnum, err = strconv.ParseUint(value, 16, 64)
		case 'b':
			c.BootID, err = parseID(value)
		case 'm':
			c.Monotonic, err = strconv.ParseUint(value, 16, 64)
			c.HasMonotonic = true
		case 't':
			c.Realtime, err = strconv.ParseUint(value, 16, 64)
			c.HasRealtime = true
		case 'x':
			c.XorHash, err = strconv.ParseUint(value, 16, 64)
			c.HasXor = true
		}
		if err != nil {
			return Cursor{}, fmt.Errorf("cursor %.200q: item %.40q: not a number or id", text, item)
		}
	}
	if !c.hasSeqnum() && !c.hasBootTime() && !c.HasRealtime {
		return Cursor{}, fmt.Errorf("cursor %.200q: names no place in a journal", text)
	}
	return c, nil
}

func parseID(text string) (string, error) {
	if len(text) != 32 {
		return "", strconv.ErrSyntax
	}
	for i := range len(text) {
		if !strings.Contains("0123456789abcdef", text[i:i+1]) {
			return "", strconv.ErrSyntax
		}
	}
	return text, nil
}

// String is the reverse of [ParseCursor].
func (c Cursor) String() string {
	var parts []string
	add := func(present bool, key, value string) {
		if present {
			parts = append(parts, key+"="+value)
		}
	}
	hex := func(n uint64) string { return strconv.FormatUint(n, 16) }
	add(c.SeqnumID != "", "s", c.SeqnumID)
	add(c.Seqnum != 0, "i", hex(c.Seqnum))
	add(c.BootID != "", "b", c.BootID)
	add(c.HasMonotonic, "m", hex(c.Monotonic))
	add(c.HasRealtime, "t", hex(c.Realtime))
	add(c.HasXor, "x", hex(c.XorHash))
	return strings.Join(parts, ";")
}

func (c Cursor) hasSeqnum() bool   { return c.SeqnumID != "" && c.Seqnum != 0 }
func (c Cursor) hasBootTime() bool { return c.BootID != "" && c.HasMonotonic }

func (c Cursor) sameSeqnums(d Cursor) bool {
	return c.hasSeqnum() && d.hasSeqnum() && c.SeqnumID == d.SeqnumID
}

func (c Cursor) sameBoot(d Cursor) bool {
	return c.hasBootTime() && d.hasBootTime() && c.BootID == d.BootID
}

// Same tells whether two cursors name one entry, though perhaps in two files
// and under two seqnum ids (journalctl --flush copies entries): boot, monotonic
// time and xor hash are equal.
func (c Cursor) Same(d Cursor) bool {
	return c.sameBoot(d) && c.Monotonic == d.Monotonic && c.HasXor && d.HasXor && c.XorHash == d.XorHash
}

// identity is the same for two cursors that name one entry: see Same.
func (c Cursor) identity() uint64 { return c.XorHash ^ bits.RotateLeft64(c.Monotonic, 32) }

// Compare orders two entries: -1 when c was written before d, 1 after, 0 when
// they are the same. Within a seqnum id the sequence number decides; else
// within a boot the monotonic clock; else the wall clock, which is wrong where
// a host has no clock. It is how sd_journal_next(3) orders files
// (compare_locations in systemd's sd-journal.c).
func (c Cursor) Compare(d Cursor) int {
	switch {
	case c.Same(d):
		return 0
	case c.sameSeqnums(d):
		return cmp.Compare(c.Seqnum, d.Seqnum)
	case c.sameBoot(d) && c.Monotonic != d.Monotonic:
		return cmp.Compare(c.Monotonic, d.Monotonic)
	}
	if c.HasRealtime && d.HasRealtime && c.Realtime != d.Realtime {
		return cmp.Compare(c.Realtime, d.Realtime)
	}
	if c.HasXor && d.HasXor {
		return cmp.Compare(c.XorHash, d.XorHash)
	}
	return 0
}
