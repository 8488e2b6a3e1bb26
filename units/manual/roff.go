package manual

import (
	"fmt"
	"strings"

	"scan2ban/state/lazy"
)

// page is a man page that is being written, in the macros of man(7).
type page struct{ strings.Builder }

// date of the pages; a constant, so that the same program writes the same bytes.
const date = "2026-11-23"

func newPage(title, section, name, what string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %s %s %s scan2ban\n.SH NAME\n%s \\- %s\n", title, section, date, escape(name), escape(what))
	return p
}

// escape keeps roff from taking text for its own: backslashes, hyphens that are
// to be copied, and signs that begin a request.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "^", `\(ha`, "~", `\(ti`, "`", "\\`").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// code is `what stands so` in the text.
var code = lazy.Regexp("`([^`]+)`")

// inline writes running text, with what is code in bold.
func inline(text string) string {
	var b strings.Builder
	at := 0
	for _, m := range code().FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(escape(text[at:m[0]]))
		b.WriteString(`\fB` + escape(text[m[2]:m[3]]) + `\fR`)
		at = m[1]
	}
	b.WriteString(escape(text[at:]))
	return b.String()
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(name string) { p.line(".SH %s", name) }

// text writes running text in lines of at most 80 bytes, where its words allow it.
func (p *page) text(text string) {
	line := ""
	for _, word := range strings.Fields(inline(text)) {
		if line != "" && len(line)+1+len(word) > 80 {
			p.line("%s", line)
			line = ""
		}
		if line != "" {
			word = " " + word
		} else if strings.HasPrefix(word, ".") || strings.HasPrefix(word, "'") {
			word = `\&` + word
		}
		line += word
	}
	p.line("%s", line)
}

// item is a term and what it means.
func (p *page) item(term, meaning string) {
	p.line(".TP\n%s", term)
	p.text(meaning)
}

// example writes lines as they are; first says that they open a section.
func (p *page) example(lines []string, first bool) {
	if !first {
		p.line(".PP")
	}
	p.line(".EX")
	for _, l := range lines {
		if l = escape(l); l == "" {
			l = `\&`
		}
		p.line("%s", l)
	}
	p.line(".EE")
}

// prose writes plain text: paragraphs between blank lines; what is indented stands as
// it is.
func (p *page) prose(text string, first bool) {
	for block := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		if strings.HasPrefix(lines[0], " ") {
			p.example(lines, first)
			first = false
			continue
		}
		if !first {
			p.line(".PP")
		}
		first = false
		p.text(strings.Join(lines, " "))
	}
}
