package pass

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// An independent model of the judging: slow, plain, without passes, positions,
// files or a kernel. It is told what was logged and what an admin undid, and says
// which bans follow.

// modelJail is a policy as the model has it; times in seconds.
type modelJail struct {
	maxretry, findtime, bantime int
	factor                      int  // the n-th ban lasts bantime x factor^(n-1)
	ledger                      bool // fed by the bans of the others
	count, net4, net6           int  // that many keys of a network of that length ban it; 0: none is
}

type modelEvent struct {
	at   int64 // seconds since the Unix epoch
	jail string
	addr netip.Addr
}

// modelPardon is an unban of everything for one key, at a second up to which all
// that was logged had been judged.
type modelPardon struct {
	at  int64
	key netip.Prefix
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

// modelBans are the bans that follow, and those of them that were taken back. A
// jail is looked at by itself, but for recidive, which comes after.
func modelBans(jails map[string]modelJail, events []modelEvent, pardons []modelPardon) (bans []modelBan, undone map[modelBan]bool) {
	undone = map[modelBan]bool{}
	for name, jail := range jails {
		if !jail.ledger {
			bans = append(bans, jail.bans(name, events, pardons, undone)...)
		}
	}
	again := make([]modelEvent, len(bans))
	for name, jail := range jails {
		if !jail.ledger {
			continue
		}
		again = again[:0]
		for _, b := range bans {
			if !b.network {
				again = append(again, modelEvent{b.since, name, b.key.Addr()})
			}
		}
		slices.SortStableFunc(again, func(a, b modelEvent) int { return cmp.Compare(a.at, b.at) })
		bans = append(bans, jail.bans(name, again, pardons, undone)...)
	}
	return bans, undone
}

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
	last    map[netip.Prefix]*modelBan              // of a key or a network
	n       map[netip.Prefix]int
	bans    []modelBan
	undone  map[modelBan]bool
}

func (j modelJail) bans(name string, events []modelEvent, pardons []modelPardon, undone map[modelBan]bool) []modelBan {
	s := modelState{modelJail: j, name: name, windows: map[netip.Prefix][]int64{}, members: map[netip.Prefix]map[netip.Prefix]int64{},
		last: map[netip.Prefix]*modelBan{}, n: map[netip.Prefix]int{}, undone: undone}
	for _, e := range events {
		if e.jail != name {
			continue
		}
		for ; len(pardons) > 0 && pardons[0].at < e.at; pardons = pardons[1:] {
			s.pardon(pardons[0])
		}
		s.failure(modelKey(e.addr), s.network(e.addr), e.at)
	}
	for _, p := range pardons {
		s.pardon(p)
	}
	return s.bans
}

func (s *modelState) failure(key, network netip.Prefix, at int64) {
	if s.inForce(key, at) || s.count > 0 && s.inForce(network, at) {
		return
	}
	window := append(s.windows[key], at)
	window = slices.DeleteFunc(window, func(t int64) bool { return t <= at-int64(s.findtime) })
	if s.windows[key] = window; len(window) < s.maxretry {
		return
	}
	s.windows[key] = nil
	s.ban(key, at, false)
	if s.count == 0 {
		return
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
		s.members[network] = nil
		s.ban(network, at, true)
	}
}

func (s *modelState) inForce(key netip.Prefix, at int64) bool {
	b := s.last[key]
	return b != nil && at >= b.since && at < b.until
}

func (s *modelState) ban(key netip.Prefix, at int64, network bool) {
	s.n[key]++
	length := int64(s.bantime)
	for range s.n[key] - 1 {
		length *= int64(max(s.factor, 1))
	}
	s.last[key] = &modelBan{s.name, key, at, at + length, s.n[key], network}
	s.bans = append(s.bans, *s.last[key])
}

// pardon takes back the ban of a key, and that of its network with all that waits in it.
func (s *modelState) pardon(p modelPardon) {
	network := s.network(p.key.Addr())
	s.lift(p.key, p.at)
	delete(s.members[network], p.key)
	if s.count > 0 && s.inForce(network, p.at) {
		s.lift(network, p.at)
		s.members[network] = nil
		for key := range s.windows {
			if network.Contains(key.Addr()) {
				s.windows[key] = nil
			}
		}
	}
}

func (s *modelState) lift(key netip.Prefix, at int64) {
	s.windows[key] = nil
	if b := s.last[key]; b != nil && b.until > at {
		s.undone[*b] = true
	}
	delete(s.last, key)
}
