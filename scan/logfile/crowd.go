package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Who may lay logs where a glob leads may lay many. A pass opens so many files and no more,
// and each glob has its share of them, so that none keeps another's logs from being read.
// What is beyond a share stays as it is for the next passes, and its number is told.

// A test has these smaller.
var (
	mostFiles = 4096 // that a pass opens
	mostGzips = 256  // of one glob, packed ones that logs were rotated into: one takes 75 kB
)

const (
	minSpare = 16 // files of one glob beside one for each log with something new
	regained = 10 // that finding a log again may open
)

// errEnough says that more was new in the logs of a glob than is read in a pass.
var errEnough = errors.New("enough is read")

// room is how many bytes more may be read.
func (s *share) room(r *Reader) int64 {
	if left := r.o.Most - s.read; r.o.Most > 0 && (left > 0 || time.Since(r.opened) >= r.o.Freely) {
		return left
	}
	return math.MaxInt64
}

// errMany says that a file is beyond the share.
var errMany = errors.New("left for the next pass")

// crowd is what the files that a pass opens are shared by.
type crowd struct {
	of      map[string]*share // by glob
	skipped map[string]bool   // logs of which a rotated file is left, and so what came after it
}

type share struct {
	news  []*member // that the glob led to, in which something is new
	files int       // that may be opened
	open  int
	gzips int
	left  int // logs, or files that they were rotated into

	read   int64 // bytes of them
	enough bool  // which was told
}

// limitOf is how many files a pass may open; limited: the process may open few.
func limitOf() (n int, limited bool) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur/4*3 >= uint64(mostFiles) {
		return mostFiles, false
	}
	return int(l.Cur / 4 * 3), true // the journal's, the kernel's and the state's are others
}

// share is that of the log's glob.
func (p *plan) share(log string) *share {
	glob, _ := p.r.globOf(log)
	s := p.crowd.of[glob]
	if s == nil {
		s = &share{files: minSpare}
		p.crowd.of[glob] = s
	}
	return s
}

// news takes note of a log that a glob has led to.
func (p *plan) news(m *member, glob string) {
	if !m.regular() || slices.Contains(m.via, glob) {
		return
	}
	m.via = append(m.via, glob)
	if e := p.known[m.id]; e == nil || m.size != e.pos.Size || m.changed != e.pos.Changed {
		s := p.crowd.of[glob]
		s.news = append(s.news, m)
	}
}

// admit chooses the logs that are read: those of a glob that leads to few, and of others as
// many as there is room for. Each of these has the same chance.
func (p *plan) admit() {
	type named struct {
		glob string
		*share
	}
	var list []named
	for glob, s := range p.crowd.of {
		list = append(list, named{glob, s})
	}
	order.By(list, func(a, b named) int {
		return cmp.Or(cmp.Compare(len(a.news), len(b.news)), strings.Compare(a.glob, b.glob))
	})
	room, _ := limitOf()
	admitted := map[*member]bool{}
	for i, s := range list {
		s.files = min(len(s.news), room/(len(list)-i))
		room -= s.files
		if s.files < len(s.news) {
			shuffle(s.news)
		}
		for _, m := range s.news[:s.files] {
			admitted[m] = true
		}
	}
	for _, s := range list {
		s.files += max(minSpare, room/len(list))
		for _, m := range s.news {
			if admitted[m] {
				continue
			}
			s.left++
			m.later, p.refused[m.name] = true, true
			if e := p.known[m.id]; e != nil {
				p.refused[e.pos.Log] = true
				p.late(e.pos.Log, e.pos.Time)
			} else {
				p.late(m.name, 0)
			}
		}
		s.news = nil
	}
	p.members = slices.DeleteFunc(p.members, func(m *member) bool { return m.later })
}

// shuffle orders logs by chance, which nobody's names can sway.
func shuffle(list []*member) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// room tells whether n files more of a log may be opened. Where not, the log's current file
// waits until those before it are read.
func (p *plan) room(log string, n int, packed bool) bool {
	s := p.share(log)
	if s.open+n <= s.files && (!packed || s.gzips < mostGzips) {
		return true
	}
	s.left++
	p.crowd.skipped[log] = true
	p.late(log, 0)
	return false
}

// tellLeft says of each glob how much is left.
func (p *plan) tellLeft() {
	most, limited := limitOf()
	remedy := "take out of logpath what is no log of the service"
	if limited {
		remedy += ", or let the pass open more files: LimitNOFILE= of its unit, ulimit -n"
	}
	for g, group := range p.r.o.Groups {
		for _, glob := range group.Paths {
			s := p.crowd.of[glob]
			if s == nil || s.left == 0 {
				continue
			}
			var groups []int
			for i := g; i < len(p.r.o.Groups); i++ {
				if slices.Contains(p.r.o.Groups[i].Paths, glob) {
					groups = append(groups, i)
				}
			}
			p.r.many.Add(glob, fmt.Errorf("log files %s: %s with something new %s for the next passes: one opens %d files at most, of all logs (%s)",
				glob, state.Plural(s.left, "file"), map[bool]string{true: "waits", false: "wait"}[s.left == 1], most, remedy), groups...)
			s.left = 0
		}
	}
}
