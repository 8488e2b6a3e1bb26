package report

import (
	"errors"
	"io"
	"os"
)

// Output is a file that remembers whether it took all that was written: what a command prints
// is fed on, and must not be cut without a word.
type Output struct {
	f   *os.File
	err error
}

// NewOutput is one that leads into f.
func NewOutput(f *os.File) *Output { return &Output{f: f} }

// Write writes nothing more after an error, and gives that again.
func (o *Output) Write(p []byte) (n int, err error) {
	if o.err == nil {
		n, o.err = o.f.Write(p)
	}
	return n, o.err
}

// Check adds to the error of a command that it could not print, unless that tells so.
func (o *Output) Check(err error) error {
	if o.err == nil || errors.Is(err, o.err) {
		return err
	}
	return errors.Join(err, o.err)
}

// file is that which w leads into.
func file(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*Output); ok {
		return o.f, true
	}
	f, ok := w.(*os.File)
	return f, ok
}
