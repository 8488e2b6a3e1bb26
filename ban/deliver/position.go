package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"scan2ban/state"
)

// positions is deliver.json: how far each sink has come in the history.
type positions struct {
	Version int                  `json:"version"`
	Sinks   map[string]*position `json:"sinks"`
}

// position is that of one sink. A sink that is new begins at the end of the history:
// nobody is told of what was before.
type position struct {
	Seq  int64   `json:"seq"`            // every decision up to this one is delivered
	Done []int64 `json:"done,omitempty"` // of those after it, the ones that are, too

	Tries   int    `json:"tries,omitempty"`         // that have failed since the last success
	Failing int64  `json:"failing_since,omitempty"` // seconds since the Unix epoch
	Next    int64  `json:"next,omitempty"`          // no try before
	Error   string `json:"error,omitempty"`         // of the last try

	// Of mail.
	Last   int64             `json:"last,omitempty"`   // when the last digest was made, or would have been
	Upto   int64             `json:"upto,omitempty"`   // the last decision in a mail that failed: the next try sends the same
	Made   int64             `json:"made,omitempty"`   // when that mail was made
	Sent   []int64           `json:"sent,omitempty"`   // when the mails of the last hour were
	Told   bool              `json:"told,omitempty"`   // that there are too many
	Health map[string]string `json:"health,omitempty"` // of the jails as of the last digest

	Boot string `json:"boot,omitempty"` // in which the bans in force were sent; of hooks that enforce

	name string // of the sink
}

// copy shares nothing with p.
func (p *position) copy() *position {
	c := *p
	c.Done, c.Sent, c.Health = slices.Clone(p.Done), slices.Clone(p.Sent), maps.Clone(p.Health)
	return &c
}

const fileName = "deliver"

// load reads the positions. A file that cannot be understood is begun anew: what was
// pending is not told, rather than everything again.
func load(s *state.Store) (p *positions, damaged error, err error) {
	text, err := s.Beside(fileName)
	if errors.Is(err, fs.ErrNotExist) {
		return newPositions(), nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	return decode(text)
}

func newPositions() *positions { return &positions{Version: 1, Sinks: map[string]*position{}} }

// decode is load of that text.
func decode(text []byte) (p *positions, damaged error, err error) {
	p = newPositions()
	var read positions
	err = json.Unmarshal(text, &read)
	if err == nil && read.Version > 1 {
		return nil, nil, errors.New("deliver.json is of a newer version of scan2ban: nothing is delivered (upgrade scan2ban, or move the file away to begin at the end of the history)")
	}
	if err != nil || read.Sinks == nil {
		return p, fmt.Errorf("deliver.json is damaged; deliveries begin anew with what is decided from now on: %w", err), nil
	}
	for name, sink := range read.Sinks {
		if sink != nil {
			p.Sinks[name] = sink
		}
	}
	return p, nil, nil
}

func (p *positions) save(s *state.Store) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.PutBeside(fileName, append(text, '\n'))
}

// The pauses after a try that failed: a minute, doubled each time, at most an hour.
const (
	firstPause  = 60
	longestWait = 3600
)

// failed notes a try at now that failed.
func (p *position) failed(now int64, err error) {
	if p.Failing == 0 {
		p.Failing = now
	}
	p.Tries++
	p.Error = err.Error()
	p.Next = now + min(int64(firstPause)<<min(p.Tries-1, 10), longestWait)
}

// went notes a try that went well.
func (p *position) went() { p.Tries, p.Failing, p.Next, p.Error = 0, 0, 0, "" }

// hopeless tells whether what fails has been tried often and long enough.
func (p *position) hopeless(now int64, tries int, age time.Duration) bool {
	return p.Tries >= tries || p.Failing != 0 && now-p.Failing >= int64(age/time.Second)
}

// DuePath is the file that a pass writes when something is due; its change starts the
// deliveries. It lies with what may be lost.
func DuePath(statePath string) string {
	return filepath.Join(filepath.Dir(state.VolatilePath(statePath)), fileName+".due")
}
