// Package state holds what scan2ban remembers and decides.
//
// It owns the vocabulary that the other packages share ([Event], [Failure],
// [Ban], [Policy], [Reach]), the judging ([Judge]), which is a pure function
// of windows, events and policy and never asks what time it is, and the files
// that carry the result from one pass to the next ([Store]): state.json, what
// the next pass needs, and history.jsonl, every decision in order.
//
// It imports nothing of ours but the hash (sha256), never reads a log and never touches the kernel.
package state

import (
	"net/netip"
	"slices"
	"time"
)

// Kind tells what a log entry says of its address.
type Kind uint8

const (
	KindFailure Kind = iota // an attempt that failed
	KindSuccess             // a log-in that succeeded: bans nobody
	KindMark                // no address of its own; explains a later line of its session
)

// Failure is one attempt that counts.
type Failure struct {
	Jail   string
	Addr   netip.Addr // never an IPv4-mapped IPv6 address, never with a zone
	Time   int64      // seconds since the Unix epoch, of the log entry
	Weight int        // how many failures it counts for; at least 1
	User   string     // as the client wrote it, may be empty; escape before showing
	Rule   string     // the name of the filter rule that matched

	// Lingers says that the line may be written with no packet of the client, long
	// after its ban: it proves nothing about the ban. See Through.
	Lingers bool
}

// Event is what a filter understood of one log entry. It becomes a Failure
// only when its session says that the attempt has not been counted yet.
type Event struct {
	Failure
	Kind Kind

	// Session names the process that served the client, "BOOT/PID" for the
	// journal; empty where every line stands for itself.
	Session string
	// Stage orders the lines that one attempt writes (1, 2, 3 ...). A line whose
	// stage the session has already reached begins a new attempt; a later stage
	// goes on with the one that was counted. 0 has no order: it always counts.
	Stage int
	// Once lines count only when their session has counted nothing.
	Once bool
	// After names a rule; the line counts only when its session has seen it. A
	// failure whose own line names nobody is the client's that the other one named.
	After string
	// Unless names a rule; the line counts only when its session is known and has
	// not seen it.
	Unless string
	// Echo lines repeat what the service itself says; see Sessions.
	Echo bool
	// Echoed says that the filter has such lines, so that it is worth remembering
	// of which addresses the service has written.
	Echoed bool
}

// Key is what failures are counted for and bans are laid on: an address, or
// the prefix that it shares with its neighbours.
type Key struct{ netip.Prefix }

// Ban is one entry of the ledger.
type Ban struct {
	Jail     string
	Key      Key
	Addr     netip.Addr // of the deciding failure; invalid for a network, and for a CIDR banned by hand
	Since    int64      // seconds since the Unix epoch: the time of the deciding failure
	Until    int64      // the ban is over when now >= Until; 0: never
	Failures int        // the weights that led to it; of a network: how many bans
	Late     int        // failures of the key while the ban was in force
	Users    []string   // at most maxUsers, in the order seen
	N        int        // the how-manieth ban of this key, 1 for the first
	Rule     string     // of the deciding failure
	ByHand   bool       // decided by an admin
	Members  []Key      // of a network: the keys whose bans led to it, in their order; see Subnets
	Forced   bool       // by an admin who knew that it is to be ignored
	Ended    bool       // its end has been announced; it stays until the log has passed it
	Enforced int64      // since when the kernel is known to hold it, by the clock; 0: not known. Judging ignores it

	fresh bool // decided in this pass
}

// maxUsers bounds the user names that are kept with a ban.
const maxUsers = 5

// Policy says when a key is banned and for how long. It is a part of the
// configuration: [defaults] and [jail.X].
type Policy struct {
	MaxRetry   int        `toml:"maxretry"`    // weights within FindTime that ban; at least 1
	FindTime   Duration   `toml:"findtime"`    // the width of the sliding window
	BanTime    Duration   `toml:"bantime"`     // how long a first ban lasts, or permanent
	IPv4Prefix int        `toml:"ipv4_prefix"` // bits of an IPv4 key, 8 to 32
	IPv6Prefix int        `toml:"ipv6_prefix"` // bits of an IPv6 key, 16 to 128
	NAT64      Prefixes   `toml:"nat64"`       // prefixes in which each address is a key, beside 64:ff9b::/96
	Escalation Escalation `toml:"escalation"`
	IgnoreIP   Prefixes   `toml:"ignoreip"`    // never counted, never banned
	IgnoreFile string     `toml:"ignorefile"`  // one address or CIDR a line, read at every pass
	IgnoreSelf bool       `toml:"ignoreself"`  // the host's own addresses and its default gateways too
	Forgive    bool       `toml:"forgive"`     // a successful log-in clears the window of its key
	Spare      Duration   `toml:"spare"`       // no ban within this time after a successful log-in; 0: off
	MaxTracked int        `toml:"max_tracked"` // keys whose windows are kept, at least 1
	Instant    []string   `toml:"instant"`     // rules of which one failure bans
	Subnets    Subnets    `toml:"subnets"`     // when a network is banned as a whole
}

// Escalation lengthens the bans of those who come back. The n-th ban of a key
// lasts min(bantime x Factor^(n-1), Max), plus a part of Jitter that is a hash
// of key and time.
type Escalation struct {
	Factor      float64  `toml:"factor"`       // 0 or 1: off
	Max         Duration `toml:"max"`          // 0: no limit
	Jitter      Duration `toml:"jitter"`       // 0: none
	AcrossJails bool     `toml:"across_jails"` // bans of all jails count for n
}

// Reach says what a ban keeps the client from. It is a part of [jail.X].
type Reach struct {
	Ports     Ports     `toml:"ports" json:"ports"`         // empty: the filter's; ["all"]: every port and protocol
	Protocol  []string  `toml:"protocol" json:"protocol"`   // "tcp" (default), "udp"
	BlockType BlockType `toml:"blocktype" json:"blocktype"` // "drop" (default) or "reject"
	Forwarded bool      `toml:"forwarded" json:"forwarded"` // also what this host routes for others
	Enforce   bool      `toml:"enforce" json:"enforce"`     // false: keep the ledger, leave the kernel alone
}

// same tells whether both say the same.
func (r Reach) same(as Reach) bool {
	return slices.Equal(r.Ports, as.Ports) && slices.Equal(r.Protocol, as.Protocol) &&
		r.BlockType == as.BlockType && r.Forwarded == as.Forwarded && r.Enforce == as.Enforce
}

// Options are the settings of this package that no jail owns: [state].
type Options struct {
	Checkpoint Duration `toml:"checkpoint"`  // how long a pass that decided nothing may leave saving
	Memory     Duration `toml:"memory"`      // how long history is kept and earlier bans count
	MaxLedger  int      `toml:"max_ledger"`  // bans in the ledger of a jail, at least 1; 0 in code: no limit
	MaxHistory Size     `toml:"max_history"` // of history.jsonl: beyond it the oldest decisions go; 0 in code: no limit
}

// DefaultPolicy is what a jail has that says nothing: five failures in an hour
// ban for a day.
func DefaultPolicy() Policy {
	return Policy{
		MaxRetry: 5, FindTime: Duration(time.Hour), BanTime: Duration(24 * time.Hour),
		IPv4Prefix: 32, IPv6Prefix: 64, IgnoreSelf: true, MaxTracked: 100_000,
	}
}

// DefaultReach enforces, drops, and leaves the ports to the filter.
func DefaultReach() Reach {
	return Reach{Protocol: []string{"tcp"}, BlockType: Drop, Enforce: true}
}

// DefaultOptions are those of [state].
func DefaultOptions() Options {
	return Options{Checkpoint: Duration(10 * time.Minute), Memory: Duration(90 * 24 * time.Hour), MaxLedger: 100_000, MaxHistory: 128 << 20}
}

// JournalPosition is the last journal entry that has been judged; never ahead
// of the windows that it is saved with.
type JournalPosition struct {
	// Cursor as sd_journal_get_cursor(3) writes it: "s=SEQNUMID;i=SEQNUM;b=BOOTID;m=MONOTONIC;t=REALTIME;x=XORHASH",
	// numbers in hexadecimal, times in microseconds. x may be missing.
	Cursor string `json:"cursor"`
	Time   int64  `json:"time"` // realtime of that entry in microseconds since the Unix epoch
}
