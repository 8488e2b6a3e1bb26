package past

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"scan2ban/scan"
	"scan2ban/state"
	"scan2ban/state/order"
	"scan2ban/state/report"
)

const (
	maxAddresses = 100_000   // told apart
	maxNames     = 20_000    // user names told apart
	maxUsers     = 5         // names kept of one address
	collateral   = 7 * 86400 // seconds after a ban in which a log-in says that it hit an honest client
	minute       = 60        // seconds between two passes
)

// survey counts what is read and judges it by each policy.
type survey struct {
	options Options
	line    func() string // what the finding was read from
	sides   map[string]*side
	order   []string // the hosts, as they came
	one     *side    // of the entry before

	past      *report.Past
	first     int64 // seconds of the first and the last entry; 0: none yet
	last      int64
	jails     map[string]*report.PastJail
	addresses map[who]*attacker
	users     map[string]int
	hours     map[int64]int // failures, by hours since the Unix epoch
	policies  []*policy
}

// who is an address in the eyes of one jail.
type who struct {
	addr netip.Addr
	jail string
}

type attacker struct {
	failures, bans int
	first, last    int64 // seconds
	users          []string
	login          int64 // the first log-in after the first failure; 0: none
}

// side is one host, judged by each policy.
type side struct {
	host       string
	judges     []*state.Judge
	pruned     int64
	understood int
	failures   int
}

// policy is what one policy would have done, over all hosts.
type policy struct {
	Policy
	bans      []*ban
	by        map[at][]*ban // in the order of their beginnings
	failures  int
	prevented int
}

type at struct {
	host, jail string
	key        state.Key
}

type ban struct {
	state.Ban
	host      string
	prevented int
	late      int
	login     *report.Collateral
}

// holds is from when on a pass would have had it in the kernel.
func (b *ban) holds() int64 { return b.Since/minute*minute + minute }

func newSurvey(o Options) *survey {
	s := &survey{options: o, line: func() string { return "" }, sides: map[string]*side{}, past: &report.Past{}, jails: map[string]*report.PastJail{},
		addresses: map[who]*attacker{}, users: map[string]int{}, hours: map[int64]int{}}
	for _, p := range o.Policies {
		s.policies = append(s.policies, &policy{Policy: p, by: map[at][]*ban{}})
	}
	for name := range o.Policies[0].Rules {
		s.jails[name] = &report.PastJail{Name: name}
	}
	return s
}

// side is the host's; a new one begins with nothing known.
func (s *survey) side(host string) *side {
	if s.one != nil && s.one.host == host {
		return s.one
	}
	h := s.sides[host]
	if h == nil {
		h = &side{host: host}
		s.sides[host] = h
		s.order = append(s.order, host)
		for i, p := range s.policies {
			rules := map[string]*state.Rules{}
			for name, r := range p.Rules {
				own := *r // a judging keeps notes there
				rules[name] = &own
			}
			prior := state.NewPrior()
			j := state.NewJudge(state.New(), rules, s.options.Setup.State, func() (*state.Prior, error) { return prior, nil })
			j.OnFailure = s.failed(h, i)
			h.judges = append(h.judges, j)
		}
		if len(h.judges) > 0 {
			h.judges[0].OnLogin = s.loggedIn(h)
		}
	}
	s.one = h
	return h
}

// add takes one finding.
func (s *survey) add(host string, f scan.Finding) {
	h := s.side(host)
	s.past.Entries++
	j := s.jails[f.Jail]
	if j == nil {
		return
	}
	j.Entries++
	if f.Verdict.Understood() {
		j.Understood++
		s.past.Understood++
		h.understood++
	}
	if s.first == 0 || f.Time < s.first {
		s.first = f.Time
	}
	s.last = max(s.last, f.Time)
	e, ok := f.Event()
	if !ok {
		return
	}
	h.judges[0].Event(e)
	s.decided(h, 0)
	if f.Time-h.pruned > 3600 {
		h.pruned = f.Time
		for _, j := range h.judges {
			j.Until(f.Time)
		}
	}
}

// failed is told of the failures that count; those of the first policy go on to the
// others.
func (s *survey) failed(h *side, i int) func(state.Failure, state.Key, *state.Ban) {
	p := s.policies[i]
	return func(f state.Failure, key state.Key, under *state.Ban) {
		if p.Rules[f.Jail].Ledger {
			return
		}
		p.failures += f.Weight
		if under != nil {
			if list := p.by[at{h.host, under.Jail, under.Key}]; len(list) > 0 {
				b := list[len(list)-1]
				b.late += f.Weight
				if f.Time >= b.holds() {
					b.prevented += f.Weight
					p.prevented += f.Weight
				}
			}
		}
		if i > 0 {
			return
		}
		s.count(h, f)
		for k, other := range h.judges[1:] {
			if q := s.policies[k+1]; q.Rules[f.Jail] == nil {
				q.failures += f.Weight // that jail is none of its: all are let through
				continue
			}
			other.Fail(f)
			s.decided(h, k+1)
		}
	}
}

// count takes a failure into the sums.
func (s *survey) count(h *side, f state.Failure) {
	h.failures += f.Weight
	s.past.Failures += f.Weight
	s.jails[f.Jail].Failures += f.Weight
	s.hours[f.Time/3600] += f.Weight
	a := s.addresses[who{f.Addr, f.Jail}]
	if a == nil {
		if len(s.addresses) >= maxAddresses {
			s.past.Untold += f.Weight
			return
		}
		a = &attacker{first: f.Time}
		s.addresses[who{f.Addr, f.Jail}] = a
	}
	a.failures += f.Weight
	a.first, a.last = min(a.first, f.Time), max(a.last, f.Time)
	if f.User == "" {
		return
	}
	if len(a.users) < maxUsers && !slices.Contains(a.users, f.User) {
		a.users = append(a.users, f.User)
	}
	if n, known := s.users[f.User]; known || len(s.users) < maxNames {
		s.users[f.User] = n + f.Weight
	}
}

// decided takes over the bans that a judge has just decided.
func (s *survey) decided(h *side, i int) {
	j, p := h.judges[i], s.policies[i]
	if len(j.Decisions) == 0 {
		return
	}
	for k := range j.Decisions {
		b, err := j.Decisions[k].Ban()
		if err != nil {
			continue
		}
		own := &ban{Ban: *b, host: h.host}
		p.bans = append(p.bans, own)
		where := at{h.host, b.Jail, b.Key}
		p.by[where] = append(p.by[where], own)
		if a := s.addresses[who{b.Addr, b.Jail}]; a != nil && i == 0 {
			a.bans++
		}
	}
	j.Decisions = j.Decisions[:0]
}

// loggedIn is told of the log-ins that are believed.
func (s *survey) loggedIn(h *side) func(state.Event) {
	return func(e state.Event) {
		s.past.Logins++
		for name := range s.jails {
			if a := s.addresses[who{e.Addr, name}]; a != nil && a.login == 0 && e.Time >= a.first {
				a.login = e.Time
			}
		}
		for i, p := range s.policies {
			if i > 0 {
				h.judges[i].Login(e)
			}
			for name := range p.Rules {
				key, _ := h.judges[i].Key(name, e.Addr)
				s.hit(p.by[at{h.host, name, key}], h, e)
				if network, ok := h.judges[i].Network(name, e.Addr); ok {
					s.hit(p.by[at{h.host, name, network}], h, e)
				}
			}
		}
	}
}

// hit notes of the bans that one who logs in was under of late that they hit him.
func (s *survey) hit(list []*ban, h *side, e state.Event) {
	for _, b := range slices.Backward(list) {
		if e.Time-b.Since > collateral {
			break
		}
		if b.login == nil && e.Time >= b.Since {
			b.login = &report.Collateral{Jail: b.Jail, Address: e.Addr.String(), Key: b.Key.String(), Since: report.UTC(b.Since), Login: report.UTC(e.Time),
				User: e.User, Host: h.host, Line: s.line()}
		}
	}
}

// finish draws the sums.
func (s *survey) finish() *report.Past {
	p := s.past
	from, to := s.first, s.last
	if s.options.Since > 0 {
		from = s.options.Since
	}
	if to = max(to, s.options.Until); s.options.Until == 0 && s.options.Setup.JournalPath == "" && len(s.options.Files) == 0 {
		to = max(to, s.options.Setup.Now.Unix())
	}
	p.Span(from, to)
	main := s.policies[0]
	for hour := from / 3600; hour <= to/3600 && from > 0; hour++ {
		p.Hours = append(p.Hours, report.Hour{Time: report.UTC(hour * 3600), Failures: s.hours[hour]})
	}
	s.days(main)
	all := make([]who, 0, len(s.addresses))
	for w := range s.addresses {
		all = append(all, w)
	}
	if s.options.Networks != nil { // neighbours lie side by side in a database
		order.By(all, func(a, b who) int { return a.addr.Compare(b.addr) })
	}
	for _, w := range all {
		a := s.addresses[w]
		shown := report.Attacker{Address: w.addr.String(), Jail: w.jail, Failures: a.failures, First: report.UTC(a.first), Last: report.UTC(a.last),
			Users: append([]string{}, a.users...), Bans: a.bans}
		if a.login > 0 {
			at := report.UTC(a.login)
			shown.LaterLogin = &at
		}
		if s.options.Networks != nil {
			shown.Country, shown.ASN = s.options.Networks.Of(w.addr)
		}
		p.Addresses = append(p.Addresses, shown)
	}
	if p.Located = s.options.Networks != nil; p.Located {
		p.Warnings = append(p.Warnings, s.options.Networks.Warnings()...)
	}
	order.By(p.Addresses, func(a, b report.Attacker) int {
		return cmp.Or(b.Failures-a.Failures, cmp.Compare(a.Address, b.Address), cmp.Compare(a.Jail, b.Jail))
	})
	for user, n := range s.users {
		p.Users = append(p.Users, report.Name{User: user, Failures: n})
	}
	order.By(p.Users, func(a, b report.Name) int {
		return cmp.Or(b.Failures-a.Failures, cmp.Compare(a.User, b.User))
	})
	for _, b := range main.bans {
		shown := report.FromBan(&b.Ban)
		shown.Late = b.late
		p.Bans = append(p.Bans, shown)
		j := s.jails[b.Jail]
		j.Bans++
		j.Prevented += b.prevented
	}
	for _, j := range s.jails {
		p.Jails = append(p.Jails, *j)
	}
	order.By(p.Jails, func(a, b report.PastJail) int { return cmp.Or(b.Failures-a.Failures, cmp.Compare(a.Name, b.Name)) })
	for _, pol := range s.policies {
		p.Policies = append(p.Policies, pol.told())
	}
	p.Collateral, p.KernelMost = p.Policies[0].Collateral, p.Policies[0].AliveMost
	if len(s.order) > 1 || len(s.order) == 1 && s.order[0] != "" {
		for _, host := range s.order {
			h := s.sides[host]
			bans := 0
			for _, b := range main.bans {
				if b.host == host {
					bans++
				}
			}
			p.Hosts = append(p.Hosts, report.Host{Host: host, Understood: h.understood, Failures: h.failures, Bans: bans})
		}
	}
	p.Nets()
	return p
}

// days are those of the span, in the local zone.
func (s *survey) days(main *policy) {
	index := map[string]int{}
	day := func(second int64) *report.Day {
		name := time.Unix(second, 0).Format(time.DateOnly)
		i, ok := index[name]
		if !ok {
			i = len(s.past.Days)
			index[name] = i
			s.past.Days = append(s.past.Days, report.Day{Day: name})
		}
		return &s.past.Days[i]
	}
	for _, h := range s.past.Hours {
		at, _ := time.Parse(time.RFC3339, h.Time)
		day(at.Unix()).Failures += h.Failures
	}
	for _, b := range main.bans {
		day(b.Since).Bans++
	}
	order.By(s.past.Days, func(a, b report.Day) int { return cmp.Compare(a.Day, b.Day) })
}

// told sums one policy up.
func (p *policy) told() report.Policy {
	t := report.Policy{Policy: p.Name, Prevented: p.prevented, LetThrough: p.failures - p.prevented, Bans: len(p.bans), Collateral: []report.Collateral{}}
	banned := map[at]bool{}
	type change struct {
		second int64
		by     int
	}
	var changes []change
	for _, b := range p.bans {
		banned[at{key: b.Key}] = true
		if b.IsNetwork() {
			t.Networks++
		}
		if b.login != nil {
			t.Collateral = append(t.Collateral, *b.login)
		}
		if b.Until == 0 || b.Until > b.holds() {
			changes = append(changes, change{b.holds(), 1})
			if b.Until != 0 {
				changes = append(changes, change{b.Until, -1})
			}
		}
	}
	t.Banned = len(banned)
	order.By(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.second, b.second), a.by-b.by) })
	alive := 0
	for _, c := range changes {
		alive += c.by
		t.AliveMost = max(t.AliveMost, alive)
	}
	return t
}
