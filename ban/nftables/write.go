package nftables

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
	"scan2ban/state"
)

// What golang.org/x/sys/unix lacks of linux/netfilter/nf_tables.h.
const (
	nftaSetCount = 20 // NFTA_SET_COUNT
	nftaSetExpr  = 17 // NFTA_SET_EXPR: an expression that every element gets, since leastLinux
	keyIPv4      = 7  // nft's own numbers of key types: TYPE_IPADDR, TYPE_IP6ADDR, TYPE_INET_SERVICE
	keyIPv6      = 8
	keyService   = 13
	udataComment = 7 // NFTNL_UDATA_SET_COMMENT of libnftnl/udata.h
	policyAccept = 1
	priority     = -150
)

// leastLinux is the oldest that has all that is used here, but for rejecting before routing (5.9).
const leastLinux = "Linux 5.7"

// operation is add or del.
type operation bool

const (
	add operation = true
	del operation = false
)

// table adds (no error if it is there) or deletes our table.
func (b *batch) table(op operation) {
	if op == add {
		b.nft(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE)
	} else {
		b.nft(unix.NFT_MSG_DELTABLE, 0)
	}
	b.text(unix.NFTA_TABLE_NAME, b.to)
	if op == add {
		b.number(unix.NFTA_TABLE_FLAGS, 0)
	}
}

// chain adds our chain; no error if it is there as it should be.
func (b *batch) chain() {
	b.nft(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE)
	b.text(unix.NFTA_CHAIN_TABLE, b.to)
	b.text(unix.NFTA_CHAIN_NAME, chainName)
	hook := b.nest(unix.NFTA_CHAIN_HOOK)
	b.number(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_PRE_ROUTING)
	prio := int32(priority)
	b.number(unix.NFTA_HOOK_PRIORITY, uint32(prio))
	b.shut(hook)
	b.number(unix.NFTA_CHAIN_POLICY, policyAccept)
	b.text(unix.NFTA_CHAIN_TYPE, "filter")
}

// flushChain deletes all rules of our chain.
func (b *batch) flushChain() {
	b.nft(unix.NFT_MSG_DELRULE, 0)
	b.text(unix.NFTA_RULE_TABLE, b.to)
	b.text(unix.NFTA_RULE_CHAIN, chainName)
}

// addSet makes a set; no error if it is there as it should be.
func (b *batch) addSet(s set) {
	b.nft(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE)
	b.text(unix.NFTA_SET_TABLE, b.to)
	b.text(unix.NFTA_SET_NAME, s.name)
	b.number(unix.NFTA_SET_FLAGS, s.flags())
	b.number(unix.NFTA_SET_KEY_TYPE, s.keyType())
	b.number(unix.NFTA_SET_KEY_LEN, uint32(s.full()/8))
	b.sets++
	b.number(unix.NFTA_SET_ID, b.sets)
	b.attr(unix.NFTA_SET_USERDATA, append([]byte{udataComment, byte(len(s.comment()) + 1)}, s.comment()+"\x00"...))
	if s.still {
		return
	}
	counter := b.nest(nftaSetExpr)
	b.text(unix.NFTA_EXPR_NAME, "counter")
	b.shut(b.nest(unix.NFTA_EXPR_DATA))
	b.shut(counter)
}

func (s set) flags() uint32 {
	switch {
	case s.still:
		return unix.NFT_SET_INTERVAL
	case s.bits == 0:
		return unix.NFT_SET_TIMEOUT | unix.NFT_SET_INTERVAL
	}
	return unix.NFT_SET_TIMEOUT
}

func (s set) keyType() uint32 {
	if s.v6 {
		return keyIPv6
	}
	return keyIPv4
}

// delSet deletes a set with all it holds.
func (b *batch) delSet(name string) {
	b.nft(unix.NFT_MSG_DELSET, 0)
	b.text(unix.NFTA_SET_TABLE, b.to)
	b.text(unix.NFTA_SET_NAME, name)
}

// flushSet deletes all that a set holds.
func (b *batch) flushSet(name string) {
	b.nft(unix.NFT_MSG_DELSETELEM, 0)
	b.text(unix.NFTA_SET_ELEM_LIST_TABLE, b.to)
	b.text(unix.NFTA_SET_ELEM_LIST_SET, name)
}

// rule appends a rule to our chain, and makes its anonymous set of ports before it.
func (b *batch) rule(r rule) error {
	var ports uint32
	if r.ports != nil {
		ports = b.addPorts(r.ports)
	}
	b.nft(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
	b.text(unix.NFTA_RULE_TABLE, b.to)
	b.text(unix.NFTA_RULE_CHAIN, chainName)
	list := b.nest(unix.NFTA_RULE_EXPRESSIONS)
	for _, e := range r.exprs {
		if l, ok := e.(*expr.Lookup); ok && l.SetName == anonymous {
			numbered := *l
			numbered.SetID = ports
			e = &numbered
		}
		data, err := expr.Marshal(unix.NFPROTO_INET, e)
		if err != nil {
			return fmt.Errorf("rule %q: %w", r.text, err)
		}
		b.attr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, data)
	}
	b.shut(list)
	return nil
}

// addPorts makes an anonymous set and returns its id.
func (b *batch) addPorts(ports []state.Port) uint32 {
	flags := uint32(unix.NFT_SET_ANONYMOUS | unix.NFT_SET_CONSTANT)
	elements := portElements(ports)
	if len(elements) > 0 && len(ports) != len(elements) {
		flags |= unix.NFT_SET_INTERVAL
	}
	b.sets++
	b.nft(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE)
	b.text(unix.NFTA_SET_TABLE, b.to)
	b.text(unix.NFTA_SET_NAME, anonymous)
	b.number(unix.NFTA_SET_FLAGS, flags)
	b.number(unix.NFTA_SET_KEY_TYPE, keyService)
	b.number(unix.NFTA_SET_KEY_LEN, 2)
	b.number(unix.NFTA_SET_ID, b.sets)

	b.nft(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE)
	b.text(unix.NFTA_SET_ELEM_LIST_TABLE, b.to)
	b.text(unix.NFTA_SET_ELEM_LIST_SET, anonymous)
	b.number(unix.NFTA_SET_ELEM_LIST_SET_ID, b.sets)
	list := b.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	for _, e := range elements {
		b.element(e.key, e.end, 0)
	}
	b.shut(list)
	return b.sets
}

// portElement is an element of a set of ports.
type portElement struct {
	key []byte
	end bool // the first port that is no longer in the range
}

// portElements are the elements of a set of ports: the ports, or if there is a
// range among them, where each range begins and ends.
func portElements(ports []state.Port) []portElement {
	var list []portElement
	ranges := false
	for _, p := range ports {
		ranges = ranges || p.From != p.To
	}
	for _, p := range ports {
		list = append(list, portElement{port(p.From), false})
		if ranges && p.To < 65535 {
			list = append(list, portElement{port(p.To + 1), true})
		}
	}
	return list
}

// elementBytes is how much one element takes at most: an IPv6 range with a timeout.
const elementBytes = 2 * 48

// messageBytes is where one message of elements is cut, well below the 65,535
// that fit into the length of an attribute.
const messageBytes = 60_000

// elements adds or deletes elements of a set, in as many messages as it takes.
func (b *batch) elements(op operation, name string, list []Entry) {
	for len(list) > 0 {
		if op == add {
			b.nft(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE)
		} else {
			b.nft(unix.NFT_MSG_DELSETELEM, 0)
		}
		b.text(unix.NFTA_SET_ELEM_LIST_TABLE, b.to)
		b.text(unix.NFTA_SET_ELEM_LIST_SET, name)
		at := b.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
		for len(list) > 0 && len(b.buf)-at < messageBytes-elementBytes {
			e := list[0]
			list = list[1:]
			left := e.Left
			if op == del {
				left = 0
			}
			b.address(e.From, false, left)
			if e.To.IsValid() && e.To.Next().IsValid() { // the last address of all needs no end
				b.address(e.To.Next(), true, 0)
			}
		}
		b.shut(at)
	}
}

func (b *batch) address(a netip.Addr, end bool, left time.Duration) {
	if a.Is4() {
		key := a.As4()
		b.element(key[:], end, left)
		return
	}
	key := a.As16()
	b.element(key[:], end, left)
}

// element writes one element. A timeout of 0 is none; others are in milliseconds
// and never rounded down to it, because Left is whole seconds.
func (b *batch) element(key []byte, end bool, left time.Duration) {
	at := b.nest(unix.NFTA_LIST_ELEM)
	if end {
		b.number(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
	}
	value := b.nest(unix.NFTA_SET_ELEM_KEY)
	b.attr(unix.NFTA_DATA_VALUE, key)
	b.shut(value)
	if left > 0 {
		var data [8]byte
		binary.BigEndian.PutUint64(data[:], uint64(left.Milliseconds()))
		b.attr(unix.NFTA_SET_ELEM_TIMEOUT, data[:])
	}
	b.shut(at)
}
