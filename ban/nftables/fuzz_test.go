package nftables

import "testing"

// What the kernel sends is not trusted to be well formed.
func FuzzAttributes(f *testing.F) {
	b := newBatch(tableName)
	b.addSet(set{name: "x6", group: "x", v6: true, bits: 64})
	b.elements(add, "x6", []Entry{{From: key("2001:db8::").Addr(), Left: 1e9}})
	f.Add(b.buf[20:])
	b = newBatch(tableName)
	b.element([]byte{192, 0, 2, 1}, true, 1e9)
	f.Add(b.buf[20:])
	ours := b.buf[20:]
	f.Add([]byte{4, 0})
	f.Add([]byte{3, 0, 1, 0, 255, 255, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, _, _ := parseElement(data)
		if e.left < 0 {
			t.Errorf("left %v", e.left)
		}
		parseCounter(data)
		comment(data)
		sameAttributes(ours, data)
		s := liveSet{rawComment: string(data), rawLength: 16}
		s.understand()
		paired([]*bound{{liveElement: e}, {liveElement: e, end: true}})
	})
}
