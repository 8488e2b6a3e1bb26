package nftables

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/order"
)

// rule is one rule of the chain. Its text is nft's language, for people and for
// the hash of the structure; exprs is what the kernel gets.
type rule struct {
	group string // whose it is; empty: everybody's
	text  string
	exprs []expr.Any
	ports []state.Port // of its anonymous set, which the first Lookup means; nil: none
}

// spared are the packets that no ban may meet.
func spared() []rule {
	const ndFirst, ndLast = 133, 136 // router solicitation to neighbour advertisement: RFC 4861, 4
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	return []rule{
		{text: `iif "lo" accept`, exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
			equal(binary.NativeEndian.AppendUint32(nil, 1)...), // the loopback device is always the first
			accept,
		}},
		{text: "ct direction reply accept", exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1},
			equal(1), // IP_CT_DIR_REPLY
			accept,
		}},
		{text: "icmpv6 type nd-router-solicit-nd-neighbor-advert accept", exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			equal(unix.IPPROTO_ICMPV6),
			&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1, DestRegister: 1},
			&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{ndFirst}},
			&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{ndLast}},
			accept,
		}},
	}
}

// transit is what this host routes for others. Only the rules before this one meet it.
func transit() []rule {
	return []rule{{text: "fib daddr type != local accept", exprs: []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}}}
}

// rules of a group: for each protocol and each of its sets one, the port before
// the set, because most packets are told apart by it.
func (g Group) rules(sets []*holding) ([]rule, error) {
	protocols := g.Reach.Protocol
	if len(protocols) == 0 {
		protocols = []string{"tcp"}
	}
	ports := merged(g.Reach.Ports)
	if ports == nil {
		protocols = []string{""} // every protocol
		if g.Reach.BlockType == state.Reject {
			protocols = []string{"tcp", ""} // a reset for what understands one
		}
	}
	var list []rule
	for _, protocol := range protocols {
		for _, s := range sets {
			r := rule{group: g.Name}
			if err := r.matchPort(protocol, ports); err != nil {
				return nil, err
			}
			r.matchSource(s.set)
			if err := r.block(protocol, g.Reach.BlockType); err != nil {
				return nil, err
			}
			list = append(list, r)
		}
	}
	return list, nil
}

// merged sorts ports and joins those that touch; nil: all of them.
func merged(ports []state.Port) []state.Port {
	if len(ports) == 0 || slices.ContainsFunc(ports, state.Port.All) {
		return nil
	}
	ports = slices.Clone(ports)
	order.By(ports, func(a, b state.Port) int { return cmp.Compare(a.From, b.From) })
	list := ports[:1]
	for _, p := range ports[1:] {
		if top := &list[len(list)-1]; int(p.From) <= int(top.To)+1 {
			top.To = max(top.To, p.To)
		} else {
			list = append(list, p)
		}
	}
	return list
}

// matchPort adds `tcp dport { 22, 2222 }`.
func (r *rule) matchPort(protocol string, ports []state.Port) error {
	number, ok := map[string]byte{"": 0, "tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[protocol]
	switch {
	case !ok:
		return fmt.Errorf("%q is not a protocol (tcp, udp)", protocol)
	case protocol == "":
		return nil
	}
	r.exprs = append(r.exprs, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal(number))
	if ports == nil {
		r.text = "meta l4proto " + protocol + " "
		return nil
	}
	r.exprs = append(r.exprs, &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: 1})
	r.text = fmt.Sprintf("%s dport { %s } ", protocol, state.Ports(ports).List())
	switch p := ports[0]; {
	case len(ports) > 1:
		r.ports = ports
		r.exprs = append(r.exprs, &expr.Lookup{SourceRegister: 1, SetName: anonymous})
	case p.From == p.To:
		r.exprs = append(r.exprs, equal(port(p.From)...))
	default:
		r.exprs = append(r.exprs,
			&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: port(p.From)},
			&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: port(p.To)})
	}
	return nil
}

// anonymous is the name that the kernel numbers, for the set of ports of a rule.
const anonymous = "__set%d"

// matchSource adds `ip saddr @NAME4`, with a mask where keys are shorter than addresses.
func (r *rule) matchSource(s set) {
	family, offset, word := byte(unix.NFPROTO_IPV4), uint32(12), "ip" // RFC 791, 3.1
	if s.v6 {
		family, offset, word = unix.NFPROTO_IPV6, 8, "ip6" // RFC 8200, 3
	}
	length := uint32(s.full() / 8)
	r.exprs = append(r.exprs,
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal(family),
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length, DestRegister: 1})
	r.text += word + " saddr "
	if s.bits > 0 && s.bits < s.full() {
		mask := mask(s.bits, s.full())
		r.exprs = append(r.exprs, &expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: length, Mask: mask.AsSlice(), Xor: make([]byte, length),
		})
		r.text += "& " + mask.String() + " "
	}
	r.exprs = append(r.exprs, &expr.Lookup{SourceRegister: 1, SetName: s.name})
	r.text += "@" + s.name + " "
}

// block adds what happens to the packet. Rejecting in prerouting wants Linux 5.9.
func (r *rule) block(protocol string, how state.BlockType) error {
	switch how {
	case state.Drop, "":
		r.exprs = append(r.exprs, &expr.Verdict{Kind: expr.VerdictDrop})
		r.text += "drop"
	case state.Reject:
		if protocol == "tcp" {
			r.exprs = append(r.exprs, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
			r.text += "reject with tcp reset"
			break
		}
		r.exprs = append(r.exprs, &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH})
		r.text += "reject"
	default:
		return fmt.Errorf("%q is not a blocktype (drop, reject)", how)
	}
	return nil
}

func equal(data ...byte) *expr.Cmp {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

// port is a port as the packet has it. It is called in many places, and not inlined there.
//
//go:noinline
func port(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }

func mask(bits, full int) netip.Addr {
	ones := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if full == 128 {
		ones = netip.AddrFrom16([16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	}
	p, _ := ones.Prefix(bits)
	return p.Addr()
}
