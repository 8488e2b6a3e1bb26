package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Digest is what happened in a span of time by the history: for a mail that is read over
// breakfast.
type Digest struct {
	Host     string
	From, To int64             // seconds since the Unix epoch
	Bans     []Ban             // new ones, the latest first; those that are only observed too
	Before   int               // how many there were in the span before, as long
	Status   *Status           // the jails, now
	Was      map[string]string // health of the jails at the last digest; nil: this is the first
	Where    Networks          // nil: not known
	Contacts map[string]string // whose network an address is of; nil: not asked

	expired, unbanned int
	days              table
	told              []told // warnings, repairs, rebuilds, spared ones
}

// told is a line, and how often it was told.
type told struct {
	text  string
	times int
}

// toldMost is how many different ones a digest holds.
const toldMost = 20

// NewDigest sums up decisions of a ledger made in a span, in seconds since the Unix epoch.
func NewDigest(decisions []state.Decision, ledger *state.State, from, to int64) *Digest {
	d := &Digest{From: from, To: to, days: dayTable(ledger)}
	p := FromPass(slices.DeleteFunc(slices.Clone(decisions), func(d state.Decision) bool { return d.Summed }), ledger, to)
	d.Bans, d.expired, d.unbanned = p.Banned, len(p.Expired), len(p.Unbanned)
	order.By(d.Bans, func(a, b Ban) int { return cmp.Compare(b.ban.Since, a.ban.Since) })
	for _, one := range decisions {
		switch one.Verb {
		case state.Warned, state.Repaired, state.Rebuilt:
			d.tell(Clean(one.Text))
		}
	}
	for _, line := range p.spared {
		d.tell(Clean(line))
	}
	return d
}

func (d *Digest) tell(text string) {
	for i := range d.told {
		if d.told[i].text == text {
			d.told[i].times++
			return
		}
	}
	d.told = append(d.told, told{text, 1})
}

// HealthNow is the health of the jails, to be given to the next digest.
func (d *Digest) HealthNow() map[string]string {
	is := map[string]string{}
	for _, j := range d.Status.Jails {
		is[j.Name] = string(j.Health)
		if !j.Enabled {
			is[j.Name] = "off"
		}
	}
	return is
}

// Changes are the jails whose health is not what it was, those that are new, and those
// that are gone.
func (d *Digest) Changes() (lines []string) {
	now := d.HealthNow()
	if d.Was == nil {
		for _, j := range d.Status.Jails {
			if j.Health != OK && j.Health != Silent {
				lines = append(lines, fmt.Sprintf("%s is %s: %s", j.Name, j.Health, j.Message))
			}
		}
		return lines
	}
	for _, j := range d.Status.Jails {
		is, was := now[j.Name], d.Was[j.Name]
		switch {
		case was == "":
			lines = append(lines, fmt.Sprintf("%s is new", j.Name))
		case is != was && j.Message != "":
			lines = append(lines, fmt.Sprintf("%s was %s and is %s: %s", j.Name, was, is, j.Message))
		case is != was:
			lines = append(lines, fmt.Sprintf("%s was %s and is %s", j.Name, was, is))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Was)) {
		if now[name] == "" {
			lines = append(lines, fmt.Sprintf("%s is gone", Clean(name)))
		}
	}
	return lines
}

// Empty tells whether nothing happened that is worth a mail.
func (d *Digest) Empty() bool {
	return len(d.Bans)+len(d.told)+d.unbanned == 0 && len(d.Changes()) == 0
}

// Subject says the main thing in a few words: "12 bans (8 before), nginx is blind".
func (d *Digest) Subject() string {
	text := state.Plural(len(d.Bans), "ban")
	if d.Before != len(d.Bans) {
		text += fmt.Sprintf(" (%s the time before)", grouped(d.Before))
	}
	for _, j := range d.Status.Jails {
		if j.Enabled && j.Health != OK && j.Health != Silent {
			text += fmt.Sprintf(", %s is in health %s", j.Name, j.Health)
		}
	}
	return text
}

// Worst are the addresses with the most failures among the bans, no more than n.
func (d *Digest) Worst(n int) (list []string) {
	for _, a := range d.attackers().Addresses {
		if _, err := netip.ParseAddr(a.Address); err == nil && len(list) < n {
			list = append(list, a.Address)
		}
	}
	return list
}

// attackers are the banned as a report has them, the worst first, with their networks.
func (d *Digest) attackers() *Past {
	p := &Past{from: d.From, to: d.To}
	at := map[string]int{}
	for _, b := range d.Bans {
		i, known := at[b.Address]
		if !known {
			i = len(p.Addresses)
			at[b.Address] = i
			p.Addresses = append(p.Addresses, Attacker{Address: b.Address, Jail: b.Jail, First: b.Since, Last: b.Since, Users: b.Users})
			if addr, err := netip.ParseAddr(b.Address); err == nil && d.Where != nil {
				p.Addresses[i].Country, p.Addresses[i].ASN = d.Where.Of(addr)
			}
		}
		a := &p.Addresses[i]
		a.Failures += b.Failures + b.Late
		a.Bans++
		a.First = b.Since // the latest came first
	}
	order.By(p.Addresses, func(a, b Attacker) int { return cmp.Compare(b.Failures, a.Failures) })
	p.Nets()
	return p
}

const (
	digestBans = 40 // rows of new bans in the text
	digestNets = 10 // of networks
)

func (d *Digest) heading() string {
	return fmt.Sprintf("%s, %s to %s (%s)", Clean(d.Host), Local(d.From), Local(d.To), span(d.To-d.From))
}

// sums are the figures of the span in a sentence.
func (d *Digest) sums() string {
	text := state.Plural(len(d.Bans), "new ban")
	if observed := d.observed(); observed > 0 {
		text += fmt.Sprintf(", %d of them only observed", observed)
	}
	live := 0
	for _, j := range d.Status.Jails {
		live += j.Banned
	}
	return fmt.Sprintf("%s (%s in the span before), %s over, %s taken back by hand, %s in force.", text, grouped(d.Before), grouped(d.expired), grouped(d.unbanned), grouped(live))
}

func (d *Digest) observed() (n int) {
	for i := range d.Bans {
		if d.Bans[i].Observed {
			n++
		}
	}
	return n
}

// notes are what was told in the span, each once.
func (d *Digest) notes() (lines []string) {
	for _, t := range d.told[:min(len(d.told), toldMost)] {
		if t.times > 1 {
			t.text += fmt.Sprintf(" (%d times)", t.times)
		}
		lines = append(lines, t.text)
	}
	if more := len(d.told) - toldMost; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

func (d *Digest) jailTable() table {
	t := table{heading: []string{"JAIL", "NEW BANS", "BANNED", "FAILURES, 7 DAYS", "HEALTH"}, right: map[int]bool{1: true, 2: true, 3: true}}
	fresh := map[string]int{}
	for i := range d.Bans {
		fresh[d.Bans[i].Jail]++
	}
	for _, j := range d.Status.Jails {
		t.rows = append(t.rows, []string{j.Name, grouped(fresh[j.Name]), grouped(j.Banned), grouped(int(j.Failures)), j.condition()})
	}
	return t
}

func (d *Digest) banTable(rows int) table {
	t := table{heading: []string{"SINCE", "JAIL", "BANNED", "UNTIL", "FAILURES", "USERS"}, right: map[int]bool{4: true}}
	short := func(second int64) string { return time.Unix(second, 0).Format("01-02 15:04") }
	for _, b := range d.Bans[:min(rows, len(d.Bans))] {
		until := "for ever"
		if b.ban.Until != 0 {
			until = short(b.ban.Until)
		}
		if b.Observed {
			until = "observed"
		}
		t.rows = append(t.rows, []string{short(b.ban.Since), Clean(b.Jail), b.Key, until, grouped(b.Failures + b.Late), users(b.Users)})
	}
	t.more = len(d.Bans) - len(t.rows)
	return t
}

// contactTable says whose networks the worst are of.
func (d *Digest) contactTable() table {
	t := table{heading: []string{"ADDRESS", "WHOIS"}}
	for _, address := range d.Worst(len(d.Contacts)) {
		t.rows = append(t.rows, []string{address, Clean(d.Contacts[address])})
	}
	return t
}

// dayTable is how it goes: the last seven days, all jails together.
func dayTable(ledger *state.State) table {
	t := table{heading: []string{"DAY (UTC)", "FAILURES", "BANS"}, right: map[int]bool{1: true, 2: true}}
	days := map[string]*state.Tally{}
	for _, j := range ledger.Jails {
		for name, day := range j.Seen.Days {
			if days[name] == nil {
				days[name] = &state.Tally{}
			}
			days[name].Failures += day.Failures
			days[name].Bans += day.Bans
		}
	}
	for _, name := range slices.Sorted(maps.Keys(days)) {
		t.rows = append(t.rows, []string{Clean(name), grouped(int(days[name].Failures)), grouped(int(days[name].Bans))})
	}
	return t
}

// Write draws the digest as text of 80 columns where that is possible.
func (d *Digest) Write(w io.Writer) {
	out := &clipped{w: w, width: 80}
	fmt.Fprintf(w, "%s\n%s\n", d.heading(), d.sums())
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(w, "\n%s\n", title)
			for _, line := range lines {
				fmt.Fprintf(w, "  %s\n", line)
			}
		}
	}
	list("Changed since the last digest:", d.Changes())
	list("Noted:", d.notes())
	fmt.Fprintln(w)
	jails := d.jailTable()
	jails.write(w)
	out.section("New bans", d.banTable(digestBans))
	attackers := d.attackers()
	out.section("Networks", nets("NETWORK", attackers.Networks, digestNets))
	out.section("Operators", nets("OPERATOR", attackers.ASNs, digestNets))
	if len(d.Contacts) > 0 {
		fmt.Fprintln(w)
		contacts := d.contactTable()
		contacts.write(w)
	}
	out.section("The last days", d.days)
	fmt.Fprint(w, "\nWhy somebody is banned: scan2ban why ADDRESS. The whole past: scan2ban report.\n")
}

// HTML is the same as one page that asks for nothing else.
func (d *Digest) HTML(w io.Writer) {
	out := &page{}
	out.raw(pageHead)
	out.in("<h1>", d.Subject(), "</h1>")
	out.in(`<p class="soft">`, d.heading(), "</p>")
	out.in("<p>", d.sums(), "</p>")
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			out.in("<h2>", title, "</h2>")
			for _, line := range lines {
				out.in("<p>", line, "</p>")
			}
		}
	}
	list("Changed since the last digest", d.Changes())
	list("Noted", d.notes())
	out.table("Jails", d.jailTable())
	out.table("New bans", d.banTable(shownInPage))
	attackers := d.attackers()
	out.table("Networks", nets("NETWORK", attackers.Networks, digestNets))
	out.table("Operators", nets("OPERATOR", attackers.ASNs, digestNets))
	if len(d.Contacts) > 0 {
		out.table("Contacts", d.contactTable())
	}
	out.table("The last days", d.days)
	out.raw("</body></html>\n")
	_, _ = io.WriteString(w, strings.TrimSpace(out.b.String())+"\n")
}
