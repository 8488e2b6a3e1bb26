//go:build cgo

package journal

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/coreos/go-systemd/v22/sdjournal"
)

const builtWithLibrary = true

// library reads through libsystemd.
type library struct {
	j      *sdjournal.Journal
	at     int64    // µs of the current entry
	last   bool     // query.last
	boot   lastBoot // of the entry that was asked for it last
	alike  bool     // boots may have begun at the same time by the clock
	files  []FileInfo
	broken unreadable // fields
}

// openLibrary opens the files together. sd_journal_open_files(3) fails as a
// whole on one bad file, so on failure each is tried by itself.
func openLibrary(q query) (reader, []badFile, error) {
	paths := make([]string, len(q.files))
	for i, f := range q.files {
		paths[i] = f.Path
	}
	j, err := sdjournal.NewJournalFromFiles(paths...)
	if err != nil && !isErrno(err) {
		return nil, nil, fmt.Errorf("%w: %w", errNoLibrary, err)
	}
	var bad []badFile
	if err != nil {
		var good []string
		for _, f := range q.files {
			one, err := sdjournal.NewJournalFromFiles(f.Path)
			if isShortage(err) {
				return nil, nil, cause(err)
			}
			if err != nil {
				bad = append(bad, badFile{f, cause(err)})
				continue
			}
			one.Close()
			good = append(good, f.Path)
		}
		if len(good) == 0 {
			return empty{}, bad, nil
		}
		if j, err = sdjournal.NewJournalFromFiles(good...); err != nil {
			return nil, bad, err
		}
	}
	l := &library{j: j, last: q.last, files: q.files, alike: bootsAlike(q.files)}
	if err := l.begin(q); err != nil {
		j.Close()
		return nil, bad, err
	}
	return l, bad, nil
}

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// isShortage tells of a failure that is not the file's fault: to pass over the
// file for it would lose what it holds.
func isShortage(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EINTR} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// cause is the bare errno, without the list of paths that sdjournal adds.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fmt.Errorf("libsystemd cannot read it: %w", errno)
	}
	return err
}

// begin sets matches, threshold and place.
func (l *library) begin(q query) error {
	for i, term := range q.terms {
		if i > 0 {
			if err := l.j.AddDisjunction(); err != nil {
				return err
			}
		}
		for _, expr := range term {
			if err := l.j.AddMatch(expr); err != nil {
				return err
			}
		}
	}
	// The default of 64 KiB cuts compressed values without a word.
	if err := l.j.SetDataThreshold(maxValue); err != nil {
		return err
	}
	switch {
	case q.last:
		return l.j.SeekTail()
	case q.seek != "":
		return l.j.SeekCursor(q.seek)
	}
	return l.j.SeekHead()
}

func (l *library) next() (bool, error) {
	step := l.j.Next
	if l.last {
		step = l.j.Previous
	}
	n, err := step()
	if err != nil || n == 0 {
		return false, err
	}
	µs, err := l.j.GetRealtimeUsec()
	l.at = int64(µs)
	return true, err
}

func (l *library) time() int64 { return l.at }

func (l *library) message() []byte {
	value, _ := l.field("MESSAGE")
	return value
}

func (l *library) field(name string) ([]byte, bool) {
	if name == "_BOOT_ID" {
		return l.bootID()
	}
	return l.data(name)
}

// lastBoot is what is known of the boot that wrote an entry. Asking libsystemd for
// _BOOT_ID costs a tenth of a catch-up, for the monotonic time much less.
type lastBoot struct {
	id        []byte
	monotonic int64 // µs, of the entry seen last
	offset    int64 // µs, realtime - monotonic
}

// bootsAlike tells whether the real clock has gone back between two of the files, as where each
// boot begins at the same time for want of a clock: they are of different boots and times that
// overlap, though by the numbers one was written after the other. Within a file it never does.
func bootsAlike(files []FileInfo) bool {
	for i, a := range files {
		for _, b := range files[:i] {
			if a.BootID != b.BootID && a.HeadRealtime <= b.TailRealtime && b.HeadRealtime <= a.TailRealtime &&
				(a.SeqnumID != b.SeqnumID || a.HeadSeqnum > b.TailSeqnum || b.HeadSeqnum > a.TailSeqnum) {
				return true
			}
		}
	}
	return false
}

// bootID gives _BOOT_ID. The last one holds on while the monotonic clock goes on
// beside the real one: another boot begins at another offset, unless there is no clock.
func (l *library) bootID() ([]byte, bool) {
	if l.alike {
		return l.data("_BOOT_ID")
	}
	µs, err := l.j.GetMonotonicUsec()
	now := lastBoot{monotonic: int64(µs), offset: l.at - int64(µs)}
	const still = 100_000 // µs
	if drift := now.offset - l.boot.offset; err == nil && l.boot.id != nil && now.monotonic >= l.boot.monotonic && -still < drift && drift < still {
		l.boot.monotonic = now.monotonic
		return l.boot.id, true
	}
	id, ok := l.data("_BOOT_ID")
	if l.boot = (lastBoot{}); ok && err == nil {
		now.id = id
		l.boot = now
	}
	return id, ok
}

// data asks libsystemd for a field.
func (l *library) data(name string) ([]byte, bool) {
	data, err := l.j.GetDataBytes(name) // NAME=value
	if err != nil {
		if !errors.Is(err, syscall.ENOENT) {
			here := ""
			if l.broken.n == 0 {
				here, _ = l.j.GetCursor()
			}
			l.broken.add(l.files, here, err)
		}
		return nil, false
	}
	if len(data) <= len(name) {
		return nil, false
	}
	data = data[len(name)+1:]
	return data[:min(len(data), maxValue)], true
}

func (l *library) cursor() (string, error) { return l.j.GetCursor() }

func (l *library) previousCursor() (string, error) {
	switch n, err := l.j.Previous(); {
	case err != nil:
		return "", fmt.Errorf("go back to the entry before this one: %w", err)
	case n == 0:
		return "", errNoneBefore
	}
	text, err := l.j.GetCursor()
	if err != nil {
		return "", err
	}
	_, err = l.j.Next()
	return text, err
}

func (l *library) warnings() []string { return l.broken.warnings("fields") }

func (l *library) close() error { return l.j.Close() }
