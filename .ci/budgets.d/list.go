package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// listRow loads a list that another program keeps: the whole process, which reads, checks
// and joins the lines, against nft -f of the same prefixes.
func (b *bench) listRow(build build) error {
	const perKey = 5 // 500,000 prefixes at full sizes
	n := perKey * b.keys
	list, script := b.path("list.txt"), b.path("list.nft")
	var lines, text strings.Builder
	text.WriteString("table inet scan2ban {\nset listed { type ipv4_addr; flags interval; elements = {\n")
	for i := range n { // none touches another, none is private
		a := 11<<24 + i*512
		prefix := fmt.Sprintf("%d.%d.%d.0/24", a>>24, a>>16&255, a>>8&255)
		if first := a >> 24; first >= 100 {
			return fmt.Errorf("%d prefixes reach into 100.64.0.0/10", n)
		}
		lines.WriteString(prefix + " ; SBL\n")
		text.WriteString(prefix + ",\n")
	}
	text.WriteString("} }\n}\n")
	if err := errors.Join(os.WriteFile(list, []byte(lines.String()), 0o600), os.WriteFile(script, []byte(text.String()), 0o600)); err != nil {
		return err
	}
	p, err := compare(b.slow, side{[]string{build.probe, "list", list}, noTable}, side{[]string{"nft", "-f", script}, noTable})
	if err == nil {
		b.table.add(fmt.Sprintf("a list of %d prefixes read and into the kernel, against `nft -f` of the same", n), build, p, 2)
	}
	return errors.Join(err, noTable())
}
