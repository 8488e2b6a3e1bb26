package journal

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// hash is what a field of the file that says FIELD=value must be filed under, as
// journal_file_hash_data of systemd's journal-file.c has it.
func (f *FileInfo) hash() func(field []byte) uint64 {
	if !f.keyed {
		return lookup3
	}
	id, err := hex.DecodeString(f.FileID)
	if err != nil || len(id) != 16 {
		return lookup3
	}
	k0, k1 := binary.LittleEndian.Uint64(id), binary.LittleEndian.Uint64(id[8:])
	return func(field []byte) uint64 { return siphash24(k0, k1, field) }
}

// siphash24 is SipHash-2-4 of J.-P. Aumasson and D. J. Bernstein.
func siphash24(k0, k1 uint64, b []byte) uint64 {
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		m := binary.LittleEndian.Uint64(b)
		v3 ^= m
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= m
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v3 ^= last
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= last
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0, v2 = v0+v1, v2+v3
	v1, v3 = bits.RotateLeft64(v1, 13)^v0, bits.RotateLeft64(v3, 16)^v2
	v0 = bits.RotateLeft64(v0, 32)
	v2, v0 = v2+v1, v0+v3
	v1, v3 = bits.RotateLeft64(v1, 17)^v2, bits.RotateLeft64(v3, 21)^v0
	return v0, v1, bits.RotateLeft64(v2, 32), v3
}

// lookup3 is hashlittle2 of Bob Jenkins' lookup3.c, both of its halves.
func lookup3(p []byte) uint64 {
	a := 0xdeadbeef + uint32(len(p))
	b, c := a, a
	rot := bits.RotateLeft32
	for ; len(p) > 12; p = p[12:] {
		a, b, c = a+binary.LittleEndian.Uint32(p), b+binary.LittleEndian.Uint32(p[4:]), c+binary.LittleEndian.Uint32(p[8:])
		a = (a - c) ^ rot(c, 4)
		c += b
		b = (b - a) ^ rot(a, 6)
		a += c
		c = (c - b) ^ rot(b, 8)
		b += a
		a = (a - c) ^ rot(c, 16)
		c += b
		b = (b - a) ^ rot(a, 19)
		a += c
		c = (c - b) ^ rot(b, 4)
		b += a
	}
	if len(p) > 0 {
		var rest [12]byte
		copy(rest[:], p)
		a, b, c = a+binary.LittleEndian.Uint32(rest[:]), b+binary.LittleEndian.Uint32(rest[4:]), c+binary.LittleEndian.Uint32(rest[8:])
		c = (c ^ b) - rot(b, 14)
		a = (a ^ c) - rot(c, 11)
		b = (b ^ a) - rot(a, 25)
		c = (c ^ b) - rot(b, 16)
		a = (a ^ c) - rot(c, 4)
		b = (b ^ a) - rot(a, 14)
		c = (c ^ b) - rot(b, 24)
	}
	return uint64(c)<<32 | uint64(b)
}
