// Package sha256 makes the same hashes as crypto/sha256, which brings Go's whole FIPS
// 140 module into the binary: ciphers, other hashes, random numbers, 160 KB. It is slower
// where the processor knows SHA-256, and for short texts that are no secret.
package sha256

import (
	"encoding/binary"
	"math/bits"
)

const block = 64 // bytes

// Sum256 is the SHA-256 of text: FIPS 180-4, 6.2.
func Sum256(text []byte) (sum [32]byte) {
	h := [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}
	whole := len(text) &^ (block - 1)
	mix(&h, text[:whole])

	var last [2 * block]byte // what is left, a bit, and the length in bits at the end of a block
	n := copy(last[:], text[whole:])
	last[n] = 0x80
	end := block
	if n+1+8 > block {
		end = 2 * block
	}
	binary.BigEndian.PutUint64(last[end-8:], uint64(len(text))*8)
	mix(&h, last[:end])

	for i, word := range h {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

// mix takes whole blocks into the state.
func mix(state *[8]uint32, text []byte) {
	var w [64]uint32
	for ; len(text) > 0; text = text[block:] {
		for i := range 16 {
			w[i] = binary.BigEndian.Uint32(text[4*i:])
		}
		for i := 16; i < len(w); i++ {
			x, y := w[i-15], w[i-2]
			w[i] = w[i-16] + w[i-7] +
				(bits.RotateLeft32(x, -7) ^ bits.RotateLeft32(x, -18) ^ x>>3) +
				(bits.RotateLeft32(y, -17) ^ bits.RotateLeft32(y, -19) ^ y>>10)
		}
		a, b, c, d, e, f, g, h := state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
		for i := range w {
			t := h + (bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)) +
				(e&f ^ ^e&g) + constants[i] + w[i]
			u := (bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)) +
				(a&b ^ a&c ^ b&c)
			a, b, c, d, e, f, g, h = t+u, a, b, c, d+t, e, f, g
		}
		for i, word := range [8]uint32{a, b, c, d, e, f, g, h} {
			state[i] += word
		}
	}
}

// constants are those of FIPS 180-4, 4.2.2.
var constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
