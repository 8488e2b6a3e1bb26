package list

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// The bounds of a file. FireHOL's and Spamhaus' lists have up to some ten thousand lines.
const (
	mostBytes   = 128 << 20
	mostEntries = 2_000_000
	mostAllowed = 100_000 // of an allow list, which every pass reads
	toldMost    = 10      // lines that cannot be understood and are named
)

// Content is what a file holds.
type Content struct {
	Ranges  []nftables.Range // sorted, disjoint, not touching
	Entries int              // lines that were understood
	Bad     int              // lines that were not
	Errs    []error          // of those, the first few, by file and line
}

// Read reads a file. The error says why nothing of it is to be used; Content tells what
// was found all the same.
func (o *Options) Read() (c Content, err error) {
	f, linked, err := open(o.File)
	if err != nil {
		return c, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return c, err
	}
	if before.Size() > mostBytes {
		return c, fmt.Errorf("%s has %d MB, more than the %d that are read", o.File, before.Size()>>20, mostBytes>>20)
	}
	most := mostEntries
	if o.Allow {
		most = mostAllowed
	}
	if c, err = parse(f, o.File, o.Wide, linked, most); err != nil {
		return c, err
	}
	if after, err := f.Stat(); err != nil || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return c, fmt.Errorf("%s %w", o.File, errWritten)
	}
	switch {
	case c.Bad > c.Entries:
		return c, fmt.Errorf("%s is mostly rubbish: %d of %d lines are no address", o.File, c.Bad, c.Bad+c.Entries)
	case !o.Wide && wideTogether(c.Ranges):
		return c, fmt.Errorf("%s holds more than half of all addresses (write wide = true if that is meant)", o.File)
	case c.Entries == 0 && !o.Empty:
		return c, fmt.Errorf("%s is empty (write empty = true if it may be)", o.File)
	}
	return c, nil
}

var errWritten = errors.New("was written while it was read (whoever updates it should rename the new one into its place)")

// open opens a regular file, which a symbolic link may lead to, and never waits for one
// who writes into a pipe. linked tells whether one does, anywhere on the way: it may be
// that of somebody who may not read the file.
func open(path string) (f *os.File, linked bool, err error) {
	fd, err := withoutLinks(path)
	if linked = err == unix.ELOOP || err == unix.ENOTDIR; linked {
		fd, err = openat(unix.AT_FDCWD, path, toRead)
	}
	if err != nil {
		return nil, linked, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f = os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, linked, err
	}
	return f, linked, nil
}

const toRead = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_LARGEFILE | unix.O_CLOEXEC

// withoutLinks opens a path name by name, each below the directory that is open already, so
// that none becomes a link between a look and the opening. Where one is a link the error is
// ELOOP, or ENOTDIR.
func withoutLinks(path string) (fd int, err error) {
	dir, names := unix.AT_FDCWD, strings.Split(filepath.Clean(path), "/")
	for i, name := range names {
		flags := toRead | unix.O_NOFOLLOW
		if i < len(names)-1 {
			flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		if fd, err = openat(dir, cmp.Or(name, "/"), flags); dir >= 0 {
			unix.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		dir = fd
	}
	return fd, nil
}

func openat(dir int, name string, flags int) (fd int, err error) {
	for {
		if fd, err = unix.Openat(dir, name, flags, 0); err != unix.EINTR {
			return fd, err
		}
	}
}

// errLinked stands for what is wrong with a line of a file that a link leads to.
var errLinked = errors.New("this line is not used (what it holds is not told, for a symbolic link leads to the list)")

// parse reads lines. name stands in the errors; those of a file that a link leads to do not
// tell what it holds.
func parse(r io.Reader, name string, wide, linked bool, most int) (c Content, err error) {
	lines := bufio.NewReaderSize(io.LimitReader(r, mostBytes+1), 4096)
	for number := 1; ; number++ {
		line, more, err := lines.ReadLine()
		text := string(line) // until the next reading
		for rest := more; rest && err == nil; {
			_, rest, err = lines.ReadLine()
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return c, fmt.Errorf("read %s: %w", name, err)
		}
		text = strings.TrimSpace(uncommented(strings.TrimPrefix(text, "\uFEFF")))
		if text == "" {
			continue
		}
		r, err := parseRange(text, wide)
		if err != nil {
			if linked {
				err = errLinked
			}
			if c.Bad++; c.Bad <= toldMost {
				c.Errs = append(c.Errs, fmt.Errorf("%s:%d: %w", name, number, err))
			}
			continue
		}
		if c.Entries++; c.Entries > most {
			return c, fmt.Errorf("%s has more than the %d entries that are read", name, most)
		}
		c.Ranges = append(c.Ranges, r)
	}
	c.Ranges = joined(c.Ranges)
	return c, nil
}

// uncommented is a line without its comment.
func uncommented(line string) string {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	line, _, _ = strings.Cut(line, "//")
	return line
}

// parseRange reads "192.0.2.1", "192.0.2.0/24" or "192.0.2.1-192.0.2.9".
func parseRange(text string, wide bool) (nftables.Range, error) {
	const longest = 60 // bytes of a line in an error
	if len(text) > 100 {
		return nftables.Range{}, fmt.Errorf("%q... is not an address or CIDR", text[:longest])
	}
	if a, b, ok := strings.Cut(text, "-"); ok {
		from, err := netip.ParseAddr(strings.TrimSpace(a))
		to, err2 := netip.ParseAddr(strings.TrimSpace(b))
		r := nftables.Range{From: from.Unmap(), To: to.Unmap()}
		if err != nil || err2 != nil || from.Zone()+to.Zone() != "" || r.From.BitLen() != r.To.BitLen() || r.To.Less(r.From) {
			return r, fmt.Errorf("%q is not a range of addresses", text)
		}
		if common, _ := r.From.Prefix(widest(r.From)); !wide && !common.Contains(r.To) {
			return r, tooWide(text)
		}
		return r, nil
	}
	p, err := state.ParsePrefix(text)
	if err != nil {
		return nftables.Range{}, err
	}
	if !wide && Wide(p.Prefix) {
		return nftables.Range{}, tooWide(text)
	}
	return nftables.RangeOf(p.Prefix), nil
}

// joined sorts ranges and joins those that overlap or touch. It writes into list.
func joined(list []nftables.Range) []nftables.Range {
	sort.Sort(byFrom(list))
	kept := list[:0]
	for _, r := range list {
		if n := len(kept); n > 0 {
			top := &kept[n-1]
			if next := top.To.Next(); top.To.BitLen() == r.From.BitLen() && (!next.IsValid() || !next.Less(r.From)) {
				if top.To.Less(r.To) {
					top.To = r.To
				}
				continue
			}
		}
		kept = append(kept, r)
	}
	return kept
}

// byFrom sorts by sort.Sort, of which one is in the binary for all types.
type byFrom []nftables.Range

func (l byFrom) Len() int           { return len(l) }
func (l byFrom) Less(i, j int) bool { return l[i].From.Less(l[j].From) }
func (l byFrom) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// without is what of list is not in out; both are as joined makes them.
func without(list, out []nftables.Range) []nftables.Range {
	kept := make([]nftables.Range, 0, len(list))
	i := 0
	for _, r := range list {
		for i < len(out) && out[i].To.Less(r.From) {
			i++
		}
		rest := true
		for k := i; k < len(out) && !r.To.Less(out[k].From); k++ {
			if r.From.Less(out[k].From) {
				kept = append(kept, nftables.Range{From: r.From, To: out[k].From.Prev()})
			}
			if !out[k].To.Less(r.To) {
				rest = false
				break
			}
			r.From = out[k].To.Next()
		}
		if rest {
			kept = append(kept, r)
		}
	}
	return kept
}
