package geo

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The databases in testdata are made for these tests: documentation ranges alone.

func TestSchemas(t *testing.T) {
	for _, c := range []struct{ country, asn, addr, wantCountry, wantASN string }{
		{"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb", "203.0.113.7", "NL", "AS64496 Example Networks <script>alert(1)</script>"},
		{"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb", "2001:db8::7", "DE", "AS64497"},
		{"geo-whois-asn-country.mmdb", "GeoLite2-ASN.mmdb", "203.0.113.7", "FR", "AS64496 Example Networks <script>alert(1)</script>"},
		{"geo-whois-asn-country.mmdb", "GeoLite2-ASN.mmdb", "2001:db8::7", "SE", "AS64497"},
		{"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb", "198.51.100.7", "", ""}, // what is there is no code
		{"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb", "192.0.2.7", "", ""},
	} {
		d, warnings := Open(Options{Country: filepath.Join("testdata", c.country), ASN: filepath.Join("testdata", c.asn)})
		if len(warnings) > 0 {
			t.Fatal(warnings)
		}
		if country, asn := d.Of(netip.MustParseAddr(c.addr)); country != c.wantCountry || asn != c.wantASN {
			t.Errorf("%s in %s: %q, %q; want %q, %q", c.addr, c.country, country, asn, c.wantCountry, c.wantASN)
		}
		d.Close()
	}
}

func TestFound(t *testing.T) {
	was := dirs
	defer func() { dirs = was }()
	dir := t.TempDir()
	dirs = []string{filepath.Join(dir, "missing"), dir}
	if d, warnings := Open(Options{}); d != nil || len(warnings) > 0 {
		t.Errorf("nothing there: %v %v", d, warnings)
	}
	for _, name := range []string{"geo-whois-asn-country.mmdb", "GeoLite2-ASN.mmdb"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, "GeoLite2-Country.mmdb"), []byte("rubbish"), 0o600)
	d, warnings := Open(Options{})
	defer d.Close()
	country, asn := d.Of(netip.MustParseAddr("203.0.113.7"))
	if country != "FR" || !strings.HasPrefix(asn, "AS64496 ") {
		t.Errorf("%q, %q, want FR and AS64496", country, asn)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "GeoLite2-Country.mmdb cannot be used: ") {
		t.Errorf("the broken one is to be told: %q", warnings)
	}
}

// TestBroken: whatever a file holds, it costs a warning at the most.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing.mmdb"), dir, "/dev/null"} {
		if d, warnings := Open(Options{Country: path}); d != nil || len(warnings) != 1 || !strings.Contains(warnings[0], path) {
			t.Errorf("%s: %v, %q", path, d, warnings)
		}
	}
	for _, name := range []string{"GeoLite2-Country.mmdb", "GeoLite2-ASN.mmdb"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		try := func(text []byte) {
			path := filepath.Join(dir, "bad.mmdb")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			d, _ := Open(Options{Country: path, ASN: path})
			for _, addr := range []string{"203.0.113.7", "2001:db8::7", "0.0.0.0", "::", "255.255.255.255"} {
				d.Of(netip.MustParseAddr(addr))
				d.Of(netip.MustParseAddr(addr)) // after it has turned out to be broken
			}
			d.Warnings()
			d.Close()
		}
		for n := 0; n < len(whole); n += 7 {
			try(whole[:n])
		}
		for i := 0; i < len(whole); i += 3 {
			for _, bit := range []byte{1, 0x80, 0xff} {
				bad := append([]byte{}, whole...)
				bad[i] ^= bit
				try(bad)
			}
		}
	}
}

// TestFamilies: a database of IPv4 alone knows no IPv6 address, which is no damage, and is
// read together with its sibling of IPv6.
func TestFamilies(t *testing.T) {
	text, err := os.ReadFile("testdata/geo-whois-asn-country.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	four, six := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")
	path := func(dir, name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	version := []byte("ip_version\xa1")
	at := bytes.LastIndex(text, version) + len(version)
	if at < len(version) || text[at] != 6 {
		t.Fatal("the metadata is not as thought")
	}
	alone := bytes.Clone(text)
	alone[at] = 4

	d, warnings := Open(Options{Country: path(t.TempDir(), "x-ipv4.mmdb", alone)})
	if country, _ := d.Of(six); country != "" || len(warnings)+len(d.Warnings()) > 0 {
		t.Errorf("IPv6 in a database of IPv4: %q, %q %q", country, warnings, d.Warnings())
	}
	d.Close()

	dir := t.TempDir()
	path(dir, "x-ipv4.mmdb", alone)
	for _, named := range []string{filepath.Join(dir, "x-ipv4.mmdb"), path(dir, "x-ipv6.mmdb", text)} {
		d, warnings := Open(Options{Country: named})
		if country, _ := d.Of(six); country != "SE" || len(warnings) > 0 {
			t.Errorf("%s: %q, %q", named, country, warnings)
		}
		if country, _ := d.Of(four); country != "FR" && !strings.HasSuffix(named, "4.mmdb") {
			t.Errorf("%s: %q", named, country)
		}
		if len(d.Warnings()) > 0 {
			t.Error(d.Warnings())
		}
		d.Close()
	}
}

// TestRewritten: an updater that writes in place takes the file away under the reader; that
// is a warning. One that puts another file in its place takes nothing away.
func TestRewritten(t *testing.T) {
	text, err := os.ReadFile("testdata/GeoLite2-Country.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		change     func(path string) error
		want, told string
	}{
		{"truncated", func(path string) error { return os.Truncate(path, 0) }, "", "is damaged: at offset 0: the file has become shorter (get it anew)"},
		{"shorter", func(path string) error { return os.Truncate(path, 800) }, "", "is damaged: at offset "},
		{"overwritten", func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte{0xff}, len(text)), 0o600) }, "", "is damaged: at offset 16778190: it leads out of its part of the file"},
		{"replaced", func(path string) error { return os.Rename(path, path+".old") }, "DE", ""},
	} {
		path := filepath.Join(t.TempDir(), "x.mmdb")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, _ := Open(Options{Country: path})
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		country, _ := d.Of(netip.MustParseAddr("2001:db8::7"))
		if told := d.Warnings(); country != c.want || (len(told) == 1) != (c.told != "") || c.told != "" && !strings.Contains(told[0], c.told) {
			t.Errorf("%s: %q, %q, want %q, %q", c.name, country, told, c.want, c.told)
		}
		d.Close()
	}
}
