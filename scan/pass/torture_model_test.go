package pass

import (
	"cmp"
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

// modelBans are the bans that follow, and those of them that were taken back. A
// key is looked at by itself, but for recidive, which comes after.
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
		for i, b := range bans {
			again[i] = modelEvent{b.since, name, b.key.Addr()}
		}
		slices.SortStableFunc(again, func(a, b modelEvent) int { return cmp.Compare(a.at, b.at) })
		bans = append(bans, jail.bans(name, again, pardons, undone)...)
	}
	return bans, undone
}

func (j modelJail) bans(name string, events []modelEvent, pardons []modelPardon, undone map[modelBan]bool) (bans []modelBan) {
	times := map[netip.Prefix][]int64{}
	for _, e := range events {
		if e.jail == name {
			key := modelKey(e.addr)
			times[key] = append(times[key], e.at)
		}
	}
	for key, list := range times {
		var window []int64
		var last *modelBan
		n, undo := 0, 0
		var own []modelPardon
		for _, p := range pardons {
			if p.key == key {
				own = append(own, p)
			}
		}
		forgive := func(before int64) { // the unbans of before that second
			for ; undo < len(own) && own[undo].at < before; undo++ {
				window = nil
				if last != nil && last.until > own[undo].at {
					undone[*last] = true
				}
				last = nil
			}
		}
		for _, at := range list {
			forgive(at)
			if last != nil && at >= last.since && at < last.until {
				continue
			}
			window = append(window, at)
			window = slices.DeleteFunc(window, func(t int64) bool { return t <= at-int64(j.findtime) })
			if len(window) < j.maxretry {
				continue
			}
			n++
			length := int64(j.bantime)
			for range n - 1 {
				length *= int64(max(j.factor, 1))
			}
			window = nil
			last = &modelBan{name, key, at, at + length, n}
			bans = append(bans, *last)
		}
		forgive(1 << 62)
	}
	return bans
}
