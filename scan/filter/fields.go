package filter

import (
	"net/netip"
	"regexp/syntax"
	"slices"
	"sync"
)

// Fields say where a JSON log has what a verdict needs: paths of members, the first
// that is there and not empty counts.
type Fields struct {
	Address   []string // the client; "ADDRESS:PORT" too
	User      []string
	Forwarded []string // what a proxy says of the client
	Unless    string   // a rule of kind "mark": a session that has written such a line is not believed
}

func (f *Fields) empty() bool { return len(f.Address)+len(f.User)+len(f.Forwarded) == 0 }

// Condition is one of a rule on a line in JSON.
type Condition struct {
	Path string
	Any  []string // the value is one of them; "" stands for a member that is not there
	Like string   // or matches this
}

// condition is one made ready.
type condition struct {
	*Condition
	place int // of the member in object.values
	like  *part
}

// part is an expression over one text, with the groups that are of use.
type part struct {
	shape
	engine                                     func() *engine
	addr, user, pid, session, count, forwarded int // groups of the engine; 0: not there
}

func newPart(tree *syntax.Regexp) part {
	p := part{engine: sync.OnceValue(func() *engine { return newEngine(tree) }), shape: shapeOf(tree)}
	names := tree.CapNames()
	for name, group := range map[string]*int{"addr": &p.addr, "user": &p.user, "pid": &p.pid, "session": &p.session, "count": &p.count, "forwarded": &p.forwarded} {
		*group = max(0, slices.Index(names, name))
	}
	return p
}

// parseLike parses the expression of a condition: unlike in a line, a line feed
// may stand in a member and is text like any other.
func parseLike(pattern string) (*syntax.Regexp, error) {
	return syntax.Parse(expand(pattern), syntax.Perl|syntax.DotNL)
}

// places are where a matcher finds members.
type places struct {
	paths                    map[string]int
	address, user, forwarded []int
	spare                    sync.Pool // of *object
}

func newPlaces(f *Fields) *places {
	p := &places{paths: map[string]int{}}
	all := func(paths []string) (places []int) {
		for _, path := range paths {
			places = append(places, p.place(path))
		}
		return places
	}
	p.address, p.user, p.forwarded = all(f.Address), all(f.User), all(f.Forwarded)
	return p
}

func (p *places) place(path string) int {
	place, ok := p.paths[path]
	if !ok {
		place = len(p.paths)
		p.paths[path] = place
	}
	return place
}

func (p *places) object() *object {
	if o, ok := p.spare.Get().(*object); ok {
		return o
	}
	return &object{paths: p.paths, values: make([][]byte, len(p.paths))}
}

// first gives the text of the first of places that has one.
func (o *object) first(places []int) []byte {
	for _, place := range places {
		if text := textOf(o.values[place]); len(text) > 0 {
			return text
		}
	}
	return nil
}

// matchObject judges a message that is a JSON object.
func (m *Matcher) matchObject(message []byte, program func() string) Verdict {
	o := m.places.object()
	defer m.places.spare.Put(o)
	if !o.read(message) {
		return Verdict{Kind: Refused, Reason: reasonJSON}
	}
	for i := range m.objects {
		r := &m.rules[m.objects[i]]
		if v, ok := m.matchMembers(r, o, program); ok {
			v.echoed = m.echoed && !r.Echo
			return v
		}
	}
	return Verdict{}
}

// matchMembers tries one rule; ok tells that it decided.
func (m *Matcher) matchMembers(r *compiled, o *object, program func() string) (v Verdict, ok bool) {
	v = Verdict{Kind: r.Kind, Rule: r.Rule, Weight: r.Weight, User: string(o.first(m.places.user))}
	addr, forwarded := o.first(m.places.address), o.first(m.places.forwarded)
	for i := range r.conditions {
		c := &r.conditions[i]
		text := textOf(o.values[c.place])
		if c.like == nil {
			if !slices.Contains(c.Any, string(text)) {
				return v, false
			}
			continue
		}
		var places [maxGroups]int
		at := c.like.engine().find(text, places[:0])
		if at == nil {
			return v, false
		}
		if c.like.user > 0 {
			v.User = group(text, at, c.like.user)
		}
		if n := c.like.addr; n > 0 {
			addr = text[at[2*n]:at[2*n+1]]
			if c.like.ambiguous(text, at) {
				v.Kind, v.Reason = Refused, reasonTwoAddr
			}
		}
	}
	switch {
	case !r.writtenBy(program):
		return v, false
	case v.Reason == reasonTwoAddr && r.active:
		return v, true
	case r.Kind == Benign, r.Kind == Refused, !r.active:
		v.Kind, v.Reason = r.Kind, ""
		v.aside(r)
		return v, true
	case r.Kind == Mark:
		return v, true
	}
	m.blame(&v, hostOf(addr), forwarded)
	return v, true
}

// hostOf takes the port off "203.0.113.1:5" and "[2001:db8::1]:5".
func hostOf(text []byte) []byte {
	if at, err := netip.ParseAddrPort(string(text)); err == nil {
		return []byte(at.Addr().String())
	}
	return text
}
