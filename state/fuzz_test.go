package state

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// sealed is a file that the checksum vouches for, of that object without its last brace.
func sealed(body []byte) []byte {
	return fmt.Appendf(bytes.Clone(body), "%s%08x\"}\n", checksum, crc32.ChecksumIEEE(body))
}

// readAll reads the parts of a state that stay unread until they are asked for.
func readAll(s *State) (err error) {
	for _, j := range s.Jails {
		err = cmp.Or(readPart(&j.bans), readPart(&j.windows), readPart(&j.networks), readPart(&j.sessions), err)
	}
	return err
}

func readPart[T any](l *lazy[T]) error {
	if l.ready {
		return nil
	}
	if _, err := l.read(l.raw); err != nil { // get would panic
		return err
	}
	l.get()
	return nil
}

// FuzzState: of what is read and written nothing changes when it is read and written
// again, whether its parts were looked at or not; and a file in which one byte is another,
// or that ends too early, is refused.
func FuzzState(f *testing.F) {
	s, _ := sample(&testing.T{})
	whole := s.Encode()
	f.Add(whole[:bytes.LastIndex(whole, []byte(checksum))], uint(100), byte(1))
	f.Add([]byte(`{"version":1,"saved":7,"history":9,"seq":2,"jails":{"a":{"bans":{"::/64":{"address":"::1","since":1,"until":null,"users":["\u00e9"]}}}}`), uint(9), byte(0x80))
	f.Add([]byte(`{"version":1,"jails":{"a":{"networks":{"192.0.2.0/24":[[1,1,"192.0.2.1"]]},"recall":[1],"window":{"203.0.113.1":[[1,2,"x"],[3,4,""]]}},"a":{}}`), uint(0), byte(255))
	f.Fuzz(func(t *testing.T, body []byte, at uint, bits byte) {
		file := sealed(body)
		first, err := Decode(bytes.Clone(file))
		if err != nil {
			return
		}
		if bits != 0 {
			bad := bytes.Clone(bytes.TrimRight(file, "\n"))
			bad[at%uint(len(bad))] ^= bits
			if _, err := Decode(bytes.Clone(bad)); err == nil && !sameDigits(bad, file) {
				t.Errorf("byte %d was changed, and the file is taken: %q", at%uint(len(bad)), bad)
			}
			cut := file[:at%uint(len(file)-2)]
			if _, err := Decode(bytes.Clone(cut)); err == nil {
				t.Errorf("a file that ends after %d of %d bytes is taken", len(cut), len(file))
			}
		}
		if readAll(first) != nil { // what no program of ours wrote
			return
		}
		text := first.Encode()
		unread, err := Decode(bytes.Clone(text))
		if err != nil {
			t.Fatalf("%q became %q: %v", file, text, err)
		}
		if again := unread.Encode(); !bytes.Equal(again, text) {
			t.Errorf("unread parts changed:\n%q\n%q", text, again)
		}
		if err := readAll(unread); err != nil {
			t.Fatalf("%q became %q: %v", file, text, err)
		}
		if again := unread.Encode(); !bytes.Equal(again, text) {
			t.Errorf("parts that were read changed:\n%q\n%q", text, again)
		}
	})
}

// sameDigits tells whether two files differ only in how the digits of the checksum are
// written.
func sameDigits(a, b []byte) bool {
	return bytes.EqualFold(bytes.TrimRight(a, "\n"), bytes.TrimRight(b, "\n")) && bytes.Equal(a[:bytes.LastIndex(a, []byte(checksum))], b[:bytes.LastIndex(b, []byte(checksum))])
}

// replayed is what a history in dir makes of the state, its own length aside.
func replayed(t *testing.T, dir string, text []byte) []byte {
	if err := os.WriteFile(filepath.Join(dir, "history.jsonl"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := OpenStore(filepath.Join(dir, "state.json"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s, _, err := store.Recall(T, T-3600)
	if err != nil {
		t.Fatal(err)
	}
	s.History = Vouch{}
	return s.Encode()
}

// FuzzHistory: what can be read of a history is the same when it is written and read
// again, offsets and all; a damaged line takes no other with it; and replaying it twice
// gives what replaying it once gives.
func FuzzHistory(f *testing.F) {
	_, decisions := sample(&testing.T{})
	var lines bytes.Buffer
	if _, err := writeDecisions(&lines, decisions, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(lines.Bytes())
	dir := f.TempDir()
	f.Add([]byte("{\"seq\":1,\"kind\":\"ban\",\"jail\":\"by-hand\",\"key\":\"192.0.2.0/24\",\"until\":0,\"by_hand\":true}\n{}\n{\"seq\":2}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(text []byte) (all []Decision, damaged int) {
			damaged, err := readHistory(bytes.NewReader(text), func(d Decision, end int64) {
				if end > int64(len(text)) || end <= 0 || text[end-1] != '\n' {
					t.Fatalf("decision %d ends at %d of %d bytes", d.Seq, end, len(text))
				}
				d.Ban()
				all = append(all, d)
			})
			if err != nil {
				t.Fatal(err)
			}
			return all, damaged
		}
		first, _ := read(text)
		var written bytes.Buffer
		for _, d := range first {
			if _, err := writeDecisions(&written, []Decision{d}, d.Seq-1); err != nil {
				t.Fatal(err)
			}
		}
		if again, damaged := read(written.Bytes()); damaged != 0 || !reflect.DeepEqual(again, first) {
			t.Fatalf("%q\nis written as %q\nand read as %+v, %d damaged", text, written.Bytes(), again, damaged)
		}
		// A line of rubbish before, and one cut short behind.
		more := append(append([]byte("{\"seq\":\n"), text...), "\n{\"seq\":9"...)
		if got, _ := read(more); len(first) > 0 && (len(got) < len(first) || !reflect.DeepEqual(got[:len(first)], first)) {
			t.Fatalf("%q: other lines take decisions away", text)
		}
		once, twice := replayed(t, dir, written.Bytes()), replayed(t, dir, bytes.Repeat(written.Bytes(), 2))
		if !bytes.Equal(once, twice) {
			t.Fatalf("%q\nonce makes %q\ntwice makes %q", written.Bytes(), once, twice)
		}
	})
}
