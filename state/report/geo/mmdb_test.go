package geo

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func opened(t *testing.T, file []byte) (*Databases, []string) {
	path := filepath.Join(t.TempDir(), "x.mmdb")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	d, warnings := Open(Options{Country: path, ASN: path})
	t.Cleanup(d.Close)
	return d, warnings
}

// somewhere is an address in a prefix.
func somewhere(r *rand.Rand, prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().AsSlice()
	for i := prefix.Bits(); i < 8*len(b); i++ {
		b[i/8] |= byte(r.IntN(2)) << (7 - i%8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// networks are some, the shorter ones first, of IPv4 and, in a tree that has it, of IPv6.
func networks(r *rand.Rand, family, n int) (list []netip.Prefix) {
	for len(list) < n {
		prefix := netip.PrefixFrom(somewhere(r, netip.MustParsePrefix("0.0.0.0/0")), 8+r.IntN(25))
		if family == 6 && r.IntN(3) == 0 {
			prefix = netip.PrefixFrom(somewhere(r, netip.MustParsePrefix("2400::/6")), 8+r.IntN(121))
		}
		if prefix = prefix.Masked(); !slices.Contains(list, prefix) {
			list = append(list, prefix)
		}
	}
	slices.SortStableFunc(list, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	return list
}

// TestTrees: of trees of each kind, an address has the country of the longest network that
// it is in; IPv4 in IPv6 is known by each of its ways to write it that the tree has.
func TestTrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	mapped, six, four := netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("::/96")
	for _, recordSize := range []int{24, 28, 32} {
		for _, family := range []int{4, 6} {
			for _, c := range []struct{ broad, aliases bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
				w := &written{family: family, recordSize: recordSize, broad: c.broad}
				list := networks(r, family, 300)
				code := map[netip.Prefix]string{}
				for i, prefix := range list {
					code[prefix] = string([]byte{'A' + byte(i/26), 'A' + byte(i%26)})
					w.put(prefix, w.add(mapOf(textOf("country"), mapOf(textOf("iso_code"), textOf(code[prefix])))))
				}
				if c.aliases && family == 6 {
					w.same(mapped, four)
					w.same(six, four)
				}
				d, warnings := opened(t, w.file())
				if len(warnings) > 0 {
					t.Fatal(warnings)
				}
				known := 0
				for range 3000 {
					addr := somewhere(r, list[r.IntN(len(list))])
					if r.IntN(2) == 0 {
						addr = somewhere(r, netip.PrefixFrom(addr, r.IntN(addr.BitLen())).Masked())
					}
					want := ""
					for _, prefix := range list {
						if prefix.Contains(addr) {
							want = code[prefix]
						}
					}
					b := addr.As16()
					if addr.Is4() && family == 4 && r.IntN(4) == 0 {
						addr, want = netip.AddrFrom16([16]byte{0x20, 0x02, 12: b[12], b[13], b[14], b[15]}), ""
					}
					if addr.Is4() && family == 6 {
						switch r.IntN(4) {
						case 0:
							addr = netip.AddrFrom16([16]byte{12: b[12], b[13], b[14], b[15]})
						case 1:
							addr = netip.AddrFrom16([16]byte{10: 0xff, 0xff, b[12], b[13], b[14], b[15]})
						case 2:
							addr = netip.AddrFrom16([16]byte{0x20, 0x02, b[12], b[13], b[14], b[15], 15: 1})
						}
						if !c.aliases && (mapped.Contains(netip.AddrFrom16(addr.As16())) || six.Contains(addr)) && addr.Is6() {
							want = ""
						}
					}
					if got, _ := d.Of(addr); got != want {
						t.Fatalf("%d bits, IPv%d, %+v: %s is in %q, want %q", recordSize, family, c, addr, got, want)
					}
					if want != "" {
						known++
					}
				}
				if len(d.Warnings()) > 0 || known < 500 {
					t.Errorf("%d bits, IPv%d, %+v: %d known, %q", recordSize, family, c, known, d.Warnings())
				}
			}
		}
	}
}

// TestValues: what is wanted is found behind values of all types and sizes, and behind
// pointers of all lengths.
func TestValues(t *testing.T) {
	everything := [][]byte{
		mapOf(), listOf(), listOf(textOf("country"), mapOf(textOf("country_code"), textOf("XX")), valueOf(kindBoolean, 1, nil)),
		valueOf(3, 8, make([]byte, 8)), valueOf(kindFloat, 4, make([]byte, 4)), valueOf(10, 16, make([]byte, 16)), numberOf(kindInt32, 1<<32-5),
		numberOf(kindUint64, 1<<63), valueOf(kindBoolean, 0, nil), valueOf(kindCache, 1, textOf("x")), valueOf(kindEnd, 0, nil),
		pointerTo(0, 1), pointerTo(2048, 2), pointerTo(526336, 3), pointerTo(1<<31-1, 4), // of which the last leads nowhere, and is not followed
	}
	for _, n := range []int{0, 28, 29, 284, 285, 65820, 65821, 65822} {
		everything = append(everything, valueOf(4, n, make([]byte, n)), textOf(strings.Repeat("x", n)))
	}
	for _, pad := range []int{0, 2048, 2048 + 7<<16, 526336, 526336 + 1<<24} {
		for length := 1; length <= 4; length++ {
			if least := []int{0, 0, 2048, 526336, 0}[length]; pad < least || length < 4 && pad+1000-least >= 8<<(8*length) {
				continue // it does not reach there
			}
			w := &written{family: 4, recordSize: 32, data: make([]byte, pad)}
			to := func(value []byte) []byte { return pointerTo(w.add(value), length) }
			nl, number, name := to(textOf("NL")), to(numberOf(kindUint32, 1<<32-1)), to(textOf(strings.Repeat("é", 70)))
			code, country, countryCode := to(textOf("iso_code")), to(textOf("country")), to(textOf("country_code"))
			records := [][]byte{
				mapOf(country, to(mapOf(code, nl))),
				mapOf(countryCode, nl),
				mapOf(textOf("country"), mapOf(textOf("iso_code"), textOf("NL")), textOf("country_code"), textOf("DE")),
				mapOf(textOf("country"), textOf("Netherlands"), textOf("country_code"), textOf("NL")),
				mapOf(textOf("country"), mapOf(textOf("names"), mapOf(textOf("iso_code"), textOf("DE"))), textOf("country_code"), textOf("NL")),
			}
			operator := append(append(append(append([]byte{}, textOf("autonomous_system_number")...), number...), textOf("autonomous_system_organization")...), name...)
			for i, record := range records {
				for j, other := range append(everything, nil) {
					pairs := append([]byte{}, record[1:]...)
					n := int(record[0] & 31)
					if other != nil {
						pairs = append(append(append([]byte{}, textOf(strings.Repeat("k", j*30))...), other...), pairs...)
						n++
					}
					at := w.add(valueOf(kindMap, n+2, append(pairs, operator...)))
					if other == nil {
						at = w.add(pointerTo(at, 4)) // a leaf may lead to one, too
					}
					w.put(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(j)}), 24), at)
				}
			}
			d, warnings := opened(t, w.file())
			if len(warnings) > 0 {
				t.Fatal(warnings)
			}
			for i := range records {
				for j := range len(everything) + 1 {
					country, asn := d.Of(netip.AddrFrom4([4]byte{10, byte(i), byte(j), 1}))
					if country != "NL" || asn != "AS4294967295 "+strings.Repeat("é", 50) || len(d.Warnings()) > 0 {
						t.Fatalf("%d bytes of padding, pointers of %d, record %d, other %d: %q, %q, %q", pad, length, i, j, country, asn, d.Warnings())
					}
				}
			}
		}
	}
}

// TestNumbers: a number may be of each integer type, and may not be of more than 32 bits.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		value []byte
		want  string // the operator, or of the error
	}{
		{numberOf(kindUint16, 0), ""},
		{numberOf(kindUint16, 65535), "AS65535"},
		{valueOf(kindUint16, 3, []byte{0, 0, 7}), "a number is too long"},
		{numberOf(kindUint32, 64496), "AS64496"},
		{valueOf(kindUint32, 5, []byte{0, 0, 0, 0, 7}), "a number is too long"},
		{numberOf(kindUint64, 1<<32-1), "AS4294967295"},
		{valueOf(kindUint64, 8, []byte{7: 7}), "AS7"},
		{numberOf(kindUint64, 1<<32), "a number is too large"},
		{numberOf(kindInt32, 7), "AS7"},
		{numberOf(kindInt32, 1<<31), "a number is too large, or negative"},
		{valueOf(10, 1, []byte{7}), "there is no number"},
		{textOf("7"), "there is no number"},
		{mapOf(), "there is no number"},
	} {
		w := &written{family: 6, recordSize: 24}
		w.put(netip.MustParsePrefix("::/1"), w.add(mapOf(textOf("autonomous_system_number"), c.value)))
		d, _ := opened(t, w.file())
		_, asn := d.Of(netip.MustParseAddr("192.0.2.1"))
		if got := asn + strings.Join(d.Warnings(), ""); got != c.want && (asn != "" || !strings.Contains(got, c.want)) {
			t.Errorf("%x: %q, want %q", c.value, got, c.want)
		}
	}
}

// TestDamaged: what is told of files that are not what they ought to be.
func TestDamaged(t *testing.T) {
	good := func() *written {
		w := &written{family: 6, recordSize: 24}
		w.put(netip.MustParsePrefix("::/1"), w.add(mapOf(textOf("country_code"), textOf("NL"))))
		return w
	}
	record := func(values ...[]byte) []byte {
		w := &written{family: 6, recordSize: 24}
		var at int
		for _, value := range values {
			at = w.add(value)
		}
		w.put(netip.MustParsePrefix("::/1"), at)
		return w.file()
	}
	metadata := func(name string, was, is []byte) []byte {
		file := good().file()
		changed := bytes.Replace(file, append(textOf(name), was...), append(textOf(name), is...), 1)
		if bytes.Equal(file, changed) {
			t.Fatalf("the metadata are not as thought: %s", name)
		}
		return changed
	}
	uint16Of := func(n uint64) []byte { return numberOf(kindUint16, n) }
	root := func(recordSize int, left, right []byte) []byte { // 192.0.2.1 goes right at once
		w := &written{family: 4, recordSize: recordSize}
		w.put(netip.MustParsePrefix("128.0.0.0/1"), w.add(mapOf(textOf("country_code"), textOf("NL"))))
		return append(append(left, right...), w.file()[recordSize/4:]...)
	}
	leads := func(record, nodeSize int64) string {
		return fmt.Sprintf("at offset %d: it leads out of its part of the file", record-1+nodeSize)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"good", good().file(), "NL"},
		{"empty", nil, "cannot be used: it is not in MaxMind's format (get it anew, or name another)"},
		{"another format", make([]byte, 1<<20), "it is not in MaxMind's format"},
		{"metadata within 128 KiB", append(good().file(), make([]byte, 128<<10-300)...), "NL"},
		{"metadata before 128 KiB", append(good().file(), make([]byte, 128<<10)...), "it is not in MaxMind's format"},
		{"metadata missing", good().file()[:len(good().file())-1], "its metadata are damaged: at offset "},
		{"a marker in the data", record(mapOf(textOf("country_code"), textOf("NL"), textOf("other"), textOf(string(marker)))), "NL"},
		{"version", metadata("binary_format_major_version", uint16Of(2), uint16Of(3)), "it is in version 3 of MaxMind's format, and 2 is read"},
		{"family", metadata("ip_version", uint16Of(6), uint16Of(5)), "its metadata are damaged: ip_version 5, "},
		{"family missing", metadata("ip_version", uint16Of(6), uint16Of(0)), "its metadata are damaged: ip_version 0, "},
		{"record size", metadata("record_size", uint16Of(24), uint16Of(26)), "record_size 26, "},
		{"nodes", metadata("node_count", numberOf(kindUint32, 1), numberOf(kindUint32, 1<<32-1)), "node_count 4294967295, of "},
		{"nodes up to the end", metadata("node_count", numberOf(kindUint32, 1), numberOf(kindUint32, 4)), "node_count 4, of "},
		{"no nodes", metadata("node_count", numberOf(kindUint32, 1), numberOf(kindUint32, 0)), ""},
		{"a text for a number", metadata("node_count", numberOf(kindUint32, 1), textOf("1")), "there is no number"},

		{"a tree without an end", root(24, []byte{0, 0, 0}, []byte{0, 0, 0}), "at offset 0: the search tree leads nowhere"},
		{"a leaf in the separator", root(24, []byte{0, 0, 0}, []byte{0, 0, 16}), "at offset 0: the search tree leads nowhere"},
		{"24 bits, right", root(24, []byte{1, 2, 3}, []byte{0xfe, 0xdc, 0xba}), leads(0xfedcba, 6)},
		{"24 bits, left", root(24, []byte{0xfe, 0xdc, 0xba}, []byte{0, 0, 0}), leads(0xfedcba, 6)},
		{"28 bits, right", root(28, []byte{1, 2, 3, 0x4f}, []byte{0xed, 0xcb, 0xa9}), leads(0xfedcba9, 7)},
		{"28 bits, left", root(28, []byte{0xed, 0xcb, 0xa9, 0xf0}, []byte{0, 0, 0}), leads(0xfedcba9, 7)},
		{"32 bits, right", root(32, []byte{1, 2, 3, 4}, []byte{0xfe, 0xdc, 0xba, 0x98}), leads(0xfedcba98, 8)},
		{"32 bits, left", root(32, []byte{0xfe, 0xdc, 0xba, 0x98}, []byte{0, 0, 0, 0}), leads(0xfedcba98, 8)},

		{"no map", record(textOf("NL")), "at offset 22: there is no map"},
		{"a text for a map", record(textOf("NL")), "there is no map"},
		{"a map for a text", record(mapOf(textOf("country_code"), mapOf())), "there is no text"},
		{"a key that is no text", record(mapOf(uint16Of(1), textOf("NL"))), "there is no text"},
		{"a pointer to a pointer", record(textOf("NL"), pointerTo(0, 1), mapOf(textOf("country_code"), pointerTo(3, 1))), "a pointer leads to a pointer"},
		{"a pointer to itself", record(pointerTo(0, 1)), "a pointer leads to a pointer"},
		{"a pointer out of the data", record(mapOf(textOf("country_code"), pointerTo(1<<31-1, 4))), "at offset 2147483669: it leads out of its part of the file"},
		{"a map within itself", record(valueOf(kindMap, 1, append(textOf("country"), pointerTo(0, 1)...))), ""},
		{"a text out of the data", record(valueOf(kindMap, 1, append(textOf("country_code"), valueOf(kindText, 1<<24, nil)...))), "it leads out of its part of the file"},
		{"a text, pointed to, out of the data", record(valueOf(kindText, 1<<24, make([]byte, 1000)), mapOf(textOf("country_code"), pointerTo(0, 1))), "it leads out of its part of the file"},
		{"a map out of the data", record(valueOf(kindMap, 1, append(textOf("other"), valueOf(kindMap, 1000, nil)...))), "it leads out of its part of the file"},
		{"a value cut off", record(mapOf(textOf("country_code"), textOf("NL"), textOf("other"), valueOf(kindText, 9, nil))), "it leads out of its part of the file"},
		{"a huge map", record(valueOf(kindMap, 1<<24, nil)), "it leads out of its part of the file"},
		{"a huge list", record(mapOf(textOf("other"), valueOf(kindList, 1<<24, nil))), "a record has more than 4096 values"},
		{"lists in lists", record(mapOf(textOf("other"), bytes.Repeat([]byte{1, kindList - 7}, 10_000))), "a record has more than 4096 values"},
		{"no such type", record(mapOf(textOf("other"), []byte{0, 9})), "there is no such type"},
		{"a short type written as a long one", record(mapOf(textOf("other"), []byte{0, 0})), "there is no such type"},
		{"many pairs", record(valueOf(kindMap, 5000, bytes.Repeat(append(textOf("k"), mapOf()...), 5000))), "a record has more than 4096 values"},
		{"damaged behind the answer", record(mapOf(textOf("country_code"), textOf("NL"), textOf("other"), []byte{0, 9})), "there is no such type"},
	} {
		path := filepath.Join(t.TempDir(), "x.mmdb")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		d, told := Open(Options{Country: path})
		none, _ := d.Of(netip.Addr{})
		country, _ := d.Of(netip.MustParseAddr("192.0.2.1"))
		told = append(told, d.Warnings()...)
		d.Close()
		switch {
		case none != "":
			t.Errorf("%s: no address is in %q", c.name, none)
		case c.want == country && len(told) == 0:
		case c.want == "" || country != "" || len(told) != 1 || !strings.Contains(told[0], c.want):
			t.Errorf("%s: %q, %q, want %q", c.name, country, told, c.want)
		}
	}
}

// TestMetadataPointers: pointers of the metadata count from their own start.
func TestMetadataPointers(t *testing.T) {
	w := &written{family: 4, recordSize: 28}
	w.put(netip.MustParsePrefix("0.0.0.0/1"), w.add(mapOf(textOf("country_code"), textOf("NL"))))
	file := w.file()
	key := mapOf(textOf("x"), textOf("record_size"))
	file = bytes.Replace(file, textOf("record_size"), pointerTo(3, 1), 1)
	at := bytes.LastIndex(file, marker) + len(marker)
	file = slices.Concat(file[:at], []byte{file[at] + 1}, key[1:], file[at+1:])
	d, warnings := opened(t, file)
	if country, _ := d.Of(netip.MustParseAddr("1.2.3.4")); country != "NL" {
		t.Errorf("%q, %q", country, warnings)
	}
}

// counted counts reads and the longest of them.
type counted struct {
	io.ReaderAt
	reads, most int
}

func (c *counted) ReadAt(b []byte, at int64) (int, error) {
	c.reads, c.most = c.reads+1, max(c.most, len(b))
	return c.ReaderAt.ReadAt(b, at)
}

// once fails to read for the first time.
type once struct {
	io.ReaderAt
	failed bool
}

func (o *once) ReadAt(b []byte, at int64) (int, error) {
	if !o.failed {
		o.failed = true
		return 0, io.ErrUnexpectedEOF
	}
	return o.ReaderAt.ReadAt(b, at)
}

// TestWindow: what could not be read is not taken for read.
func TestWindow(t *testing.T) {
	p := part{file: &once{ReaderAt: strings.NewReader("some text")}, size: 9, length: 9, windows: make([]window, 1)}
	if b, err := p.read(0, 4); err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := p.read(0, 4); string(b) != "some" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// TestReads: a report asks in the order of the addresses, which takes less than a read for
// each; and no read is long. A file that is cut short meanwhile is told of once for each use.
func TestReads(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	w := &written{family: 6, recordSize: 28}
	var leaves []int
	for i := range 5000 {
		leaves = append(leaves, w.add(mapOf(textOf("autonomous_system_number"), numberOf(kindUint32, uint64(i+1)), textOf("autonomous_system_organization"), textOf(fmt.Sprint("Network ", i)))))
	}
	everywhere := netip.MustParsePrefix("0.0.0.0/0")
	for range 100_000 {
		w.put(netip.PrefixFrom(somewhere(r, everywhere), 24).Masked(), leaves[r.IntN(len(leaves))])
	}
	file := w.file()
	d, _ := opened(t, file)
	db := d.operators[0]
	read := &counted{ReaderAt: db.file}
	db.tree.file, db.data.file = read, read
	var addrs []netip.Addr
	for range 20_000 {
		addrs = append(addrs, somewhere(r, everywhere))
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, addr := range addrs {
		d.Of(addr)
	}
	t.Logf("%d bytes, %d questions: %d reads of at most %d bytes", len(file), len(addrs), read.reads, read.most)
	if read.reads > len(addrs) || read.most > 4096 || len(d.Warnings()) > 0 {
		t.Errorf("%d questions: %d reads of at most %d bytes, %q", len(addrs), read.reads, read.most, d.Warnings())
	}
	if err := os.Truncate(db.file.Name(), 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs {
		_, asn := d.Of(addr)
		if asn != "" && len(d.operators) == 0 {
			t.Fatalf("%s belongs to %q by a database that was given up", addr, asn)
		}
	}
	if told := d.Warnings(); len(told) != 2 || !strings.Contains(told[1], "of operators is damaged: ") || !strings.Contains(told[1], ": the file has become shorter") {
		t.Errorf("%q", told)
	}
}
