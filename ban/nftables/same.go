package nftables

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/order"
)

// is tells whether the kernel's rule is r. Attributes are compared with those that
// we would send: the kernel may add such as are zero, and leave zeros out.
func (r rule) is(live liveRule, sets map[string]*liveSet) bool {
	if len(live.exprs) != len(r.exprs) {
		return false
	}
	for i, e := range r.exprs {
		data, err := expr.Marshal(unix.NFPROTO_INET, e)
		if err != nil {
			return false
		}
		var name string
		var ours []byte
		each(data, func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_EXPR_NAME:
				name = cstring(value)
			case unix.NFTA_EXPR_DATA:
				ours = value
			}
		})
		theirs := live.exprs[i]
		if theirs.name != name {
			return false
		}
		if l, ok := e.(*expr.Lookup); ok {
			if !sameLookup(l, theirs.data, r.ports, sets) {
				return false
			}
			continue
		}
		if !sameAttributes(ours, theirs.data) {
			return false
		}
	}
	return true
}

// sameLookup compares a lookup: the set by its name, or by what it holds if it
// belongs to the rule.
func sameLookup(l *expr.Lookup, theirs []byte, ports []state.Port, sets map[string]*liveSet) bool {
	same := true
	each(theirs, func(kind uint16, value []byte) {
		switch kind {
		case unix.NFTA_LOOKUP_SET:
			if l.SetName != anonymous {
				same = same && cstring(value) == l.SetName
				return
			}
			s := sets[cstring(value)]
			same = same && s != nil && s.anonymous && s.rawLength == 2 && samePorts(s.ports, portElements(ports))
		case unix.NFTA_LOOKUP_SREG:
			same = same && be32(value) == l.SourceRegister
		default: // inverted, or a map
			same = same && zero(value)
		}
	})
	return same
}

// samePorts compares without regard to order: the kernel hashes or sorts.
func samePorts(a, b []portElement) bool {
	compare := func(x, y portElement) int {
		if c := bytes.Compare(x.key, y.key); c != 0 || x.end == y.end {
			return c
		}
		if x.end {
			return -1
		}
		return 1
	}
	a, b = slices.Clone(a), slices.Clone(b)
	order.By(a, compare)
	order.By(b, compare)
	return slices.EqualFunc(a, b, func(x, y portElement) bool { return x.end == y.end && bytes.Equal(x.key, y.key) })
}

// sameAttributes compares attributes by kind, nested where ours are.
func sameAttributes(ours, theirs []byte) bool {
	values := map[uint16][]byte{}
	each(theirs, func(kind uint16, value []byte) { values[kind] = value })
	same := true
	walk := ours
	for len(walk) >= 4 {
		length := int(binary.NativeEndian.Uint16(walk))
		raw := binary.NativeEndian.Uint16(walk[2:])
		if length < 4 || length > len(walk) {
			break
		}
		kind, value := raw&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), walk[4:length]
		theirs, there := values[kind]
		delete(values, kind)
		switch {
		case raw&unix.NLA_F_NESTED != 0:
			same = same && there && sameAttributes(value, theirs)
		case !there:
			same = same && zero(value)
		default:
			same = same && bytes.Equal(value, theirs)
		}
		walk = walk[min(len(walk), (length+3)&^3):]
	}
	for _, value := range values {
		same = same && zero(value)
	}
	return same
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
