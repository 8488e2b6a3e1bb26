package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state"
)

// page writes HTML. Markup comes from constants of this file alone, by open and raw; all
// that was logged goes through text, which leaves nothing of it that HTML acts on.
type page struct {
	b strings.Builder
}

// markup is HTML of this file.
type markup string

// raw writes HTML as it is. Inlined, its loop would be in the binary twenty times.
//
//go:noinline
func (p *page) raw(m ...markup) {
	for _, part := range m {
		p.b.WriteString(string(part))
	}
}

// escaped is safe in an element and in a quoted attribute.
var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func (p *page) text(text string) { p.b.WriteString(escaped.Replace(Clean(text))) }

// in writes text between two pieces of markup.
func (p *page) in(before markup, text string, after markup) {
	p.raw(before)
	p.text(text)
	p.raw(after)
}

const pageHead markup = `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">
<title>scan2ban report</title>
<style>
:root{color-scheme:light dark;--paper:#fbfbf9;--ink:#1d2329;--soft:#5c6670;--line:#d9dcd8;--card:#fff;--bar:#3f6ea5;--ban:#b3541e}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e4e7ea;--soft:#98a2ac;--line:#2c333a;--card:#1b2127;--bar:#6d9fd8;--ban:#e08a4f}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:62rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p{margin:.3rem 0}.soft{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:.7rem;margin:1.3rem 0 0}
@media (max-width:40rem){.cards{grid-template-columns:repeat(2,1fr)}}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.cards b{display:block;font-size:1.5rem;font-variant-numeric:tabular-nums;line-height:1.3}
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.35rem .7rem;white-space:nowrap;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}th{color:var(--soft);font-weight:600}
.n{text-align:right;font-variant-numeric:tabular-nums}
td.t{white-space:normal;overflow-wrap:anywhere;min-width:9rem}
.chart{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .7rem;color:var(--soft);font-size:.8rem}
.chart b{font-weight:400}.chart div{display:flex;justify-content:space-between;gap:1rem}
svg{display:block;width:100%;height:12rem}.f{fill:var(--bar)}.b{fill:var(--ban)}.g{stroke:var(--line)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;font-size:.85rem;margin:.4rem 0}
</style></head><body>
`

// HTML is the report as one page that asks for nothing else: no script, no request.
func (p *Past) HTML(w io.Writer) error {
	out := &page{}
	out.raw(pageHead, "<h1>What happened</h1>")
	if p.Entries == 0 {
		out.raw("<p>Nothing was logged that the jails read.</p></body></html>\n")
		_, err := io.WriteString(w, out.b.String())
		return err
	}
	out.in(`<p class="soft">`, fmt.Sprintf("%s to %s (%s)", Local(p.from), Local(p.to), span(p.to-p.from)), "</p>")
	if p.Interrupted {
		out.raw("<p>Interrupted: this is about the part that was read.</p>")
	}
	out.raw(`<div class="cards">`)
	for _, c := range []struct {
		n    int
		what string
	}{{p.Failures, "failures"}, {p.clients(), "addresses"}, {len(p.Bans), "bans"}, {p.Policies[0].Prevented, "failures prevented"}, {p.KernelMost, "bans at a time"},
		{len(p.Collateral), "collateral"}, {p.Logins, "log-ins"}, {p.Entries, "entries read"}} {
		out.in("<div><b>", grouped(c.n), "</b>")
		out.in("", c.what, "</div>")
	}
	out.raw("</div>")
	p.svg(out)
	out.table("Policies", p.policyTable(60))
	out.raw(`<p class="soft">A ban takes hold with the next full minute. Prevented are failures after that, while it lasts; kernel is the most bans at a time; collateral are bans on an address that logged in within seven days after.</p>`)
	p.collateral(out)
	out.table("Jails", p.jailTable())
	out.table("Worst addresses", p.addressTable(1000, shownInPage))
	if !p.Located {
		out.raw(`<p class="soft">Countries and operators are not known: there is no database of them.</p>`)
	}
	out.table("Networks", nets("NETWORK", p.Networks, shownInPage))
	out.table("Networks banned", p.bannedNetworks(shownInPage))
	out.table("Operators", nets("OPERATOR", p.ASNs, shownInPage))
	out.table("User names", p.userTable(shownInPage))
	out.table("Hosts", p.hostTable())
	out.in(`<p class="soft">`, fmt.Sprintf("%s read in %s.", number(p.Entries, "entry", "entries"), seconds(p.Seconds)), "</p></body></html>\n")
	_, err := io.WriteString(w, out.b.String())
	return err
}

// shownInPage is how many rows a table of the page has.
const shownInPage = 50

// table writes one under a title; nothing where it has no rows.
func (p *page) table(title string, t table) {
	if len(t.rows) == 0 {
		return
	}
	p.in("<h2>", title, `</h2><div class="wide"><table><tr>`)
	for i, name := range t.heading {
		p.cell("th", name, t.right[i], false)
	}
	p.raw("</tr>")
	for _, row := range t.rows {
		p.raw("<tr>")
		for i, cell := range row {
			p.cell("td", cell, t.right[i], i == len(row)-1 || t.heading[i] == "POLICY")
		}
		p.raw("</tr>")
	}
	p.raw("</table></div>")
	if t.more > 0 {
		p.in(`<p class="soft">`, "and "+grouped(t.more)+" more", "</p>")
	}
}

func (p *page) cell(element markup, text string, right, folds bool) {
	class := markup("")
	if right {
		class = ` class="n"`
	} else if folds {
		class = ` class="t"`
	}
	if element == "th" {
		text = strings.ToLower(text)
	}
	p.in("<"+element+class+">", text, "</"+element+">")
}

// svg draws the failures over time as bars, and the bans as marks below. It is stretched
// to the width of the screen; what is to be read stands around it as text, which is not.
func (p *Past) svg(out *page) {
	const wide, ground, marks = 800, 180, 20 // the bars stand on the ground, the marks hang from it
	b := p.bars(120)
	top := max(slices.Max(b.failures), 1)
	most := max(slices.Max(b.bans), 1)
	out.in("<h2>", "Failures by "+b.named(), "</h2>")
	out.in(`<div class="chart"><div><b>`, "at most "+grouped(top), "</b>")
	out.raw(`<b>failures above, bans below</b></div><svg viewBox="0 0 800 202" preserveAspectRatio="none" role="img" aria-label="`)
	out.text(fmt.Sprintf("Failures by %s: %s in all, at most %s", b.named(), grouped(p.Failures), grouped(top)))
	out.raw(`">`)
	step := float64(wide) / float64(len(b.failures))
	number := func(x float64) markup { return markup(strconv.FormatFloat(x, 'f', 1, 64)) }
	rect := func(class markup, i int, y, height float64) {
		out.raw(`<rect class="`, class, `" x="`, number(float64(i)*step), `" y="`, number(y), `" width="`, number(max(step*0.85, 0.6)), `" height="`, number(height), `"><title>`)
		out.text(fmt.Sprintf("%s: %s, %s", b.label(i), state.Plural(b.failures[i], "failure"), state.Plural(b.bans[i], "ban")))
		out.raw("</title></rect>")
	}
	for i, n := range b.failures {
		if n > 0 {
			tall := max(float64(n)/float64(top)*ground, 1)
			rect("f", i, ground-tall, tall)
		}
		if n := b.bans[i]; n > 0 {
			rect("b", i, ground+2, max(float64(n)/float64(most)*marks, 3))
		}
	}
	out.raw(`<line class="g" x1="0" x2="800" y1="180" y2="180"/></svg>`)
	out.in("<div><b>", b.label(0), "</b>")
	out.in("<b>", b.label(len(b.failures)-1), "</b></div></div>")
	out.in(`<p class="soft">`, b.trend(), "</p>")
}

// collateral tells of each address that was banned and then logged in: once for each
// policy and jail, with the line that proves the first log-in.
func (p *Past) collateral(out *page) {
	type who struct{ policy, jail, key string }
	times := map[who]int{}
	for _, q := range p.Policies {
		for _, c := range q.Collateral {
			times[who{q.Policy, c.Jail, c.Key}]++
		}
	}
	told := 0
	for _, q := range p.Policies {
		for _, c := range q.Collateral {
			w := who{q.Policy, c.Jail, c.Key}
			n := times[w]
			if n == 0 {
				continue // told
			}
			times[w] = 0
			if told++; told == 1 {
				out.raw("<h2>Collateral</h2>")
			}
			if told > shownInPage {
				continue
			}
			since := "at "
			if n > 1 {
				since = grouped(n) + " times, first at "
			}
			out.in("<p><b>", c.Key, "</b> ")
			out.in("", fmt.Sprintf("was banned in %s %s%s and logged in at %s, by %s", c.Jail, since, local(c.Since), local(c.Login), q.Policy), "</p>")
			out.in("<pre>", c.Line, "</pre>")
		}
	}
	if told > shownInPage {
		out.in(`<p class="soft">`, "and "+grouped(told-shownInPage)+" more", "</p>")
	}
}

// WriteHTML writes the page to a file, as a whole or not at all: mode 0640, for it holds
// names and addresses.
func (p *Past) WriteHTML(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		if named := (*os.PathError)(nil); errors.As(err, &named) { // by that other name
			err = named.Err
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = errors.Join(p.HTML(f), f.Chmod(0o640), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
