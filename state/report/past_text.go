package report

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// worst is how many rows a table of the report has; JSON and CSV have all.
const worst = 10

// terminalWidth is how many columns text on w may take: the terminal's, or $COLUMNS, else 80.
func terminalWidth(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, 40)
	}
	if f, ok := file(w); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return max(int(size.Col), 40)
		}
	}
	return 80
}

// Write draws the report for people.
func (p *Past) Write(w io.Writer) {
	width := terminalWidth(w)
	out := &clipped{w: w, width: width}
	if p.Entries == 0 {
		fmt.Fprintln(w, "Nothing was logged that the jails read.")
		return
	}
	fmt.Fprintf(w, "%s to %s (%s)\n", Local(p.from), Local(p.to), span(p.to-p.from))
	fmt.Fprintf(w, "%s read, %s understood, in %s: %s a second\n", number(p.Entries, "entry", "entries"), grouped(p.Understood), seconds(p.Seconds),
		grouped(int(float64(p.Entries)/max(p.Seconds, 0.001))))
	if p.Interrupted {
		fmt.Fprintln(w, "Interrupted: what follows is about the part that was read.")
	}
	fmt.Fprintf(w, "%s by %s, %s\n", number(p.Failures, "failure", "failures"), number(p.clients(), "address", "addresses"), number(p.Logins, "log-in", "log-ins"))
	if p.Untold > 0 {
		fmt.Fprintf(w, "%s of further addresses are in the sums alone\n", number(p.Untold, "failure", "failures"))
	}
	out.section("Jails", p.jailTable())
	p.chart(w, width)
	out.section("Worst addresses", p.addressTable(width, worst))
	out.section("Networks", nets("NETWORK", p.Networks, worst))
	out.section("Networks banned", p.bannedNetworks(worst))
	out.section("Operators", nets("OPERATOR", p.ASNs, worst))
	if !p.Located && len(p.Addresses) > 0 {
		fmt.Fprintln(w, "\nCountries and operators are not known: there is no database of them in\n/usr/share/GeoIP or /var/lib/GeoIP (GeoLite2, DB-IP, ip-location-db; see [geo]).")
	}
	out.section("User names", p.userTable(worst))
	out.section("Hosts", p.hostTable())
	p.told(out)
}

func (p *Past) clients() int {
	seen := map[string]bool{}
	for i := range p.Addresses {
		seen[p.Addresses[i].Address] = true
	}
	return len(seen)
}

func (p *Past) jailTable() table {
	t := table{heading: []string{"JAIL", "ENTRIES", "UNDERSTOOD", "FAILURES", "BANS", "PREVENTED"}, right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}}
	for _, j := range p.Jails {
		t.rows = append(t.rows, []string{Clean(j.Name), grouped(j.Entries), grouped(j.Understood), grouped(j.Failures), grouped(j.Bans), grouped(j.Prevented)})
	}
	return t
}

// addressTable leaves out what is not known, and what a narrow terminal has no room for.
func (p *Past) addressTable(width, rows int) table {
	countries := slices.ContainsFunc(p.Addresses, func(a Attacker) bool { return a.Country != "" })
	operators := slices.ContainsFunc(p.Addresses, func(a Attacker) bool { return a.ASN != "" })
	narrow := width < 100 && (countries || operators)
	t := table{heading: []string{"ADDRESS", "JAIL", "FAILURES", "BANS"}, right: map[int]bool{2: true, 3: true}}
	column := func(is bool, names ...string) {
		if is {
			t.heading = append(t.heading, names...)
		}
	}
	column(!narrow, "FIRST")
	column(true, "LAST")
	column(countries, "CC")
	column(operators, "OPERATOR")
	column(true, "USERS")
	for i := range p.Addresses[:min(rows, len(p.Addresses))] {
		a := &p.Addresses[i]
		row := []string{a.Address, Clean(a.Jail), grouped(a.Failures), grouped(a.Bans)}
		if !narrow {
			row = append(row, p.moment(a.First))
		}
		row = append(row, p.moment(a.Last))
		if countries {
			row = append(row, Clean(a.Country))
		}
		if operators {
			row = append(row, cut(Clean(a.ASN), max(width/5, 16)))
		}
		t.rows = append(t.rows, append(row, users(a.Users)))
	}
	t.more = len(p.Addresses) - len(t.rows)
	return t
}

// moment is a time as short as the span allows.
func (p *Past) moment(utc string) string {
	t, err := time.Parse(time.RFC3339, utc)
	switch {
	case err != nil:
		return ""
	case p.to-p.from < 86400:
		return t.Local().Format("15:04:05")
	case p.to-p.from < 300*86400:
		return t.Local().Format("01-02 15:04")
	}
	return t.Local().Format(time.DateOnly)
}

func nets(name string, list []Network, rows int) table {
	t := table{heading: []string{name, "ADDRESSES", "FAILURES"}, right: map[int]bool{1: true, 2: true}}
	for _, n := range list[:min(rows, len(list))] {
		t.rows = append(t.rows, []string{Clean(n.Network), grouped(n.Addresses), grouped(n.Failures)})
	}
	t.more = len(list) - len(t.rows)
	return t
}

// bannedNetworks are the bans of whole networks by the first policy, the latest first.
func (p *Past) bannedNetworks(rows int) table {
	t := table{heading: []string{"NETWORK", "JAIL", "SINCE", "LATE", "N", "BANNED BEFORE"}, right: map[int]bool{3: true, 4: true}}
	for _, b := range slices.Backward(p.Bans) {
		switch {
		case len(b.Members) == 0:
		case len(t.rows) == rows:
			t.more++
		default:
			t.rows = append(t.rows, []string{b.Key, Clean(b.Jail), p.moment(b.Since), grouped(b.Late), strconv.Itoa(b.N), strings.Join(b.Members, " ")})
		}
	}
	return t
}

func (p *Past) userTable(rows int) table {
	t := table{heading: []string{"USER", "FAILURES"}, right: map[int]bool{1: true}}
	for _, u := range p.Users[:min(rows, len(p.Users))] {
		t.rows = append(t.rows, []string{users([]string{u.User}), grouped(u.Failures)})
	}
	t.more = len(p.Users) - len(t.rows)
	return t
}

func (p *Past) hostTable() table {
	t := table{heading: []string{"HOST", "UNDERSTOOD", "FAILURES", "BANS"}, right: map[int]bool{1: true, 2: true, 3: true}}
	for _, h := range p.Hosts {
		t.rows = append(t.rows, []string{cut(Clean(h.Host), 40), grouped(h.Understood), grouped(h.Failures), grouped(h.Bans)})
	}
	return t
}

// policyName breaks a name after commas into lines of that many characters, so that no
// two policies look alike.
func policyName(name string, wide int) []string {
	lines := []string{""}
	for part := range strings.SplitAfterSeq(Clean(name), ",") {
		last := &lines[len(lines)-1]
		if *last != "" && utf8.RuneCountInString(*last+part) > wide {
			lines = append(lines, "")
			last = &lines[len(lines)-1]
		}
		*last += part
	}
	for i := range lines {
		lines[i] = cut(lines[i], wide)
	}
	return lines
}

// bansNetworks tells whether any of the policies banned a network as a whole.
func (p *Past) bansNetworks() bool {
	return slices.ContainsFunc(p.Policies, func(q Policy) bool { return q.Networks > 0 })
}

// policyTable has names of policies in lines of at most name characters.
func (p *Past) policyTable(name int) table {
	networks := p.bansNetworks()
	if networks {
		name = max(name-6, 12)
	}
	t := table{heading: []string{"POLICY", "BANNED", "BANS", "PREVENTED", "THROUGH", "KERNEL", "COLLATERAL"}, right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}}
	if networks {
		t.heading, t.right[7] = append(t.heading, "NETS"), true
	}
	for _, q := range p.Policies {
		lines := policyName(q.Policy, name)
		row := []string{lines[0], grouped(q.Banned), grouped(q.Bans), grouped(q.Prevented), grouped(q.LetThrough), grouped(q.AliveMost), grouped(len(q.Collateral))}
		if networks {
			row = append(row, grouped(q.Networks))
		}
		t.rows = append(t.rows, row)
		for _, rest := range lines[1:] {
			t.rows = append(t.rows, []string{rest})
		}
	}
	return t
}

// told says what the policies would have done, and whom they would have hit wrongly.
func (p *Past) told(out *clipped) {
	out.section("Policies", p.policyTable(max(out.width-56, 12)))
	fmt.Fprintln(out.w, "A ban takes hold with the next full minute. PREVENTED are failures after that,\nwhile it lasts; KERNEL the most bans at a time; COLLATERAL bans on an address\nthat logged in within seven days after.")
	if p.bansNetworks() {
		fmt.Fprintln(out.w, "NETS are bans of whole networks, see subnets.")
	}
	for _, q := range p.Policies {
		for i, c := range q.Collateral {
			if i == worst {
				fmt.Fprintf(out.w, "  and %d more\n", len(q.Collateral)-worst)
				break
			}
			fmt.Fprintln(out.w)
			for _, line := range folded(fmt.Sprintf("Collateral of %s: %s banned in %s %s", q.Policy, c.Key, c.Jail, p.moment(c.Since)), out.width) {
				out.line(line)
			}
			for _, line := range folded(c.Line, out.width-2) {
				out.line("  " + line)
			}
		}
	}
}

// clipped writes tables that stay within a width.
type clipped struct {
	w     io.Writer
	width int
}

func (c *clipped) line(text string) { fmt.Fprintln(c.w, cut(text, c.width)) }

// section draws a table under a title; none where it has no rows.
func (c *clipped) section(title string, t table) {
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(c.w, "\n%s\n", title)
	t.most = c.width
	t.write(c.w)
	if t.more > 0 {
		fmt.Fprintf(c.w, "and %s more (--json, --csv)\n", grouped(t.more))
	}
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

func seconds(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.0f s", s)
}

// span says a number of seconds with its two largest units.
func span(s int64) string {
	for _, u := range []struct {
		seconds     int64
		name, below string
		unit        int64
	}{{86400, "d", "h", 3600}, {3600, "h", "m", 60}, {60, "m", "s", 1}} {
		if s >= u.seconds {
			if rest := s % u.seconds / u.unit; rest > 0 {
				return fmt.Sprintf("%d%s %d%s", s/u.seconds, u.name, rest, u.below)
			}
			return fmt.Sprintf("%d%s", s/u.seconds, u.name)
		}
	}
	return fmt.Sprintf("%ds", s)
}
