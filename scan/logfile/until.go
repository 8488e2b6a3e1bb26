package logfile

import (
	"context"
	"io"
	"os"
)

// Until reads from f until ctx is done, and then fails with its error: also from a
// pipe or a terminal that has nothing to read, where the read that waits is left
// behind.
func Until(ctx context.Context, f *os.File) io.Reader {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return readFunc(func(p []byte) (int, error) {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			return f.Read(p)
		})
	}
	w := &waiting{ctx: ctx, chunks: make(chan chunk)}
	go w.fetch(f)
	return w
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
