package nftables

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// batch is one transaction: the messages between a batch begin and a batch end,
// which the kernel makes true all at once or not at all. It is written into one
// buffer, by hand, because an element message whose attributes pass 65,535 bytes
// wraps a length field and silently loses elements: here the sizes are known
// while they grow.
type batch struct {
	to     string // the table
	buf    []byte
	last   int      // offset of the last message's header
	owners []string // by sequence number: the group, or the feature, a message is for
	owner  string   // of what is written next
	sets   uint32   // ids of anonymous sets
}

func newBatch(table string) *batch {
	b := &batch{to: table}
	b.message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	return b
}

// message begins a message of a raw type. Its sequence number is its index in owners.
func (b *batch) message(kind, flags uint16, family byte, resource uint16) {
	b.seal()
	b.last = len(b.buf)
	b.buf = binary.NativeEndian.AppendUint32(b.buf, 0) // length: by seal
	b.buf = binary.NativeEndian.AppendUint16(b.buf, kind)
	b.buf = binary.NativeEndian.AppendUint16(b.buf, flags|unix.NLM_F_REQUEST)
	b.buf = binary.NativeEndian.AppendUint32(b.buf, uint32(len(b.owners)))
	b.buf = binary.NativeEndian.AppendUint32(b.buf, 0) // port: the kernel knows it
	b.buf = append(b.buf, family, unix.NFNETLINK_V0)
	b.buf = binary.BigEndian.AppendUint16(b.buf, resource)
	b.owners = append(b.owners, b.owner)
}

// seal writes the length of the message that ends here.
func (b *batch) seal() {
	if len(b.buf) > 0 {
		binary.NativeEndian.PutUint32(b.buf[b.last:], uint32(len(b.buf)-b.last))
	}
}

// nft begins a message of nf_tables in the inet family.
func (b *batch) nft(kind, flags uint16) {
	b.message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, unix.NFPROTO_INET, 0)
}

// finish asks the last message for an acknowledgement and ends the batch. Errors
// come without being asked for. It returns that message's sequence number.
func (b *batch) finish() (seq uint32) {
	flags := binary.NativeEndian.Uint16(b.buf[b.last+6:])
	binary.NativeEndian.PutUint16(b.buf[b.last+6:], flags|unix.NLM_F_ACK)
	seq = uint32(len(b.owners) - 1)
	b.message(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	b.seal()
	return seq
}

// attr appends an attribute. Inlined, it and the next two would be in the binary a
// hundred times.
//
//go:noinline
func (b *batch) attr(kind uint16, data []byte) {
	b.buf = binary.NativeEndian.AppendUint16(b.buf, uint16(4+len(data)))
	b.buf = binary.NativeEndian.AppendUint16(b.buf, kind)
	b.buf = append(b.buf, data...)
	b.buf = append(b.buf, make([]byte, -len(data)&3)...)
}

//go:noinline
func (b *batch) text(kind uint16, s string) { b.attr(kind, append([]byte(s), 0)) }

//go:noinline
func (b *batch) number(kind uint16, n uint32) {
	var data [4]byte
	binary.BigEndian.PutUint32(data[:], n)
	b.attr(kind, data[:])
}

// nest begins an attribute that holds others; shut ends it.
func (b *batch) nest(kind uint16) (at int) {
	at = len(b.buf)
	b.attr(kind|unix.NLA_F_NESTED, nil)
	return at
}

func (b *batch) shut(at int) {
	binary.NativeEndian.PutUint16(b.buf[at:], uint16(len(b.buf)-at))
}
