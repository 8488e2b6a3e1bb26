package deliver

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// EventNames are the events that a hook may ask for.
var EventNames = []string{"ban", "expire", "unban", "release", "spare", "repair", "rebuild", "warning"}

// eventOf names what was decided.
var eventOf = map[state.Verb]string{state.Banned: "ban", state.Expired: "expire", state.Unbanned: "unban", state.Released: "release",
	state.Spared: "spare", state.Repaired: "repair", state.Rebuilt: "rebuild", state.Warned: "warning"}

// Event is what a hook is told: as JSON on its standard input, and as SCAN2BAN_* in its
// environment. The same event may come again, with the same ID.
type Event struct {
	Event    string   `json:"event"` // one of EventNames
	ID       string   `json:"id"`    // of the decision
	Time     string   `json:"time"`
	Host     string   `json:"host"`
	Text     string   `json:"text"` // for people, without control characters
	Jail     string   `json:"jail,omitempty"`
	Address  string   `json:"address,omitempty"`
	Key      string   `json:"key,omitempty"` // address or CIDR that is banned
	Since    string   `json:"since,omitempty"`
	Until    *string  `json:"until"` // null: for ever, or no ban
	Failures int      `json:"failures,omitempty"`
	N        int      `json:"n,omitempty"`
	Users    []string `json:"users,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Ports    string   `json:"ports,omitempty"` // "22,2222" or "all"
	Protocol string   `json:"protocol,omitempty"`
	Observed bool     `json:"observed,omitempty"` // by a jail that bans nobody
	Again    bool     `json:"again,omitempty"`    // a ban in force, sent again after a boot

	seq   int64
	ban   *report.Ban
	until int64
}

// hostname is the name of this host for messages.
func hostname() string {
	name, _ := os.Hostname()
	return cmp.Or(report.Clean(name), "localhost")
}

// event tells of a decision; ok is false where there is nothing to tell: an unban of
// nobody, and what a rebuild sums up (but for hooks that enforce bans).
func event(d state.Decision, ledger *state.State, host string) (e Event, ok bool) {
	name := eventOf[d.Verb]
	if name == "" || d.Verb == state.Unbanned && d.N == 0 {
		return e, false
	}
	e = Event{Event: name, ID: d.ID, Time: report.UTC(d.Time), Host: host, Text: report.Clean(d.Text), Jail: d.Jail, seq: d.Seq}
	if d.Key == nil {
		return e, true
	}
	p := report.FromPass([]state.Decision{d}, ledger, d.Time)
	for _, line := range p.Lines() {
		e.Text = line.Text
		e.ban = line.Ban
	}
	e.Key, e.Address, e.Failures, e.Users, e.Rule = d.Key.String(), cmp.Or(d.Address, d.Key.String()), d.Failures, d.Users, d.Rule // of a spare
	if b := e.ban; b != nil {
		e.Address, e.Key, e.Since, e.Until = b.Address, b.Key, b.Since, b.Until
		e.Failures, e.N, e.Users, e.Rule, e.Observed = b.Failures, b.N, b.Users, b.Rule, b.Observed
	}
	if d.Until != nil {
		e.until = *d.Until
	}
	if j := ledger.Jails[d.Jail]; j != nil {
		e.Ports, e.Protocol = ports(j.Reach.Ports), strings.Join(j.Reach.Protocol, ",")
	}
	return e, true
}

func ports(list state.Ports) string {
	if len(list) == 0 || list.All() {
		return "all"
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.String()
	}
	return strings.Join(names, ",")
}

// environment is the event as SCAN2BAN_NAME=VALUE at the clock time now. Values hold
// no control character, but all else that a client may have written.
func (e *Event) environment(now time.Time) []string {
	var list variables
	list.put("EVENT", e.Event)
	list.put("ID", e.ID)
	list.put("TIME", e.Time)
	list.put("HOST", e.Host)
	list.put("TEXT", e.Text)
	list.put("JAIL", e.Jail)
	if e.Key == "" {
		return list
	}
	family := "ipv4"
	if strings.Contains(e.Key, ":") {
		family = "ipv6"
	}
	list.put("ADDRESS", e.Address)
	list.put("KEY", e.Key)
	list.put("FAMILY", family)
	if e.Since != "" { // a ban
		until, left := "permanent", "permanent"
		if e.Until != nil {
			until, left = *e.Until, strconv.FormatInt(max(e.until-now.Unix(), 0), 10)
		}
		list.put("SINCE", e.Since)
		list.put("UNTIL", until)
		list.put("SECONDS", left)
		list.put("N", strconv.Itoa(e.N))
	}
	list.put("FAILURES", strconv.Itoa(e.Failures))
	list.put("USERS", strings.Join(e.Users, ","))
	list.put("RULE", e.Rule)
	list.put("PORTS", e.Ports)
	list.put("PROTOCOL", e.Protocol)
	if e.Observed {
		list.put("OBSERVED", "1")
	}
	if e.Again {
		list.put("AGAIN", "1")
	}
	return list
}

// variables are of a process.
type variables []string

// put adds one, unless it is empty. Inlined it would be in the binary twenty times.
//
//go:noinline
func (v *variables) put(name, value string) {
	if value != "" {
		*v = append(*v, "SCAN2BAN_"+name+"="+report.Clean(value))
	}
}

// json is the event as one line.
func (e *Event) json() []byte {
	var b bytes.Buffer
	if err := report.JSON(&b, e); err != nil {
		panic(fmt.Sprintf("an event of strings and numbers: %v", err))
	}
	return b.Bytes()
}
