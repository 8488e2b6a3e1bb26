package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// exportParser reads the Journal Export Format
// (https://systemd.io/JOURNAL_EXPORT_FORMATS): an entry is a run of fields and
// ends with an empty line; a field is "NAME=value\n", or, for a value that is
// not plain text, "NAME\n", its length as a little endian uint64, the value and
// "\n".
type exportParser struct {
	r      *bufio.Reader
	names  map[string]int      // of wanted fields: index in values
	values [][]byte            // of the current entry; nil: not there
	order  []string            // of the entries of values
	long   []byte              // for names and text lines longer than the buffer
	cut    func(cursor []byte) // called for an entry that ended without an empty line
}

// The address fields of an entry, always sent.
const (
	exportCursor   = "__CURSOR"
	exportRealtime = "__REALTIME_TIMESTAMP"
)

// maxName bounds a field's name; journald allows 64 bytes.
const maxName = 4096

func newExportParser(r io.Reader, fields []string) *exportParser {
	p := &exportParser{r: bufio.NewReaderSize(r, 64<<10), names: map[string]int{}}
	for _, name := range append([]string{exportCursor, exportRealtime, "MESSAGE"}, fields...) {
		if _, ok := p.names[name]; !ok {
			p.names[name] = len(p.order)
			p.order = append(p.order, name)
		}
	}
	p.values = make([][]byte, len(p.order))
	return p
}

// next reads an entry. An entry begins with its cursor, so what comes before another one is cut
// short and dropped. io.EOF at a clean end, io.ErrUnexpectedEOF for an entry
// cut short, another error for what is no export format.
func (p *exportParser) next() error {
	clear(p.values)
	began := false
	for {
		line, err := p.line()
		if err == io.EOF {
			if began || len(line) > 0 {
				return io.ErrUnexpectedEOF
			}
			return io.EOF
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			if began {
				return nil
			}
			continue // empty lines before an entry
		}
		began = true
		name, value, text := bytes.Cut(line, []byte{'='})
		if len(name) > maxName {
			return errors.New("export format: a field name of more than 4096 bytes")
		}
		i, wanted := p.names[string(name)]
		if wanted && p.order[i] == exportCursor && p.values[i] != nil { // journalctl left the one before at a field that it could not read
			if p.cut != nil {
				p.cut(p.values[i])
			}
			clear(p.values)
		}
		wanted = wanted && p.values[i] == nil // the first of several
		switch {
		case text && wanted:
			p.values[i] = append([]byte{}, value...)
		case !text:
			value, err := p.binary(wanted)
			if err != nil {
				return err
			}
			if wanted {
				p.values[i] = value
			}
		}
	}
}

// line reads up to a line feed, which it takes off. What is longer than
// maxValue is cut. The line is valid until the next read. At the end it gives
// what is left with io.EOF.
func (p *exportParser) line() ([]byte, error) {
	line, err := p.r.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	p.long = append(p.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = p.r.ReadSlice('\n')
		p.long = append(p.long, line[:min(len(line), max(0, maxValue-len(p.long)))]...)
	}
	if err != nil {
		return p.long, err
	}
	return bytes.TrimSuffix(p.long, []byte{'\n'}), nil
}

// binary reads the length, the value and its line feed. A length is only
// believed as far as bytes follow.
func (p *exportParser) binary(wanted bool) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	size := binary.LittleEndian.Uint64(head[:])
	if size > 1<<40 {
		return nil, fmt.Errorf("export format: a value of %d bytes", size)
	}
	value, keep := []byte{}, int64(0)
	if wanted {
		keep = min(int64(size), maxValue)
		if keep <= int64(p.r.Size()) {
			value = make([]byte, keep)
			if _, err := io.ReadFull(p.r, value); err != nil {
				return nil, io.ErrUnexpectedEOF
			}
		} else {
			var b bytes.Buffer
			if _, err := io.CopyN(&b, p.r, keep); err != nil {
				return nil, io.ErrUnexpectedEOF
			}
			value = b.Bytes()
		}
	}
	if _, err := io.CopyN(io.Discard, p.r, int64(size)-keep); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	end, err := p.r.ReadByte()
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if end != '\n' {
		return nil, errors.New("export format: a binary value does not end where it said")
	}
	return value, nil
}

// value is that of a wanted field of the current entry.
func (p *exportParser) value(name string) ([]byte, bool) {
	i, ok := p.names[name]
	if !ok || p.values[i] == nil {
		return nil, false
	}
	return p.values[i], true
}

// realtime of the current entry in µs.
func (p *exportParser) realtime() (int64, error) {
	text, _ := p.value(exportRealtime)
	µs, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || µs < 0 {
		return 0, fmt.Errorf("export format: an entry with the time %.40q", text)
	}
	return µs, nil
}
