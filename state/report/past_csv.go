package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// CSV writes the addresses, a row each, under a heading (RFC 4180). A text that a
// spreadsheet would take for a formula gets an apostrophe before it, and so does the part
// of one after a semicolon: some split there, quoted or not.
func (p *Past) CSV(w io.Writer) error {
	rows := [][]string{{"address", "jail", "failures", "bans", "first", "last", "users", "country", "asn", "later_login"}}
	for i := range p.Addresses {
		a := &p.Addresses[i]
		login := ""
		if a.LaterLogin != nil {
			login = *a.LaterLogin
		}
		rows = append(rows, []string{a.Address, a.Jail, strconv.Itoa(a.Failures), strconv.Itoa(a.Bans), a.First, a.Last, strings.Join(a.Users, " "), a.Country, a.ASN, login})
	}
	return writeCSV(w, rows)
}

// writeCSV writes rows; whatever a cell holds, it is Clean.
func writeCSV(w io.Writer, rows [][]string) error {
	out := csv.NewWriter(w)
	for _, row := range rows {
		for i, cell := range row {
			parts := strings.Split(Clean(cell), ";")
			for n, part := range parts {
				if n > 0 {
					part = strings.TrimLeft(part, "\" ")
				}
				if part != "" && strings.ContainsRune("=+-@\t\r", rune(part[0])) {
					parts[n] = "'" + parts[n]
				}
			}
			row[i] = strings.Join(parts, ";")
		}
	}
	return out.WriteAll(rows)
}
