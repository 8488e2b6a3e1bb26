package manual

import (
	_ "embed"
	"strings"
)

//go:embed scan2ban.toml.5.md
var reference string

// ConfigPage is scan2ban.toml(5), made from its Markdown: headings, paragraphs,
// fenced examples, and tables whose rows become items.
func ConfigPage() []byte {
	p := newPage("SCAN2BAN.TOML", "5", "scan2ban.toml", "what scan2ban guards, and how")
	for part := range strings.SplitSeq(reference, "\n# ") {
		name, text, _ := strings.Cut(strings.TrimPrefix(part, "# "), "\n")
		p.section(name)
		first := true
		for text = strings.Trim(text, "\n"); text != ""; first = false {
			var block string
			if rest, fenced := strings.CutPrefix(text, "```\n"); fenced {
				block, text, _ = strings.Cut(rest, "\n```")
				p.example(strings.Split(block, "\n"), first)
				text = strings.TrimLeft(text, "\n")
				continue
			}
			block, text, _ = strings.Cut(text, "\n\n")
			text = strings.TrimLeft(text, "\n")
			if strings.HasPrefix(block, "|") {
				p.table(strings.Split(block, "\n"))
			} else {
				p.prose(block, first)
			}
		}
	}
	return []byte(p.String())
}

// table writes the rows of a Markdown table. The first cell is the term, the last
// the meaning; those between are told behind their column's name.
func (p *page) table(rows []string) {
	heads := cells(rows[0])
	for _, row := range rows[2:] {
		list := cells(row)
		meaning := list[len(list)-1]
		var about []string
		for i := 1; i < len(list)-1; i++ {
			switch head := heads[i]; {
			case list[i] == "":
			case head == "type":
				about = append(about, list[i])
			case list[i] == "yes":
				about = append(about, head)
			default:
				about = append(about, head+": "+list[i])
			}
		}
		if len(about) > 0 {
			meaning = strings.TrimSpace(meaning + " (" + strings.Join(about, "; ") + ")")
		}
		p.item(inline(list[0]), meaning)
	}
}

// cells are those of a row.
func cells(row string) []string {
	list := strings.Split(strings.Trim(row, "|"), "|")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
