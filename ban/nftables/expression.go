package nftables

import "golang.org/x/sys/unix"

// expression is one step of a rule: its name in the kernel, and its attributes.
type expression struct {
	name string
	data []byte
	set  string // of a lookup, whose set's name and id are not in data yet
}

// register is where a rule loads what it compares.
const register = unix.NFT_REG_1

// express makes an expression of the attributes that write appends. It is called for
// each of the many expressions of the rules, and not inlined there.
//
//go:noinline
func express(name string, write func(*attributes)) expression {
	var a attributes
	write(&a)
	return expression{name: name, data: a.buf}
}

// numbers makes an expression of attributes that are numbers, in pairs of kind and number.
func numbers(name string, pairs ...[2]uint32) expression {
	return express(name, func(a *attributes) {
		for _, p := range pairs {
			a.number(uint16(p[0]), p[1])
		}
	})
}

func meta(key uint32) expression {
	return numbers("meta", [2]uint32{unix.NFTA_META_KEY, key}, [2]uint32{unix.NFTA_META_DREG, register})
}

func ct(key uint32) expression {
	return numbers("ct", [2]uint32{unix.NFTA_CT_KEY, key}, [2]uint32{unix.NFTA_CT_DREG, register})
}

func fib(flags, result uint32) expression {
	return numbers("fib", [2]uint32{unix.NFTA_FIB_DREG, register},
		[2]uint32{unix.NFTA_FIB_FLAGS, flags}, [2]uint32{unix.NFTA_FIB_RESULT, result})
}

// payload loads bytes of a header: base is one of NFT_PAYLOAD_*_HEADER.
func payload(base, offset, length uint32) expression {
	return numbers("payload", [2]uint32{unix.NFTA_PAYLOAD_DREG, register}, [2]uint32{unix.NFTA_PAYLOAD_BASE, base},
		[2]uint32{unix.NFTA_PAYLOAD_OFFSET, offset}, [2]uint32{unix.NFTA_PAYLOAD_LEN, length})
}

// compare goes on where the register stands to data as op says: one of NFT_CMP_*.
func compare(op uint32, data ...byte) expression {
	return express("cmp", func(a *attributes) {
		a.number(unix.NFTA_CMP_SREG, register)
		a.number(unix.NFTA_CMP_OP, op)
		a.value(unix.NFTA_CMP_DATA, data)
	})
}

func equal(data ...byte) expression { return compare(unix.NFT_CMP_EQ, data...) }

// masked leaves of the register what mask has set.
func masked(mask []byte) expression {
	return express("bitwise", func(a *attributes) {
		a.number(unix.NFTA_BITWISE_SREG, register)
		a.number(unix.NFTA_BITWISE_DREG, register)
		a.number(unix.NFTA_BITWISE_LEN, uint32(len(mask)))
		a.value(unix.NFTA_BITWISE_MASK, mask)
		a.value(unix.NFTA_BITWISE_XOR, make([]byte, len(mask)))
	})
}

func lookup(set string) expression {
	e := numbers("lookup", [2]uint32{unix.NFTA_LOOKUP_SREG, register})
	e.set = set
	return e
}

// verdict ends the rule: nfAccept or nfDrop.
func verdict(code uint32) expression {
	return express("immediate", func(a *attributes) {
		a.number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		data := a.nest(unix.NFTA_IMMEDIATE_DATA)
		at := a.nest(unix.NFTA_DATA_VERDICT)
		a.number(unix.NFTA_VERDICT_CODE, code)
		a.shut(at)
		a.shut(data)
	})
}

func reject(kind uint32, code byte) expression {
	return express("reject", func(a *attributes) {
		a.number(unix.NFTA_REJECT_TYPE, kind)
		a.attr(unix.NFTA_REJECT_ICMP_CODE, []byte{code})
	})
}
