package journal

import "encoding/binary"

// isPacked tells whether a value begins like what the flags of its object say that it is packed with.
func isPacked(b []byte, flags byte) bool {
	switch {
	case len(b) < 8:
		return false
	case flags == 1<<0:
		return string(b[:6]) == "\xfd7zXZ\x00"
	case flags == 1<<1: // LZ4: its size
		return binary.LittleEndian.Uint64(b) <= maxField
	case flags == 1<<2:
		return binary.LittleEndian.Uint32(b) == 0xfd2fb528
	}
	return false
}

// isWhole tells whether the zstd frame of n bytes ends there ("Zstandard frames" of RFC 8878,
// 3.1.1): libsystemd asserts that it gets what the frame promises.
func (s *survey) isWhole(at, n uint64) bool {
	b, err := s.bytes(at, min(n, 18))
	if err != nil || len(b) < 5 || binary.LittleEndian.Uint32(b) != 0xfd2fb528 {
		return true // libsystemd does not take it for a frame
	}
	end := at + n
	at += uint64(5 + []int{0, 1, 2, 4}[b[4]&3] + []int{0, 2, 4, 8}[b[4]>>6])
	if single := b[4]>>5&1 == 1; !single || b[4]>>6 == 0 { // a byte for the window, or for the size
		at++
	}
	checksum := uint64(b[4]>>2&1) * 4
	for last := false; !last; {
		if b, err = s.bytes(at, 3); err != nil || at+3 > end {
			return false
		}
		head := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
		kind, size := head>>1&3, head>>3
		if last = head&1 == 1; kind == 1 {
			size = 1 // one byte, repeated
		} else if size == 0 && !last {
			return false // zeros
		}
		at += 3 + size
	}
	return at+checksum <= end
}

// unpacked is the size of a value of n bytes in the file, as the compressed form itself says
// it (0 where it does not), and the most that the compression could make of n bytes.
func (s *survey) unpacked(at, n uint64, flags byte) (size, most uint64) {
	b, err := s.bytes(at, min(n, 18))
	switch {
	case err != nil:
		return 0, 0
	case flags == 0 && n > maxField: // or its size is damaged: what follows is an object, or not
		if b, err = s.bytes((at+n+7)&^7, objectHead); err != nil || b[0] == 0 || b[0] > objectTag {
			return n, 0
		}
		return n, n
	case flags == 0:
		return n, n
	case flags == 1<<0:
		return s.unpackedXZ(at, n), n << 13
	case flags == 1<<1 && len(b) >= 8: // systemd's own prefix
		return binary.LittleEndian.Uint64(b), n << 8
	case flags == 1<<2 && len(b) == 18: // "Zstandard frames" of RFC 8878, 3.1.1.1; no shorter one is of interest
		at := 5 + []int{0, 1, 2, 4}[b[4]&3]
		if single := b[4]>>5&1 == 1; !single {
			at++
		}
		switch b[4] >> 6 {
		case 1:
			size = uint64(binary.LittleEndian.Uint16(b[at:])) + 256
		case 2:
			size = uint64(binary.LittleEndian.Uint32(b[at:]))
		case 3:
			size = binary.LittleEndian.Uint64(b[at:])
		}
		return size, n << 15
	}
	return 0, 0
}

// unpackedXZ reads the index of an xz stream (section 4 of the .xz file format): a byte 0, the
// number of blocks, of each the packed and the unpacked size. The footer says how long it is.
func (s *survey) unpackedXZ(at, n uint64) (size uint64) {
	const footer = 12 // CRC32, uint32 length of the index in units of 4 bytes - 1, 2 flags, "YZ"
	if n < footer {
		return 0
	}
	b, err := s.bytes(at+n-footer, footer)
	if err != nil {
		return 0
	}
	length := (uint64(binary.LittleEndian.Uint32(b[4:])) + 1) * 4
	if length > min(n-footer, surveyedBytes) {
		return 0
	}
	if b, err = s.bytes(at+n-footer-length, length); err != nil {
		return 0
	}
	number := func() uint64 {
		v, k := binary.Uvarint(b)
		b = b[max(0, k):]
		return v
	}
	b = b[1:]
	for blocks := number(); blocks > 0 && len(b) > 0 && size <= maxField; blocks-- {
		number()
		size += number()
	}
	return size
}
