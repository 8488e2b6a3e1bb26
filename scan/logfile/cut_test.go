package logfile

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

// FuzzCutter cuts text that comes in pieces, and compares with bytes.Split.
func FuzzCutter(f *testing.F) {
	for _, text := range []string{"a\nb\n", "a\r\n\r\nb", "\x00\x00a\n\x00", "\n", "", "\r", "a\x00b\n\x00\x00\nc"} {
		f.Add([]byte(text), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, until int) {
		until = max(0, min(until, len(text)))
		var got, want []string
		c := &cutter{}
		for _, end := range []int{until, len(text)} { // two passes: what has no end waits
			c = &cutter{src: iotest.OneByteReader(bytes.NewReader(text[c.offset:end])), offset: c.offset, inside: c.inside, final: end == len(text)}
			for {
				line, long, ok, err := c.next()
				if err != nil || long {
					t.Fatal(err, long)
				}
				if !ok {
					break
				}
				got = append(got, string(line))
			}
		}
		for _, line := range bytes.SplitAfter(text, []byte{'\n'}) {
			line = bytes.TrimLeft(line, "\x00")
			if len(line) > 0 {
				want = append(want, string(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})))
			}
		}
		if !slices.Equal(got, want) || c.offset != int64(len(text)) {
			t.Fatalf("%q cut at %d: %q, want %q; ended at %d", text, until, got, want, c.offset)
		}
	})
}

// A line without an end costs no more memory than the longest that is looked at.
func TestMemoryIsBounded(t *testing.T) {
	c := &cutter{src: io.LimitReader(endless{}, 100*MaxLine)}
	for n := 0; ; n++ {
		line, long, ok, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if n != 1 {
				t.Errorf("%d lines", n)
			}
			break
		}
		if !long || len(line) != MaxLine {
			t.Errorf("%d bytes, long %v", len(line), long)
		}
	}
	if len(c.buf) > MaxLine || c.offset != 100*MaxLine {
		t.Error(fmt.Sprint(len(c.buf), c.offset))
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
