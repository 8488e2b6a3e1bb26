package logfile

import (
	"bytes"
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Until reads from f until ctx is done, and then fails with its error: also from a
// pipe or a terminal that has nothing to read, where the read that waits is left
// behind. Of a hole in a file no more is read than makes a line too long.
func Until(ctx context.Context, f *os.File) io.Reader {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		nuls := 0 // read last, without another byte behind them
		return readFunc(func(p []byte) (int, error) {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			if nuls >= MaxLine {
				nuls = 0
				skipHole(f)
			}
			n, err := f.Read(p)
			if rest := len(bytes.TrimRight(p[:n], "\x00")); rest > 0 {
				nuls = n - rest
			} else {
				nuls += n
			}
			return n, err
		})
	}
	w := &waiting{ctx: ctx, chunks: make(chan chunk)}
	go w.fetch(f)
	return w
}

// skipHole goes to where data begins, at the offset of the file or behind it.
func skipHole(f *os.File) {
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return
	}
	if _, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA); err == unix.ENXIO { // nothing but the hole
		_, _ = f.Seek(0, io.SeekEnd)
	}
}

type readFunc func([]byte) (int, error)

func (r readFunc) Read(p []byte) (int, error) { return r(p) }

// waiting is what another goroutine has read.
type waiting struct {
	ctx    context.Context
	chunks chan chunk
	chunk
}

type chunk struct {
	data []byte
	err  error
}

func (w *waiting) fetch(f *os.File) {
	for {
		buf := make([]byte, firstBuffer)
		n, err := f.Read(buf)
		select {
		case w.chunks <- chunk{buf[:n], err}:
		case <-w.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (w *waiting) Read(p []byte) (int, error) {
	if len(w.data) == 0 && w.err == nil {
		select {
		case w.chunk = <-w.chunks:
		case <-w.ctx.Done():
			w.err = w.ctx.Err()
		}
	}
	n := copy(p, w.data)
	if w.data = w.data[n:]; n > 0 || len(w.data) > 0 {
		return n, nil
	}
	return 0, w.err
}
