// Package geo says where addresses are, from databases in MaxMind's format
// (https://maxmind.github.io/MaxMind-DB/) that the admin has. Nothing is asked over the
// network, and nothing depends on it: without a database, or with a broken one, the
// answers are empty.
//
// A country is read as country.iso_code (MaxMind, DB-IP) or country_code (others), an
// operator as autonomous_system_number and autonomous_system_organization. A database that
// is published as two files, NAME-ipv4.mmdb and NAME-ipv6.mmdb, is read as one.
package geo

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Options are [geo]: files, found by themselves where they are not named.
type Options struct {
	Country string `toml:"country"` // a database of countries or cities
	ASN     string `toml:"asn"`     // a database of autonomous systems
}

// Databases are those that could be opened.
type Databases struct {
	countries, operators []*database
	broken               []string // while they were asked
}

// dirs are where packages and updaters put databases.
var dirs = []string{"/usr/share/GeoIP", "/var/lib/GeoIP", "/usr/local/share/GeoIP"}

// Open opens what there is. It is nil where there is nothing; warnings tell of files that
// are named and cannot be used, or found and broken.
func Open(o Options) (d *Databases, warnings []string) {
	d = &Databases{}
	for _, want := range []struct {
		named string
		words []string // of which a file's name has one, the better first
		not   []string // and none of these
		to    *[]*database
	}{{o.Country, []string{"country", "city"}, nil, &d.countries}, {o.ASN, []string{"asn", "isp"}, []string{"country", "city"}, &d.operators}} {
		paths := []string{want.named}
		if want.named == "" {
			paths = find(want.words, want.not)
		}
		for _, path := range paths {
			for _, path := range pair(path) {
				db, err := open(path)
				if err != nil {
					warnings = append(warnings, fmt.Sprintf("[geo] %s cannot be used: %v (get it anew, or name another)", path, err))
					continue
				}
				*want.to = append(*want.to, db)
			}
			if len(*want.to) > 0 {
				break
			}
		}
	}
	if len(d.countries)+len(d.operators) == 0 {
		return nil, warnings
	}
	return d, warnings
}

// find lists the databases whose names have one of the words and none of the others, the
// better word first.
func find(words, not []string) (paths []string) {
	for _, word := range words {
		for _, dir := range dirs {
			entries, _ := os.ReadDir(dir) // one that is missing has none
			for _, e := range entries {
				name, path := strings.ToLower(e.Name()), filepath.Join(dir, e.Name())
				other := slices.ContainsFunc(not, func(n string) bool { return strings.Contains(name, n) })
				if strings.HasSuffix(name, ".mmdb") && strings.Contains(name, word) && !other && !slices.Contains(paths, path) {
					paths = append(paths, path)
				}
			}
		}
	}
	return paths
}

// pair is the file at path and, where it holds one family of addresses by its name, that
// of the other family if it is there.
func pair(path string) []string {
	dir, name := filepath.Split(path)
	for _, families := range [][2]string{{"-ipv4.", "-ipv6."}, {"-ipv6.", "-ipv4."}} {
		if !strings.Contains(name, families[0]) {
			continue
		}
		other := dir + strings.Replace(name, families[0], families[1], 1)
		if _, err := os.Stat(other); err == nil {
			return []string{path, other}
		}
	}
	return []string{path}
}

// Close gives the files back.
func (d *Databases) Close() {
	if d == nil {
		return
	}
	for _, db := range append(d.countries, d.operators...) {
		_ = db.file.Close()
	}
	d.countries, d.operators = nil, nil
}

// Of is the country's code (ISO 3166-1) and the operator, "AS64496 Name"; empty where
// they are not known. A database that turns out to be broken is not asked again.
func (d *Databases) Of(addr netip.Addr) (country, asn string) {
	if d == nil || !addr.IsValid() {
		return "", ""
	}
	d.countries = d.ask(d.countries, "countries", addr, func(r *record, at int64) (bool, error) {
		var nested, code string
		err := r.pairs(at, func(key []byte, value int64) (err error) {
			switch string(key) {
			case "country":
				if !r.isMap(value) { // but its name, IPinfo's
					return nil
				}
				err = r.pairs(value, func(key []byte, value int64) (err error) {
					if string(key) == "iso_code" {
						nested, err = r.text(value)
					}
					return err
				})
			case "country_code":
				code, err = r.text(value)
			}
			return err
		})
		if country = cmp.Or(nested, code); err != nil || !isCode(country) {
			country = ""
		}
		return country != "", err
	})
	d.operators = d.ask(d.operators, "operators", addr, func(r *record, at int64) (bool, error) {
		var number uint32
		var name string
		err := r.pairs(at, func(key []byte, value int64) (err error) {
			switch string(key) {
			case "autonomous_system_number":
				number, err = r.number(value)
			case "autonomous_system_organization":
				name, err = r.text(value)
			}
			return err
		})
		if err == nil && number > 0 {
			asn = strings.TrimSpace(fmt.Sprintf("AS%d %s", number, clip(name)))
		}
		return asn != "", err
	})
	return country, asn
}

// isCode tells whether text can be a country's code: the file may hold anything.
func isCode(text string) bool {
	return len(text) == 2 && 'A' <= text[0] && text[0] <= 'Z' && 'A' <= text[1] && text[1] <= 'Z'
}

// clip keeps a name short and valid: the file may hold anything.
func clip(name string) string {
	const most = 100
	if len(name) > most {
		name = name[:most]
	}
	if !utf8.ValidString(name) {
		name = strings.ToValidUTF8(name, "")
	}
	return name
}

// ask looks an address up in one database after another until take has found what it
// wants. It gives back those that may be asked again: a broken one is closed and told.
func (d *Databases) ask(of []*database, what string, addr netip.Addr, take func(r *record, at int64) (bool, error)) []*database {
	for i, db := range of {
		if addr.Is6() && db.family == 4 {
			continue
		}
		at, found, err := db.find(addr)
		if found {
			found, err = take(db.data.walk(), at)
		}
		if err != nil {
			d.broken = append(d.broken, fmt.Sprintf("[geo] the database of %s is damaged: %v (get it anew)", what, err))
			_ = db.file.Close()
			return slices.Delete(slices.Clone(of), i, i+1)
		}
		if found {
			break
		}
	}
	return of
}

// Warnings tell of databases that turned out to be broken.
func (d *Databases) Warnings() []string {
	if d == nil {
		return nil
	}
	return d.broken
}
