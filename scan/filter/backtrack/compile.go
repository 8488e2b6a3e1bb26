package backtrack

import (
	"errors"
	"regexp/syntax"
)

// program is an expression as the machine runs it.
type program struct {
	code      []inst
	slots     int // two a group
	registers int
	memo      bool // what failed once fails whenever it is tried again
	splits    int  // instructions whose places are remembered
	anchored  bool // it can match at the beginning of the text alone
	any       bool // it can begin with anything, or match nothing
	first     [256]bool
}

// inst is one instruction. x and y are addresses unless it says otherwise.
type inst struct {
	op       opcode
	lazy     bool // of a loop: as few as it can
	fold     bool // of a reference
	x, y     int
	min, max int // of a loop or a count; max is -1 where there is no limit
	split    int // its number among those that are remembered; -1: it is not
	inside   int // the same of a loop that has done what it must
	set      *set
	text     string // of a loop what must come next, where that is known
}

type opcode uint8

const (
	opMatch     opcode = iota
	opText             // text
	opSet              // one of set
	opLoop             // min to max of set
	opSplit            // x, and if that fails y
	opJump             // x
	opSave             // the place in slot x
	opReference        // what group x holds
	opTaken            // on if group y has taken part, else x
	opBack             // x characters back
	opZero             // 0 in register x, no place in the next
	opCount            // what is repeated follows, or x does, as register y and the next say
	opNext             // one more in register x; if that held min or more, the place in the next
	opEnter            // the depth in register x, the place in the next; what follows is at y
	opCommit           // nothing that was tried since opEnter is tried again
	opReturn           // opCommit, and back to the place
	opRefuse           // all since opEnter never was, and that fails: x is its register
	opBeginText
	opEndText
	opEnd // the end, or before a last line feed
	opBeginLine
	opEndLine
	opEdge // of a word
	opNoEdge
)

const maxCode = 20_000

// maxSpread is how many instructions a count may become before it is counted at run time.
// A test has another.
var maxSpread = 2_000

type compiler struct {
	program
	tree  *tree
	fixed int // in how many groups what is compiled stands that do not try again
	err   error
}

func compile(t *tree) (program, error) {
	c := &compiler{tree: t, program: program{slots: 2 * len(t.names), memo: true}}
	c.put(inst{op: opSave, x: 0})
	c.compile(t.Regexp)
	c.put(inst{op: opSave, x: 1})
	c.put(inst{op: opMatch})
	if c.err != nil {
		return program{}, c.err
	}
	c.anchored = beginsText(t.Regexp)
	c.any = !c.firsts(0, make([]bool, len(c.code)))
	for at := range c.code {
		c.follow(at)
		if !c.memo {
			c.code[at].split, c.code[at].inside = -1, -1
		}
	}
	return c.program, nil
}

// follow notes what must come after a loop.
func (c *compiler) follow(at int) {
	if c.code[at].op != opLoop || c.code[at].lazy {
		return
	}
	next := at + 1
	for c.code[next].op == opSave {
		next++
	}
	if c.code[next].op == opText {
		c.code[at].text = c.code[next].text
	}
}

func (c *compiler) fail(text string) {
	if c.err == nil {
		c.err = errors.New(text)
	}
}

// put appends an instruction, and gives its address.
func (c *compiler) put(i inst) int {
	if len(c.code) >= maxCode {
		c.fail("the expression is too large")
		return len(c.code) - 1
	}
	i.split, i.inside = -1, -1
	if c.fixed == 0 && (i.op == opSplit || i.op == opLoop) {
		i.split = c.splits
		c.splits++
		switch {
		case i.op == opLoop && i.min == 0 && i.max < 0:
			i.inside = i.split
		case i.op == opLoop && i.min == 1 && i.max < 0:
			i.inside = c.splits
			c.splits++
		}
	}
	c.code = append(c.code, i)
	return len(c.code) - 1
}

// register gives the place of the first of n new ones, after the slots.
func (c *compiler) register(n int) int {
	c.registers += n
	return c.slots + c.registers - n
}

// here is the address of what comes next.
func (c *compiler) here() int { return len(c.code) }

func (c *compiler) compile(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpEmptyMatch:
	case syntax.OpNoMatch:
		c.put(inst{op: opSet, set: &set{}})
	case syntax.OpLiteral:
		c.literal(re)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		c.put(inst{op: opSet, set: c.tree.one(re)})
	case syntax.OpBeginText:
		c.put(inst{op: opBeginText})
	case syntax.OpEndText:
		if re.Flags&syntax.WasDollar != 0 {
			c.put(inst{op: opEnd})
		} else {
			c.put(inst{op: opEndText})
		}
	case syntax.OpBeginLine:
		c.put(inst{op: opBeginLine})
	case syntax.OpEndLine:
		c.put(inst{op: opEndLine})
	case syntax.OpWordBoundary:
		c.put(inst{op: opEdge})
	case syntax.OpNoWordBoundary:
		c.put(inst{op: opNoEdge})
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			c.compile(sub)
		}
	case syntax.OpAlternate:
		c.alternate(re.Sub)
	case syntax.OpStar:
		c.repeat(re.Sub[0], 0, -1, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpPlus:
		c.repeat(re.Sub[0], 1, -1, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpQuest:
		c.repeat(re.Sub[0], 0, 1, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpCapture:
		c.marked(c.tree.mark(re), re)
	default:
		c.fail("the expression holds what is not known")
	}
}

func (c *compiler) literal(re *syntax.Regexp) {
	if re.Flags&syntax.FoldCase == 0 {
		c.put(inst{op: opText, text: string(re.Rune)})
		return
	}
	for _, r := range re.Rune {
		c.put(inst{op: opSet, set: folded(r)})
	}
}

// alternate tries each in turn.
func (c *compiler) alternate(subs []*syntax.Regexp) {
	var ends []int
	for i, sub := range subs {
		if i == len(subs)-1 {
			c.compile(sub)
			break
		}
		split := c.put(inst{op: opSplit})
		c.code[split].x = c.here()
		c.compile(sub)
		ends = append(ends, c.put(inst{op: opJump}))
		c.code[split].y = c.here()
	}
	for _, end := range ends {
		c.code[end].x = c.here()
	}
}

// repeat is sub, least to most times.
func (c *compiler) repeat(sub *syntax.Regexp, least, most int, lazy bool) {
	if s := c.tree.one(sub); s != nil {
		c.put(inst{op: opLoop, set: s, min: least, max: most, lazy: lazy})
		return
	}
	if most == 0 {
		return
	}
	times := max(least, most)
	if times > 1 && (c.tree.size(sub)+4)*times > maxSpread || (most < 0 || most > least+1) && mayBeEmpty(c.tree, sub) {
		c.count(sub, least, most, lazy)
		return
	}
	for range least - 1 {
		c.compile(sub)
	}
	if most < 0 {
		c.loop(sub, least > 0, lazy)
		return
	}
	if least > 0 {
		c.compile(sub)
	}
	var splits []int
	for range most - least {
		splits = append(splits, c.put(inst{op: opSplit}))
		c.choose(splits[len(splits)-1], c.here(), -1, lazy)
		c.compile(sub)
	}
	for _, split := range splits {
		c.choose(split, -1, c.here(), lazy)
	}
}

// choose fills a split in: where it goes on, where it leaves; -1: as it is.
func (c *compiler) choose(split, on, leave int, lazy bool) {
	i := &c.code[split]
	first, second := &i.x, &i.y
	if lazy {
		first, second = second, first
	}
	if on >= 0 {
		*first = on
	}
	if leave >= 0 {
		*second = leave
	}
}

// loop is sub, which cannot match nothing, as often as it comes, once at least or not.
func (c *compiler) loop(sub *syntax.Regexp, once, lazy bool) {
	head := -1
	if !once {
		head = c.put(inst{op: opSplit})
		c.choose(head, c.here(), -1, lazy)
	}
	body := c.here()
	c.compile(sub)
	if once {
		split := c.put(inst{op: opSplit})
		c.choose(split, body, c.here(), lazy)
	} else {
		c.put(inst{op: opJump, x: head})
		c.choose(head, -1, c.here(), lazy)
	}
}

// count is sub, least to most times, with a counter. After the first least rounds and the
// next, one that matched nothing is the last.
func (c *compiler) count(sub *syntax.Regexp, least, most int, lazy bool) {
	c.memo = false // what failed may have failed for want of a round
	counter := c.register(2)
	c.put(inst{op: opZero, x: counter})
	head := c.put(inst{op: opCount, y: counter, min: least, max: most, lazy: lazy})
	c.put(inst{op: opNext, x: counter, min: least})
	c.compile(sub)
	c.put(inst{op: opJump, x: head})
	c.code[head].x = c.here()
}

// marked is what a mark says.
func (c *compiler) marked(m *mark, re *syntax.Regexp) {
	sub := re.Sub[0]
	switch m.kind {
	case capture:
		c.put(inst{op: opSave, x: 2 * m.group})
		c.compile(sub)
		c.put(inst{op: opSave, x: 2*m.group + 1})
	case reference:
		c.memo = false
		c.put(inst{op: opReference, x: m.group, fold: re.Flags&syntax.FoldCase != 0})
	case condition:
		c.memo = false
		taken := c.put(inst{op: opTaken, y: m.group})
		c.compile(sub)
		if m.other >= 0 { // it comes next
			end := c.put(inst{op: opJump})
			c.code[taken].x = c.here()
			c.tree.marks[m.other].group = end
			return
		}
		c.code[taken].x = c.here()
	case otherwise:
		end := m.group
		c.compile(sub)
		c.code[end].x = c.here()
	case atomic:
		register := c.register(2)
		enter := c.put(inst{op: opEnter, x: register})
		c.code[enter].y = c.here()
		c.fixed++
		c.compile(sub)
		c.fixed--
		c.put(inst{op: opCommit, x: register})
	case ahead, notAhead, behind, notBehind:
		c.look(m.kind, sub)
	case class:
		c.put(inst{op: opSet, set: c.tree.one(re)})
	case counted:
		c.repeat(sub, m.min, m.max, m.lazy)
	}
}

func (c *compiler) look(kind markKind, sub *syntax.Regexp) {
	register := c.register(2)
	enter := c.put(inst{op: opEnter, x: register})
	not := kind == notAhead || kind == notBehind
	split := -1
	c.fixed++
	if not {
		split = c.put(inst{op: opSplit})
		c.code[split].x = c.here()
	}
	if kind == behind || kind == notBehind {
		width := c.tree.width(sub)
		if width < 0 {
			c.fail("what lookbehind looks for must have a fixed width")
		}
		c.put(inst{op: opBack, x: width})
	}
	c.compile(sub)
	c.fixed--
	if not {
		c.put(inst{op: opRefuse, x: register})
		c.code[split].y = c.here()
	} else {
		c.put(inst{op: opReturn, x: register})
	}
	c.code[enter].y = c.here()
}
