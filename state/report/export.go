package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state"
	"scan2ban/state/order"
)

// Format is a form in which bans are exported.
type Format string

const (
	Plain Format = "plain" // one address or CIDR a line
	NFT   Format = "nft"   // a file for nft -f: a table of its own
	CSV   Format = "csv"
	AsJS  Format = "json" // what banned --json prints
)

// Set is String's inverse, for a flag.
func (f *Format) Set(text string) error {
	if *f = Format(text); !slices.Contains([]Format{Plain, NFT, CSV, AsJS}, *f) {
		return errors.New("there is plain, nft, csv and json")
	}
	return nil
}

func (f *Format) String() string { return string(*f) }

// Type names the flag's value.
func (f *Format) Type() string { return "FORM" }

// Export writes the bans that are enforced, at the clock time now in seconds.
func (f Format) Export(w io.Writer, bans []Ban, now int64) error {
	bans = Enforced(bans)
	switch f {
	case AsJS:
		return JSON(w, bans)
	case CSV:
		return exportCSV(w, bans)
	case NFT:
		return exportNFT(w, bans, now)
	}
	for _, key := range slices.Sorted(maps.Keys(longest(bans))) {
		if _, err := fmt.Fprintln(w, key); err != nil {
			return err
		}
	}
	return nil
}

// Enforced are those of the bans that keep somebody out. What no pass has decided
// yet does not: another firewall is to hold what this one holds.
func Enforced(bans []Ban) []Ban {
	return slices.DeleteFunc(slices.Clone(bans), func(b Ban) bool { return b.Observed || b.Pending })
}

// longest is when each key is free again, 0 for never, whatever the jail.
func longest(bans []Ban) map[string]int64 {
	ends := map[string]int64{}
	for _, b := range bans {
		end, known := ends[b.Key]
		if !known || b.ban.Until == 0 || end != 0 && b.ban.Until > end {
			ends[b.Key] = b.ban.Until
		}
	}
	return ends
}

// csvHeading is the first line of an export as CSV.
var csvHeading = []string{"key", "jail", "address", "since", "until", "failures", "users"}

func exportCSV(w io.Writer, bans []Ban) error {
	rows := [][]string{csvHeading}
	for _, b := range bans {
		until := "permanent"
		if b.Until != nil {
			until = *b.Until
		}
		rows = append(rows, []string{b.Key, b.Jail, b.Address, b.Since, until, strconv.Itoa(b.Failures), strings.Join(b.Users, " ")})
	}
	return writeCSV(w, rows)
}

// neighbours is the rule by which a banned network that is on the link keeps no neighbour from
// being found, a gateway above all (RFC 4861, 4).
const neighbours = "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"

// exportNFT writes a table that drops what comes from the banned. Keys of one length never
// overlap, so each length has a set of its own.
func exportNFT(w io.Writer, bans []Ban, now int64) error {
	type kind struct {
		six  bool
		bits int
	}
	sets := map[kind][]string{}
	ends := longest(bans)
	for _, text := range slices.Sorted(maps.Keys(ends)) {
		p, err := state.ParsePrefix(text)
		if err != nil {
			return err
		}
		element := text
		if end := ends[text]; end != 0 {
			if end <= now {
				continue
			}
			element += fmt.Sprintf(" timeout %ds", end-now)
		}
		k := kind{p.Addr().Is6(), p.Bits()}
		sets[k] = append(sets[k], element)
	}
	kinds := slices.Collect(maps.Keys(sets))
	order.By(kinds, func(a, b kind) int {
		if a.six != b.six {
			return map[bool]int{true: 1, false: -1}[a.six]
		}
		return cmp.Compare(b.bits, a.bits)
	})
	var b, rules strings.Builder
	fmt.Fprintf(&b, "# Bans of scan2ban as of %s: nft -f FILE\n", UTC(now))
	b.WriteString("table inet scan2ban_export\ndelete table inet scan2ban_export\ntable inet scan2ban_export {\n")
	for _, k := range kinds {
		name, family := fmt.Sprintf("ipv4_%d", k.bits), "ip"
		if k.six {
			name, family = fmt.Sprintf("ipv6_%d", k.bits), "ip6"
		}
		flags := "timeout"
		if k.six && k.bits < 128 || !k.six && k.bits < 32 {
			flags = "interval, timeout"
		}
		fmt.Fprintf(&b, "\tset %s {\n\t\ttype %s_addr\n\t\tflags %s\n\t\telements = {\n\t\t\t%s\n\t\t}\n\t}\n", name, name[:4], flags, strings.Join(sets[k], ",\n\t\t\t"))
		fmt.Fprintf(&rules, "\t\t%s saddr @%s drop\n", family, name)
	}
	fmt.Fprintf(&b, "\tchain prerouting {\n\t\ttype filter hook prerouting priority mangle; policy accept;\n\t\tiif \"lo\" accept\n\t\tct direction reply accept\n\t\t%s\n%s\t}\n}\n", neighbours, &rules)
	_, err := io.WriteString(w, b.String())
	return err
}
