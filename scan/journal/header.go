package journal

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// State of a journal file: STATE_* in systemd's journal-def.h.
type State uint8

const (
	Offline  State = iota // closed by its writer
	Online                // being written, or its writer died
	Archived              // rotated away: never written again
)

// FileInfo is what the header of a journal file says, without libsystemd.
type FileInfo struct {
	Path         string
	FileID       string // 32 hexadecimal digits; kept when the file is renamed at rotation
	MachineID    string
	SeqnumID     string // names the numbering that the sequence numbers belong to
	BootID       string // of the last entry if TailBoot, else of the last process that opened the file for writing
	TailBoot     bool   // JOURNAL_COMPATIBLE_TAIL_ENTRY_BOOT_ID (systemd 254): BootID belongs to TailMonotonic
	State        State
	Entries      uint64 // number of entries
	HeadSeqnum   uint64
	TailSeqnum   uint64
	HeadRealtime int64 // µs since the Unix epoch, of the first entry; 0: no entry
	TailRealtime int64 // µs since the Unix epoch, of the last entry
	TailMono     uint64
	Size         int64 // bytes of the file

	compact    bool   // HEADER_INCOMPATIBLE_COMPACT
	keyed      bool   // HEADER_INCOMPATIBLE_KEYED_HASH: see hash
	headerSize uint64 // the first object stands behind it
	tailObject uint64 // offset of the last object
	dataTable  table  // by which matches find entries
	fieldTable table
	surveyed   uint64 // see surveyFile; of an unclean file that was looked at behind its last object, its size
	passed     bool   // libsystemd could not open it
	wentBack   bool   // a clock, between two entries that were surveyed
	newBoot    string // of the first of these that is new; "": not known
	inode      uint64
	written    int64 // µs since the Unix epoch, when the file was last
}

// table is a hash table in a journal file.
type table struct{ offset, size uint64 } // of its items, in bytes

// Offsets in the header, little endian, from "The Header" of systemd's
// JOURNAL_FILE_FORMAT and struct Header of src/libsystemd/sd-journal/journal-def.h.
// The first 208 bytes have been the same since the format's first release.
const (
	atSignature    = 0   // "LPKSHHRH"
	atCompatible   = 8   // uint32
	atIncompatible = 12  // uint32
	atState        = 16  // uint8
	atFileID       = 24  // 16 bytes
	atMachineID    = 40  // 16 bytes
	atBootID       = 56  // 16 bytes, tail_entry_boot_id
	atSeqnumID     = 72  // 16 bytes
	atHeaderSize   = 88  // uint64, bytes
	atArenaSize    = 96  // uint64, bytes behind the header that are in use
	atDataTable    = 104 // uint64 offset, uint64 size
	atFieldTable   = 120 // uint64 offset, uint64 size
	atTailObject   = 136 // uint64, offset of the last object
	atEntries      = 152 // uint64
	atTailSeqnum   = 160 // uint64
	atHeadSeqnum   = 168 // uint64
	atEntryArray   = 176 // uint64, offset of the first list of all entries
	atHeadRealtime = 184 // uint64, µs
	atTailRealtime = 192 // uint64, µs
	atTailMono     = 200 // uint64, µs
	headerSize     = 208

	signature         = "LPKSHHRH"
	compatTailBoot    = 1 << 1
	incompatKeyed     = 1 << 2
	incompatCompact   = 1 << 4
	plausibleRealtime = 1 << 62 // beyond it an int64 would turn negative
)

// errDamaged is the cause of every file that is passed over for what it holds.
var errDamaged = errors.New("damaged")

// fault says what is wrong with an object or a header.
type fault string

func (f fault) Error() string { return string(f) }

// damaged is the error of a file for its cause.
func damaged(cause error) error { return fmt.Errorf("%w: %w", errDamaged, cause) }

// damagedAt is the error of a file that goes wrong at the offset.
func damagedAt(at uint64, err error) error {
	return fmt.Errorf("%w at byte %d: %w", errDamaged, at, err)
}

// errUnbegun is the cause, beside errDamaged, of a file without a header: it may be in the making.
var errUnbegun = errors.New("no header")

// parseHeader reads the first bytes of a journal file of the given size.
func parseHeader(b []byte, size int64) (FileInfo, error) {
	if len(b) < headerSize {
		return FileInfo{}, fmt.Errorf("%w: %w: %d bytes are no journal", errDamaged, errUnbegun, len(b))
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	id := func(at int) string { return hex.EncodeToString(b[at : at+16]) }
	if string(b[atSignature:atSignature+8]) != signature {
		return FileInfo{}, damaged(fault("it does not begin like a journal"))
	}
	head, arena := u64(atHeaderSize), u64(atArenaSize)
	switch {
	case b[atState] > uint8(Archived), head < headerSize, head > 1<<20,
		u64(atHeadRealtime) >= plausibleRealtime, u64(atTailRealtime) >= plausibleRealtime:
		return FileInfo{}, damaged(fault("impossible header"))
	case arena > uint64(size) || head+arena > uint64(size):
		return FileInfo{}, fmt.Errorf("%w: truncated, %d bytes of %d", errDamaged, size, head+arena)
	}
	return FileInfo{
		FileID: id(atFileID), MachineID: id(atMachineID), BootID: id(atBootID), SeqnumID: id(atSeqnumID),
		TailBoot:   binary.LittleEndian.Uint32(b[atCompatible:])&compatTailBoot != 0,
		State:      State(b[atState]),
		Entries:    u64(atEntries),
		HeadSeqnum: u64(atHeadSeqnum), TailSeqnum: u64(atTailSeqnum),
		HeadRealtime: int64(u64(atHeadRealtime)), TailRealtime: int64(u64(atTailRealtime)),
		TailMono: u64(atTailMono), Size: size, headerSize: head, tailObject: u64(atTailObject),
		dataTable: table{u64(atDataTable), u64(atDataTable + 8)}, fieldTable: table{u64(atFieldTable), u64(atFieldTable + 8)},
		compact: binary.LittleEndian.Uint32(b[atIncompatible:])&incompatCompact != 0,
		keyed:   binary.LittleEndian.Uint32(b[atIncompatible:])&incompatKeyed != 0,
	}, nil
}

// readInfo reads the header of one file: an open, a stat, a read, a close. On an
// idle pass this is all that happens, for each file, so it is done without
// os.File, which would ask the poller about each.
func readInfo(path string) (FileInfo, error) {
	info := FileInfo{Path: path}
	fd, err := openRead(path)
	if err != nil {
		return info, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	for tries := 1; ; tries++ {
		was := st.Size
		if err := syscall.Fstat(fd, &st); err != nil {
			return info, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		info.inode, info.written = st.Ino, st.Mtim.Nano()/1e3
		if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			return info, damaged(fault("not a file"))
		}
		var b [headerSize]byte
		n, err := syscall.Pread(fd, b[:], 0)
		if err != nil {
			return info, damaged(err)
		}
		parsed, err := parseHeader(b[:n], st.Size)
		if err == nil || tries > 1 && st.Size == was || tries == mostTries { // else it may have grown meanwhile
			parsed.Path, parsed.inode, parsed.written = path, info.inode, info.written
			return parsed, err
		}
	}
}

// isMoved tells whether at the path of a file there is none or another now.
func isMoved(files []FileInfo) bool {
	return slices.ContainsFunc(files, func(f FileInfo) bool {
		var st syscall.Stat_t
		return syscall.Stat(f.Path, &st) != nil || st.Ino != f.inode
	})
}

// isUnclean tells whether the file lost its writer: journald found it so and put it aside, or it
// was rotated and never archived.
func (f FileInfo) isUnclean() bool {
	return strings.HasSuffix(f.Path, "~") || f.State != Archived && strings.Contains(filepath.Base(f.Path), "@")
}

// openRead opens a file without waiting for the other end if it is a FIFO.
func openRead(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}
