package nftables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// liveElement is an element as the kernel holds it now.
type liveElement struct {
	span           // left 0: for ever
	age            time.Duration
	packets, bytes uint64
}

// bound is where a range begins or where it is over.
type bound struct {
	liveElement
	end bool
}

// readElements reads what a set holds. The kernel tells a big set in many
// datagrams and finds its place again by counting; while it grows its hash table
// or sweeps expired elements, that place moves, elements are told twice and
// others not at all. So a set that told one twice is read again, and what any
// reading told is there.
func (l *link) readElements(s *liveSet) error {
	seen := map[netip.Addr]struct{}{}
	for range 5 {
		twice, err := l.walkElements(s, seen)
		if err != nil || !twice {
			return err
		}
		for _, e := range s.elements {
			seen[e.from] = struct{}{}
		}
	}
	return nil
}

// walkElements reads what a set holds once, adds what is not in seen, and tells
// whether anything was told twice.
func (l *link) walkElements(s *liveSet, seen map[netip.Addr]struct{}) (twice bool, err error) {
	interval := s.rawFlags&unix.NFT_SET_INTERVAL != 0
	var bounds []*bound
	var told []liveElement
	err = l.request(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, func(b *batch) {
		b.text(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
		b.text(unix.NFTA_SET_ELEM_LIST_SET, s.name)
	}, func() {
		bounds, told, s.ports = nil, told[:0], nil
	}, func(data []byte) error {
		each(data, func(kind uint16, value []byte) {
			if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				return
			}
			each(value, func(_ uint16, value []byte) {
				e, key, end := parseElement(value)
				switch {
				case s.anonymous:
					s.ports = append(s.ports, portElement{bytes.Clone(key), end})
				case interval:
					bounds = append(bounds, &bound{e, end})
				case e.from.IsValid():
					told = append(told, e)
				}
			})
		})
		return nil
	})
	if interval && !s.anonymous {
		s.elements = paired(bounds)
		return false, err
	}
	again := make(map[netip.Addr]struct{}, len(told))
	for _, e := range told {
		if hasKey(again, e.from) {
			twice = true
			continue
		}
		again[e.from] = struct{}{}
		if !hasKey(seen, e.from) {
			s.elements = append(s.elements, e)
		}
	}
	return twice, err
}

// paired makes ranges of where they begin and end, in any order.
func paired(bounds []*bound) []liveElement {
	slices.SortFunc(bounds, func(a, b *bound) int {
		if c := a.from.Compare(b.from); c != 0 || a.end == b.end {
			return c
		}
		if a.end { // one range ends where the next begins
			return -1
		}
		return 1
	})
	var list []liveElement
	for i, b := range bounds {
		if b.end || !b.from.IsValid() {
			continue
		}
		e := b.liveElement
		e.to = last(netip.PrefixFrom(e.from, 0)) // unless something follows
		if i+1 < len(bounds) {
			e.to = bounds[i+1].from.Prev()
		}
		list = append(list, e)
	}
	return list
}

// parseElement reads one NFTA_LIST_ELEM.
func parseElement(data []byte) (e liveElement, key []byte, end bool) {
	var timeout, expires uint64
	for len(data) >= 4 {
		length := int(binary.NativeEndian.Uint16(data))
		if length < 4 || length > len(data) {
			break
		}
		value := data[4:length]
		switch binary.NativeEndian.Uint16(data[2:]) & 0x3fff {
		case unix.NFTA_SET_ELEM_KEY:
			each(value, func(_ uint16, value []byte) { key = value }) // NFTA_DATA_VALUE
		case unix.NFTA_SET_ELEM_FLAGS:
			end = be32(value)&unix.NFT_SET_ELEM_INTERVAL_END != 0
		case unix.NFTA_SET_ELEM_TIMEOUT:
			timeout = be64(value)
		case unix.NFTA_SET_ELEM_EXPIRATION:
			expires = be64(value)
		case unix.NFTA_SET_ELEM_EXPR:
			e.packets, e.bytes = parseCounter(value)
		}
		data = data[min(len(data), (length+3)&^3):]
	}
	e.from, _ = netip.AddrFromSlice(key)
	if timeout > 0 {
		e.left = max(time.Duration(expires)*time.Millisecond, time.Millisecond) // 0 would be for ever
		e.age = time.Duration(timeout)*time.Millisecond - e.left
	}
	return e, key, end
}

// parseCounter reads the counter of an element: NFTA_COUNTER_BYTES 1, NFTA_COUNTER_PACKETS 2.
func parseCounter(data []byte) (packets, octets uint64) {
	each(data, func(kind uint16, value []byte) {
		if kind == unix.NFTA_EXPR_DATA {
			each(value, func(kind uint16, value []byte) {
				switch kind {
				case 1:
					octets = be64(value)
				case 2:
					packets = be64(value)
				}
			})
		}
	})
	return packets, octets
}

// confirm asks for the elements one by one that are wanted and were not told,
// and adds those that are there after all: see readElements.
func (l *link) confirm(t *liveTable, want *arrangement) error {
	for _, h := range want.sets {
		i := slices.IndexFunc(t.sets, func(s *liveSet) bool { return s.name == h.name && s.is(h.set) })
		if i >= 0 && h.list != nil {
			holds, err := l.holds(t.sets[i], h)
			if err != nil {
				return err
			}
			t.sets[i].holds = holds
			continue
		}
		if i < 0 || h.bits == 0 || len(t.sets[i].elements) == 0 {
			continue
		}
		s := t.sets[i]
		told := make(map[netip.Addr]struct{}, len(s.elements))
		for _, e := range s.elements {
			told[e.from] = struct{}{}
		}
		for addr := range h.keys {
			if hasKey(told, addr) {
				continue
			}
			e, ok, err := l.lookUp(s.name, addr)
			if err != nil {
				return explain(fmt.Errorf("look up %v in set %s: %w", addr, s.name, err))
			}
			if ok {
				s.elements = append(s.elements, e)
			}
		}
	}
	return nil
}

// lookUp reads one element of a hash set.
func (l *link) lookUp(set string, addr netip.Addr) (found liveElement, ok bool, err error) {
	err = l.request(unix.NFT_MSG_GETSETELEM, unix.NLM_F_ACK, func(b *batch) {
		b.text(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
		b.text(unix.NFTA_SET_ELEM_LIST_SET, set)
		list := b.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
		b.address(addr, false, 0)
		b.shut(list)
	}, func() { ok = false }, func(data []byte) error {
		each(data, func(kind uint16, value []byte) {
			if kind == unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				each(value, func(_ uint16, value []byte) {
					found, _, _ = parseElement(value)
					ok = found.from == addr
				})
			}
		})
		return nil
	})
	if errors.Is(err, unix.ENOENT) {
		return liveElement{}, false, nil
	}
	return found, ok, err
}
