package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// remote is systemd-journal-remote, which is not in PATH; "" if it is not there.
func remote() string {
	for _, path := range []string{"/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// write appends entries to the journal file dir/system.journal. It rotates
// files as journald does.
func write(dir string, entries iter.Seq[journaltest.Entry], env ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.Command(remote(), "--output="+filepath.Join(dir, "system.journal"), "-")
	cmd.Env = append(os.Environ(), env...)
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &complaint, &complaint
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	in := bufio.NewWriterSize(pipe, 1<<16)
	one := make([]journaltest.Entry, 1)
	for one[0] = range entries {
		in.Write(journaltest.Export(one)) // its error comes back from Flush
	}
	err = in.Flush()
	pipe.Close()
	if e := cmd.Wait(); e != nil || bytes.Contains(complaint.Bytes(), []byte("Failed")) {
		return fmt.Errorf("systemd-journal-remote: %v\n%s", e, complaint.Bytes())
	}
	return err
}

const batch = 2500 // entries between two looks at the size

// smallJournal is "the 40 MB journal", of an everyday host, up to b.end.
func (b *bench) smallJournal() (string, error) {
	if b.small != "" {
		return b.small, nil
	}
	dir := b.path("journal-small")
	if err := b.grow(dir, b.journal); err != nil {
		return "", err
	}
	b.small = dir
	return dir, nil
}

// grow writes everyday entries until that many bytes are in use.
func (b *bench) grow(dir string, size int64, env ...string) error {
	progress("writing a journal of %.0f MB", float64(size)/1e6)
	step := time.Second
	entries := newSource(b.end.Add(-48*time.Hour), step)
	for {
		if err := write(dir, entries.everyday(batch), env...); err != nil {
			return err
		}
		_, used, err := measure(dir)
		if err != nil || used >= size {
			return err
		}
		if left := b.end.Sub(entries.now); left < 2*batch*step {
			return fmt.Errorf("a journal of two days holds only %d bytes", used)
		}
	}
}

// Offsets and object types: struct Header, ObjectHeader and EntryObject of
// systemd's journal-def.h; all numbers are little endian.
const (
	headerState      = 16
	headerFileID     = 24
	headerSize       = 88
	headerArena      = 96
	headerTailObject = 136
	headerTailSeqnum = 160
	headerHeadSeqnum = 168
	headerHeadTime   = 184
	headerTailTime   = 192
	headerTailMono   = 200
	headerLength     = 208

	objectSize     = 8
	entrySeqnum    = 16
	entryTime      = 24
	entryMonotonic = 32

	stateArchived = 2
	objectEntry   = 3
)

// measure counts the files of a journal and the bytes in use in them: files
// grow by 8 MB at a time.
func measure(dir string) (files int, used int64, err error) {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.journal"))
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return 0, 0, err
		}
		var head [headerLength]byte
		_, err = f.ReadAt(head[:], 0)
		f.Close()
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
		used += int64(binary.LittleEndian.Uint64(head[headerTailObject:]))
	}
	return len(paths), used, nil
}

// manyJournals is "the 4 GB / 91 files": one file of everyday entries, copied as
// if it were the days before, one numbering going through all. The copies get
// ids of their own, and the sequence numbers and times of their entries.
func (b *bench) manyJournals() (string, error) {
	if b.many != "" {
		return b.many, nil
	}
	master, dir := b.path("journal-master"), b.path("journal-many")
	// A keyed hash depends on the file's id: its copies would not be found in.
	if err := b.grow(master, b.archive, "SYSTEMD_JOURNAL_KEYED_HASH=0"); err != nil {
		return "", err
	}
	paths, _ := filepath.Glob(filepath.Join(master, "*.journal"))
	largest := slices.MaxFunc(paths, func(x, y string) int { return int(length(x) - length(y)) })
	data, err := os.ReadFile(largest)
	if err == nil {
		err = os.RemoveAll(master)
	}
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err != nil {
		return "", err
	}
	progress("copying it %d times", b.files)
	data = trim(data)
	u64, put := binary.LittleEndian.Uint64, binary.LittleEndian.PutUint64
	entries := entriesOf(data)
	span := u64(data[headerTailTime:]) - u64(data[headerHeadTime:]) + 1e6
	back := func(at, by uint64) { put(data[at:], u64(data[at:])-by) }
	shift := func(by uint64) {
		for _, at := range entries {
			back(at+entryTime, by)
			back(at+entryMonotonic, by)
		}
		for _, at := range []uint64{headerHeadTime, headerTailTime, headerTailMono} {
			back(at, by)
		}
	}
	shift(span * uint64(b.files-1))
	seqnum := uint64(1)
	for i := range b.files {
		rand.Read(data[headerFileID : headerFileID+16])
		put(data[headerHeadSeqnum:], seqnum)
		for _, at := range entries {
			put(data[at+entrySeqnum:], seqnum)
			seqnum++
		}
		put(data[headerTailSeqnum:], seqnum-1)
		name := fmt.Sprintf("system@%x-%016x-%016x.journal", data[headerFileID:headerFileID+16], u64(data[headerHeadSeqnum:]), u64(data[headerHeadTime:]))
		if data[headerState] = stateArchived; i == b.files-1 {
			name, data[headerState] = "system.journal", 0
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err
		}
		shift(-span) // wraps around: forward
	}
	b.many = dir
	return dir, nil
}

func length(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// trim cuts off what is allocated and not in use.
func trim(data []byte) []byte {
	u64 := binary.LittleEndian.Uint64
	tail := u64(data[headerTailObject:])
	end := (tail + u64(data[tail+objectSize:]) + 4095) &^ 4095
	data = data[:min(end, uint64(len(data)))]
	binary.LittleEndian.PutUint64(data[headerArena:], uint64(len(data))-u64(data[headerSize:]))
	return data
}

// entriesOf are the offsets of the entry objects, in order.
func entriesOf(data []byte) []uint64 {
	u64 := binary.LittleEndian.Uint64
	var list []uint64
	for at, last := u64(data[headerSize:]), u64(data[headerTailObject:]); at <= last; {
		if data[at] == objectEntry {
			list = append(list, at)
		}
		at += (u64(data[at+objectSize:]) + 7) &^ 7
	}
	return list
}
