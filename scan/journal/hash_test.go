package journal

import (
	"encoding/binary"
	"os"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// journald has filed every field under the hash that we make of it, keyed or not.
func TestHash(t *testing.T) {
	for _, name := range []string{"none-keyed1-compact1", "lz4-keyed0-compact0"} {
		b, err := os.ReadFile(journaltest.Unpack(t, "variants/"+name+".journal"))
		if err != nil {
			t.Fatal(err)
		}
		info, err := parseHeader(b[:headerSize], int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		hash, n := info.hash(), 0
		fixed, _ := (&survey{info: &info}).shape(objectData)
		for _, at := range objects(b, objectData) {
			if b[at+1] != 0 { // compressed
				continue
			}
			n++
			field := b[at+fixed : at+binary.LittleEndian.Uint64(b[at+8:])]
			if got, want := hash(field), binary.LittleEndian.Uint64(b[at+16:]); got != want {
				t.Fatalf("%s: %.60q: %#x, want %#x", name, field, got, want)
			}
		}
		if n < 1000 {
			t.Errorf("%s: %d fields", name, n)
		}
	}
}

// Of a large file whose id is damaged no field is filed as it should be.
func TestSpoiledFieldsAreBounded(t *testing.T) {
	l := newLinks(question{}, func([]byte) uint64 { return 1<<64 - 1 })
	for at := range uint64(2 * mostSpoiled) {
		l.field(8*at, 0, 0, []byte("MESSAGE=m"))
	}
	if l.spoilt != 2*mostSpoiled || len(l.spoiled) != mostSpoiled {
		t.Errorf("%d fields, %d kept", l.spoilt, len(l.spoiled))
	}
}
