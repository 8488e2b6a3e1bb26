package state

import (
	"encoding/hex"
	"fmt"
	"strings"

	"scan2ban/state/sha256"
)

// Verb is what was decided.
type Verb string

const (
	Banned   Verb = "ban"     // a jail or an admin banned a key
	Expired  Verb = "expiry"  // a ban ended by itself
	Unbanned Verb = "unban"   // an admin took a ban back; failures up to then are void
	Released Verb = "release" // a ban was taken back by the configuration: ignored now, jail removed
	Spared   Verb = "spare"   // no ban, for the key logged in successfully of late
	Repaired Verb = "repair"  // the kernel did not hold what it should have
	Rebuilt  Verb = "rebuild" // the state was lost and made again
	Warned   Verb = "warning" // something an admin should know
)

// Decision is one line of history.jsonl. Times are seconds since the Unix epoch.
type Decision struct {
	Seq      int64    `json:"seq"`  // counts up by one, without a gap
	ID       string   `json:"id"`   // a hash of what was decided; the same when a killed pass is repeated
	Verb     Verb     `json:"kind"` // what was decided
	Time     int64    `json:"time"` // log time for bans, the clock of the pass for all else
	Jail     string   `json:"jail,omitempty"`
	Address  string   `json:"address,omitempty"`
	Key      *Key     `json:"key,omitempty"`
	Since    int64    `json:"since,omitempty"`
	Until    *int64   `json:"until,omitempty"` // bans: 0 for permanent
	Failures int      `json:"failures,omitempty"`
	Late     int      `json:"late,omitempty"`
	Users    []string `json:"users,omitempty"`
	N        int      `json:"n,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Members  []Key    `json:"members,omitempty"` // bans of a network: the keys that led to it
	ByHand   bool     `json:"by_hand,omitempty"`
	Forced   bool     `json:"forced,omitempty"`   // by hand, although it is to be ignored
	Enforced bool     `json:"enforced,omitempty"` // bans: the jail acts on the kernel
	Summed   bool     `json:"summed,omitempty"`   // part of a rebuild, which announces them as one
	Text     string   `json:"text,omitempty"`     // the reason or message, for people
}

// Identify sets the ID, without which the history has no such decision.
func (d *Decision) Identify() { d.ID = d.hash() }

// hash is of all that makes the decision this decision.
func (d *Decision) hash() string {
	key, until := "", int64(-1)
	if d.Key != nil {
		key = d.Key.String()
	}
	if d.Until != nil {
		until = *d.Until
	}
	return Hash(fmt.Sprintf("%s\n%s\n%s\n%d\n%d\n%d\n%d\n%t\n%s", d.Verb, d.Jail, key, d.Since, until, d.N, d.timeOfID(), d.ByHand, d.textOfID()))
}

// names tells whether a decision about a key has one. The ID proves nothing about who wrote it.
func (d *Decision) names() bool {
	return d.Key != nil || d.Verb == Repaired || d.Verb == Rebuilt || d.Verb == Warned
}

// A ban is made by its key and time; what is decided at the clock of a pass
// is made by that time.
func (d *Decision) timeOfID() int64 {
	if d.Verb == Banned || d.Verb == Expired {
		return 0
	}
	return d.Time
}

func (d *Decision) textOfID() string {
	if d.Key != nil {
		return ""
	}
	return strings.ToValidUTF8(d.Text, "\ufffd") // as JSON has it
}

// decision tells of b.
func (b *Ban) decision(verb Verb, t int64) Decision {
	key, until := b.Key, b.Until
	d := Decision{Verb: verb, Time: t, Jail: b.Jail, Key: &key, Since: b.Since, Until: &until,
		Failures: b.Failures, Late: b.Late, Users: b.Users, N: b.N, Rule: b.Rule, Members: b.Members, ByHand: b.ByHand, Forced: b.Forced}
	if b.Addr.IsValid() {
		d.Address = b.Addr.String()
	}
	d.Identify()
	return d
}

// Decision is what laid b, as an enforced one.
func (b *Ban) Decision() Decision {
	d := b.decision(Banned, b.Since)
	d.Enforced = true
	return d
}

// ofNetwork tells whether it is about a network, for the bans of its members.
func (d *Decision) ofNetwork() bool { return len(d.Members) > 0 }

// Ban gives back the ban that a decision of the verb "ban" told of.
func (d *Decision) Ban() (*Ban, error) {
	if d.Verb != Banned || d.Key == nil || d.Until == nil {
		return nil, fmt.Errorf("decision %d is not a ban", d.Seq)
	}
	b := &Ban{Jail: d.Jail, Key: *d.Key, Since: d.Since, Until: *d.Until, Failures: d.Failures,
		Users: d.Users, N: d.N, Rule: d.Rule, Members: d.Members, ByHand: d.ByHand, Forced: d.Forced}
	if d.Address != "" {
		p, err := ParsePrefix(d.Address)
		if err != nil {
			return nil, fmt.Errorf("decision %d: %w", d.Seq, err)
		}
		if b.Addr = p.Addr(); !b.Key.Contains(b.Addr) {
			return nil, fmt.Errorf("decision %d: %s is not in %s", d.Seq, b.Addr, b.Key)
		}
	}
	return b, nil
}

// Hash names text in 20 hexadecimal digits, the first 80 bits of its SHA-256.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// Plural writes "1 ban", "2 bans", "2 tries".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && !strings.HasSuffix(stem, "e") { // "keys"
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Be is "is" of one, and "are" of others.
func Be(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
