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

	trying

	// Of mail.
	Last   int64             `json:"last,omitempty"`   // when the last digest was made, or would have been
	Upto   int64             `json:"upto,omitempty"`   // the last decision in a mail that failed: the next try sends the same
	Made   int64             `json:"made,omitempty"`   // when that mail was made
	Sent   []int64           `json:"sent,omitempty"`   // when the mails of the last hour were
	Told   bool              `json:"told,omitempty"`   // that there are too many
	Health map[string]string `json:"health,omitempty"` // of the jails as of the last digest

	Kept *kept  `json:"kept,omitempty"` // of hooks that enforce bans
	Boot string `json:"boot,omitempty"` // before there was Kept: in which all bans in force were sent

	name string // of the sink
}

// trying is how often and since when a thing has failed.
type trying struct {
	Tries   int    `json:"tries,omitempty"`         // that have failed since the last success
	Failing int64  `json:"failing_since,omitempty"` // seconds since the Unix epoch
	Next    int64  `json:"next,omitempty"`          // no try before
	Error   string `json:"error,omitempty"`         // of the last try
}

// copy shares nothing with p.
func (p *position) copy() *position {
	if p == nil {
		return nil
	}
	c := *p
	c.Done, c.Sent, c.Health, c.Kept = slices.Clone(p.Done), slices.Clone(p.Sent), maps.Clone(p.Health), p.Kept.copy()
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
	if err == nil && read.Sinks == nil {
		err = errors.New("it has no sinks")
	}
	if err != nil {
		return p, fmt.Errorf("deliver.json is damaged; deliveries begin anew with what is decided from now on: %w", err), nil
	}
	for name, sink := range read.Sinks {
		if sink != nil {
			p.Sinks[name] = sink
		}
	}
	return p, nil, nil
}

// of is the position of a sink; nil: it has none yet.
func (p *positions) of(s sink) *position {
	at := p.Sinks[s.name()]
	if h, ok := s.(*hookSink); ok && at == nil {
		at = p.Sinks[h.was]
	}
	return at
}

// left is how far those have come that enforced bans and are no longer among the sinks, at
// most seq: what ends later, they may still hold.
func (p *positions) left(sinks []sink, seq int64) int64 {
	for name, at := range p.Sinks {
		if (at.Kept != nil || at.Boot != "") && !slices.ContainsFunc(sinks, func(s sink) bool { return s.name() == name || p.of(s) == at }) {
			seq = min(seq, at.Seq)
		}
	}
	return seq
}

// fails is what does, of a position that may be none; nil: nothing.
func (p *position) fails() *trying {
	switch {
	case p == nil:
	case p.Failing > 0:
		return &p.trying
	case p.Kept != nil && p.Kept.Failing > 0:
		return &p.Kept.trying
	}
	return nil
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
func (t *trying) failed(now int64, err error) {
	if t.Failing == 0 || t.Failing > now { // the clock was ahead
		t.Failing = now
	}
	t.Tries = min(max(t.Tries, 0), 1<<20) + 1 // whoever wrote the file
	t.Error = err.Error()
	t.Next = now + min(int64(firstPause)<<min(t.Tries-1, 10), longestWait)
}

// went notes a try that went well.
func (t *trying) went() { *t = trying{} }

// ready tells whether the pause after a try that failed is over at now; one that would
// be longer than any was noted by a clock that was ahead.
func (t *trying) ready(now int64) bool { return now >= t.Next || t.Next > now+longestWait }

// hopeless tells whether what fails has been tried often enough, or for long enough: after
// half of the tries, for a clock that was set is no proof.
func (t *trying) hopeless(now int64, tries int, age time.Duration) bool {
	return t.Tries >= tries || t.Tries >= tries/2 && now-t.Failing >= int64(age/time.Second)
}

// DuePath is the file that a pass writes when something is due; its change starts the
// deliveries. It lies with what may be lost.
func DuePath(statePath string) string {
	return filepath.Join(filepath.Dir(state.VolatilePath(statePath)), fileName+".due")
}
