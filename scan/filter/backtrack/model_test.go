package backtrack

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// model is an expression that says in the plainest way what it matches: match calls next
// with each place where it can end, the first to be tried first, until one holds.
type model struct {
	text string // as it is written
	rune func(r rune) bool
	kind string
	subs []*model
	min  int
	max  int
	lazy bool
	n    int // of a group, a reference, a condition; the width of a lookbehind
}

type state struct {
	in     string
	groups []int
	steps  int
}

const modelSteps = 20_000

func (m *model) match(s *state, at int, next func(at int) bool) bool {
	if s.steps++; s.steps > modelSteps {
		return true
	}
	set := func(slot, to int, then func() bool) bool {
		was := s.groups[slot]
		s.groups[slot] = to
		if then() {
			return true
		}
		s.groups[slot] = was
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(s.in[:at])
	after, size := utf8.DecodeRuneInString(s.in[at:])
	switch m.kind {
	case "one":
		return size > 0 && m.rune(after) && next(at+size)
	case "^":
		return at == 0 && next(at)
	case "$":
		return (size == 0 || s.in[at:] == "\n") && next(at)
	case `\b`, `\B`:
		edge := (at > 0 && word(before)) != (size > 0 && word(after))
		return edge == (m.kind == `\b`) && next(at)
	case "all":
		return m.all(s, 0, at, next)
	case "any":
		return slices.ContainsFunc(m.subs, func(sub *model) bool { return sub.match(s, at, next) })
	case "group":
		return set(2*m.n, at, func() bool {
			return m.subs[0].match(s, at, func(end int) bool {
				return set(2*m.n+1, end, func() bool { return next(end) })
			})
		})
	case "reference":
		start, end := s.groups[2*m.n], s.groups[2*m.n+1]
		return start >= 0 && end >= start && strings.HasPrefix(s.in[at:], s.in[start:end]) && next(at+end-start)
	case "condition":
		if s.groups[2*m.n+1] >= 0 {
			return m.subs[0].match(s, at, next)
		}
		return m.subs[1].match(s, at, next)
	case "repeat":
		return m.repeat(s, 0, -1, at, next)
	case "(?=", "(?!", "(?<=", "(?<!", "(?>":
		return m.look(s, at, next)
	}
	panic(m.kind)
}

func (m *model) all(s *state, i, at int, next func(int) bool) bool {
	if i == len(m.subs) {
		return next(at)
	}
	return m.subs[i].match(s, at, func(end int) bool { return m.all(s, i+1, end, next) })
}

// repeat goes on after some rounds; last is where the last began that need not have been.
func (m *model) repeat(s *state, rounds, last, at int, next func(int) bool) bool {
	another := func() bool {
		if m.max >= 0 && rounds >= m.max || rounds >= m.min && last == at { // that would go on for ever
			return false
		}
		began := last
		if rounds >= m.min {
			began = at
		}
		return m.subs[0].match(s, at, func(end int) bool { return m.repeat(s, rounds+1, began, end, next) })
	}
	switch {
	case rounds < m.min:
		return another()
	case m.lazy:
		return next(at) || another()
	}
	return another() || next(at)
}

func (m *model) look(s *state, at int, next func(int) bool) bool {
	from, end := at, -1
	if strings.HasPrefix(m.kind, "(?<") {
		for range m.n {
			if from == 0 {
				return m.kind == "(?<!" && next(at)
			}
			_, size := utf8.DecodeLastRuneInString(s.in[:from])
			from -= size
		}
	}
	was := slices.Clone(s.groups)
	held := m.subs[0].match(s, from, func(e int) bool { end = e; return true })
	if held == strings.HasSuffix(m.kind, "!") {
		copy(s.groups, was)
		return false
	}
	if m.kind == "(?!" || m.kind == "(?<!" {
		copy(s.groups, was)
	}
	if m.kind != "(?>" {
		end = at
	}
	if next(end) {
		return true
	}
	copy(s.groups, was)
	return false
}

func word(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// find is what FindStringSubmatchIndex gives; ok is false where it would take too long.
func (m *model) find(text string, groups int) (at []int, ok bool) {
	s := &state{in: text}
	for start := 0; start <= len(text); start++ {
		if start < len(text) && !utf8.RuneStart(text[start]) {
			continue
		}
		s.groups = slices.Repeat([]int{-1}, 2*groups+2)
		end := -1
		held := m.match(s, start, func(e int) bool { end = e; return true })
		if s.steps > modelSteps {
			return nil, false
		}
		if held {
			s.groups[0], s.groups[1] = start, end
			return s.groups, true
		}
	}
	return nil, true
}

// maker makes expressions.
type maker struct {
	*rand.Rand
	groups int
	closed []int // groups that can be referred to
	plain  bool  // only what RE2 has, and means the same by
}

func (k *maker) one() *model {
	type class struct {
		text string
		has  func(rune) bool
	}
	classes := []class{
		{"a", func(r rune) bool { return r == 'a' }}, {"b", func(r rune) bool { return r == 'b' }},
		{".", func(r rune) bool { return r != '\n' }}, {"[ab]", func(r rune) bool { return r == 'a' || r == 'b' }},
		{"[^a]", func(r rune) bool { return r != 'a' }}, {"é", func(r rune) bool { return r == 'é' }},
		{`\d`, func(r rune) bool { return r >= '0' && r <= '9' }}, {`[^b\d]`, func(r rune) bool { return r != 'b' && (r < '0' || r > '9') }},
	}
	if !k.plain {
		classes = append(classes, class{`\w`, word}, class{`\W`, func(r rune) bool { return !word(r) }}, class{`\S`, func(r rune) bool { return !unicode.IsSpace(r) }},
			class{`[\s-]`, func(r rune) bool { return unicode.IsSpace(r) || r == '-' }}, class{`[^\W_]`, func(r rune) bool { return word(r) && r != '_' }}, class{`[a\S]`, func(r rune) bool { return !unicode.IsSpace(r) }})
	}
	c := classes[k.IntN(len(classes))]
	return &model{kind: "one", text: c.text, rune: c.has}
}

// fixed is some characters one after another.
func (k *maker) fixed() (m *model, width int) {
	m = &model{kind: "all"}
	for range k.IntN(3) {
		m.subs = append(m.subs, k.one())
		m.text += m.subs[len(m.subs)-1].text
	}
	return m, len(m.subs)
}

func (k *maker) expression(depth int) *model {
	if depth == 0 {
		return k.one()
	}
	kinds := 13
	if k.plain {
		kinds = 8
	}
	switch k.IntN(kinds) {
	case 0, 1:
		return k.one()
	case 2, 3:
		m := &model{kind: "all"}
		for range k.IntN(4) {
			sub := k.expression(depth - 1)
			m.subs = append(m.subs, sub)
			m.text += sub.text
		}
		m.text = "(?:" + m.text + ")"
		return m
	case 4:
		m := &model{kind: "any"}
		var texts []string
		for range 2 + k.IntN(2) {
			sub := k.expression(depth - 1)
			m.subs, texts = append(m.subs, sub), append(texts, sub.text)
		}
		m.text = "(?:" + strings.Join(texts, "|") + ")"
		return m
	case 5:
		k.groups++
		m := &model{kind: "group", n: k.groups}
		sub := k.expression(depth - 1)
		m.subs, m.text = []*model{sub}, fmt.Sprintf("(?P<g%d>%s)", m.n, sub.text)
		if k.IntN(2) == 0 {
			m.text = "(" + sub.text + ")"
		}
		k.closed = append(k.closed, m.n)
		return m
	case 6:
		sub := k.expression(depth - 1)
		if k.plain { // regexp goes on after a round that matched nothing
			one := k.one()
			sub = &model{kind: "all", subs: []*model{one, sub}, text: one.text + sub.text}
		}
		return k.repeated(sub)
	case 7:
		kinds := []string{"^", "$", `\b`, `\B`}
		if k.plain {
			kinds = kinds[:1]
		}
		kind := kinds[k.IntN(len(kinds))]
		return &model{kind: kind, text: kind}
	case 8:
		if len(k.closed) == 0 {
			return k.one()
		}
		n := k.closed[k.IntN(len(k.closed))]
		return &model{kind: "reference", n: n, text: fmt.Sprintf(`(?:\%d)`, n)}
	case 9:
		if len(k.closed) == 0 {
			return k.one()
		}
		n := k.closed[k.IntN(len(k.closed))]
		yes, no := k.expression(depth-1), k.expression(depth-1)
		return &model{kind: "condition", n: n, subs: []*model{yes, no}, text: fmt.Sprintf("(?(%d)%s|%s)", n, yes.text, no.text)}
	case 10:
		kind := []string{"(?<=", "(?<!"}[k.IntN(2)]
		sub, width := k.fixed()
		return &model{kind: kind, n: width, subs: []*model{sub}, text: kind + sub.text + ")"}
	}
	kind := []string{"(?=", "(?!", "(?>"}[k.IntN(3)]
	sub := k.expression(depth - 1)
	return &model{kind: kind, subs: []*model{sub}, text: kind + sub.text + ")"}
}

func (k *maker) repeated(sub *model) *model {
	m := &model{kind: "repeat", max: -1, subs: []*model{sub}, lazy: k.IntN(3) == 0}
	quantifier := "*"
	switch k.IntN(6) {
	case 0:
		quantifier, m.min = "+", 1
	case 1:
		quantifier, m.max = "?", 1
	case 2:
		m.min = k.IntN(3)
		m.max = m.min + k.IntN(3)
		quantifier = fmt.Sprintf("{%d,%d}", m.min, m.max)
	case 3:
		m.min = k.IntN(3)
		quantifier = fmt.Sprintf("{%d,}", m.min)
	}
	if m.lazy {
		quantifier += "?"
	}
	m.text = "(?:" + sub.text + ")" + quantifier
	return m
}

func (k *maker) line() string {
	var b strings.Builder
	for range k.IntN(9) {
		b.WriteString([]string{"a", "a", "b", "b", "é", "_", " ", "7", "-", "\n"}[k.IntN(10)])
	}
	return b.String()
}

// compare makes an expression of a seed, and compares what it finds in some lines with what
// the model finds, whatever is remembered of what failed and however counts are compiled.
func compare(t *testing.T, seed uint64) {
	defer func(from, spread int) { memoFrom, maxSpread = from, spread }(memoFrom, maxSpread)
	k := &maker{Rand: rand.New(rand.NewPCG(seed, 1)), plain: seed%4 == 0}
	m := k.expression(1 + k.IntN(5))
	for _, settings := range [][2]int{{memoFrom, maxSpread}, {0, maxSpread}, {0, 0}} {
		memoFrom, maxSpread = settings[0], settings[1]
		re, err := Compile(m.text)
		if err != nil {
			t.Fatalf("%s: %v", m.text, err)
		}
		k.Rand = rand.New(rand.NewPCG(seed, 2))
		for range 10 {
			line := k.line()
			want, ok := m.find(line, k.groups)
			if !ok {
				continue
			}
			got, err := re.FindStringSubmatchIndex(line)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s in %q: %v, %v; want %v (%v)", seed, m.text, line, got, err, want, settings)
			}
			if k.plain {
				if at := regexp.MustCompile(m.text).FindStringSubmatchIndex(line); !slices.Equal(at, got) {
					t.Fatalf("seed %d: %s in %q: %v, regexp: %v", seed, m.text, line, got, at)
				}
			}
		}
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(20_000) {
		compare(t, seed)
	}
}
