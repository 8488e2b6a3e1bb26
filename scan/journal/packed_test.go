package journal

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"scan2ban/scan/journal/journaltest"
)

// A value is as large unpacked as it says, whatever it is packed with.
func TestUnpackedSizes(t *testing.T) {
	var want []uint64
	for _, name := range []string{"none-keyed1-compact1", "zstd-keyed1-compact1", "lz4-keyed0-compact0", "xz-keyed1-compact0"} {
		info, err := readInfo(journaltest.Unpack(t, "variants/"+name+".journal"))
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(info.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		whole, err := os.ReadFile(info.Path)
		if err != nil {
			t.Fatal(err)
		}
		s := &survey{file: file, info: &info}
		fixed, _ := s.shape(objectData)
		var got []uint64
		for _, at := range objects(whole, objectData) {
			packed := binary.LittleEndian.Uint64(whole[at+8:]) - fixed
			n, most := s.unpacked(at+fixed, packed, whole[at+1])
			if n > most || n == 0 {
				t.Errorf("%s: %d bytes of at most %d", name, n, most)
			}
			got = append(got, n)
		}
		slices.Sort(got)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d sizes, want %d others", name, len(got), len(want))
		}
	}
}

// A few bytes that unpack to many are not unpacked; the files beside them are read.
func TestTooLargeField(t *testing.T) {
	file := journaltest.Unpack(t, "variants/zstd-keyed1-compact1.journal")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const blocks = 1024 // of 128 KiB of one byte each: RFC 8878, 3.1.1.2
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}
	frame = binary.LittleEndian.AppendUint64(frame, blocks*128<<10)
	for i := range blocks {
		head := uint32(128<<10<<3 | 1<<1)
		if i == blocks-1 {
			head |= 1
		}
		frame = append(binary.LittleEndian.AppendUint32(frame, head)[:len(frame)+3], 'x')
	}
	tail := binary.LittleEndian.Uint64(whole[atTailObject:])
	at := tail + (binary.LittleEndian.Uint64(whole[tail+8:])+7)&^7
	object := make([]byte, dataPayload+8)
	object[0], object[1] = objectData, 1<<2
	binary.LittleEndian.PutUint64(object[8:], uint64(len(object)+len(frame)))
	copy(whole[at:], append(object, frame...))
	binary.LittleEndian.PutUint64(whole[atTailObject:], at)
	eachReader(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		e := entries(4, "m")
		sound, bad := filepath.Join(dir, "system.journal"), filepath.Join(dir, "bad.journal")
		journaltest.Write(t, sound, e[:2])
		if err := os.WriteFile(bad, whole, 0o644); err != nil {
			t.Fatal(err)
		}
		o := Options{Path: dir, Reader: kind}
		p := read(t, o)
		same(t, p.entries, lines(e[:2]))
		warned(t, p.warnings, bad, "a field is too large: 134217728 bytes")
		journaltest.Write(t, sound, e[2:])
		p = read(t, p.goOn(o))
		same(t, p.entries, lines(e[2:]))
		warned(t, p.warnings)
	})
}

// A compressed value that does not end where its object does, before or behind other damage, is not
// unpacked: libsystemd and journalctl abort there. The files beside it are read.
func TestTornField(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	long := make([]byte, 16<<10)
	for i := range long {
		long[i] = "0123456789abcdef"[rnd.IntN(16)]
	}
	for name, damage := range map[string]func(b []byte){
		"alone":               func([]byte) {},
		"behind other damage": func(b []byte) { b[objects(b, objectEntry)[0]] = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			eachReader(t, func(t *testing.T, kind string) {
				dir := t.TempDir()
				e := entries(6, "m")
				e[1].Fields = map[string]string{"EXTRA": string(long)}
				sound, bad := filepath.Join(dir, "system.journal"), filepath.Join(dir, "bad.journal")
				journaltest.Write(t, bad, e[:2])
				journaltest.Write(t, sound, e[2:4])
				b, err := os.ReadFile(bad)
				if err != nil {
					t.Fatal(err)
				}
				packed := slices.DeleteFunc(objects(b, objectData), func(at uint64) bool { return b[at+1] == 0 })
				if len(packed) != 1 || b[packed[0]+1] != 1<<2 {
					t.Skip("needs a systemd-journal-remote that compresses by zstd (252 of Debian 12 does)")
				}
				frame := packed[0] + dataPayload + 8
				if b[frame+4] != 0x60 { // one segment, its size in two bytes
					t.Fatalf("a frame of %#x", b[frame+4])
				}
				b[frame+7+1] ^= 1 << 7 // 4 KiB more in the only block
				damage(b)
				if err := os.WriteFile(bad, b, 0o644); err != nil {
					t.Fatal(err)
				}
				o := Options{Path: dir, Reader: kind, Fields: []string{"_PID"}}
				p := read(t, o)
				same(t, p.entries, lines(e[2:4]))
				warned(t, p.warnings, bad, "is passed over", "torn", fmt.Sprint("byte ", packed[0]))
				journaltest.Write(t, sound, e[4:])
				p = read(t, p.goOn(o))
				same(t, p.entries, lines(e[4:]))
				warned(t, p.warnings)
			})
		})
	}
}
