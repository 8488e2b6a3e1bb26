package pass

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// An independent model of the judging: plain, in memory, without passes, positions,
// files or a kernel. It is told what was logged and what an admin did, once each and
// in the order of time, and says which bans follow.

// modelJail is a policy as the model has it; times in seconds.
type modelJail struct {
	maxretry, findtime, bantime int
	factor, most                int  // the n-th ban lasts bantime x factor^(n-1), at most that long
	memory                      int  // earlier bans count for so long
	ledger                      bool // fed by the bans of the others
	count, net4, net6           int  // that many keys of a network of that length ban it; 0: none is
}

type modelEvent struct {
	at   int64 // seconds since the Unix epoch
	jail string
	addr netip.Addr
}

type modelBan struct {
	jail         string
	key          netip.Prefix
	since, until int64
	n            int
	network      bool
}

// shown is a key as it is written everywhere: an address, or a network.
func shown(key netip.Prefix) string {
	if key.IsSingleIP() {
		return key.Addr().String()
	}
	return key.String()
}

func (b modelBan) String() string {
	return fmt.Sprint(b.jail, " ", shown(b.key), " ", b.since, " ", b.until, " ", b.n)
}

// modelPrefix reads a key as it is shown.
func modelPrefix(shown string) netip.Prefix {
	if addr, err := netip.ParseAddr(shown); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	return netip.MustParsePrefix(shown)
}

// modelKey is what an address counts for: itself, or its /64.
func modelKey(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// network is what an address is counted in beside its neighbours.
func (j modelJail) network(a netip.Addr) netip.Prefix {
	bits := j.net4
	if a.Is6() {
		bits = j.net6
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// model is what all jails make of it. A jail is looked at by itself, but for a ledger,
// which is told of the bans of the others.
type model struct {
	states map[string]*modelState
	bans   []modelBan         // as they were decided
	undone map[modelBan]int64 // those taken back, and when
}

func newModel(jails map[string]modelJail) *model {
	m := &model{states: map[string]*modelState{}, undone: map[modelBan]int64{}}
	for name, jail := range jails {
		m.states[name] = &modelState{modelJail: jail, name: name, windows: map[netip.Prefix][]int64{},
			members: map[netip.Prefix]map[netip.Prefix]int64{}, last: map[netip.Prefix]modelBan{}, began: map[netip.Prefix][]int64{}}
	}
	return m
}

// logged is one line of a log.
func (m *model) logged(e modelEvent) {
	bans := m.states[e.jail].failure(modelKey(e.addr), e.addr, e.at)
	m.bans = append(m.bans, bans...)
	for _, b := range bans {
		for _, s := range m.states {
			if s.ledger && !b.network {
				m.bans = append(m.bans, s.failure(b.key, b.key.Addr(), e.at)...)
			}
		}
	}
}

// banned is a ban by hand, of every port; one that ends later stays.
func (m *model) banned(b modelBan) {
	s := m.states[byHand]
	if !s.inForce(b.key, b.since) || s.last[b.key].until < b.until {
		s.last[b.key] = b
		m.bans = append(m.bans, b)
	}
}

// pardoned is an unban everywhere of a key, or of a network that holds keys as a whole: what
// was logged until then is void. A banned network that holds the key is taken back with
// all that waits in it.
func (m *model) pardoned(of netip.Prefix, at int64) {
	for _, s := range m.states {
		void := []netip.Prefix{of}
		for key, b := range s.last {
			if key.Overlaps(of) && at < b.until {
				m.undone[b] = at
				delete(s.last, key)
				void = append(void, key)
			}
		}
		for _, of := range void {
			for key := range s.windows {
				if within(of, key) {
					delete(s.windows, key)
				}
			}
			for _, members := range s.members {
				for key := range members {
					if within(of, key) {
						delete(members, key)
					}
				}
			}
		}
	}
}

// of are the bans of a key in a jail, for people.
func (m *model) of(jail, key string) (bans []string) {
	for _, b := range m.bans {
		if b.jail == jail && shown(b.key) == key {
			bans = append(bans, fmt.Sprintf("%d to %d (%d)", b.since, b.until, b.n))
		}
	}
	return bans
}

func within(of, key netip.Prefix) bool { return of.Bits() <= key.Bits() && of.Contains(key.Addr()) }

// elementKeys are the keys that an element of nft's JSON stands for: an address, or the
// networks of the jail that a prefix or a range is made of.
func elementKeys(jail modelJail, val json.RawMessage) ([]netip.Prefix, error) {
	var addr netip.Addr
	if json.Unmarshal(val, &addr) == nil {
		return []netip.Prefix{modelKey(addr)}, nil
	}
	var of struct {
		Prefix *struct {
			Addr netip.Addr
			Len  int
		}
		Range []netip.Addr
	}
	if err := json.Unmarshal(val, &of); err != nil {
		return nil, err
	}
	if of.Prefix != nil {
		p := netip.PrefixFrom(of.Prefix.Addr, of.Prefix.Len)
		of.Range = []netip.Addr{p.Addr(), p.Addr()}
		for a := p.Addr(); p.Contains(a); a = nextNetwork(jail, a) {
			of.Range[1] = a
		}
	}
	if len(of.Range) != 2 {
		return nil, fmt.Errorf("neither address, prefix nor range: %s", val)
	}
	var keys []netip.Prefix
	for a := of.Range[0]; a.Compare(of.Range[1]) <= 0; a = nextNetwork(jail, a) {
		keys = append(keys, jail.network(a))
	}
	return keys, nil
}

// nextNetwork is where the network after that of a begins; a network is small.
func nextNetwork(jail modelJail, a netip.Addr) netip.Addr {
	b := a.AsSlice()
	for i := jail.network(a).Bits() - 1; i >= 0; i-- { // adds one at the last bit of the network
		bit := byte(0x80 >> (i % 8))
		if b[i/8] ^= bit; b[i/8]&bit != 0 {
			break
		}
	}
	next, _ := netip.AddrFromSlice(b)
	return next
}

// modelState is what a jail makes of its log, line by line.
type modelState struct {
	modelJail
	name    string
	windows map[netip.Prefix][]int64                // failures of a key
	members map[netip.Prefix]map[netip.Prefix]int64 // when the keys of a network were banned
	last    map[netip.Prefix]modelBan               // of a key or a network, not taken back
	began   map[netip.Prefix][]int64                // its bans, taken back or not
}

// failure is one of a key, and gives the bans that follow: of the key, and of its network.
func (s *modelState) failure(key netip.Prefix, addr netip.Addr, at int64) (bans []modelBan) {
	network := s.network(addr)
	if s.inForce(key, at) || s.count > 0 && s.inForce(network, at) {
		return nil
	}
	window := append(s.windows[key], at)
	window = slices.DeleteFunc(window, func(t int64) bool { return t <= at-int64(s.findtime) })
	if s.windows[key] = window; len(window) < s.maxretry {
		return nil
	}
	delete(s.windows, key)
	bans = append(bans, s.ban(key, at, false))
	if s.count == 0 {
		return bans
	}
	if s.members[network] == nil {
		s.members[network] = map[netip.Prefix]int64{}
	}
	s.members[network][key] = at
	counted := 0
	for _, t := range s.members[network] {
		if t > at-int64(s.findtime) {
			counted++
		}
	}
	if counted >= s.count {
		delete(s.members, network)
		bans = append(bans, s.ban(network, at, true))
	}
	return bans
}

func (s *modelState) inForce(key netip.Prefix, at int64) bool {
	b, ok := s.last[key]
	return ok && at >= b.since && at < b.until
}

func (s *modelState) ban(key netip.Prefix, at int64, network bool) modelBan {
	s.began[key] = slices.DeleteFunc(s.began[key], func(t int64) bool { return t <= at-int64(s.memory) })
	length := int64(s.bantime)
	for range s.began[key] {
		length = min(length*int64(max(s.factor, 1)), int64(s.most))
	}
	s.began[key] = append(s.began[key], at)
	s.last[key] = modelBan{s.name, key, at, at + length, len(s.began[key]), network}
	return s.last[key]
}
