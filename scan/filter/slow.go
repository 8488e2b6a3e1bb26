package filter

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/scan/filter/backtrack"
	"scan2ban/state"
)

// slowness is what the expressions that backtrack and the date patterns have cost. A
// stranger can write lines over which one of them runs long: each line has a number of
// steps, and all together have a time limit.
type slowness struct {
	spent   time.Duration // of the processor, on what took longer than aWhile
	by      []slowCount
	refused int      // lines that were not looked at for want of time
	refuses string   // why the line that is being looked at proves nothing
	over    []string // the expressions that gave that line up
}

type slowCount struct {
	name  string // of the expression
	lines int
}

// StepLimit says when an expression that backtracks gives a line up: never sooner on a busy host.
var StepLimit = fmt.Sprintf("%d million steps", backtrack.Steps/1_000_000)

// SlowLimit is how long all of a jail's expressions that backtrack, and its date patterns,
// may look at the lines of a pass.
const SlowLimit = 10 * time.Second

const (
	aWhile       = time.Millisecond
	ignorePrefix = "ignore-"

	reasonSlow     = "the filter's slow expressions have had their time in this pass"
	reasonSlowSkip = "an expression that may say that it is no failure took too long"
)

// find looks for an expression. One that takes too long is not found, and the next are
// asked; where it could have made the line none, the line is refused.
func (m *Memory) find(e *expression, name, text string) *found {
	if e.backtracking(text) == nil {
		f, _ := e.find(text)
		return f
	}
	s := &m.slow
	if s.exhausted() {
		return nil
	}
	done := s.busy()
	f, err := e.find(text)
	done()
	if err != nil {
		s.over = append(s.over, name)
		if strings.HasPrefix(name, ignorePrefix) {
			s.refuses = reasonSlowSkip
		}
	}
	return f
}

// busy begins to count the processor time of what follows, up to done. On a host that is
// busy with something else a clock on the wall would call every line slow.
func (s *slowness) busy() (done func()) {
	runtime.LockOSThread()
	begun := threadTime()
	return func() {
		if took := threadTime() - begun; took > aWhile {
			s.spent += took
		}
		runtime.UnlockOSThread()
	}
}

// threadTime is the processor time of this thread. A test has another.
var threadTime = func() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail with this clock
	return time.Duration(t.Nano())
}

// exhausted tells whether there is no time left, and refuses the line then.
func (s *slowness) exhausted() bool {
	if s.spent < SlowLimit {
		return false
	}
	if s.refuses == "" {
		s.refuses = reasonSlow
		s.refused++
	}
	return true
}

// begin is called before a line is looked at, end after it.
func (s *slowness) begin() { s.refuses, s.over = "", s.over[:0] }

// end counts the line as given up, unless another expression has told what it is.
func (s *slowness) end(f *Found) {
	f.Refused = s.refuses
	if f.Refused == "" && (f.Rule >= 0 || f.Ignored != "") {
		return
	}
	for _, name := range s.over {
		s.count(name)
	}
}

func (s *slowness) count(name string) {
	for i := range s.by {
		if s.by[i].name == name {
			s.by[i].lines++
			return
		}
	}
	s.by = append(s.by, slowCount{name, 1})
}

// Slow says what of a script took too long since it was given its memory, a sentence
// each. Lines that another expression explained all the same are left out.
func (m *Matcher) Slow() (warnings []string) {
	if m.memory == nil {
		return nil
	}
	m.script.Lock()
	defer m.script.Unlock()
	s := &m.memory.slow
	for _, c := range s.by {
		warnings = append(warnings, fmt.Sprintf("%s given up, after %s or as too deep, by the expression %s of filter %s (no other holds; see scan2ban match)", linesWere(c.lines), StepLimit, c.name, m.filter.Name))
	}
	if n := m.memory.dates.timeouts; n > 0 {
		warnings = append(warnings, fmt.Sprintf("%s given up, after %s or as too deep, by a date pattern of filter %s", linesWere(n), StepLimit, m.filter.Name))
		m.memory.dates.timeouts = 0
	}
	if s.refused > 0 {
		warnings = append(warnings, fmt.Sprintf("%s refused, whoever wrote them: the slow expressions of filter %s have had %v in this pass", linesWere(s.refused), m.filter.Name, SlowLimit))
	}
	return warnings
}

func linesWere(n int) string {
	if n == 1 {
		return "1 line was"
	}
	return state.Plural(n, "line") + " were"
}
