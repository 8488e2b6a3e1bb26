package nftables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// liveTable is our table as the kernel has it.
type liveTable struct {
	there bool
	flags uint32 // dormant, owned
	chain liveChain
	rules []liveRule
	sets  []*liveSet // anonymous ones too
	taken time.Time  // when reading the elements began
}

// liveChain is our chain.
type liveChain struct {
	there    bool
	kind     string
	hook     uint32
	priority int32
	policy   uint32
	device   bool // bound to one
}

// liveRule is a rule of our chain: its expressions as the kernel encodes them.
type liveRule struct {
	exprs []liveExpr
}

// liveExpr is a name and the attributes under NFTA_EXPR_DATA.
type liveExpr struct {
	name string
	data []byte
}

// liveSet is a set of our table.
type liveSet struct {
	set               // what its comment says it is, if ours
	ours       bool   // its comment can be read
	anonymous  bool   // belongs to a rule
	rawFlags   uint32 // NFTA_SET_FLAGS
	rawType    uint32
	rawLength  uint32
	rawTimeout uint64 // of elements that name none: never ours
	rawComment string
	counter    bool
	elements   []liveElement
	count      uint32        // of its elements as the kernel counts them; 0: the kernel does not tell (before Linux 6.17)
	holds      bool          // a list's set: what was put there is there, as far as was looked
	ports      []portElement // of an anonymous set
}

// each walks netlink attributes. What does not fit is the end.
func each(data []byte, take func(kind uint16, value []byte)) {
	for len(data) >= 4 {
		length := int(binary.NativeEndian.Uint16(data))
		kind := binary.NativeEndian.Uint16(data[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		if length < 4 || length > len(data) {
			return
		}
		take(kind, data[4:length])
		data = data[min(len(data), (length+3)&^3):]
	}
}

// be32 and be64 read numbers of the kernel; 0 for what is too short.
func be32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func be64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func cstring(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }

// readTable reads our table with all it holds. A table that is not there is no error.
// The sets of lists are not read, see [List].
func (l *link) readTable() (*liveTable, error) {
	t := &liveTable{taken: time.Now()}
	for _, step := range []struct {
		what string
		read func(*liveTable) error
	}{{"", l.readHead}, {"the chain of ", l.readChain}, {"the rules of ", l.readRules}, {"the sets of ", l.readSets}} {
		err := step.read(t)
		if errors.Is(err, unix.ENOENT) {
			if !t.there {
				return t, nil
			}
			continue // no such chain
		}
		if err != nil {
			return nil, explain(fmt.Errorf("read %stable inet %s: %w", step.what, tableName, err))
		}
	}
	for _, s := range t.sets {
		if s.ours && s.still {
			continue
		}
		if err := l.readElements(s); err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, explain(fmt.Errorf("read set %s of table inet %s: %w", s.name, tableName, err))
		}
	}
	return t, nil
}

func (l *link) readHead(t *liveTable) error {
	return l.request(unix.NFT_MSG_GETTABLE, unix.NLM_F_ACK, func(b *batch) {
		b.text(unix.NFTA_TABLE_NAME, tableName)
	}, func() { t.there = false }, func(data []byte) error {
		t.there = true
		each(data, func(kind uint16, value []byte) {
			if kind == unix.NFTA_TABLE_FLAGS {
				t.flags = be32(value)
			}
		})
		return nil
	})
}

func (l *link) readChain(t *liveTable) error {
	return l.request(unix.NFT_MSG_GETCHAIN, unix.NLM_F_ACK, func(b *batch) {
		b.text(unix.NFTA_CHAIN_TABLE, tableName)
		b.text(unix.NFTA_CHAIN_NAME, chainName)
	}, func() { t.chain = liveChain{} }, func(data []byte) error {
		c := &t.chain
		c.there = true
		each(data, func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_CHAIN_TYPE:
				c.kind = cstring(value)
			case unix.NFTA_CHAIN_POLICY:
				c.policy = be32(value)
			case unix.NFTA_CHAIN_HOOK:
				each(value, func(kind uint16, value []byte) {
					switch kind {
					case unix.NFTA_HOOK_HOOKNUM:
						c.hook = be32(value)
					case unix.NFTA_HOOK_PRIORITY:
						c.priority = int32(be32(value))
					default:
						c.device = true
					}
				})
			}
		})
		return nil
	})
}

func (l *link) readRules(t *liveTable) error {
	return l.request(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, func(b *batch) {
		b.text(unix.NFTA_RULE_TABLE, tableName)
		b.text(unix.NFTA_RULE_CHAIN, chainName)
	}, func() { t.rules = nil }, func(data []byte) error {
		var r liveRule
		each(data, func(kind uint16, value []byte) {
			if kind != unix.NFTA_RULE_EXPRESSIONS {
				return
			}
			each(value, func(_ uint16, value []byte) {
				var e liveExpr
				each(value, func(kind uint16, value []byte) {
					switch kind {
					case unix.NFTA_EXPR_NAME:
						e.name = cstring(value)
					case unix.NFTA_EXPR_DATA:
						e.data = bytes.Clone(value)
					}
				})
				r.exprs = append(r.exprs, e)
			})
		})
		t.rules = append(t.rules, r)
		return nil
	})
}

func (l *link) readSets(t *liveTable) error {
	return l.request(unix.NFT_MSG_GETSET, unix.NLM_F_DUMP, func(b *batch) {
		b.text(unix.NFTA_SET_TABLE, tableName)
	}, func() { t.sets = nil }, func(data []byte) error {
		s := &liveSet{}
		each(data, func(kind uint16, value []byte) {
			switch kind {
			case unix.NFTA_SET_NAME:
				s.name = cstring(value)
			case unix.NFTA_SET_FLAGS:
				s.rawFlags = be32(value)
			case 4: // NFTA_SET_KEY_TYPE
				s.rawType = be32(value)
			case 5: // NFTA_SET_KEY_LEN
				s.rawLength = be32(value)
			case unix.NFTA_SET_TIMEOUT:
				s.rawTimeout = be64(value)
			case unix.NFTA_SET_USERDATA:
				s.rawComment = comment(value)
			case nftaSetCount:
				s.count = be32(value)
			case nftaSetExpr:
				each(value, func(kind uint16, value []byte) {
					s.counter = s.counter || kind == unix.NFTA_EXPR_NAME && cstring(value) == "counter"
				})
			}
		})
		s.anonymous = s.rawFlags&unix.NFT_SET_ANONYMOUS != 0
		s.understand()
		t.sets = append(t.sets, s)
		return nil
	})
}

// comment finds a set's comment in its user data: kind, length, value, and again.
func comment(data []byte) string {
	for len(data) >= 2 && len(data) >= 2+int(data[1]) {
		if data[0] == udataComment {
			return cstring(data[2 : 2+int(data[1])])
		}
		data = data[2+int(data[1]):]
	}
	return ""
}

// understand reads from a set's comment whose it is and what its keys are.
func (s *liveSet) understand() {
	at := strings.LastIndexByte(s.rawComment, ' ')
	if at <= 0 || s.rawLength != 4 && s.rawLength != 16 {
		return
	}
	mine := set{name: s.name, group: s.rawComment[:at], v6: s.rawLength == 16}
	if length, ok := strings.CutPrefix(s.rawComment[at+1:], "/"); ok {
		mine.bits, _ = strconv.Atoi(length)
		s.ours = mine.bits >= 1 && mine.bits <= mine.full() && s.rawFlags&unix.NFT_SET_INTERVAL == 0
	} else {
		s.ours = s.rawComment[at+1:] == "ranges" && s.rawFlags&unix.NFT_SET_INTERVAL != 0
	}
	mine.still = mine.bits == 0 && s.rawFlags&unix.NFT_SET_TIMEOUT == 0
	if s.ours = s.ours && s.rawFlags&(unix.NFT_SET_MAP|unix.NFT_SET_ANONYMOUS) == 0; s.ours {
		s.set = mine
	}
}
