package state

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
)

// Volatile is what a pass leaves to the next that may be lost at any time: it saves
// work. Without it, or where it tells of another ledger or kernel than there is, the
// next pass reads both. It lies under /run.
type Volatile struct {
	Kernel  json.RawMessage  `json:"kernel,omitempty"`  // what the kernel looked like after our last transaction
	Journal json.RawMessage  `json:"journal,omitempty"` // journal files that are read to their end
	Matches string           `json:"matches,omitempty"` // the journal matches that this holds for
	LastRun *LastRun         `json:"last_run,omitempty"`
	Good    int64            `json:"good,omitempty"`     // second of the last pass without an error
	Noted   map[string]int64 `json:"noted,omitempty"`    // warnings that the history has, by what they have in common, with the second of the last pass that had them
	Lists   json.RawMessage  `json:"lists,omitempty"`    // what is known of the lists that others keep
	Left    bool             `json:"left,omitempty"`     // hooks enforce the bans, and our table was taken out of the kernel, or this kernel never had bans of ours
	Stays   bool             `json:"stays,omitempty"`    // hooks enforce the bans, our table is in the kernel, and no pass since had the permission to take it out
	Settled string           `json:"settled,omitempty"`  // a mark of the bans and the configuration that the kernel was brought to
	LeftOut int              `json:"left_out,omitempty"` // bans beyond what the kernel gets
	Shrunk  int64            `json:"shrunk,omitempty"`   // what the history was shrunk to last, in bytes
	Held    int64            `json:"held,omitempty"`     // since when the kernel holds the bans without a break, as far as is known; see Judge
}

// LastRun is what the last pass was.
type LastRun struct {
	Time     int64   `json:"time"`    // seconds since the Unix epoch
	Seconds  float64 `json:"seconds"` // how long it took
	Entries  int     `json:"entries"`
	Failures int     `json:"failures"`
	Banned   int     `json:"banned"`
	Error    string  `json:"error,omitempty"`

	GaveUp map[string]string `json:"gave_up,omitempty"` // what of their lines jails did not judge for want of time, by jail

	Failed map[string]string `json:"failed,omitempty"` // of the error, what keeps single jails from their work, by jail
}

// DefaultPath is the state file of a host.
const DefaultPath = "/var/lib/scan2ban/state.json"

// VolatilePath is where the volatile part of the state at path lies:
// /run/scan2ban for the host's own, else beside it.
func VolatilePath(path string) string {
	if path == DefaultPath {
		return "/run/scan2ban/pass.json"
	}
	return path + ".run"
}

// LoadVolatile reads it; what is missing or unreadable is empty.
func LoadVolatile(path string) *Volatile {
	s, err := OpenStore(path, false)
	if err != nil {
		return &Volatile{}
	}
	defer s.Close()
	f, err := s.open(filepath.Base(path), os.O_RDONLY)
	if err != nil {
		return &Volatile{}
	}
	defer f.Close()
	v := &Volatile{}
	text, _, err := whole(f, volatileMost)
	if err != nil {
		return &Volatile{}
	}
	if rest, ok := bytes.CutPrefix(text, []byte(journalFirst)); ok {
		in := &scanner{data: rest}
		if v.Journal, err = in.raw(); err != nil {
			return &Volatile{}
		}
		in.take(',')
		text = append([]byte{'{'}, rest[in.at:]...)
	}
	if json.Unmarshal(text, v) != nil {
		return &Volatile{}
	}
	return v
}

// journalFirst is how a file begins that has the journal's part. With a line for each file
// of the journal it is most of it, and who asks for it reads it: nobody else looks inside.
const journalFirst = `{"journal":`

// text is the file. What it has of the journal was read from one, or made, as JSON.
func (v *Volatile) text() []byte {
	rest := *v
	rest.Journal = nil
	text := mustJSON(&rest)
	if v.Journal == nil {
		return text
	}
	b := append([]byte(journalFirst), v.Journal...)
	if len(text) > len("{}") {
		b = append(b, ',')
	}
	return append(b, text[1:]...)
}

// Save replaces the file. Like all that is written for the timer's user it gets
// the owner of its directory.
func (v *Volatile) Save(path string) error {
	s, err := OpenStore(path, true)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.replaceVolatile(filepath.Base(path), v.text())
}
