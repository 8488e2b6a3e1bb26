package logfile

import (
	"bytes"
	"io"
)

// Buffers, in bytes.
const (
	firstBuffer = 128 << 10 // before a line is longer
	minBuffer   = 4 << 10   // of one file of many
	allBuffers  = 16 << 20  // of all files together, but for lines that are longer
)

// cutter cuts what it reads into lines. Its memory is bounded by MaxLine.
type cutter struct {
	src        io.Reader
	buf        []byte
	start, end int   // what is read and not cut
	offset     int64 // in the file, of buf[start]
	inside     bool  // of a line that was too long
	final      bool  // the last line may do without an end
	ended      bool  // there is no more to read now
	most       int   // bytes that are read in one go; 0: as many as there is room for

	// grow gives a larger buffer, of at least n bytes; nil: a new one is made.
	grow func(n int) []byte

	// hole tells where data begins at or after an offset at which the file holds NULs;
	// nil: not known.
	hole func(offset int64) (int64, bool)
}

// next gives the next line without its end. A line of MaxLine bytes or more is
// given once, its beginning, as long.
//
// NULs before a line are not of it: a file that was truncated while a daemon
// wrote to it without O_APPEND begins with as many as it had bytes.
func (c *cutter) next() (line []byte, long, ok bool, err error) {
	searched := 0 // bytes of the line that hold no end
	for {
		data := c.buf[c.start:c.end]
		switch {
		case c.inside:
			i := bytes.IndexByte(data, '\n')
			if i >= 0 {
				c.skip(i + 1)
				c.inside = false
				continue
			}
			c.skip(len(data))
			if len(data) >= minBuffer && data[len(data)-1] == 0 {
				c.jump()
			}
		case len(data) > 0 && data[0] == 0:
			c.skip(len(data) - len(bytes.TrimLeft(data, "\x00")))
			searched = 0
			if c.start == c.end && len(data) >= minBuffer {
				c.jump()
			}
			continue
		default:
			if i := bytes.IndexByte(data[searched:], '\n'); i >= 0 {
				line = data[:searched+i]
				c.skip(searched + i + 1)
				return bytes.TrimSuffix(line, []byte{'\r'}), false, true, nil
			}
			searched = len(data)
			if searched >= MaxLine {
				c.skip(searched)
				c.inside = true
				return data[:MaxLine], true, true, nil
			}
		}
		if c.ended {
			if c.final && !c.inside && len(data) > 0 {
				c.skip(len(data))
				return bytes.TrimSuffix(data, []byte{'\r'}), false, true, nil
			}
			return nil, false, false, nil
		}
		if err := c.fill(); err != nil {
			return nil, false, false, err
		}
	}
}

func (c *cutter) skip(n int) {
	c.start += n
	c.offset += int64(n)
}

// fill reads more behind what is there.
func (c *cutter) fill() error {
	if c.start > 0 {
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
	}
	if c.end == len(c.buf) {
		n := min(max(2*len(c.buf), firstBuffer), MaxLine)
		var grown []byte
		if c.grow != nil {
			grown = c.grow(n)
		} else {
			grown = make([]byte, n)
		}
		copy(grown, c.buf[:c.end])
		c.buf = grown
	}
	free := c.buf[c.end:]
	if c.most > 0 {
		free = free[:min(len(free), c.most)]
	}
	n, err := c.src.Read(free)
	c.end += n
	if err == io.EOF {
		c.ended, err = true, nil
	}
	return err
}

// jump goes on behind a hole.
func (c *cutter) jump() {
	if c.hole == nil {
		return
	}
	if at, ok := c.hole(c.offset); ok && at > c.offset {
		c.offset = at
	}
}
