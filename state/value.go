package state

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of the configuration, in nanoseconds and whole seconds:
// "10m", "1d12h", "2w", a number of seconds, or Permanent.
type Duration time.Duration

// Permanent is a ban without an end: "permanent", and Fail2Ban's -1.
const Permanent Duration = -1

// units of ParseDuration. Months and years as Fail2Ban counts them: 30.4375
// and 365.25 days.
var units = map[string]time.Duration{
	"s": time.Second, "sec": time.Second,
	"m": time.Minute, "min": time.Minute,
	"h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	"mo": 2629800 * time.Second, "y": 31557600 * time.Second,
}

// ParseDuration reads "600", "10m", "1d12h", "1d 12h" or "permanent".
func ParseDuration(text string) (Duration, error) {
	bad := func() (Duration, error) {
		return 0, fmt.Errorf("%q is not a duration (write 10m, 1d12h, 600 for seconds, or permanent)", text)
	}
	rest := strings.ToLower(strings.TrimSpace(text))
	switch rest {
	case "":
		return bad()
	case "permanent", "-1":
		return Permanent, nil
	}
	var total time.Duration
	for first := true; rest != ""; first = false {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		if err != nil {
			return bad()
		}
		rest = strings.TrimLeft(rest[digits:], " ")
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		unit, ok := units[rest[:letters]]
		if letters == 0 && rest == "" && first {
			unit, ok = time.Second, true
		}
		if !ok || (unit > 0 && n > int64(maxDuration/unit)) {
			return bad()
		}
		if total += time.Duration(n) * unit; total > maxDuration {
			return bad()
		}
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	return Duration(total), nil
}

// maxDuration keeps sums of a time and a duration far from overflow.
const maxDuration = 100 * 31557600 * time.Second

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// UnmarshalSpan reads what ParseDuration reads, but for 0, which is no time.
func (d *Duration) UnmarshalSpan(text string) (err error) {
	if *d, err = ParseDuration(text); err == nil && *d == 0 {
		err = errors.New("0 is no time")
	}
	return err
}

// ParseTime reads a moment: RFC 3339, a date (its local midnight), or a duration
// back from now, whose unit is not left out: 2026 is no such.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	if d, err := ParseDuration(text); err == nil && d != Permanent && strings.Trim(text, "0123456789") != "" {
		return now.Add(-time.Duration(d)), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time (write 2026-11-20T18:00:00Z, 2026-11-20, or 30d for that long ago)", text)
}

// Seconds of the span; meaningless for Permanent.
func (d Duration) Seconds() int64 { return int64(time.Duration(d) / time.Second) }

// String writes the span as people say it: "2h 10m", "1d", "permanent".
func (d Duration) String() string {
	if d == Permanent {
		return "permanent"
	}
	rest, parts := time.Duration(d), []string(nil)
	for _, u := range []struct {
		name string
		span time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := rest / u.span; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+u.name)
			rest %= u.span
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts[:min(2, len(parts))], " ")
}

// Prefix is an address or CIDR of the configuration. A single address is a
// prefix of full length; host bits are cleared.
type Prefix struct{ netip.Prefix }

// ParsePrefix reads "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". A host name
// is an error: nothing is ever resolved.
func ParsePrefix(text string) (Prefix, error) {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return Prefix{netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return Prefix{}, fmt.Errorf("%q is not an address or CIDR", text)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return Prefix{}, fmt.Errorf("%q mixes IPv4 and IPv6", text)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return Prefix{p.Masked()}, nil
}

// ParseIPv4 reads what netip.ParseAddr reads of IPv4, without a string made of each address.
func ParseIPv4(text []byte) (addr netip.Addr, ok bool) {
	var octets [4]byte
	n, digits, value := 0, 0, 0
	for _, c := range text {
		switch {
		case c-'0' <= 9 && (digits == 0 || value > 0) && value*10+int(c-'0') <= 255:
			digits, value = digits+1, value*10+int(c-'0')
		case c == '.' && digits > 0 && n < 3:
			octets[n] = byte(value)
			n, digits, value = n+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if n != 3 || digits == 0 {
		return netip.Addr{}, false
	}
	octets[3] = byte(value)
	return netip.AddrFrom4(octets), true
}

// UnmarshalText reads what ParsePrefix reads.
func (p *Prefix) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePrefix(string(text))
	return err
}

// Single is the prefix of one address.
func Single(addr netip.Addr) Prefix {
	addr = addr.Unmap().WithZone("")
	return Prefix{netip.PrefixFrom(addr, addr.BitLen())}
}

// String writes a single address without its length.
func (p Prefix) String() string { return Key(p).String() }

// String writes a key of full length as an address, others as a CIDR.
func (k Key) String() string {
	if k.IsSingleIP() {
		return k.Addr().String()
	}
	return k.Prefix.String()
}

// MarshalText writes what String writes.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what String wrote.
func (k *Key) UnmarshalText(text []byte) error {
	p, err := ParsePrefix(string(text))
	*k = Key(p)
	return err
}

// BlockType is what the kernel does with a packet of the banned.
type BlockType string

const (
	Drop   BlockType = "drop"
	Reject BlockType = "reject"
)

// UnmarshalText accepts "drop" and "reject".
func (b *BlockType) UnmarshalText(text []byte) error {
	*b = BlockType(text)
	if !slices.Contains([]BlockType{Drop, Reject}, *b) {
		return fmt.Errorf("%q is not a blocktype (drop, reject)", text)
	}
	return nil
}

// Port is one port, a range of ports, or all of them.
type Port struct {
	From, To uint16 // inclusive; 0 to 0: all ports and protocols
}

// AllPorts is "all".
var AllPorts = Port{}

// All tells whether p is AllPorts.
func (p Port) All() bool { return p == AllPorts }

// String writes "22", "6000-6100" or "all".
func (p Port) String() string {
	switch {
	case p.All():
		return "all"
	case p.From == p.To:
		return strconv.Itoa(int(p.From))
	}
	return fmt.Sprintf("%d-%d", p.From, p.To)
}

// Words are "port 22", "ports 22, 2222" or "every port".
func (ps Ports) Words() string {
	switch {
	case ps.All():
		return "every port"
	case len(ps) == 1:
		return "port " + ps.List()
	}
	return "ports " + ps.List()
}

// List writes "22, 6000-6100".
func (ps Ports) List() string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}

// MarshalText writes what String writes.
func (p Port) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote, and port names.
func (p *Port) UnmarshalText(text []byte) error { return p.parse(string(text)) }

// UnmarshalTOML reads 22, "22", "ssh", "6000-6100", Fail2Ban's "6000:6100" and "all".
func (p *Port) UnmarshalTOML(value any) error {
	switch v := value.(type) {
	case int64:
		return p.parse(strconv.FormatInt(v, 10))
	case string:
		return p.parse(v)
	}
	return fmt.Errorf("%v is not a port (write 22, \"ssh\", \"6000-6100\" or \"all\")", value)
}

func (p *Port) parse(text string) error {
	if text == "all" {
		*p = AllPorts
		return nil
	}
	from, to, isRange := strings.Cut(strings.Replace(text, ":", "-", 1), "-")
	if n, ok := services[text]; ok {
		*p = Port{n, n}
		return nil
	}
	if !isRange {
		to = from
	}
	low, err := strconv.ParseUint(from, 10, 16)
	high, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil || low == 0 || high < low {
		return fmt.Errorf("%q is not a port (write 22, \"ssh\", \"6000-6100\" or \"all\")", text)
	}
	*p = Port{uint16(low), uint16(high)}
	return nil
}

// Ports are a list of ports. Written as one string they are separated by commas.
type Ports []Port

// UnmarshalTOML reads a list, or what one Port reads, or "ssh,2222".
func (ps *Ports) UnmarshalTOML(value any) error {
	*ps = nil
	for _, v := range listOf(value, ",") {
		var p Port
		if err := p.UnmarshalTOML(v); err != nil {
			return err
		}
		*ps = append(*ps, p)
	}
	return nil
}

// All tells whether every port is meant.
func (ps Ports) All() bool { return slices.Contains(ps, AllPorts) }

// Prefixes are a list of addresses and CIDRs. Written as one string they are
// separated by spaces or commas, as Fail2Ban's ignoreip is.
type Prefixes []Prefix

// UnmarshalTOML reads a list of what ParsePrefix reads, or one string of them.
func (ps *Prefixes) UnmarshalTOML(value any) error {
	*ps = nil
	var errs []error
	for _, v := range listOf(value, ", \t\n") {
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is not an address or CIDR", v)
		}
		p, err := ParsePrefix(text)
		if err != nil {
			errs = append(errs, err)
		}
		*ps = append(*ps, p)
	}
	return errors.Join(errs...)
}

// listOf gives the elements of a TOML array, or of a string that separates them.
func listOf(value any, separators string) []any {
	switch v := value.(type) {
	case []any:
		return v
	case string:
		var list []any
		for _, part := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			list = append(list, strings.TrimSpace(part))
		}
		return list
	}
	return []any{value}
}
