package logfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"scan2ban/state"
	"scan2ban/state/order"
)

// sibling is a file beside a log.
type sibling struct {
	status
	name string
}

// beside lists the regular files of a directory; an unreadable one has none.
func (p *plan) beside(dir string) []sibling {
	if list, ok := p.dirs[dir]; ok {
		return list
	}
	list := []sibling{}
	found, _ := os.ReadDir(dir)
	for _, d := range found {
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			list = append(list, sibling{statusOf(info.Sys().(*syscall.Stat_t)), d.Name()})
		}
	}
	p.dirs[dir] = list
	return list
}

// rotations are the files of a directory that may be what a log of that name was rotated into.
func (p *plan) rotations(dir, base string) []sibling {
	list := p.beside(dir) // by name
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	from, _ := slices.BinarySearchFunc(list, stem, func(x sibling, stem string) int { return strings.Compare(x.name, stem) })
	to := from
	for to < len(list) && strings.HasPrefix(list[to].name, stem) {
		to++
	}
	return list[from:to]
}

// find looks for the file of a position: where it was, among the members, and
// under any name beside the log. Of an error only fs.ErrNotExist says that it is gone.
func (p *plan) find(e *entry) (path string, s status, err error) {
	if m := p.byID[e.id]; m != nil {
		if e.pos.Owner != 0 && m.owner == 0 { // the name was the stranger's
			e.pos.Log = m.name
		}
		e.pos.Owner = m.owner
		return m.path, m.status, nil
	}
	if !p.leads(filepath.Dir(e.pos.Path), e.pos.Log) {
		return "", s, fs.ErrNotExist
	}
	info, err := os.Lstat(e.pos.Path)
	if err == nil && info.Mode().IsRegular() {
		if s := statusOf(info.Sys().(*syscall.Stat_t)); s.id == e.id {
			return e.pos.Path, s, nil
		}
	}
	for _, dir := range []string{filepath.Dir(e.pos.Path), filepath.Dir(e.pos.Log)} {
		for _, x := range p.beside(dir) {
			if x.id == e.id {
				return filepath.Join(dir, x.name), x.status, nil
			}
		}
	}
	if err == nil || errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	return "", s, err
}

// leads tells whether a directory is that of the log, or of any that a glob leads to now,
// where that is doubted.
func (p *plan) leads(dir, log string) bool {
	if !p.r.o.Doubted {
		return true
	}
	at := filepath.Dir(log)
	if real, err := filepath.EvalSymlinks(at); dir == at || err == nil && dir == real {
		return true
	}
	return slices.ContainsFunc(p.members, func(m *member) bool { return filepath.Dir(m.path) == dir })
}

// isRotated tells whether name is what logrotate makes of base: base.1,
// base-20261122, base.old, or with the extension kept at the end.
func isRotated(name, base string) bool {
	if rest, ok := strings.CutPrefix(name, base); ok && isNumber(rest) {
		return true
	}
	ext := filepath.Ext(base)
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	if !ok || ext == "" {
		return false
	}
	rest, ok = strings.CutSuffix(rest, ext)
	return ok && isNumber(rest)
}

// isNumber tells whether text is the number or date of a rotation, with what sets
// it apart from the name.
func isNumber(text string) bool {
	if text == ".old" {
		return true
	}
	return len(text) > 1 && strings.ContainsRune(".-_", rune(text[0])) && strings.ContainsAny(text, "0123456789") &&
		strings.Trim(text, "0123456789.-_:T") == ""
}

// ofLog tells whether name may be a rotated file of the log at that position.
func ofLog(name string, pos *state.FilePosition) bool {
	return isRotated(name, filepath.Base(pos.Log)) || isRotated(name, filepath.Base(pos.Path))
}

// regain looks for what the last pass left of a current file that is not there
// any more, or was truncated: a copy of it, or what it was compressed into.
func (p *plan) regain(e *entry) {
	if !p.room(e.pos.Log, regained, true) {
		e.wait()
		return
	}
	dir := filepath.Dir(e.pos.Path)
	if !p.leads(dir, e.pos.Log) {
		return
	}
	var packed []sibling
	for _, x := range p.beside(dir) {
		name, isGzip := strings.CutSuffix(x.name, ".gz")
		switch {
		case p.known[x.id] != nil || !ofLog(name, &e.pos):
		case isGzip && e.pos.Bytes > 0 && x.changed >= e.pos.Changed-2e9, isGzip && x.changed > e.pos.Changed:
			packed = append(packed, x)
		case !isGzip && !isPacked(x.name) && x.size >= e.pos.Offset && e.pos.Bytes > 0:
			if p.adopt(e, filepath.Join(dir, x.name), false) {
				return
			}
		}
	}
	order.By(packed, func(a, b sibling) int { return int(max(-1, min(1, b.changed-a.changed))) })
	const most = 8                                      // older ones are of rotations before
	for i, x := range packed[:min(most, len(packed))] { // the newest first
		known := e.pos.Bytes > 0 // else there was nothing in it that could tell: all of these came later
		if known && !p.adopt(e, filepath.Join(dir, x.name), true) {
			continue
		}
		if !known {
			i = min(most, len(packed))
		}
		if e.pos.Current {
			for _, newer := range packed[:i] { // came and went since
				p.unpack(e, filepath.Join(dir, newer.name))
			}
		}
		return
	}
	if p.r.ctx.Err() != nil { // nor could it be looked for
		e.wait()
		return
	}
	if groups, _ := p.groups(e.pos.Log); groups != nil && e.pos.Bytes > 0 && !looksRotated(e.pos.Path) {
		since := "its last line that was read"
		if e.pos.Time > 0 {
			since = time.UnixMicro(e.pos.Time).UTC().Format(time.RFC3339)
		}
		p.r.warn("log %s was truncated or removed: what was logged after %s and is not in it now is lost", e.pos.Log, since)
	}
}

// wait leaves it to the next pass to look for what became of the file.
func (e *entry) wait() {
	e.left, e.kept = true, true
	e.pos.Device, e.pos.Inode = 0, 0 // another log may have got it
}

// looksRotated tells whether a path is that of a rotated file, which comes to its
// end some day.
func looksRotated(path string) bool {
	name := filepath.Base(path)
	i := strings.LastIndexAny(name, ".-_")
	return i > 0 && isNumber(name[i:])
}

// adopt gives the position of e to the file at path, if that holds the same.
func (p *plan) adopt(e *entry, path string, packed bool) bool {
	a := &entry{pos: e.pos}
	f, err := p.open(path, a)
	if err != nil {
		return false
	}
	a.f, a.pos.Path, a.pos.Log, a.pos.Current = f, path, e.pos.Log, false
	if packed {
		if !p.r.packs(f, &a.pos) {
			p.shut(f, a)
			return false
		}
		p.share(a.pos.Log).gzips++
		a.read = &file{gz: true}
	} else {
		if !holds(f, a.size, &a.pos) {
			p.shut(f, a)
			return false
		}
		a.kept = true
	}
	p.known[a.id] = a
	p.entries = append(p.entries, a)
	return true
}

// unpack reads a compressed file of the log of e from its beginning.
func (p *plan) unpack(e *entry, path string) {
	a := &entry{pos: state.FilePosition{Path: path, Log: e.pos.Log, Owner: e.pos.Owner}}
	f, err := p.open(path, a)
	if err != nil {
		return // gone again
	}
	a.f, a.read = f, &file{gz: true, fresh: true}
	p.share(a.pos.Log).gzips++
	p.known[a.id] = a
	p.entries = append(p.entries, a)
}

// missed finds the rotated files of a log that came and went from its name since
// the last pass; before the first pass, those that are not too old.
func (p *plan) missed(name string, m *member) (list []*entry) {
	after, lost := p.r.o.Since*1e9, false
	for _, pos := range p.r.o.After {
		if pos.Log == name && pos.Changed > after {
			after = pos.Changed
		}
	}
	for _, e := range p.lost {
		lost = lost || e.pos.Log == name && e.pos.Current
	}
	if m == nil {
		return nil
	}
	if e := p.known[m.id]; e != nil && !lost && (e.f == nil || e.pos.Offset > 0) {
		return nil // of a log that was not judged yet a part could have been copied and truncated
	}
	dir := filepath.Dir(m.path)
	var missed []sibling
	for _, x := range p.rotations(dir, filepath.Base(name)) {
		if p.known[x.id] != nil || p.byID[x.id] != nil || x.changed < after || isPacked(x.name) || m.owner != 0 && m.owner != x.uid {
			continue
		}
		path := filepath.Join(dir, x.name)
		if !isRotated(x.name, filepath.Base(name)) || x.size == 0 && p.known[m.id] != nil || copyOf(path, m.path, m.owner) {
			continue
		}
		missed = append(missed, x)
	}
	order.By(missed, func(a, b sibling) int { return int(max(-1, min(1, a.changed-b.changed))) })
	for _, x := range missed { // the oldest first: where there is no room, the next pass goes on
		if !p.room(name, 1, false) {
			break
		}
		if e := p.add(filepath.Join(dir, x.name), name, m.owner); e != nil {
			list = append(list, e)
		}
	}
	return list
}

// copies tells whether a member that is new is a copy, perhaps in the making, of a
// log that is not truncated yet: then it waits for that.
func (p *plan) copies(m *member) bool {
	for _, e := range p.entries {
		if !e.kept || e.pos.Path == m.path || filepath.Dir(e.pos.Path) != filepath.Dir(m.path) || !ofLog(filepath.Base(m.path), &e.pos) {
			continue
		}
		if m.size == 0 || copyOf(m.path, e.pos.Path, max(m.owner, e.pos.Owner)) {
			return true
		}
	}
	return false
}

// copyOf opens two files, which must be the owner's if that is not 0, and asks isCopy.
func copyOf(copied, of string, owner uint32) bool {
	f, a, err := open(copied, owner)
	if err != nil {
		return false
	}
	defer f.Close()
	g, b, err := open(of, owner)
	if err != nil {
		return false
	}
	defer g.Close()
	return a.size <= b.size && isCopy(f, g)
}
