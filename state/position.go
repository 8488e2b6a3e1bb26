package state

// LogPosition is how far the log files have been judged.
type LogPosition struct {
	Files []FilePosition `json:"files"`
	Time  int64          `json:"time"` // the latest line of any of them, in microseconds since the Unix epoch
}

// FilePosition is the place in one log file before which everything has been
// judged. A file is known by what it is, not by its name: it keeps its position
// when it is renamed, and loses it when its content is no longer what it was.
type FilePosition struct {
	Path   string `json:"path"` // where it was seen last, symbolic links resolved
	Log    string `json:"log"`  // the name of the log that it belongs to, one that a glob led to
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Owner  uint32 `json:"owner,omitempty"` // whose a link was that led to it, and so the file must be; 0: none that matters, see package scan/logfile
	Born   int64  `json:"born,omitempty"`  // when the file was made, in nanoseconds since the Unix epoch; 0: the file system does not tell
	Offset int64  `json:"offset"`          // of the first line not judged yet
	// Current says that it was what the log's name led to, not a rotated file.
	Current bool `json:"current,omitempty"`

	// Print is a hash of the first Bytes bytes (at most 256) and of as many before
	// Offset: a file that was truncated and has grown again has another.
	Print   string `json:"fingerprint"`
	Bytes   int    `json:"bytes"`
	Printed int64  `json:"printed,omitempty"` // an earlier offset that Print is of, plus 1: the file was truncated while it was read; 0: Offset

	Size    int64  `json:"size"`             // when it was read
	Changed int64  `json:"changed"`          // its modification time then, in nanoseconds since the Unix epoch
	Time    int64  `json:"time"`             // of the line before Offset, in microseconds since the Unix epoch; 0: unknown
	Inside  bool   `json:"inside,omitempty"` // Offset lies inside a line that is too long to be judged
	Told    string `json:"told,omitempty"`   // what an admin has been told of the file

	// Of a container's log, where lines come in parts: where the line of that stream
	// begins that goes on at Offset, plus 1. 0: none does; below: its beginning is not known, see
	// package scan/logfile.
	Stdout int64 `json:"stdout,omitempty"`
	Stderr int64 `json:"stderr,omitempty"`
}

// PrintedAt is the offset that Print is of.
func (p *FilePosition) PrintedAt() int64 {
	if p.Printed > 0 {
		return p.Printed - 1
	}
	return p.Offset
}
