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
