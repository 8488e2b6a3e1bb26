package geo

import "fmt"

// record is a walk over values of a part, from one of them.
type record struct {
	*part
	left int // values that may still be met: pointers can make very many of few bytes
}

// mostValues is far above what a record has.
const mostValues = 4096

func (p *part) walk() *record { return &record{p, mostValues} }

// The types of values that are told apart.
const (
	kindPointer = 1
	kindText    = 2
	kindUint16  = 5
	kindUint32  = 6
	kindMap     = 7
	kindInt32   = 8
	kindUint64  = 9
	kindList    = 11
	kindCache   = 12
	kindEnd     = 13
	kindBoolean = 14
	kindFloat   = 15 // the last
)

// value is what stands at an offset: its type, its size, in bytes or in what it holds, and
// where its payload begins.
func (r *record) value(at int64) (kind, size int, payload int64, err error) {
	if r.left--; r.left < 0 {
		return 0, 0, 0, r.endless(at)
	}
	b, err := r.read(at, 1)
	if err != nil {
		return 0, 0, 0, err
	}
	payload = at + 1
	if kind, size = int(b[0]>>5), int(b[0]&31); kind == kindPointer { // the size is part of where it leads
		return kind, size, payload, nil
	}
	if kind == 0 {
		if b, err = r.read(payload, 1); err != nil {
			return 0, 0, 0, err
		}
		if payload, kind = payload+1, int(b[0])+7; kind <= kindMap || kind > kindFloat {
			return 0, 0, 0, r.wrong(at, "there is no such type")
		}
	}
	if more := size - 28; more > 0 {
		if b, err = r.read(payload, more); err != nil {
			return 0, 0, 0, err
		}
		payload += int64(more)
		size = [...]int{29, 285, 65821}[more-1] + int(unsigned(b))
	}
	return kind, size, payload, nil
}

func (r *record) endless(at int64) error {
	return r.wrong(at, fmt.Sprintf("a record has more than %d values", mostValues))
}

// unsigned is a big-endian number.
func unsigned(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// target is where a pointer leads, and next what stands behind it.
func (r *record) target(size int, payload int64) (to, next int64, err error) {
	n := size>>3 + 1
	b, err := r.read(payload, n)
	if err != nil {
		return 0, 0, err
	}
	to = int64(unsigned(b))
	if n < 4 {
		to += int64(size&7)<<(8*n) + [...]int64{0, 2048, 526336}[n-1]
	}
	return to, payload + int64(n), nil
}

// resolve is the value at an offset or, where that is a pointer, the one that it leads to.
// next is what stands behind the pointer, and else the payload.
func (r *record) resolve(at int64) (kind, size int, payload, next int64, err error) {
	kind, size, payload, err = r.value(at)
	if err != nil || kind != kindPointer {
		return kind, size, payload, payload, err
	}
	to, next, err := r.target(size, payload)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	if kind, size, payload, err = r.value(to); err == nil && kind == kindPointer {
		err = r.wrong(at, "a pointer leads to a pointer")
	}
	return kind, size, payload, next, err
}

// skip is the offset behind a value and all that it holds. Pointers are not followed.
func (r *record) skip(at int64) (next int64, err error) {
	for values := 1; values > 0; values-- {
		kind, size, payload, err := r.value(at)
		if err != nil {
			return 0, err
		}
		switch kind {
		case kindPointer:
			if _, payload, err = r.target(size, payload); err != nil {
				return 0, err
			}
		case kindMap:
			values += 2 * size
		case kindList, kindCache:
			values += size
		case kindBoolean, kindEnd: // the size is the value
		default:
			payload += int64(size)
		}
		switch {
		case values-1 > r.left:
			return 0, r.endless(at)
		case payload > r.size:
			return 0, r.outside(at)
		}
		at = payload
	}
	return at, nil
}

func (r *record) isMap(at int64) bool {
	kind, _, _, _, err := r.resolve(at)
	return err == nil && kind == kindMap
}

// pairs gives the key of each pair of the map at an offset to take, and where its value is.
// All of the map is read, whatever take wants: a damaged one is to be known as such.
func (r *record) pairs(at int64, take func(key []byte, value int64) error) error {
	kind, size, next, _, err := r.resolve(at)
	switch {
	case err != nil:
		return err
	case kind != kindMap:
		return r.wrong(at, "there is no map")
	}
	for range size {
		key, value, err := r.bytes(next)
		if err == nil {
			err = take(key, value)
		}
		if err != nil {
			return err
		}
		if next, err = r.skip(value); err != nil {
			return err
		}
	}
	return nil
}

// bytes are those of the text at an offset, the first of a long one, good until the next
// read, and what stands behind it.
func (r *record) bytes(at int64) (b []byte, next int64, err error) {
	kind, size, payload, next, err := r.resolve(at)
	switch {
	case err != nil:
		return nil, 0, err
	case kind != kindText:
		return nil, 0, r.wrong(at, "there is no text")
	case int64(size) > r.size-payload:
		return nil, 0, r.outside(at)
	case next == payload:
		next += int64(size)
	}
	b, err = r.read(payload, min(size, longest))
	return b, next, err
}

// text is the text at an offset, or the first bytes of a long one.
func (r *record) text(at int64) (string, error) {
	b, _, err := r.bytes(at)
	return string(b), err
}

// number is the number at an offset, of at most 32 bits.
func (r *record) number(at int64) (uint32, error) {
	kind, size, payload, _, err := r.resolve(at)
	if err != nil {
		return 0, err
	}
	switch most := [kindFloat + 1]int{kindUint16: 2, kindUint32: 4, kindInt32: 4, kindUint64: 8}[kind]; {
	case most == 0:
		return 0, r.wrong(at, "there is no number")
	case size > most:
		return 0, r.wrong(at, "a number is too long")
	}
	b, err := r.read(payload, size)
	if err != nil {
		return 0, err
	}
	n := unsigned(b)
	if n > 1<<32-1 || kind == kindInt32 && n > 1<<31-1 {
		return 0, r.wrong(at, "a number is too large, or negative")
	}
	return uint32(n), nil
}
