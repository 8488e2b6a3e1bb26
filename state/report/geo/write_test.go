package geo

import (
	"encoding/binary"
	"net/netip"
)

// written is a database that a test writes.
type written struct {
	family, recordSize int
	broad              bool     // nodes are numbered level by level, not branch by branch
	nodes              [][2]int // of the tree: 0 for nothing, a node's number, or ^leaf
	data               []byte   // the data section
}

// bit is the i-th of an address as the tree has it.
func (w *written) bit(addr netip.Addr, i int) byte {
	b := addr.AsSlice()
	return b[i/8] >> (7 - i%8) & 1
}

// path is where a prefix is in the tree: its bits, of which an IPv4 prefix in a tree of
// IPv6 has 96 zeros before its own.
func (w *written) path(prefix netip.Prefix) (path []byte) {
	if prefix.Addr().Is4() && w.family == 6 {
		path = make([]byte, 96)
	}
	for i := range prefix.Bits() {
		path = append(path, w.bit(prefix.Addr(), i))
	}
	return path
}

// put lets a prefix lead to an offset of the data section; longer prefixes come later.
func (w *written) put(prefix netip.Prefix, data int) { w.set(w.path(prefix), ^data) }

// same lets a prefix lead where another one's node is, that has longer ones in it.
func (w *written) same(prefix, as netip.Prefix) {
	node := 0
	for _, bit := range w.path(as) {
		node = w.nodes[node][bit]
	}
	w.set(w.path(prefix), node)
}

func (w *written) set(path []byte, to int) {
	if len(w.nodes) == 0 {
		w.nodes = append(w.nodes, [2]int{})
	}
	node := 0
	for _, bit := range path[:len(path)-1] {
		next := w.nodes[node][bit]
		if next <= 0 { // both halves of what a leaf was are that leaf
			w.nodes = append(w.nodes, [2]int{next, next})
			next = len(w.nodes) - 1
			w.nodes[node][bit] = next
		}
		node = next
	}
	w.nodes[node][path[len(path)-1]] = to
}

// add puts a value into the data section and tells where it is.
func (w *written) add(value []byte) (at int) {
	w.data = append(w.data, value...)
	return len(w.data) - len(value)
}

// file is the whole.
func (w *written) file() (file []byte) {
	number := make([]uint32, len(w.nodes)) // in the order of writing
	order := []int{0}
	if w.broad {
		for i := 0; i < len(order); i++ {
			for _, next := range w.nodes[order[i]] {
				if next > 0 && number[next] == 0 {
					number[next] = uint32(len(order))
					order = append(order, next)
				}
			}
		}
	} else {
		order = nil
		var visit func(node int)
		visit = func(node int) {
			number[node] = uint32(len(order))
			order = append(order, node)
			for _, next := range w.nodes[node] {
				if next > 0 && number[next] == 0 {
					visit(next)
				}
			}
		}
		visit(0)
	}
	count := uint32(len(order))
	record := func(to int) uint32 {
		switch {
		case to > 0:
			return number[to]
		case to == 0:
			return count
		}
		return count + separator + uint32(^to)
	}
	for _, node := range order {
		left, right := record(w.nodes[node][0]), record(w.nodes[node][1])
		switch w.recordSize {
		case 24:
			file = append(file, byte(left>>16), byte(left>>8), byte(left), byte(right>>16), byte(right>>8), byte(right))
		case 28:
			file = append(file, byte(left>>16), byte(left>>8), byte(left), byte(left>>24<<4|right>>24), byte(right>>16), byte(right>>8), byte(right))
		default:
			file = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(file, left), right)
		}
	}
	file = append(append(append(file, make([]byte, separator)...), w.data...), marker...)
	return append(file, mapOf(
		textOf("binary_format_major_version"), numberOf(kindUint16, 2), textOf("binary_format_minor_version"), numberOf(kindUint16, 0),
		textOf("build_epoch"), numberOf(kindUint64, 1<<40), textOf("database_type"), textOf("x"),
		textOf("description"), mapOf(textOf("en"), textOf("node_count")), textOf("languages"), listOf(textOf("de"), textOf("en")),
		textOf("ip_version"), numberOf(kindUint16, uint64(w.family)), textOf("node_count"), numberOf(kindUint32, uint64(count)),
		textOf("record_size"), numberOf(kindUint16, uint64(w.recordSize)),
	)...)
}

// valueOf is a value of a type: its control bytes, which tell a size, and its payload.
func valueOf(kind, size int, payload []byte) (b []byte) {
	control := byte(0)
	if kind < 8 {
		control = byte(kind) << 5
	}
	var more []byte
	switch {
	case size < 29:
		control |= byte(size)
	case size < 285:
		control, more = control|29, []byte{byte(size - 29)}
	case size < 65821:
		control, more = control|30, []byte{byte((size - 285) >> 8), byte(size - 285)}
	default:
		control, more = control|31, []byte{byte((size - 65821) >> 16), byte((size - 65821) >> 8), byte(size - 65821)}
	}
	b = append(b, control)
	if kind >= 8 {
		b = append(b, byte(kind-7))
	}
	return append(append(b, more...), payload...)
}

func textOf(s string) []byte { return valueOf(kindText, len(s), []byte(s)) }

// numberOf has no leading zeros.
func numberOf(kind int, n uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, n)
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return valueOf(kind, len(b), b)
}

// mapOf is a map of keys and values in turn.
func mapOf(pairs ...[]byte) []byte { return valueOf(kindMap, len(pairs)/2, flat(pairs)) }

func listOf(values ...[]byte) []byte { return valueOf(kindList, len(values), flat(values)) }

func flat(values [][]byte) (b []byte) {
	for _, v := range values {
		b = append(b, v...)
	}
	return b
}

// pointerTo is a pointer whose target has bytes of it, 1 to 4.
func pointerTo(at, bytes int) []byte {
	at -= [...]int{0, 2048, 526336, 0}[bytes-1]
	b := binary.BigEndian.AppendUint32(nil, uint32(at))[4-bytes:]
	if bytes == 4 {
		return append([]byte{kindPointer<<5 | 3<<3}, b...)
	}
	high := at >> (8 * bytes)
	if at < 0 || high > 7 {
		panic("the pointer is too short")
	}
	return append([]byte{kindPointer<<5 | byte(bytes-1)<<3 | byte(high)}, b...)
}
