package nftables

import (
	"bytes"
	"testing"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The kernel gets what google/nftables would send it.
func TestExpressions(t *testing.T) {
	mask := []byte{255, 255, 255, 0}
	for _, c := range []struct {
		got  expression
		want expr.Any
	}{
		{meta(unix.NFT_META_IIF), &expr.Meta{Key: expr.MetaKeyIIF, Register: 1}},
		{meta(unix.NFT_META_L4PROTO), &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}},
		{meta(unix.NFT_META_NFPROTO), &expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}},
		{ct(unix.NFT_CT_DIRECTION), &expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}},
		{fib(unix.NFTA_FIB_F_DADDR, unix.NFT_FIB_RESULT_ADDRTYPE), &expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}},
		{payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: 1}},
		{payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 12, 4), &expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4, DestRegister: 1}},
		{equal(6), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{6}}},
		{compare(unix.NFT_CMP_NEQ, 2, 0, 0, 0), &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{2, 0, 0, 0}}},
		{compare(unix.NFT_CMP_GTE, 0, 22), &expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{0, 22}}},
		{compare(unix.NFT_CMP_LTE, 0, 80), &expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{0, 80}}},
		{masked(mask), &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)}},
		{verdict(nfAccept), &expr.Verdict{Kind: expr.VerdictAccept}},
		{verdict(nfDrop), &expr.Verdict{Kind: expr.VerdictDrop}},
		{reject(unix.NFT_REJECT_TCP_RST, 0), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}},
		{reject(unix.NFT_REJECT_ICMPX_UNREACH, 1), &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: 1}},
		{lookup(anonymous), &expr.Lookup{SourceRegister: 1, SetName: anonymous, SetID: 1}},
	} {
		b := newBatch(tableName)
		r := rule{exprs: []expression{c.got}}
		if c.got.set == anonymous {
			r.ports = reach("tcp", 80).Ports
		}
		b.rule(r)
		want, err := expr.Marshal(unix.NFPROTO_INET, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(b.buf, want) {
			t.Errorf("%s: wrote\n%x\nwant it to end with\n%x", c.got.name, b.buf[b.last:], want)
		}
	}
}
