package scan

import (
	"bytes"
	"maps"
	"slices"

	"scan2ban/scan/container"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
)

// Lines of containers in the journal. An entry of Docker's journald driver, or of
// podman's conmon, is what the container wrote: its message is a line as of a log file,
// and what its fields say of the process is said of the engine. A long line comes in
// several entries.

// Fields that the engines set, as Docker's manual lists them. (Facts are only those
// that the terms ask for.)
const (
	fieldContainer = "CONTAINER_ID_FULL"
	fieldPriority  = "PRIORITY"                  // 3: stderr, 6: stdout
	fieldPartial   = "CONTAINER_PARTIAL_MESSAGE" // "true": the line goes on
	fieldOrdinal   = "CONTAINER_PARTIAL_ORDINAL" // the number of the part, from 1; newer Dockers only
)

var containerFields = []string{fieldContainer, fieldPriority, fieldPartial, fieldOrdinal}

// Streams are those of containers that stand inside a line, which goes on in a later
// entry.
type Streams map[string]*container.Stream

// Resume gives the streams of a journal that is read from where these stood inside a
// line.
func Resume(open []string) Streams {
	streams := Streams{}
	for _, key := range open {
		streams[key] = &container.Stream{}
		streams[key].Lose()
	}
	return streams
}

// Open are those that stand inside a line, for Resume.
func (streams Streams) Open() []string { return slices.Sorted(maps.Keys(streams)) }

// line is the container's line that ends with the entry, as one of a log file; whole is
// false where none does.
func (streams Streams) line(entries Entries) (l logfile.Line, whole bool) {
	last, number := text(entries, fieldPartial) != "true", text(entries, fieldOrdinal)
	l = logfile.Line{Text: entries.Message(), Inner: true, Path: text(entries, fieldContainer)}
	if text(entries, fieldPriority) == "3" { // LOG_ERR: so both engines send what came from stderr
		l.Stream = 1
	}
	long := len(l.Text) > journal.MaxMessage
	whole = true
	if len(streams) > 0 || !last || number != "" {
		whole = streams.add(&l, l.Path+"/"+text(entries, fieldPriority), last, number)
	}
	l.Long = l.Long || long
	l.Text = bytes.TrimSuffix(bytes.TrimSuffix(l.Text, []byte{'\n'}), []byte{'\r'}) // conmon keeps the end
	return l, whole && len(l.Text) > 0
}

// add makes the part that l is the line that it ends, where it does.
func (streams Streams) add(l *logfile.Line, key string, last bool, number string) (whole bool) {
	s := streams[key]
	if s == nil {
		s = &container.Stream{}
	}
	if number == "1" {
		s.Reset()
	} else if number != "" && !s.Open() {
		s.Lose()
	}
	l.Text, l.Long, whole = s.Add(l.Text, last)
	if s.Open() {
		streams[key] = s
	} else {
		delete(streams, key)
	}
	return whole
}
