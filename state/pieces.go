package state

import (
	"hash/crc32"
	"io"
)

// pieces hands on what was encoded and keeps the sum of it.
type pieces struct {
	w   io.Writer
	sum uint32
	err error // the first
}

const piece = 256 << 10

func (p *pieces) write(b []byte) []byte {
	p.sum = crc32.Update(p.sum, crc32.IEEETable, b)
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
	return b[:0]
}

// full is b, or what is left of it when it was long enough to be handed on.
func (p *pieces) full(b []byte) []byte {
	if len(b) < piece {
		return b
	}
	return p.write(b)
}
