package journal

import (
	"errors"
	"slices"
)

// libsystemd takes of all open files the entry that comes first, and passes over what does not come
// after the one that it took before. Two entries are ordered by their numbers, else by the clock of
// their boot, else by the time of day. Where that has gone back, a first may come before a second,
// this before a third, and the third before the first: the first is lost without a word. Then the
// files of each numbering, of which the numbers alone tell the order, get a reader of their own.

const (
	mostNumberings = 16      // that are read apart: each is another process where journalctl reads
	mostMet        = 1 << 20 // entries of which copies are known
)

// numberings are the open files by their numbering; nil: too many.
func (p *plan) numberings() (groups [][]FileInfo) {
	for _, f := range p.open {
		i := slices.IndexFunc(groups, func(g []FileInfo) bool { return g[0].SeqnumID == f.SeqnumID })
		if i < 0 {
			i, groups = len(groups), append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	if len(groups) > mostNumberings {
		return nil
	}
	return groups
}

// wentBack tells whether the time of day has gone back in an open file, or from one to the next.
func (p *plan) wentBack() bool {
	for _, a := range p.open {
		if a.wentBack || slices.ContainsFunc(p.open, func(b FileInfo) bool {
			return a.SeqnumID == b.SeqnumID && a.TailSeqnum < b.HeadSeqnum && a.TailRealtime > b.HeadRealtime
		}) {
			return true
		}
	}
	return false
}

// merged is a reader of several numberings.
type merged struct {
	reader       // of the current entry
	later        func(c, d Cursor) bool
	all          []*numbered
	at           *numbered            // whose entry is the current one
	here, before string               // cursors of the current entry and the one before
	met          map[uint64]*numbered // by identity: who had the entry
}

// numbered is a reader of one numbering.
type numbered struct {
	reader
	more bool
	text string // cursor of its next entry
	head Cursor
}

// mergeFiles begins to read.
func mergeFiles(groups [][]FileInfo, open func(files []FileInfo) (reader, error), later func(c, d Cursor) bool) (reader, error) {
	m := &merged{reader: empty{}, later: later, met: map[uint64]*numbered{}}
	for _, files := range groups {
		r, err := openStaged((&plan{open: files}).stages(), open)
		if err == nil {
			m.all = append(m.all, &numbered{reader: r})
			err = m.all[len(m.all)-1].advance()
		}
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	return m, nil
}

// advance goes to the next entry.
func (n *numbered) advance() (err error) {
	if n.more, err = n.reader.next(); err != nil || !n.more {
		return err
	}
	if n.text, err = n.cursor(); err != nil {
		return err
	}
	n.head, err = ParseCursor(n.text)
	return err
}

func (m *merged) next() (bool, error) {
	if m.at != nil {
		m.before = m.here
		if err := m.at.advance(); err != nil {
			return false, err
		}
	}
	for {
		m.at = nil
		for _, n := range m.all {
			if n.more && (m.at == nil || m.later(m.at.head, n.head)) {
				m.at = n
			}
		}
		if m.at == nil {
			return false, nil
		}
		id := m.at.head.identity()
		if by := m.met[id]; by == nil || by == m.at { // entries of one numbering that are alike are two
			if len(m.met) == mostMet {
				clear(m.met)
			}
			m.met[id] = m.at
			m.reader, m.here = m.at.reader, m.at.text
			return true, nil
		}
		if err := m.at.advance(); err != nil { // a copy: see Cursor.Same
			return false, err
		}
	}
}

func (m *merged) cursor() (string, error) {
	if m.here == "" {
		return "", errNoEntry
	}
	return m.here, nil
}

func (m *merged) previousCursor() (string, error) {
	if m.before == "" {
		return "", errNoneBefore
	}
	return m.before, nil
}

func (m *merged) warnings() (all []string) {
	for _, n := range m.all {
		all = append(all, n.reader.warnings()...)
	}
	return all
}

func (m *merged) close() (err error) {
	for _, n := range m.all {
		err = errors.Join(err, n.reader.close())
	}
	return err
}
