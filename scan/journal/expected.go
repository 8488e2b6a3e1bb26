package journal

import (
	"errors"
	"slices"
)

// mostExpected bounds the entries whose reading is waited for: a flood is not.
const mostExpected = 10_000

// expect notes an entry of a file that has been looked at: if it is new it will be read. It tells
// whether to go on.
func (r *Reader) expect(c Cursor, path string) bool {
	if p := r.plan; p.isNew(c) && (p.after != nil || int64(c.Realtime) >= p.since) {
		if r.expected == nil {
			r.expected = map[uint64]string{}
		}
		r.expected[c.identity()] = path
	}
	return len(r.expected) <= mostExpected
}

// lookAgain begins to read in another way, where entries that were expected have not been read: libsystemd, looking
// for its place in a file, takes an entry that is damaged for the end. Clocks that went back may be
// the cause as well, unless the files are read by their numbers alone: then a file is damaged only
// if the entries are not found.
func (r *Reader) lookAgain() bool {
	if len(r.expected) == 0 || !r.unmoved() {
		return false
	}
	byClocks := r.plan.after == nil || slices.ContainsFunc(r.plan.open, func(f FileInfo) bool { return f.SeqnumID != r.plan.after.SeqnumID })
	if r.again || !byClocks {
		r.tellUnread()
	}
	if len(r.others) == 0 {
		return false
	}
	r.warned, r.again = append(r.warned, r.src.warnings()...), true
	err := r.src.close()
	r.src = empty{}
	src, openErr := r.others[0]()
	r.others = r.others[1:]
	if err = errors.Join(err, openErr); err != nil {
		r.fail(err)
		return true
	}
	r.src = src
	return true
}

// tellUnread warns of the files that hold what is expected.
func (r *Reader) tellUnread() {
	for _, f := range r.plan.open {
		n := 0
		for _, path := range r.expected {
			if path == f.Path {
				n++
			}
		}
		if n > 0 && !r.told[f.Path] {
			r.remark(f, "journal file %s is %v: it does not lead to %d of its entries; these are looked for in all that it holds (journalctl --verify --file=%s shows where)", f.Path, errDamaged, n, f.Path)
		}
	}
}
