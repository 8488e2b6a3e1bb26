package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/order"
)

// plan is what a pass reads: which files, from where, in which order.
type plan struct {
	r       *Reader
	members []*member // by name
	byID    map[ident]*member
	refused map[string]bool // names that cannot be looked at, or by the rule for links are not
	unseen  []string        // globs of which it is not known what they lead to
	strange Unreadable      // members that are no regular files, and not told of yet
	entries []*entry
	known   map[ident]*entry // that hold what the last pass knew of them
	lost    []*entry         // current at the last pass, or not read to the end, and perhaps rotated or packed since
	behind  map[int]int64    // see Reader.Behind
	last    map[string]int64 // of each log, the time of the last line that was read of it
	dirs    map[string][]sibling
	logs    []*log
	opened  []*os.File
	crowd   crowd
}

// entry is a file with a position.
type entry struct {
	status
	pos  state.FilePosition
	kept bool     // the next pass is to know of it
	left bool     // as it is: it is not known, or not asked, what became of the file
	f    *os.File // nil: there is nothing new in it, or it cannot be opened
	read *file    // nil: it is not read in this pass
}

func newPlan(r *Reader) *plan {
	p := &plan{r: r, byID: map[ident]*member{}, refused: map[string]bool{}, known: map[ident]*entry{}, behind: map[int]int64{}, last: map[string]int64{}, dirs: map[string][]sibling{}}
	p.crowd = crowd{of: map[string]*share{}, skipped: map[string]bool{}}
	for _, pos := range r.o.After {
		e := &entry{pos: pos, status: status{id: ident{pos.Device, pos.Inode}}}
		p.known[e.id] = e
		p.last[pos.Log] = max(p.last[pos.Log], pos.Time)
		if pos.Print != "" { // else it was no regular file
			p.entries = append(p.entries, e)
		}
	}
	p.expand()
	for _, e := range p.entries {
		if e.pos.Print != "" {
			p.locate(e)
		}
	}
	for _, current := range []bool{false, true} { // what is found of the older is not of the others
		for _, e := range p.lost {
			if e.pos.Current == current {
				p.regain(e)
			}
		}
	}
	p.lineUp()
	p.tellLeft()
	return p
}

// fits tells whether a glob leads to a name, or is called so.
func fits(glob, name string) bool {
	ok, _ := filepath.Match(glob, name) // the pattern has been expanded
	return ok || glob == name
}

// Fits tells whether one of the globs leads to a name.
func Fits(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool { return fits(glob, name) })
}

// groups are those whose globs a name fits, and the zone that its times are in by the
// layouts.
func (p *plan) groups(name string) (groups []int, zone *time.Location) {
	for g, group := range p.r.o.Groups {
		if Fits(group.Paths, name) {
			if zone == nil && group.Dates == nil {
				zone = group.zone()
			}
			groups = append(groups, g)
		}
	}
	return groups, zone
}

// fail takes what keeps a file of a log from being read.
func (p *plan) fail(log string, err error) {
	if err == errMany {
		p.share(log).left++
		return
	}
	p.r.fail(log, fmt.Errorf("log file: %w%s", err, remedy(err)))
}

// late notes that what a log holds after that time, in microseconds, may be read later; 0: after
// what an earlier pass has read of it.
func (p *plan) late(log string, time int64) {
	if time == 0 {
		time = p.last[log]
	}
	groups, _ := p.groups(log)
	for _, g := range groups {
		if was, ok := p.behind[g]; time != 0 && (!ok || time < was) {
			p.behind[g] = time
		}
	}
}

// leave keeps a position as it is, while the file's last lines would still count.
func (p *plan) leave(e *entry) {
	e.left, e.kept = true, e.pos.Changed >= p.r.o.Since*1e9
	if e.kept {
		p.late(e.pos.Log, e.pos.Time)
	}
}

// hidden tells whether it cannot be known where a name leads.
func (p *plan) hidden(name string) bool {
	return p.refused[name] || Fits(p.unseen, name)
}

// locate finds the file of a position again, and opens it if it may have grown.
func (p *plan) locate(e *entry) {
	if m := p.byID[e.id]; m != nil && m.later {
		e.left, e.kept = true, true
		return
	}
	if groups, _ := p.groups(e.pos.Log); p.byID[e.id] == nil && (groups == nil || p.hidden(e.pos.Log)) {
		p.leave(e) // its jail may come back, or what keeps us from it be mended
		return
	}
	path, s, err := p.find(e)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.leave(e)
		p.fail(e.pos.Log, err)
		return
	}
	if err != nil || e.pos.Owner != 0 && e.pos.Owner != s.uid {
		p.lose(e)
		return
	}
	e.status = s
	if s.size == e.pos.Size && s.changed == e.pos.Changed && (s.size == e.pos.Offset || e.pos.Current || !p.settled(s)) {
		e.kept, e.pos.Path = true, path
		return
	}
	f, err := p.open(path, e)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.lose(e)
	case err != nil:
		e.kept = true
		p.late(e.pos.Log, e.pos.Time)
		p.fail(e.pos.Log, err)
	case e.born != e.pos.Born && e.born != 0 && e.pos.Born != 0:
		p.shut(f, e)
		p.lose(e)
	case strings.HasSuffix(path, ".gz") && p.byID[e.id] == nil:
		if !p.r.packs(f, &e.pos) {
			p.shut(f, e)
			e.left = p.r.ctx.Err() != nil
			e.kept = e.left
			break
		}
		p.share(e.pos.Log).gzips++
		e.f, e.read, e.pos.Path = f, &file{gz: true, fresh: e.pos.Offset == 0}, path
	case holds(f, e.size, &e.pos):
		e.kept, e.f, e.pos.Path = true, f, path
		if e.pos.Current && e.pos.Bytes == 0 {
			p.lost = append(p.lost, e) // it could have been written, copied and truncated
		}
	default:
		p.shut(f, e)
		p.lose(e)
	}
}

// settled tells whether a rotated file is written to no more: then its last line
// needs no end.
func (p *plan) settled(s status) bool { return p.r.o.Now*1e9-s.changed > 60e9 }

// open opens a file, and looks at it again; errMany: it is beyond the share of its log's glob.
func (p *plan) open(path string, e *entry) (*os.File, error) {
	of := p.share(e.pos.Log)
	if of.open >= of.files {
		return nil, errMany
	}
	f, s, err := open(path, e.pos.Owner)
	if err != nil {
		return nil, err
	}
	of.open++
	p.opened = append(p.opened, f)
	e.status = s
	return f, nil
}

// shut closes the file that was opened last.
func (p *plan) shut(f *os.File, e *entry) {
	f.Close()
	p.opened = p.opened[:len(p.opened)-1]
	p.share(e.pos.Log).open--
}

// lose forgets a position whose file is not there, or holds something else.
func (p *plan) lose(e *entry) {
	delete(p.known, e.id)
	if e.pos.Current || e.pos.Size < 0 && !strings.HasSuffix(e.pos.Path, ".gz") {
		p.lost = append(p.lost, e)
	}
}

// lineUp makes the logs: what was rotated, by its last change, then the current file.
func (p *plan) lineUp() {
	current := map[string]*member{}
	rotated := map[string][]*entry{}
	for _, m := range p.members {
		current[m.name] = m
	}
	for _, e := range p.entries {
		if p.byID[e.id] == nil && e.kept && !e.left && e.pos.Print != "" || e.read != nil {
			rotated[e.pos.Log] = append(rotated[e.pos.Log], e)
		}
	}
	names := slices.Collect(maps.Keys(current))
	for name := range rotated {
		if current[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		l := &log{number: len(p.logs), name: name}
		m, groups := current[name], []int(nil)
		if m != nil {
			groups, l.zone = m.groups, m.zone
		} else {
			groups, l.zone = p.groups(name)
		}
		before := append(rotated[name], p.missed(name, m)...)
		slices.SortStableFunc(before, func(a, b *entry) int { return int(max(-1, min(1, a.changed-b.changed))) })
		for _, e := range before {
			e.pos.Current = false
			p.take(l, e, groups)
		}
		if m != nil && !p.crowd.skipped[name] {
			p.take(l, p.head(m), groups)
		}
		if len(l.files) > 0 {
			p.goOn(l)
			p.logs = append(p.logs, l)
		}
	}
}

// take puts a file that has something to read into its log.
func (p *plan) take(l *log, e *entry, groups []int) {
	if e == nil || e.f == nil && e.read == nil {
		return
	}
	if e.read == nil {
		e.read = &file{fresh: e.pos.Print == ""}
	}
	f := e.read
	e.pos.Device, e.pos.Inode, e.pos.Born, e.pos.Changed = e.id.device, e.id.inode, e.born, e.changed
	f.pos, f.f, f.log, f.groups, f.limit = e.pos, e.f, l.number, groups, e.size
	f.printAsBegun()
	f.cut.final = f.gz || !e.pos.Current && p.settled(e.status)
	l.files = append(l.files, f)
}

// head gives the current file of a log; nil where there is nothing to read in it.
func (p *plan) head(m *member) *entry {
	e := p.known[m.id]
	if e != nil {
		e.pos.Log, e.pos.Current = m.name, true
		return e
	}
	if p.copies(m) {
		return nil
	}
	if e = p.add(m.path, m.name, m.owner); e != nil {
		e.pos.Current = true
	}
	return e
}

// add makes a file that has no position one that is read from its beginning; nil
// where it cannot be.
func (p *plan) add(path, name string, owner uint32) *entry {
	e := &entry{kept: true, pos: state.FilePosition{Path: path, Log: name, Owner: owner}}
	f, err := p.open(path, e)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.late(name, 0)
			p.fail(name, err)
		}
		return nil
	}
	e.f = f
	p.known[e.id] = e
	p.entries = append(p.entries, e)
	return e
}

// positions are where each file is now.
func (p *plan) positions() []state.FilePosition {
	for _, l := range p.r.logs {
		if l.taken {
			l.files[0].commit()
		}
		for _, f := range l.files {
			f.unbegun(l)
		}
	}
	list := []state.FilePosition{}
	for _, e := range p.entries {
		if !e.kept && (e.read == nil || !e.read.gz || e.read.finished || p.r.ctx.Err() == nil && !e.read.enough) {
			continue // a packed one is read once, unless the pass was to end before
		}
		pos := e.pos
		if f := e.read; f != nil {
			pos = f.pos
			pos.Bytes, pos.Size, pos.Printed = int(min(f.limit, printed)), f.limit, 0
			print, err := "", errPacked
			if !f.gz {
				print, err = fingerprint(f.f, pos.Bytes, pos.Offset)
			}
			switch {
			case err == nil:
				pos.Print = print
			case f.begun.Print == "":
				continue // nothing is known of what it was
			default: // it was truncated while it was read, and what it was may be found in a copy; or it is packed
				pos.Print, pos.Bytes, pos.Printed = f.begun.Print, f.begun.Bytes, f.begun.PrintedAt()+1
			}
			if err != nil || !f.finished {
				pos.Size = -1 // whatever its size is, there is more
			}
		}
		list = append(list, pos)
	}
	order.By(list, func(a, b state.FilePosition) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func (p *plan) close() {
	for _, f := range p.opened {
		f.Close()
	}
}
