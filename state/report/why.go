package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"scan2ban/state"
)

// What a jail makes of an address.
const (
	IsBanned   = "banned"
	IsCounted  = "counted"  // there are failures, too few
	IsIgnored  = "ignored"  // it is never counted
	IsPardoned = "pardoned" // an unban has forgiven it, or a log-in for which it was spared
	IsOver     = "over"     // it was banned
	IsStale    = "stale"    // there were failures, too long ago
)

// Why is what is known of an address.
type Why struct {
	Address string    `json:"address"`
	Never   bool      `json:"never,omitempty"` // it can stand for no client: loopback, link-local, multicast, unspecified
	Jails   []WhyJail `json:"jails"`           // that have something to say of it; empty: it was never seen

	Lists     []WhyList   `json:"lists,omitempty"` // that keep it out
	NotJudged []NotJudged `json:"not_judged,omitempty"`
}

// WhyList is a list, see [list.NAME], that an address is in.
type WhyList struct {
	List   string `json:"list"`
	File   string `json:"file"`
	Closes string `json:"closes"` // "every port", "port 22"
}

// NotJudged is a jail that bans nobody.
type NotJudged struct {
	Jail   string `json:"jail"`
	Reason string `json:"reason"`
}

// WhyJail is what one jail makes of it.
type WhyJail struct {
	Jail     string `json:"jail"`
	Key      string `json:"key"` // what it is counted for: itself, or the network that it shares
	State    string `json:"state"`
	Recidive bool   `json:"recidive,omitempty"` // its failures are the bans of the other jails
	Ban      *Ban   `json:"ban"`                // null: it is not banned by itself
	Network  *Ban   `json:"network,omitempty"`  // that of its network, in force
	Waiting  int    `json:"failures"`           // within findtime, that may still lead to a ban
	MaxRetry int    `json:"maxretry,omitempty"` // that many ban
	FindTime string `json:"findtime,omitempty"`
	Last     string `json:"last,omitempty"`    // the last of these failures
	Next     string `json:"next,omitempty"`    // how long the next ban would last
	Ignored  string `json:"ignored,omitempty"` // by which entry, and where that stands
	Ended    string `json:"ended,omitempty"`   // when its ban ended or its failures were forgiven
	How      string `json:"how,omitempty"`     // it ended

	OfNetwork string `json:"of_network,omitempty"` // it was the ban of this network that ended

	Lines []Evidence `json:"evidence"` // the latest
	More  int        `json:"more,omitempty"`
}

// Since is when the ban began, in seconds: its own, or else that of its network.
func (w *WhyJail) Since() int64 {
	if w.Ban == nil {
		return w.Network.ban.Since
	}
	return w.Ban.ban.Since
}

// Evidence is a line of a log.
type Evidence struct {
	Time    string `json:"time"`
	Kind    string `json:"kind"` // "failure", "log-in", or "ban" where a recidive jail counts that
	Rule    string `json:"rule"`
	Address string `json:"address"`
	User    string `json:"user"`
	Weight  int    `json:"weight,omitempty"`
	Line    string `json:"line"`
}

// Write tells it to people.
func (y *Why) Write(w io.Writer) {
	if y.Never && len(y.Jails) == 0 {
		fmt.Fprintf(w, "%s is not banned: an address of that kind stands for no client and is never counted.\n", y.Address)
		return
	}
	for _, l := range y.Lists {
		fmt.Fprintln(w, Clean(fmt.Sprintf("%s is kept out of %s by list %s, for it is in %s", y.Address, l.Closes, l.List, l.File)))
	}
	switch {
	case len(y.Jails) > 0 && len(y.Lists) > 0:
		fmt.Fprintln(w)
	case len(y.Jails) == 0 && len(y.Lists) == 0:
		fmt.Fprintf(w, "%s is not banned: no jail has seen a failure of it within findtime.\n", y.Address)
	}
	out := &clipped{w: w, width: math.MaxInt} // whole where a program reads it
	if isTerminal(w) {
		out.width = terminalWidth(w)
	}
	for i := range y.Jails {
		if i > 0 {
			fmt.Fprintln(w)
		}
		y.Jails[i].write(out, y.Address)
	}
	for i, j := range y.NotJudged {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "Jail %s judges nobody: %s\n", Clean(j.Jail), Clean(j.Reason))
	}
}

func (j *WhyJail) write(out *clipped, address string) {
	say := func(format string, args ...any) { fmt.Fprintln(out.w, Clean(fmt.Sprintf(format, args...))) }
	j.verdict(say, address)
	if strings.Contains(j.Key, "/") && (j.Ban == nil || !j.Ban.ByHand) {
		say("  all addresses of %s are counted and banned together", j.Key)
	}
	if len(j.Lines) == 0 {
		if j.State != IsIgnored && j.State != IsPardoned && j.OfNetwork == "" && (j.Ban != nil || j.Network == nil) && j.MaxRetry > 0 && (j.Ban == nil || !j.Ban.ByHand) {
			what := "what led to it"
			if j.State == IsStale || j.State == IsCounted {
				what = "its failures"
			}
			say("  the log no longer holds %s", what)
		}
		return
	}
	say("")
	if j.More > 0 {
		say("  %d earlier lines, then", j.More)
	}
	for _, e := range j.Lines {
		rule := e.Rule
		if e.Weight > 1 {
			rule += fmt.Sprintf(" x%d", e.Weight)
		}
		say("  %s  %s", local(e.Time), Clean(rule))
		out.line("    " + Clean(e.Line))
	}
}

// verdict says whether the jail bans the address, why, and what the next failures lead to.
func (j *WhyJail) verdict(say func(string, ...any), address string) {
	failure := "failure"
	if j.Recidive {
		failure = "ban"
	}
	again := func(then, word string) {
		if j.MaxRetry == 0 {
			return // no jail that judges
		}
		verb := "ban"
		if j.MaxRetry == 1 {
			verb = "bans"
		}
		say("  %s%s within %s %s it%s, %s", then, state.Plural(j.MaxRetry, failure), j.FindTime, verb, word, lasting(j.Next))
	}
	switch j.State {
	case IsBanned:
		if j.Ban != nil {
			j.Ban.explain(say, failure)
			if j.Ban.Until != nil {
				again("then ", " again")
			}
		} else {
			say("%s is banned in jail %s %s", address, j.Jail, Until(j.Network.ban.Until))
		}
		if j.Network != nil {
			j.Network.explainNetwork(say, j.Ban == nil)
		}
	case IsIgnored:
		say("%s is not banned in jail %s: it is ignored by %s", address, j.Jail, Clean(j.Ignored))
	case IsCounted:
		say("%s is not banned in jail %s: %s within %s, and %d ban", address, j.Jail, state.Plural(j.Waiting, failure), j.FindTime, j.MaxRetry)
		say("  the last was at %s; %d more would ban it %s", local(j.Last), max(j.MaxRetry-j.Waiting, 1), lasting(j.Next))
	case IsPardoned:
		say("%s is not banned in jail %s: its failures up to %s were forgiven by an unban or for a log-in", address, j.Jail, local(j.Ended))
		again("", "")
	case IsOver:
		whose := "its ban"
		if j.OfNetwork != "" {
			whose = "the ban of its network " + j.OfNetwork
		}
		how := " (" + Clean(j.How) + ")"
		if _, reason, ok := strings.Cut(how, " (release: "); ok {
			how = ": " + strings.TrimSuffix(reason, ")")
		}
		say("%s is not banned in jail %s: %s ended at %s%s", address, j.Jail, whose, local(j.Ended), how)
		again("", " again")
	case IsStale:
		say("%s is not banned in jail %s: its last failure, at %s, is older than %s", address, j.Jail, local(j.Last), j.FindTime)
	}
}

// explain says why the key of a jail is banned.
func (b *Ban) explain(say func(string, ...any), failure string) {
	say("%s is banned in jail %s %s", b.Key, b.Jail, Until(b.ban.Until))
	if b.Pending {
		say("  no pass has decided it yet: it comes with the next one")
	}
	if b.Observed {
		say("  the jail only observes: nobody is kept out")
	}
	if b.ByHand {
		say("  by hand, at %s", local(b.Since))
	} else {
		line := fmt.Sprintf("  %s led to it at %s (%s)", state.Plural(b.Failures, failure), local(b.Since), Clean(b.Rule))
		if b.Late > 0 {
			line += fmt.Sprintf(", %d came after", b.Late)
		}
		if b.N > 1 {
			line += fmt.Sprintf("; it is ban %d of it", b.N)
		}
		say("%s", line)
		if len(b.Users) > 0 {
			say("  users tried: %s", users(b.Users))
		}
	}
}

// explainNetwork says of an address why its network is banned; alone: nothing else is.
func (b *Ban) explainNetwork(say func(string, ...any), alone bool) {
	end := ""
	if !alone {
		end = " " + Until(b.ban.Until) + ","
	}
	say("  its network %s is banned%s since %s, when %d of its addresses had been banned: %s", b.Key, end, local(b.Since), len(b.Members), strings.Join(b.Members, ", "))
	if b.Late > 0 {
		say("  %s of the network came after", state.Plural(b.Late, "failure"))
	}
	if b.N > 1 {
		say("  it is ban %d of the network", b.N)
	}
	if alone && b.Observed {
		say("  the jail only observes: nobody is kept out")
	}
}

// lasting says how long a ban lasts: "for 1d", "for ever".
func lasting(time string) string {
	if time == "permanent" {
		return "for ever"
	}
	return "for " + time
}

// local writes an RFC 3339 time in the local zone.
func local(utc string) string {
	t, err := time.Parse(time.RFC3339, utc)
	if err != nil {
		return utc
	}
	return Local(t.Unix())
}
