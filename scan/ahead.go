package scan

import "context"

// The findings that are read and not yet handed out are bounded: by aheadBatches that wait,
// one that is being filled and one that is being handed out.
const (
	aheadFindings = 256 // in a batch
	aheadBatches  = 2
)

// ahead are the findings of a source that is read in a goroutine of its own: reading and
// matching cost more than judging, and need not wait for it. What was read is handed out,
// also where the reading was ended.
type ahead struct {
	batch []placed           // that is being handed out; empty: there is no more
	at    int                // in batch, what is next
	read  chan []placed      // closed at the end; nil: there was nothing to read
	spent chan []placed      // to be filled again
	stop  context.CancelFunc // ends the reading soon
}

// placed is a finding with the second of its line, by which sources are merged.
type placed struct {
	second int64
	Finding
}

// start begins to read: more adds to a batch what is next, one finding or several, and is
// false when that was the last.
func (a *ahead) start(more func(batch []placed) ([]placed, bool)) {
	a.read, a.spent = make(chan []placed, aheadBatches), make(chan []placed, aheadBatches+2)
	go func() {
		defer close(a.read)
		for goesOn := true; goesOn; {
			var batch []placed
			select {
			case batch = <-a.spent:
			default:
			}
			for goesOn && len(batch) < aheadFindings {
				batch, goesOn = more(batch)
			}
			a.read <- batch
		}
	}()
}

// until hands on what is of that second or before.
func (a *ahead) until(second int64, found func(Finding)) {
	for a.more() && a.batch[a.at].second <= second {
		found(a.batch[a.at].Finding)
		a.at++
	}
}

// more waits for what is next; false: that was all.
func (a *ahead) more() bool {
	if a.at < len(a.batch) {
		return true
	}
	if a.read == nil {
		return false
	}
	if a.batch != nil {
		a.spent <- a.batch[:0]
	}
	a.batch, a.at = <-a.read, 0
	return len(a.batch) > 0
}

// close ends the reading and waits for it.
func (a *ahead) close() {
	a.stop()
	if a.read != nil {
		for range a.read {
		}
	}
}
