// Package nftables brings the kernel to a desired set of bans.
//
// Everything lives in one table, "inet scan2ban", with one chain:
//
//	chain prerouting {
//		type filter hook prerouting priority mangle; policy accept;
//		iif "lo" accept
//		ct direction reply accept
//		icmpv6 type nd-router-solicit-nd-neighbor-advert accept
//		                                                   groups whose reach is forwarded
//		fib daddr type != local accept
//		tcp dport 22 ip saddr @sshd4 drop                  the other groups, in the order given
//		tcp dport 22 ip6 saddr & ffff:ffff:ffff:ffff:: @sshd6 drop
//	}
//
// Priority -150 is after conntrack and before DNAT: a published container port
// is covered with the port that the client dialled, and the open connections
// of the banned die, because no further packet of theirs passes. Our own
// outbound connections, loopback, neighbour discovery and transit live on. A
// group whose reach is forwarded has its rules before the fib rule, so it alone
// is met in transit too.
//
// The sets of a group NAME, all with timeouts and a counter for each element:
//
//	NAME4 NAME6        keys of the group's nominal length; hash sets
//	NAME4_32 NAME6_128 single addresses where the nominal length is shorter: a
//	                   prefix that holds an ignored address, NAT64; hash sets
//	NAME4_net NAME6_net keys of any other length: one interval set, made disjoint,
//	                   the longest end winning
//
// A group that is a [List] has instead two interval sets, NAME4 and NAME6, without
// timeouts and counters.
//
// The first pair exists for every group, the others only while the group holds
// such a key. A set's comment is the group's name and the length of its keys,
// "sshd /64", or "sshd ranges": [Dump] needs no configuration to read them.
//
// [Sync] is walk first, then apply once: a [Plan] is a value, made by pure
// functions from what is wanted and what is known, that can be printed. The
// kernel's generation id, which moves with every commit by anybody, tells
// whether anything can have changed since the last pass ([Memory]); only if it
// may have, the table is read back and compared.
//
// Structure (chain, sets, rules) is mended in one atomic transaction, together
// with the elements of the sets that it replaces; other elements follow in as
// many as are fastest, each safe to be the last. If the table or the chain itself
// is wrong, everything is made anew in one. No other table is ever touched.
//
// Packets that blocktype = "reject" blocks are answered with a reset (TCP) or
// with port unreachable, those of an unlimited reach too.
//
// Attributes and messages are those of linux/netfilter/nf_tables.h; the
// expressions of the rules are built with google/nftables/expr. Messages are
// written and read by this package over mdlayher/netlink: batch, link and
// readElements say why.
package nftables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"scan2ban/state"
)

// Element is one ban that must be in the kernel.
type Element struct {
	Key  state.Key
	Left time.Duration // what remains when Sync is called; 0: for ever; below 1 s: not sent
}

// Group is the share of one jail, or of the bans by hand.
type Group struct {
	Name                   string      // unique; names the sets, so at most 200 bytes
	Reach                  state.Reach // no ports: all of them
	IPv4Prefix, IPv6Prefix int         // nominal lengths of its keys; 0: 32 and 64
	Elements               []Element
	List                   *List // instead of Elements
}

// Options are the settings of this package: [kernel].
type Options struct {
	MaxBans int     `toml:"max_bans"` // elements over all groups; the latest ends win, permanent first; 0: no limit
	Backend Backend `toml:"backend"`
}

// Backend says who enforces the bans.
type Backend string

const (
	ByKernel Backend = "nftables" // this package
	ByHooks  Backend = "hook"     // programs that are told of them, see package deliver: the kernel gets none
)

// UnmarshalText accepts the two.
func (b *Backend) UnmarshalText(text []byte) error {
	if *b = Backend(text); *b != ByKernel && *b != ByHooks {
		return fmt.Errorf("%q is not a backend (nftables, hook)", text)
	}
	return nil
}

// DefaultOptions are those of a configuration without [kernel].
func DefaultOptions() Options { return Options{MaxBans: 65_536, Backend: ByKernel} }

// Result is what a Sync did.
type Result struct {
	Memory   *Memory          // to be kept and handed to the next Sync; nil: the next one must read the table
	Added    int              // elements put in or renewed because the ledger changed
	Removed  int              // elements taken out because the ledger changed
	Repaired int              // elements and pieces of structure that the ledger said were there and were not, or were there wrongly
	LeftOut  int              // elements beyond MaxBans
	Failed   map[string]error // group -> why its bans are not all enforced; the other groups are
	Dumped   bool             // the table was read back
	Commits  int              // transactions made
	Plan     Plan             // what was to be done
}

// Sync brings the kernel to want.
//
// was is what the ledger said after the last pass that synced (nil: unknown;
// empty: nothing). Its Left, like that of want, is what remains *now*: a ban
// that has ended since is left out of both. When memory proves that nobody has
// committed anything since, only the difference between was and want is
// applied, and where there is none the kernel is asked one question and told
// nothing; that is cheapest when both list the same elements in the same order.
// Otherwise our table is read and mended.
//
// A group that the kernel refuses is named in Result.Failed and the others are
// enforced. The error is for what concerns all of them: no permission
// (wraps fs.ErrPermission), no nf_tables (wraps errors.ErrUnsupported), ctx done.
func (o Options) Sync(ctx context.Context, want, was []Group, memory *Memory) (Result, error) {
	result := Result{Failed: map[string]error{}}
	wanted, err := arrange(want, o.MaxBans)
	if err != nil {
		return result, err
	}
	result.LeftOut = wanted.leftOut
	maps.Copy(result.Failed, wanted.bad)

	link, err := open(ctx)
	if err != nil {
		return result, err
	}
	defer link.close()
	before, err := link.generation()
	if err != nil {
		return result, err
	}
	now := identify(before, wanted.hash(o))

	var known *arrangement // what the ledger said; nil: unknown
	if was != nil {
		if known, err = arrange(was, o.MaxBans); err != nil {
			return result, err
		}
	}
	reason := memory.differs(now)
	if known == nil {
		reason = "what was there is unknown"
	}
	if reason == "" && sameInOrder(was, want) {
		result.Memory = memory
		return result, nil
	}
	result.Dumped = reason != ""
	result.Plan, err = link.plan(known, wanted, reason, memory != nil && memory.Structure == now.Structure)
	if err != nil {
		return result, err
	}
	maps.Copy(result.Failed, result.Plan.Unread)
	result.Added, result.Removed, result.Repaired = result.Plan.Added, result.Plan.Removed, result.Plan.Repaired

	commits, err := link.apply(ctx, result.Plan, wanted, result.Failed)
	result.Commits = commits
	if err != nil {
		return result, err
	}
	if len(result.Failed) > 0 {
		return result, nil
	}
	if commits > 0 || result.Dumped {
		if now.Generation, err = link.generation(); err != nil {
			return result, err
		}
	}
	if now.Generation-before == uint32(commits) {
		if !result.Dumped {
			now.Offset = memory.Offset // small steps must not add up unnoticed
		}
		result.Memory = &now
	}
	return result, nil
}

// plan fills the arrangements and gives what makes the kernel hold what is wanted: by what
// the ledger said, or where there is a reason against that, by what the kernel holds.
func (l *link) plan(known, wanted *arrangement, reason string, expected bool) (Plan, error) {
	wanted.fill()
	if known != nil {
		known.fill()
	}
	if reason == "" {
		return planFromLedger(known, wanted), nil
	}
	live, err := l.readTable()
	if err != nil {
		return Plan{}, err
	}
	if err := l.confirm(live, wanted); err != nil {
		return Plan{}, err
	}
	p := planFromKernel(live, known, wanted, expected)
	p.Reason = reason
	return p, nil
}

// Untouched tells whether nobody has committed anything since memory was taken, no clock
// was stepped and the host was not suspended: then the kernel holds what it was left
// with, less what has ended.
func Untouched(ctx context.Context, memory *Memory) (bool, error) {
	link, err := open(ctx)
	if err != nil {
		return false, err
	}
	defer link.close()
	generation, err := link.generation()
	if err != nil || memory == nil {
		return false, err
	}
	return memory.differs(identify(generation, memory.Structure)) == "", nil
}

// Remove deletes our table and every ban in it. A table that is not there is
// no error, nor is a kernel that has none.
func Remove(ctx context.Context) error {
	link, err := open(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	} else if err != nil {
		return err
	}
	defer link.close()
	if _, err := link.generation(); errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	b := newBatch(tableName)
	b.table(add)
	b.table(del)
	if err := link.commit(b); err != nil {
		return explain(fmt.Errorf("delete table inet %s: %w", tableName, err))
	}
	return nil
}

// Live is an element that the kernel holds.
type Live struct {
	Group          string
	Key            state.Key
	Left           time.Duration // 0: for ever
	Packets, Bytes uint64        // that met it since it was added
}

// Kernel is what our table holds.
type Kernel struct {
	Elements []Live
	Lists    []string // groups that are a [List], whose elements are not read; one for each of its sets
}

// Dump reads our table and changes nothing. A table that is not there holds
// nothing. A range that is no single prefix is given as several; its counters
// stand with the first.
func Dump(ctx context.Context) (Kernel, error) {
	link, err := open(ctx)
	if err != nil {
		return Kernel{}, err
	}
	defer link.close()
	t, err := link.readTable()
	if err != nil {
		return Kernel{}, err
	}
	var k Kernel
	for _, s := range t.sets {
		if s.anonymous || !s.ours {
			continue
		}
		if s.still {
			k.Lists = append(k.Lists, s.group)
		}
		for _, e := range s.elements {
			live := Live{Group: s.group, Left: e.left, Packets: e.packets, Bytes: e.bytes}
			if s.bits > 0 {
				live.Key.Prefix, _ = e.from.Prefix(s.bits)
				k.Elements = append(k.Elements, live)
				continue
			}
			for _, p := range prefixes(e.from, e.to) {
				live.Key.Prefix = p
				k.Elements = append(k.Elements, live)
				live.Packets, live.Bytes = 0, 0
			}
		}
	}
	return k, nil
}

// errInterrupted says that the ruleset changed while it was being read.
var errInterrupted = errors.New("the ruleset keeps changing while it is read")
