package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// member is a file that a glob leads to.
type member struct {
	status
	path   string // symbolic links resolved
	name   string // of the log: one of the names that lead to it, by a stranger's link only if all do
	linked bool   // that name is a symbolic link
	owner  uint32 // whose a link to it is, and so it must be; 0: no link that matters leads to it
	groups []int
	via    []string       // globs that lead to it
	later  bool           // it is left for the next passes
	zone   *time.Location // of its times by the layouts; nil: no group goes by them
}

func (g *Group) zone() *time.Location {
	if g.Zone == nil {
		return time.Local
	}
	return g.Zone
}

// packedSuffixes are those of compressed files, which are no logs.
var packedSuffixes = []string{".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z"}

func isPacked(name string) bool {
	return slices.ContainsFunc(packedSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// Literal makes a path a glob that leads to it alone.
func Literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Expand gives the paths that a glob leads to now. Unlike filepath.Glob it tells
// where it may not look.
func Expand(glob string) ([]string, error) {
	if !strings.ContainsAny(glob, `*?[\`) {
		return []string{glob}, nil
	}
	fixed := filepath.Dir(glob[:strings.IndexAny(glob, `*?[\`)] + "x")
	if _, err := filepath.Match(glob, ""); err != nil {
		return nil, fmt.Errorf("log files %s: %w", glob, err)
	}
	fd, err := openat(unix.AT_FDCWD, fixed, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	switch err {
	case nil:
	case unix.ENOENT, unix.ENOTDIR:
		return nil, nil
	default:
		return nil, fmt.Errorf("log files %s: %w%s", glob, &fs.PathError{Op: "open", Path: fixed, Err: err}, remedy(err))
	}
	dir := os.NewFile(uintptr(fd), fixed)
	defer dir.Close()
	paths, err := list(dir, glob)
	if err == nil && filepath.Dir(glob) != fixed { // what is looked for is deeper
		paths, err = filepath.Glob(glob)
	}
	if err != nil {
		return nil, fmt.Errorf("log files %s: %w", glob, err)
	}
	if paths = slices.DeleteFunc(paths, isPacked); len(paths) > mostLogs {
		return nil, fmt.Errorf("log files %s: there are %d, more than %d: none is read (take out of logpath what is no log of the service)", glob, len(paths), mostLogs)
	}
	return paths, nil
}

// What a glob may lead to, and the directory may hold that it is looked for in: each name
// takes memory of the pass, and each log some of the state. A test has these smaller.
var (
	mostLogs  = 4 * mostFiles
	mostNames = 64 * mostFiles
)

// list gives the paths in a directory that match a glob, sorted. It is an error where the
// directory holds more names than mostNames, or the glob proves to be none: Match("a*[", "")
// does not tell.
func list(dir *os.File, glob string) (paths []string, err error) {
	pattern := filepath.Base(glob)
	for seen := 0; ; {
		names, err := dir.Readdirnames(1024)
		if seen += len(names); seen > mostNames {
			return nil, fmt.Errorf("%s holds more than %d files: none is read (move away what is no log of the service)", dir.Name(), mostNames)
		}
		for _, name := range names {
			matches, err := filepath.Match(pattern, name)
			if err != nil {
				return nil, err
			}
			if matches {
				paths = append(paths, filepath.Join(dir.Name(), name))
			}
		}
		if err != nil { // io.EOF: all was read
			slices.Sort(paths)
			return paths, nil
		}
	}
}

// expand finds the members of all groups.
func (p *plan) expand() {
	for g, group := range p.r.o.Groups {
		for _, glob := range group.Paths {
			if p.crowd.of[glob] == nil {
				p.crowd.of[glob] = &share{}
			}
			paths, err := Expand(glob)
			if err != nil && !slices.Contains(p.unseen, glob) {
				p.unseen = append(p.unseen, glob)
				p.r.fail(glob, err)
			}
			for _, path := range paths {
				if m := p.join(path, g); m != nil {
					p.news(m, glob)
				}
			}
		}
	}
	for _, u := range p.strange.List() {
		p.r.warn("%v", u.Err)
	}
	p.members = slices.DeleteFunc(p.members, func(m *member) bool { return !m.regular() })
	p.admit()
	slices.SortFunc(p.members, func(a, b *member) int { return strings.Compare(a.name, b.name) })
}

// join makes the file at path a member, or one more group's; nil where it is none.
func (p *plan) join(path string, g int) *member {
	if p.refused[path] {
		return nil // another group's too, and told of both
	}
	w, err := follow(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it may come
	}
	if err != nil {
		p.refused[path] = true
		p.fail(path, err)
		return nil
	}
	m := p.byID[w.id]
	switch {
	case m == nil:
		m = &member{status: w.status, path: w.real, name: path, linked: w.linked, owner: w.owner}
		p.byID[w.id] = m
		p.members = append(p.members, m)
		if !w.regular() {
			p.odd(m)
		}
	case m.owner != 0 && w.owner == 0: // a name that needs no such link
		m.path, m.owner, m.name, m.linked = w.real, 0, path, w.linked
	case m.owner == 0 && w.owner != 0: // a stranger's does not say what else is the log's; that is read for his jail too
	case m.linked && !w.linked || m.linked == w.linked && path < m.name:
		m.name, m.linked = path, w.linked
	}
	if !slices.Contains(m.groups, g) {
		m.groups = append(m.groups, g)
	}
	if p.r.o.Groups[g].Dates != nil {
		return m
	}
	zone := p.r.o.Groups[g].zone()
	if m.zone == nil {
		m.zone = zone
	}
	if zone.String() != m.zone.String() && p.known[w.id] == nil {
		p.r.warn("log file %s: two jails read it in different zones, %s and %s: the first one holds", path, m.zone, zone)
	}
	return m
}

// odd warns of a member that is no regular file, once.
func (p *plan) odd(m *member) {
	e := p.known[m.id]
	if e == nil || e.pos.Told != m.kind() {
		glob, _ := p.r.globOf(m.name)
		p.strange.Add(glob, fmt.Errorf("log file %s is %s: it is not read", m.name, m.kind()))
		e = &entry{}
		e.pos.Path, e.pos.Device, e.pos.Inode, e.pos.Told = m.path, m.id.device, m.id.inode, m.kind()
	}
	e.kept = true
	p.entries = append(p.entries, e)
	p.known[m.id] = e
}

// remedy says what helps against an error.
func remedy(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return " (the pass's user must be in the group that may read it, or have CAP_DAC_READ_SEARCH)"
	}
	return ""
}

// Any tells whether one of the globs leads to something now.
func Any(globs []string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		paths, _ := Expand(glob) // what may not be looked at is told when it is read
		return slices.ContainsFunc(paths, func(path string) bool {
			_, err := os.Stat(path)
			return err == nil
		})
	})
}
