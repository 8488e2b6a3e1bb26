package geo

import (
	"bytes"
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
	w := &written{family: 6, recordSize: 24}
	again := func(key, value int) []byte {
		return valueOf(kindMap, n, bytes.Repeat(append(pointerTo(key, 1), pointerTo(value, 1)...), n))
	}
	code, country, value := w.add(textOf("iso_code")), w.add(textOf("country")), w.add(textOf("NL"))
	outer := w.add(again(country, w.add(again(code, value))))
	w.put(netip.MustParsePrefix("::/1"), outer)
	w.put(netip.MustParsePrefix("8000::/1"), outer)
	return w.file()
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
