package logfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"scan2ban/state"
)

// printed is how many bytes at each end a fingerprint is made of.
const printed = 256

// fingerprint hashes the first n bytes of a file and as many as printed before
// offset.
func fingerprint(f io.ReaderAt, n int, offset int64) (string, error) {
	b := make([]byte, printed)
	h := fnv.New64a()
	back := min(offset, printed)
	for _, part := range []struct{ at, n int64 }{{0, int64(n)}, {offset - back, back}} {
		if _, err := f.ReadAt(b[:part.n], part.at); err != nil {
			return "", err
		}
		h.Write(b[:part.n])
	}
	return fmt.Sprintf("%016x", h.Sum64()), nil
}

// holds tells whether the file of that size holds what was before the position.
func holds(f io.ReaderAt, size int64, pos *state.FilePosition) bool {
	if size < pos.Offset || size < int64(pos.Bytes) {
		return false
	}
	print, err := fingerprint(f, pos.Bytes, pos.PrintedAt())
	return err == nil && print == pos.Print
}

// packs tells whether the compressed file holds what the position is of.
func (r *Reader) packs(f *os.File, pos *state.FilePosition) bool {
	packed, err := gzip.NewReader(io.NewSectionReader(f, 0, 1<<62))
	if err != nil {
		return false
	}
	z := &unpacking{r: r, from: packed}
	// Its first bytes tell most of them apart before all is unpacked.
	h := fnv.New64a()
	head := make([]byte, pos.Bytes)
	if _, err := io.ReadFull(z, head); err != nil {
		return false
	}
	h.Write(head)
	back := min(pos.PrintedAt(), printed)
	tail := make([]byte, back)
	copied := 0
	if from := pos.PrintedAt() - back; from < int64(len(head)) {
		copied = copy(tail, head[from:])
	} else if _, err := io.CopyN(io.Discard, z, from-int64(len(head))); err != nil {
		return false
	}
	if _, err := io.ReadFull(z, tail[copied:]); err != nil {
		return false
	}
	h.Write(tail)
	return fmt.Sprintf("%016x", h.Sum64()) == pos.Print
}

// errPacked says that a fingerprint takes an unpacking.
var errPacked = errors.New("packed")

// packedPrint is the fingerprint of the first n bytes that the compressed file holds.
func packedPrint(f *os.File) (print string, n int, err error) {
	z, err := gzip.NewReader(io.NewSectionReader(f, 0, 1<<62))
	if err != nil {
		return "", 0, err
	}
	head := make([]byte, printed)
	n, _ = io.ReadFull(z, head) // what cannot be unpacked is told by who reads it
	print, err = fingerprint(bytes.NewReader(head[:n]), n, 0)
	return print, n, err
}

// isCopy tells whether one file may be a copy of the other, perhaps of its beginning.
func isCopy(copied, of io.ReaderAt) bool {
	var heads [2][printed]byte
	n, _ := copied.ReadAt(heads[0][:], 0)
	m, _ := of.ReadAt(heads[1][:], 0)
	return n > 0 && n <= m && string(heads[0][:n]) == string(heads[1][:n])
}
