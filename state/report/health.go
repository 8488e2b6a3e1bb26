package report

import (
	"fmt"
	"net/netip"

	"scan2ban/state"
)

// Health says whether a jail does its work.
type Health string

const (
	OK          Health = "ok"
	Blind       Health = "blind"       // reads entries and understands none
	Silent      Health = "silent"      // has nothing to read
	Ineffective Health = "ineffective" // bans, and the banned go on failing
	Error       Health = "error"       // its configuration is broken, its source cannot be read, its bans are not in the kernel, it gave lines up, or the state cannot be read
)

// Healths are all of them.
var Healths = []Health{OK, Blind, Silent, Ineffective, Error}

// Condition is what the ledger does not know of a jail.
type Condition struct {
	Broken  bool   // its configuration is, or it cannot be judged
	Off     bool   // it is switched off
	Ledger  bool   // its failures are the bans of the others
	Backend string // what it reads, "journal" or "file"; empty: the journal
	Trouble string // what failed for it, in this pass or the last one; empty: nothing
	GaveUp  string // which lines it did not judge for want of time, in this pass or the last one; empty: none
	Quiet   string // why its source may hold nothing; empty: not known
	Known   Known
	Pending Pending // bans that no pass has decided
	Most    int     // bans in its ledger (max_ledger); 0: not known
}

// enoughEntries is how many entries without one that is understood make a filter blind: a
// service that has just started writes a few of its own.
const enoughEntries = 20

// health judges a jail at now and tells the likely cause; week is what it has seen in
// seven days.
func health(j *state.Jail, week *state.Tally, is Condition, now int64) (Health, string) {
	through := j.Ineffective(now)
	switch {
	case is.Off:
		return OK, ""
	case is.Broken:
		return Error, withCause("its configuration is broken", is.Trouble) + " (scan2ban check)"
	case is.Trouble != "":
		return Error, Clean(is.Trouble)
	case is.GaveUp != "":
		return Error, Clean(is.GaveUp)
	case is.Known == Unknown:
		return Error, "the state cannot be read: what passes have read and decided is not known"
	case through != nil:
		return Ineffective, cameThrough(through, j)
	case j.Name == state.ByHand || is.Ledger:
		return OK, ""
	case week.Entries == 0:
		return Silent, withCause("nothing to read "+within(&j.Seen, now), is.Quiet)
	case week.Understood == 0 && week.Entries >= enoughEntries:
		return Blind, blindness(week, j.Name)
	}
	return OK, ""
}

// within says in what time of the week before now there was nothing to read, as far as is known.
func within(seen *state.Seen, now int64) string {
	if seen.Since > now-7*86400 {
		return "since " + Local(seen.Since)
	}
	return "in seven days"
}

// blindness says what a jail that understands nothing has read.
func blindness(week *state.Tally, jail string) string {
	try := fmt.Sprintf("try \"scan2ban match %s\"", jail)
	switch refused, why := week.Refusals(); {
	case refused == 0:
		return fmt.Sprintf("%d entries and none understood: another version or another language of the service? %s", week.Entries, try)
	case refused < week.Entries:
		return fmt.Sprintf("%d entries and none understood; %d were refused, most because: %s; %s", week.Entries, refused, Clean(why), try)
	case week.Refused[why] < refused:
		return fmt.Sprintf("all of %d entries were refused, most because: %s; %s", week.Entries, Clean(why), try)
	default:
		return fmt.Sprintf("all of %d entries were refused: %s; %s", week.Entries, Clean(why), try)
	}
}

func withCause(text, cause string) string {
	if cause == "" {
		return text
	}
	return text + ": " + Clean(cause)
}

// cameThrough says who came through a ban, and what is the likely reason.
func cameThrough(t *state.Through, j *state.Jail) string {
	in := ""
	if t.Jail != j.Name {
		in = " in " + Clean(t.Jail)
	}
	text := fmt.Sprintf("%s%s came through the ban of %s, the last at %s (%s): ", state.Plural(t.Failures, "failure"), in, t.Key, Local(t.Last), Clean(t.Rule))
	if addr, err := netip.ParseAddr(t.Address); err == nil && (addr.IsPrivate() || carrierGrade.Contains(addr)) {
		text += "a private address, perhaps that of a proxy or a gateway which hides the client; "
	}
	if j.Reach.Ports.All() {
		return text + "every port is closed to it, so most likely a proxy, a tunnel or a container takes its packets first (see forwarded)"
	}
	return text + fmt.Sprintf("most likely the service is reached at another port than %s (see ports), or through a proxy or a container", j.Reach.Ports.List())
}

// carrierGrade are shared addresses behind a provider's or a tunnel's NAT (RFC 6598).
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")
