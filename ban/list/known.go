package list

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// Known is what one pass leaves to the next of a list. It may be lost: then the file is
// read again.
type Known struct {
	File    string       `json:"file"`              // what names this state of the file; empty: it is to be read again
	Without string       `json:"without"`           // what names what was taken out, and how the file was read
	Samples []netip.Addr `json:"samples,omitempty"` // of what the prints are of
	Prints  [2]string    `json:"prints"`            // of what the kernel is to hold; empty: not known, what is there is right
	Entries int          `json:"entries"`           // of the last good reading
	Ranges  int          `json:"ranges"`            // what they came to
	Bad     int          `json:"bad"`               // lines of it that were no address
	Time    int64        `json:"time"`              // of the last good reading, in seconds; 0: there was none
	Problem string       `json:"problem"`           // why the newest file is not used; empty: it is
	Reach   *state.Reach `json:"reach,omitempty"`   // what it closes; nil: it is not enforced
}

// spared are never in a list's set, whatever it says: this network, private use, carrier
// grade NAT, loopback, link-local, multicast and reserved addresses (IANA's registries of
// special-purpose addresses). Documentation addresses may be listed: nobody has them.
var spared = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
	"::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8",
}

// Out are the ranges that are taken out of every list: spared, and what is ignored.
func Out(ignored *state.Ignored) []nftables.Range {
	var out []nftables.Range
	for _, text := range spared {
		out = append(out, nftables.RangeOf(netip.MustParsePrefix(text)))
	}
	for _, p := range ignored.Prefixes() {
		out = append(out, nftables.RangeOf(p))
	}
	return joined(out)
}

// Look gives what is to be known of the list now, and its share in the kernel. out is what
// is to be taken out. news are for the admin: what is wrong with a file that was read for
// the first time.
//
// A file that is not to be used leaves the kernel as it is. Where other addresses than
// before are to be taken out and the file cannot tell without them, the set is emptied:
// it could hold somebody who is ignored now.
func (o *Options) Look(was Known, out []nftables.Range, now int64) (known Known, share *nftables.List, news []error) {
	file := o.stat()
	taken := state.Hash(fmt.Sprint(o.File, o.Wide, o.Empty, nftables.PrintsOf(out), len(out)))
	read := func() ([]nftables.Range, error) {
		c, err := o.Read()
		return without(c.Ranges, out), err
	}
	if was.File == file && file != "" && was.Without == taken {
		if was.Problem != "" {
			problem := errors.New(was.Problem)
			read = func() ([]nftables.Range, error) { return nil, problem }
			if was.Prints == none {
				read = func() ([]nftables.Range, error) { return nil, nil }
			}
		}
		return was, &nftables.List{Prints: was.Prints, Samples: was.Samples, Read: read}, nil
	}
	known = was
	c, err := o.Read()
	if err != nil {
		known.File, known.Problem = file, err.Error()
		if errors.Is(err, errWritten) {
			known.File = "" // it will be whole soon
		}
		kept := "what the kernel holds is kept"
		if was.Without != "" && was.Without != taken {
			known.Prints, known.Samples, known.Ranges = none, nil, 0
			kept = "its set is emptied, for other addresses are ignored than before"
			read = func() ([]nftables.Range, error) { return nil, nil }
		} else {
			read = func() ([]nftables.Range, error) { return nil, err }
		}
		known.Without = taken
		return known, &nftables.List{Prints: known.Prints, Samples: known.Samples, Read: read}, append(c.Told(), fmt.Errorf("list %q is not read anew: %w; %s", o.Name, err, kept))
	}
	ranges := without(c.Ranges, out)
	known = Known{File: file, Without: taken, Prints: nftables.PrintsOf(ranges), Samples: nftables.SamplesOf(ranges), Entries: c.Entries, Ranges: len(ranges), Bad: c.Bad, Time: now}
	return known, &nftables.List{Prints: known.Prints, Samples: known.Samples, Read: func() ([]nftables.Range, error) { return ranges, nil }}, c.Told()
}

// Holds tells whether an address is in the file and not in out, which is what is to be
// taken out.
func (o *Options) Holds(addr netip.Addr, out []nftables.Range) (bool, error) {
	c, err := o.Read()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(without(c.Ranges, out), func(r nftables.Range) bool {
		return r.From.BitLen() == addr.BitLen() && !addr.Less(r.From) && !r.To.Less(addr)
	}), nil
}

// none are the prints of empty sets.
var none = nftables.PrintsOf(nil)

// Told are the lines that could not be understood: the first few, and how many there are
// beside them.
func (c *Content) Told() []error {
	if c.Bad <= len(c.Errs) {
		return c.Errs
	}
	return append(c.Errs[:len(c.Errs):len(c.Errs)], fmt.Errorf("and %d more lines that are no address", c.Bad-len(c.Errs)))
}

// stat names the state of the file: whoever writes it changes that. One that is not there
// has a name too.
func (o *Options) stat() string {
	var s unix.Stat_t
	if err := unix.Stat(o.File, &s); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %d %d %d.%09d %d.%09d", s.Dev, s.Ino, s.Size, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec)
}

// Written is when the file was written, in seconds; 0: it cannot be told.
func (o *Options) Written() int64 {
	info, err := os.Stat(o.File)
	if err != nil {
		return 0
	}
	return info.ModTime().Unix()
}
