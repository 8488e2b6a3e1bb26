package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is rows under a heading. Columns align; those named in right align
// right.
type table struct {
	heading []string
	right   map[int]bool
	rows    [][]string
	most    int // columns that a line may take; the last cell is cut; 0: no limit
	more    int // rows that there are beside those
}

// write draws the table; the last column is not padded. Whatever a cell holds, it is Clean.
func (t *table) write(w io.Writer) {
	for _, row := range t.rows {
		for i := range row {
			row[i] = Clean(row[i])
		}
	}
	width := make([]int, len(t.heading))
	for _, row := range append([][]string{t.heading}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string) string {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			switch {
			case t.right[i]:
				b.WriteString(pad + cell)
			case i == len(row)-1:
				b.WriteString(cell)
			default:
				b.WriteString(cell + pad)
			}
			b.WriteString("  ")
		}
		text := strings.TrimRight(b.String(), " ")
		if t.most > 0 {
			text = cut(text, t.most)
		}
		return text
	}
	heading := line(t.heading)
	if coloured(w) {
		heading = "\x1b[1m" + heading + "\x1b[0m"
	}
	fmt.Fprintln(w, heading)
	for _, row := range t.rows {
		fmt.Fprintln(w, line(row))
	}
}
