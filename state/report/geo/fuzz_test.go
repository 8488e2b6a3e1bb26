package geo

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// asked is what a database at path says of some addresses, twice each, as a report asks.
func asked(t testing.TB, path string) (answers []string) {
	d, _ := Open(Options{Country: path, ASN: path})
	defer d.Close()
	for _, addr := range []string{"203.0.113.7", "2001:db8::7", "0.0.0.0", "::", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		for range 2 {
			country, asn := d.Of(netip.MustParseAddr(addr))
			if country != "" && !isCode(country) {
				t.Errorf("%s is in %q", addr, country)
			}
			if len(asn) > 120 || !utf8.ValidString(asn) {
				t.Errorf("%s belongs to %q", addr, asn)
			}
			answers = append(answers, country+" "+asn)
		}
	}
	d.Warnings()
	return answers
}

// FuzzDatabase: whatever a file holds, the answers are short and valid text, and neither
// time nor memory runs away for them: the bounds are far above what a file takes.
func FuzzDatabase(f *testing.F) {
	for _, name := range []string{"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb", "geo-whois-asn-country.mmdb"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
		f.Add(whole[:len(whole)/2])
	}
	f.Add(nested(300))
	path := filepath.Join(f.TempDir(), "x.mmdb")
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		hung := time.AfterFunc(time.Minute, func() { panic("the database is still being asked after a minute") })
		defer hung.Stop()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		asked(t, path)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20+100*uint64(len(file)) {
			t.Errorf("%d bytes of a file cost %d of memory", len(file), allocated)
		}
	})
}

// nested is a database in which each address leads to a map that names the country n
// times, each time as the same map, which names its code n times: n*n steps for who
// decodes all of it.
func nested(n int) []byte {
	text := func(s string) []byte { return append([]byte{2<<5 | byte(len(s))}, s...) }
	size := func(kind byte, n int) []byte { // two bytes hold 285 and more
		if n < 285 {
			panic("too few")
		}
		n -= 285
		return []byte{kind<<5 | 30, byte(n >> 8), byte(n)}
	}
	pointer := func(at int) []byte { return []byte{1<<5 | byte(at>>8), byte(at)} } // up to 2047
	const separator = 16
	data := append(text("iso_code"), text("country")...)
	data = append(data, text("NL")...)
	code, country, value := 0, len(text("iso_code")), len(text("iso_code"))+len(text("country"))
	inner := len(data)
	data = append(data, size(7, n)...)
	for range n {
		data = append(append(data, pointer(code)...), pointer(value)...)
	}
	outer := len(data)
	data = append(data, size(7, n)...)
	for range n {
		data = append(append(data, pointer(country)...), pointer(inner)...)
	}
	// One node, both of whose branches are the outer map. Records of 24 bits.
	leaf := 1 + separator + outer
	branch := []byte{byte(leaf >> 16), byte(leaf >> 8), byte(leaf)}
	file := append(append(append([]byte{}, branch...), branch...), make([]byte, separator)...)
	file = append(append(file, data...), "\xab\xcd\xefMaxMind.com"...)
	file = append(file, 7<<5|6)
	for _, m := range []struct {
		name  string
		value []byte
	}{
		{"binary_format_major_version", []byte{5<<5 | 1, 2}}, {"binary_format_minor_version", []byte{5 << 5}}, {"database_type", text("x")},
		{"ip_version", []byte{5<<5 | 1, 6}}, {"node_count", []byte{6<<5 | 1, 1}}, {"record_size", []byte{5<<5 | 1, 24}},
	} {
		file = append(append(file, text(m.name)...), m.value...)
	}
	return file
}

// TestNested: such a database is told as damaged, before all of it has been read, and
// nothing of what was read is taken.
func TestNested(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.mmdb")
	if err := os.WriteFile(path, nested(60_000), 0o600); err != nil {
		t.Fatal(err)
	}
	d, warnings := Open(Options{Country: path})
	defer d.Close()
	country, _ := d.Of(netip.MustParseAddr("203.0.113.7"))
	_, _ = d.Of(netip.MustParseAddr("203.0.113.8")) // it is not asked again
	if told := d.Warnings(); len(warnings) > 0 || country != "" || len(told) != 1 || !strings.Contains(told[0], "damaged: at offset ") {
		t.Errorf("%q, %q, %q", country, warnings, told)
	}
}
