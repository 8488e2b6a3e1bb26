// Package journaltest makes real journal files for tests: from entries, through
// systemd-journal-remote, and from the recorded ones in testdata/journal.
package journaltest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/recorded"
)

// Entry is a journal entry to be written.
type Entry struct {
	Time      int64  // µs since the Unix epoch
	Monotonic int64  // µs since the boot; 0: as Time
	Boot      string // 32 hexadecimal digits; "": Boot(1)
	Message   string // any bytes
	Fields    map[string]string
}

// Boot is a made-up id.
func Boot(n int) string { return fmt.Sprintf("b007%028x", n) }

// remotePaths are where distributions put the program; it is not in PATH.
var remotePaths = []string{"/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"}

// Write appends the entries to a journal file, which is made if need be, its
// directory too, and gives the file's path back. Fields beginning with "_" are
// kept as they are. Each call numbers on. The test is skipped where
// systemd-journal-remote is missing.
func Write(t testing.TB, file string, entries []Entry) string {
	t.Helper()
	return Import(t, file, Export(entries))
}

// Import is Write of what is in the Journal Export Format already.
func Import(t testing.TB, file string, export []byte) string {
	t.Helper()
	cmd := remote(t, file)
	cmd.Stdin = bytes.NewReader(export)
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("Failed")) {
		t.Fatalf("systemd-journal-remote: %v\n%s", err, out)
	}
	return file
}

// remote is a call of systemd-journal-remote that appends its standard input to a file.
func remote(t testing.TB, file string) *exec.Cmd {
	t.Helper()
	i := slices.IndexFunc(remotePaths, func(path string) bool { _, err := os.Stat(path); return err == nil })
	if i < 0 {
		t.Skip("needs systemd-journal-remote to write journal files (Debian: apt install systemd-journal-remote)")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	return exec.Command(remotePaths[i], "--output="+file, "-")
}

// Grow is Write in several calls to one process, which like journald has the file open
// until end is called.
func Grow(t testing.TB, file string) (write func(entries []Entry), end func()) {
	t.Helper()
	cmd := remote(t, file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		in.Close()
		if err := cmd.Wait(); err != nil || bytes.Contains(said.Bytes(), []byte("Failed")) {
			t.Errorf("systemd-journal-remote: %v\n%s", err, said.String())
		}
	}
	t.Cleanup(end)
	return func(entries []Entry) {
		if _, err := in.Write(Export(entries)); err != nil {
			t.Fatalf("systemd-journal-remote: %v", err)
		}
	}, end
}

// Export is the entries in the Journal Export Format.
func Export(entries []Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		mono, boot := e.Monotonic, e.Boot
		if mono == 0 {
			mono = e.Time
		}
		if boot == "" {
			boot = Boot(1)
		}
		fmt.Fprintf(&b, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n", e.Time, mono, boot)
		field(&b, "MESSAGE", e.Message)
		names := make([]string, 0, len(e.Fields))
		for name := range e.Fields {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			field(&b, name, e.Fields[name])
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func field(b *bytes.Buffer, name, value string) {
	plain := !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c > '~' })
	if plain {
		fmt.Fprintf(b, "%s=%s\n", name, value)
		return
	}
	b.WriteString(name + "\n")
	_ = binary.Write(b, binary.LittleEndian, uint64(len(value)))
	b.WriteString(value + "\n")
}

// Dir is /testdata/journal of the repository.
func Dir() string { return recorded.Dir("journal") }

// Unpack unpacks testdata/journal/NAME into a directory of the test and gives
// back the path: NAME is a directory, whose .gz files are all unpacked, or one
// file without its .gz.
func Unpack(t testing.TB, name string) string {
	t.Helper()
	from, dir := filepath.Join(Dir(), name), t.TempDir()
	if st, err := os.Stat(from); err != nil || !st.IsDir() {
		return unpack(t, from+".gz", dir)
	}
	files, err := filepath.Glob(filepath.Join(from, "*.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing to unpack in %s: %v", from, err)
	}
	for _, file := range files {
		unpack(t, file, dir)
	}
	return dir
}

func unpack(t testing.TB, file, dir string) string {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	path := filepath.Join(dir, strings.TrimSuffix(filepath.Base(file), ".gz"))
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, z); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Offsets and object types: struct Header, ObjectHeader and EntryObject of
// systemd's journal-def.h.
const (
	headerSeqnumID   = 72
	headerSize       = 88
	headerTailObject = 136
	headerTailSeqnum = 160
	headerHeadSeqnum = 168
	objectEntry      = 3
	entrySeqnum      = 16
)

// Renumber gives the entries of a file the numbers first, first+1 ... of the
// numbering seqnumID (32 hexadecimal digits), as journald would have it for a
// file that follows another at rotation.
func Renumber(t testing.TB, file, seqnumID string, first uint64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := hex.DecodeString(seqnumID)
	if err != nil || len(id) != 16 {
		t.Fatalf("Renumber: %q is no id: %v", seqnumID, err)
	}
	copy(b[headerSeqnumID:], id)
	n, u64 := first, binary.LittleEndian.Uint64
	for at, end := u64(b[headerSize:]), u64(b[headerTailObject:]); at <= end; {
		if b[at] == objectEntry {
			binary.LittleEndian.PutUint64(b[at+entrySeqnum:], n)
			n++
		}
		at += (u64(b[at+8:]) + 7) &^ 7
	}
	binary.LittleEndian.PutUint64(b[headerHeadSeqnum:], first)
	binary.LittleEndian.PutUint64(b[headerTailSeqnum:], n-1)
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
