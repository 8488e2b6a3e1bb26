package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// bansRow is row 8: the whole process against the whole process of nft -f.
func (b *bench) bansRow(v6 bool) func(build) error {
	return func(build build) error {
		list, script, err := b.bans(v6)
		if err != nil {
			return err
		}
		p, err := compare(b.medium, side{[]string{build.probe, "ban", list}, noTable}, side{[]string{"nft", "-f", script}, noTable})
		if err == nil {
			b.table.add(fmt.Sprintf("%d bans into the kernel, %s, against `nft -f` of the same in one command", b.keys, family(v6)), build, p, 0.75)
		}
		return errors.Join(err, noTable())
	}
}

// dumpRow is row 9.
func (b *bench) dumpRow(v6 bool) func(build) error {
	return func(build build) error {
		list, _, err := b.bans(v6)
		if err == nil {
			err = noTable()
		}
		if err == nil {
			_, err = output(build.probe, "ban", list)
		}
		if err != nil {
			return err
		}
		time.Sleep(pause) // the set's hash table grows after the commit
		set := []string{"nft", "-j", "list", "set", "inet", "scan2ban", "sshd" + family(v6)[3:]}
		if err := b.complete(set); err != nil {
			return err
		}
		p, err := compare(b.slow, side{args: []string{build.probe, "compare", list}}, side{args: set})
		if err == nil {
			b.table.add(fmt.Sprintf("read back and compare %d bans, %s, against `nft -j list set`", b.keys, family(v6)), build, p, 1)
		}
		return errors.Join(err, noTable())
	}
}

func family(v6 bool) string {
	if v6 {
		return "IPv6"
	}
	return "IPv4"
}

// pause lets the kernel do what it puts off: it frees the elements of a deleted
// set, and widens a hash table, after the command has ended.
const pause = 300 * time.Millisecond

// noTable leaves the namespace without our table.
func noTable() error {
	if _, err := output("nft", "-t", "list", "table", "inet", "scan2ban"); err != nil {
		return nil
	}
	_, err := output("nft", "delete", "table", "inet", "scan2ban")
	time.Sleep(pause)
	return err
}

// complete tells whether nft sees all elements that were added.
func (b *bench) complete(list []string) error {
	text, err := output(list...)
	if err != nil {
		return err
	}
	var found struct {
		Nftables []struct {
			Set *struct{ Elem []json.RawMessage }
		}
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	for _, o := range found.Nftables {
		if o.Set != nil && len(o.Set.Elem) == b.keys {
			return nil
		}
	}
	return fmt.Errorf("%s does not show %d elements", strings.Join(list, " "), b.keys)
}

// bans writes the same bans for both: a list for probe, a script for nft.
func (b *bench) bans(v6 bool) (list, script string, err error) {
	now, kind := time.Now(), "ipv4_addr"
	if v6 {
		kind = "ipv6_addr"
	}
	var lines, text strings.Builder
	fmt.Fprintf(&text, "table inet scan2ban {\nset sshd%s { type %s; flags timeout; counter; elements = {\n", family(v6)[3:], kind)
	for i := range b.keys {
		lasts := 86400 + i%3600
		n := uint32(i) * 2654435761 // spread, and none twice, not in 24 bits either: it is odd
		address, prefix := fmt.Sprintf("11.%d.%d.%d", n>>16&255, n>>8&255, n&255), ""
		if v6 {
			address, prefix = fmt.Sprintf("2001:db8:%x:%x::", n>>16, n&0xffff), "/64"
		}
		fmt.Fprintf(&lines, "%s%s %d\n", address, prefix, now.Unix()+int64(lasts))
		fmt.Fprintf(&text, "%s timeout %ds,\n", address, lasts)
	}
	text.WriteString("} }\n}\n")
	list, script = b.path("bans-"+kind), b.path("bans-"+kind+".nft")
	return list, script, errors.Join(os.WriteFile(list, []byte(lines.String()), 0o600), os.WriteFile(script, []byte(text.String()), 0o600))
}
