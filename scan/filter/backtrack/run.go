package backtrack

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// machine runs a program over a text.
type machine struct {
	*program
	text    string
	steps   int
	places  []int // slots, then registers
	pending []entry
	visited []uint64 // bits: instruction times place; empty: nothing is remembered yet
}

// entry is what to do when what was tried has failed.
type entry struct {
	kind entryKind
	pc   int32 // undo: which place
	at   int32
	low  int32 // of a loop: it ends here or later, or its rounds
}

type entryKind uint8

const (
	branch entryKind = iota // go on at pc
	fewer                   // one character less of a loop
	more                    // one more
	undo                    // a place was another
)

const memoBits = 4 << 23 // at most: 4 MB

// memoFrom is after how many steps what fails is remembered. A test has another.
var memoFrom = 20_000

func (m *machine) reset(p *program, text string) {
	m.program, m.text, m.steps = p, text, 0
	if n := p.slots + p.registers; cap(m.places) < n {
		m.places = make([]int, n)
	} else {
		m.places = m.places[:n]
	}
	for i := range m.places {
		m.places[i] = -1
	}
	m.pending, m.visited = m.pending[:0], m.visited[:0]
}

// forget leaves nothing large to the next user.
func (m *machine) forget() {
	m.program, m.text = nil, ""
	if cap(m.pending) > 1<<12 {
		m.pending = nil
	}
	if cap(m.visited) > 1<<12 {
		m.visited = nil
	}
}

// groups is where the groups stand.
func (m *machine) groups() []int {
	found := make([]int, m.slots)
	copy(found, m.places)
	for i := 0; i < len(found); i += 2 {
		if found[i] < 0 || found[i+1] < 0 {
			found[i], found[i+1] = -1, -1
		}
	}
	return found
}

// set changes a place, and takes that back when what follows fails.
func (m *machine) set(place, to int) {
	m.pending = append(m.pending, entry{kind: undo, pc: int32(place), at: int32(m.places[place])})
	m.places[place] = to
}

// run tells whether the text matches from at on. Where it does not, all is as it was.
func (m *machine) run(at int) (bool, error) {
	for pc := 0; ; {
		if m.steps++; m.steps > Steps || len(m.pending) > maxDepth {
			return false, ErrLimit
		}
		i := &m.code[pc]
		pc++
		ok := i.split < 0 || m.anew(i.split, at)
		if ok {
			switch i.op {
			case opMatch:
				return true, nil
			case opText:
				if ok = strings.HasPrefix(m.text[at:], i.text); ok {
					at += len(i.text)
				}
			case opSet:
				n := m.one(i.set, at)
				at, ok = at+n, n > 0
			case opLoop:
				at, ok = m.loop(i, pc, at)
			case opSplit:
				m.pending = append(m.pending, entry{pc: int32(i.y), at: int32(at)})
				pc = i.x
			case opJump:
				pc = i.x
			case opSave:
				m.set(i.x, at)
			case opReference:
				n := m.again(i, at)
				at, ok = at+n, n >= 0
			case opTaken:
				if m.places[2*i.y+1] < 0 {
					pc = i.x
				}
			case opBack:
				at = m.back(i.x, at)
				ok = at >= 0
			case opZero:
				m.set(i.x, 0)
				m.set(i.x+1, -1)
			case opCount:
				pc = m.count(i, pc, at)
			case opNext:
				if m.places[i.x] >= i.min {
					m.set(i.x+1, at)
				}
				m.set(i.x, m.places[i.x]+1)
			case opEnter:
				m.places[i.x], m.places[i.x+1] = len(m.pending), at
			case opCommit, opReturn:
				m.cut(m.places[i.x])
				if i.op == opReturn {
					at = m.places[i.x+1]
				}
			case opRefuse:
				m.unwind(m.places[i.x])
				ok = false
			default:
				ok = m.holds(i.op, at)
			}
		}
		if !ok {
			if pc, at, ok = m.next(); !ok {
				return false, nil
			}
		}
	}
}

// anew tells whether an instruction, or what follows a round of a loop, has not been tried
// at this place before. If it has been it failed: all that is reached from there is tried
// before what was noted earlier, and does not depend on the way there.
func (m *machine) anew(split, at int) bool {
	if len(m.visited) == 0 {
		bits := m.splits * (len(m.text) + 1)
		if !m.memo || m.steps < memoFrom || bits > memoBits {
			return true
		}
		m.visited = make([]uint64, bits/64+1)
	}
	bit := split*(len(m.text)+1) + at
	word, mask := &m.visited[bit/64], uint64(1)<<(bit%64)
	if *word&mask != 0 {
		return false
	}
	*word |= mask
	return true
}

// next takes back what failed, up to what is still to be tried.
func (m *machine) next() (pc, at int, ok bool) {
	for len(m.pending) > 0 {
		e := &m.pending[len(m.pending)-1]
		pc, at = int(e.pc), int(e.at)
		switch e.kind {
		case undo:
			m.places[pc] = at
		case branch:
			m.pending = m.pending[:len(m.pending)-1]
			return pc, at, true
		case fewer:
			if at = m.shorter(&m.code[pc-1], int(e.low), at); at >= 0 {
				e.at = int32(at)
				return pc, at, true
			}
		case more:
			i := &m.code[pc-1]
			if n := m.one(i.set, at); n > 0 && (i.max < 0 || int(e.low) < i.max) && (i.inside < 0 || m.anew(i.inside, at+n)) {
				at += n
				e.at, e.low = int32(at), e.low+1
				return pc, at, true
			}
		}
		m.pending = m.pending[:len(m.pending)-1]
	}
	return 0, 0, false
}

// back is the place n characters before at; -1: there are not as many.
func (m *machine) back(n, at int) int {
	m.steps += n / 4
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(m.text[:at])
		at -= size
	}
	if n > 0 {
		return -1
	}
	return at
}

// one is the length of the character at at, if the set has it; else 0.
func (m *machine) one(s *set, at int) int {
	if at >= len(m.text) {
		return 0
	}
	if b := m.text[at]; b < utf8.RuneSelf {
		if s.ascii[b] {
			return 1
		}
		return 0
	}
	m.steps += s.steps
	r, n := utf8.DecodeRuneInString(m.text[at:])
	if s.has(r) {
		return n
	}
	return 0
}

// loop takes as much as it can of a set, or as little, and notes what else it could.
func (m *machine) loop(i *inst, pc, at int) (end int, ok bool) {
	low, rounds, most := at, 0, i.max
	if i.lazy {
		most = i.min
	}
	end = at
	for most < 0 || rounds < most {
		n := 1
		if end >= len(m.text) || m.text[end] >= utf8.RuneSelf || !i.set.ascii[m.text[end]] {
			n = m.one(i.set, end)
		}
		if n == 0 || i.inside >= 0 && rounds+1 >= i.min && !m.anew(i.inside, end+n) {
			break // from there on all has failed
		}
		end += n
		if rounds++; rounds == i.min {
			low = end
		}
	}
	m.steps += rounds / 8
	switch {
	case rounds < i.min:
		return at, false
	case i.lazy:
		m.pending = append(m.pending, entry{more, int32(pc), int32(end), int32(rounds)})
		return end, true
	}
	if i.text != "" && !strings.HasPrefix(m.text[end:], i.text) {
		if end = m.shorter(i, low, end); end < 0 {
			return at, false
		}
	}
	if end > low {
		m.pending = append(m.pending, entry{fewer, int32(pc), int32(end), int32(low)})
	}
	return end, true
}

// shorter is the next end of a loop before at that can be followed by what follows it; -1:
// there is none from low on.
func (m *machine) shorter(i *inst, low, at int) int {
	if at <= low {
		return -1
	}
	if i.text != "" {
		found := low + strings.LastIndex(m.text[low:min(at-1+len(i.text), len(m.text))], i.text)
		if m.steps += (at - found + len(i.text)) / 16; found < low {
			return -1
		}
		return found
	}
	_, n := utf8.DecodeLastRuneInString(m.text[:at])
	return at - n
}

// again is the length of what a group held, if it stands at at too; else -1.
func (m *machine) again(i *inst, at int) int {
	start, end := m.places[2*i.x], m.places[2*i.x+1]
	if start < 0 || end < start {
		return -1
	}
	held, rest := m.text[start:end], m.text[at:]
	m.steps += len(held) / 128
	if !i.fold {
		if !strings.HasPrefix(rest, held) {
			return -1
		}
		return len(held)
	}
	n := 0
	for _, r := range held {
		m.steps++
		other, size := utf8.DecodeRuneInString(rest[n:])
		if size == 0 || r != other && unicode.ToLower(r) != unicode.ToLower(other) {
			return -1
		}
		n += size
	}
	return n
}

// count says where a counted repetition goes on.
func (m *machine) count(i *inst, body, at int) (pc int) {
	n := m.places[i.y]
	switch {
	case n < i.min:
		return body
	case i.max >= 0 && n >= i.max || m.places[i.y+1] == at:
		return i.x
	case i.lazy:
		m.pending = append(m.pending, entry{pc: int32(body), at: int32(at)})
		return i.x
	}
	m.pending = append(m.pending, entry{pc: int32(i.x), at: int32(at)})
	return body
}

// cut drops what is still to be tried since the depth was that, not what is to be undone.
func (m *machine) cut(depth int) {
	m.steps += (len(m.pending) - depth) / 8
	kept := m.pending[:depth]
	for _, e := range m.pending[depth:] {
		if e.kind == undo {
			kept = append(kept, e)
		}
	}
	m.pending = kept
}

// unwind takes back all since the depth was that.
func (m *machine) unwind(depth int) {
	for len(m.pending) > depth {
		if e := m.pending[len(m.pending)-1]; e.kind == undo {
			m.places[e.pc] = int(e.at)
		}
		m.pending = m.pending[:len(m.pending)-1]
	}
}

// holds tells whether a place is what an instruction wants.
func (m *machine) holds(op opcode, at int) bool {
	switch op {
	case opBeginText:
		return at == 0
	case opEndText:
		return at == len(m.text)
	case opEnd:
		return at == len(m.text) || at == len(m.text)-1 && m.text[at] == '\n'
	case opBeginLine:
		return at == 0 || m.text[at-1] == '\n'
	case opEndLine:
		return at == len(m.text) || m.text[at] == '\n'
	}
	before, _ := utf8.DecodeLastRuneInString(m.text[:at])
	after, _ := utf8.DecodeRuneInString(m.text[at:])
	if before >= utf8.RuneSelf || after >= utf8.RuneSelf {
		m.steps += 4
	}
	edge := at > 0 && isWord(before) != (at < len(m.text) && isWord(after)) || at == 0 && at < len(m.text) && isWord(after)
	return edge == (op == opEdge)
}

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}
