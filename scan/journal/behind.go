package journal

import (
	"encoding/binary"
	"os"
	"syscall"
)

// mostBehind bounds, in bytes, where behind looks, for a file may be sparse: journald makes no
// larger files (SystemMaxFileSize=).
const mostBehind = 128 << 20

// behind looks for what is refused, and for entries, from the offset on, where the walk has lost
// its way: lists may lead there.
func (s *survey) behind(at uint64) error {
	s.lost = at
	for end := min(s.info.tailObject, at+mostBehind); at <= end; at += 8 {
		b, err := s.bytes(at, objectHead)
		if err != nil {
			return nil
		}
		packed := b[0] == objectData && b[1] != 0
		if packed || [8]byte(b) == [8]byte{objectEntry} {
			if _, err := s.object(at); isRefused(err) {
				return err
			}
			if s.broken > 0 {
				s.spoiled, s.broken = append(s.spoiled, s.broken), 0
			}
		}
	}
	return nil
}

// isOutgrown tells whether objects stand at the offset, behind the last one of the header, that it has
// not come to: its writer names each before it makes the next one.
func (s *survey) isOutgrown(at uint64) bool {
	for range 2 {
		b, err := s.bytes(at, objectHead)
		if err != nil || b[0] == 0 || b[0] > objectTag {
			return false
		}
		size := binary.LittleEndian.Uint64(b[8:])
		if size < objectHead { // it is being made
			return false
		}
		at += (size + 7) &^ 7
	}
	now, err := readInfo(s.info.Path)
	return err == nil && now.inode == s.info.inode && now.tailObject == s.info.tailObject
}

// uncounted is the offset of an object behind the last one that the header names: the header is
// older than the rest, which libsystemd does not read. There may be a hole between them. 0: there is none.
func uncounted(f FileInfo) uint64 {
	file, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer file.Close()
	s := &survey{file: file, info: &f}
	size := func(at uint64) (size uint64, ok bool) {
		b, err := s.bytes(at, objectHead)
		if err != nil {
			return 0, false
		}
		size = binary.LittleEndian.Uint64(b[8:])
		if b[0] == 0 || b[0] > objectTag || [6]byte(b[2:]) != [6]byte{} || size <= objectHead || size >= uint64(f.Size) {
			size = 0
		}
		return size, true
	}
	last, ok := size(f.tailObject)
	at := f.tailObject + max(8, (last+7)&^7)
	for end := at + mostBehind; ok && at < end; at += 8 {
		if last, ok = size(at); last > 0 {
			return at
		}
	}
	return 0
}
