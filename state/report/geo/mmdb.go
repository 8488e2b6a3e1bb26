package geo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
)

// database is an open file of MaxMind's format, version 2: a search tree over the bits of
// addresses, a data section that its leaves point into, and metadata at the end. Little of
// it is in memory at a time: a file may be larger than that. One that is damaged, or that
// is cut short while it is open, gives an error.
type database struct {
	file       *os.File
	family     uint32 // of its addresses: 4, or 6 that holds both
	nodes      uint32 // of the tree
	recordSize uint32 // in bits: 24, 28 or 32; a node has two records
	tree, data part

	// Of the last question: the records that its bits led through, to a depth. The next one
	// goes on from where it parts from it, which is far down where questions are in order.
	bits  [16]byte
	path  [129]uint32
	depth int
}

var marker = []byte("\xab\xcd\xefMaxMind.com") // stands before the metadata

func open(path string) (_ *database, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrInvalid}
	}
	d := &database{}
	if d.file, err = os.Open(path); err != nil {
		return nil, err
	}
	if err := d.measure(); err != nil {
		_ = d.file.Close()
		return nil, err
	}
	return d, nil
}

// measure finds the metadata, reads them, and knows by them where the parts are.
func (d *database) measure() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	last := make([]byte, min(info.Size(), 128<<10)) // metadata are no longer, the marker included
	first := info.Size() - int64(len(last))
	if _, err := d.file.ReadAt(last, first); err != nil {
		return err
	}
	at := bytes.LastIndex(last, marker)
	if at < 0 {
		return errors.New("it is not in MaxMind's format")
	}
	end := first + int64(at) // of the data section
	var major uint32
	metadata := d.values(end+int64(len(marker)), info.Size(), 1)
	r := metadata.walk()
	err = r.pairs(0, func(key []byte, value int64) (err error) {
		switch string(key) {
		case "binary_format_major_version":
			major, err = r.number(value)
		case "ip_version":
			d.family, err = r.number(value)
		case "node_count":
			d.nodes, err = r.number(value)
		case "record_size":
			d.recordSize, err = r.number(value)
		}
		return err
	})
	start := int64(d.nodes)*d.nodeSize() + separator // of the data section
	switch {
	case err != nil:
		return fmt.Errorf("its metadata are damaged: %w", err)
	case major != 2:
		return fmt.Errorf("it is in version %d of MaxMind's format, and 2 is read", major)
	case d.family != 4 && d.family != 6, d.recordSize != 24 && d.recordSize != 28 && d.recordSize != 32, start > end:
		return fmt.Errorf("its metadata are damaged: ip_version %d, record_size %d, node_count %d, of %d bytes", d.family, d.recordSize, d.nodes, end)
	}
	// Where one branch is written after the other, as writers do, what is asked next follows.
	d.tree = part{file: d.file, size: start - separator, length: 4096, windows: make([]window, 1)}
	d.data = d.values(start, end, 1024)
	return nil
}

// separator are the bytes between the tree and the data section.
const separator = 16

func (d *database) values(start, end int64, windows int) part {
	return part{file: d.file, start: start, size: end - start, shift: 9, length: 1<<9 + longest, windows: make([]window, windows)}
}

// nodeSize is in bytes.
func (d *database) nodeSize() int64 { return int64(d.recordSize / 4) }

// find is where the data section has what is known of an address; found is false where
// nothing is.
func (d *database) find(addr netip.Addr) (at int64, found bool, err error) {
	bits, end := addr.As16(), 128
	if addr.Is4() { // in a tree of IPv6 it is ::a.b.c.d
		bits = [16]byte{}
		copy(bits[12:], addr.AsSlice())
	}
	if d.family == 4 {
		bits, end = [16]byte{0: bits[12], 1: bits[13], 2: bits[14], 3: bits[15]}, 32
	}
	record, err := d.follow(bits, end)
	switch at = int64(record) - int64(d.nodes) - separator; {
	case err != nil || record == d.nodes:
		return 0, false, err
	case at < 0:
		return 0, false, d.tree.wrong(int64(d.path[d.depth-1])*d.nodeSize(), "the search tree leads nowhere")
	}
	return at, true, nil
}

// follow is the record that bits lead to, at most so many: a node's number only where the
// tree has no end.
func (d *database) follow(bits [16]byte, end int) (uint32, error) {
	depth := 0 // to which the last question's path is this one's
	for depth < d.depth && bit(bits, depth) == bit(d.bits, depth) {
		depth++
	}
	d.bits, d.depth = bits, depth
	for size := d.nodeSize(); d.depth < end && d.path[d.depth] < d.nodes; d.depth++ {
		b, err := d.tree.read(int64(d.path[d.depth])*size, int(size))
		if err != nil {
			return 0, err
		}
		right := bit(bits, d.depth) == 1
		record := &d.path[d.depth+1]
		switch {
		case size == 8 && right:
			*record = binary.BigEndian.Uint32(b[4:])
		case size == 8:
			*record = binary.BigEndian.Uint32(b)
		case size == 7 && right:
			*record = binary.BigEndian.Uint32(b[3:]) & (1<<28 - 1)
		case size == 7:
			*record = uint32(b[3]>>4)<<24 | binary.BigEndian.Uint32(b)>>8
		case right:
			*record = binary.BigEndian.Uint32(b[2:]) & (1<<24 - 1)
		default:
			*record = binary.BigEndian.Uint32(b) >> 8
		}
	}
	return d.path[d.depth], nil
}

func bit(bits [16]byte, i int) byte { return bits[i/8] >> (7 - i%8) & 1 }

// part is a part of a file, read by windows. Offsets are counted from its start.
type part struct {
	file        io.ReaderAt
	start, size int64
	shift       int   // windows begin at multiples of 1<<shift
	length      int64 // of a window: longest from each offset of its step on
	windows     []window
}

// window are bytes of a part, kept until another one wants the place.
type window struct {
	at    int64
	bytes []byte
}

// longest are the bytes that may be read at a time.
const longest = 128

// read is n bytes, at most longest, good until the next read.
func (p *part) read(at int64, n int) ([]byte, error) {
	if at < 0 || int64(n) > p.size-at {
		return nil, p.outside(at)
	}
	w := &p.windows[int(at>>p.shift)&(len(p.windows)-1)]
	if at < w.at || at+int64(n) > w.at+int64(len(w.bytes)) {
		if w.bytes == nil {
			w.bytes = make([]byte, min(p.length, p.size))
		}
		w.at = at >> p.shift << p.shift
		w.bytes = w.bytes[:min(int64(cap(w.bytes)), p.size-w.at)]
		if _, err := p.file.ReadAt(w.bytes, p.start+w.at); err != nil {
			w.bytes = w.bytes[:0]
			if err == io.EOF {
				err = p.wrong(at, "the file has become shorter")
			}
			return nil, err
		}
	}
	return w.bytes[at-w.at:][:n], nil
}

// wrong is the error of what stands at an offset, which is told as that in the file.
func (p *part) wrong(at int64, what string) error {
	return fmt.Errorf("at offset %d: %s", p.start+at, what)
}

func (p *part) outside(at int64) error { return p.wrong(at, "it leads out of its part of the file") }
