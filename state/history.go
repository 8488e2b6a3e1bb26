package state

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Prior knows when each key was banned before, from the history.
type Prior struct {
	first map[Key]priorBan // of most keys there is one
	more  map[Key][]priorBan
}

type priorBan struct {
	jail  string
	since int64
}

// priorKey names one key of one jail.
type priorKey struct {
	jail string
	key  Key
}

// Count gives how many bans of key began in (from, to), in the jail or in all.
func (p *Prior) Count(jail string, key Key, from, to int64, acrossJails bool) (n int) {
	count := func(b priorBan) {
		if (acrossJails || b.jail == jail) && b.since > from && b.since < to {
			n++
		}
	}
	if b, ok := p.first[key]; ok {
		count(b)
		for _, b := range p.more[key] {
			count(b)
		}
	}
	return n
}

// Add notes that a ban of key began at t.
func (p *Prior) Add(jail string, key Key, t int64) {
	b := priorBan{jail, t}
	if first, ok := p.first[key]; !ok {
		p.first[key] = b
	} else if first != b && !slices.Contains(p.more[key], b) {
		p.more[key] = append(p.more[key], b)
	}
}

// readHistory calls each with the decisions of a history in their order and the
// offset at which their line ends. Lines that cannot be read, and those that are not
// what was decided, as their ID tells, are passed over and counted; a last line without
// its line feed is none yet.
func readHistory(r io.Reader, each func(d Decision, end int64)) (damaged int, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var line []byte
	for end := int64(0); ; {
		line = line[:0]
		part, err := in.ReadSlice('\n')
		for ; ; part, err = in.ReadSlice('\n') {
			end += int64(len(part))
			line = append(line, part[:min(len(part), lineMost-len(line))]...)
			if err != bufio.ErrBufferFull {
				break
			}
		}
		if err == io.EOF {
			return damaged, nil
		}
		if err != nil {
			return damaged, err
		}
		var d Decision
		if json.Unmarshal(line, &d) != nil || d.Seq == 0 || d.ID != d.hash() || !d.names() {
			damaged++
			continue
		}
		each(d, end)
	}
}

// History calls each with the decisions that the state vouches for; all that
// can be read where vouch is nil. A missing file holds none.
func (s *Store) History(vouch *Vouch, each func(d Decision, end int64)) error {
	f, err := s.open(s.history, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	defer f.Close()
	s.Damaged, err = readHistory(written(f), func(d Decision, end int64) {
		if vouch == nil || d.Seq <= vouch.Seq {
			each(d, end)
		}
	})
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	return nil
}

// written is what stands in a file before its first hole.
func written(f *os.File) io.Reader {
	end, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_HOLE)
	if err != nil { // an empty file, or a file system that knows of no holes
		end = math.MaxInt64
	}
	return io.NewSectionReader(f, 0, end)
}

// Prior reads the earlier bans that the state vouches for. It is a function so
// that only a judging that bans somebody reads the history.
func (s *Store) Prior(vouch Vouch) func() (*Prior, error) {
	var known *Prior
	return func() (*Prior, error) {
		if known != nil {
			return known, nil
		}
		p, names := NewPrior(), map[string]string{}
		jail := func(name string) string { // one text for each, not one for each line
			if names[name] == "" {
				names[name] = name
			}
			return names[name]
		}
		err := s.History(&vouch, func(d Decision, _ int64) {
			if d.Verb == Banned && d.Key != nil && !d.ByHand && d.Rule != adopted {
				p.Add(jail(d.Jail), *d.Key, d.Since)
			}
		})
		if err == nil {
			known = p
		}
		return p, err
	}
}

// NewPrior knows of no ban.
func NewPrior() *Prior { return &Prior{first: map[Key]priorBan{}, more: map[Key][]priorBan{}} }

// vouched gives the length of the history that the state vouches for. That is
// Vouch.Length, unless the history was pruned by a pass that did not live to
// save its state: the numbers of the decisions tell.
func vouched(f *os.File, v Vouch) (int64, error) {
	if v.Seq == 0 {
		return 0, nil
	}
	const most = 16 << 10
	tail := make([]byte, min(v.Length, most))
	if _, err := f.ReadAt(tail, v.Length-int64(len(tail))); err == nil && len(tail) > 0 {
		var last struct{ Seq int64 }
		line := tail[bytes.LastIndexByte(tail[:len(tail)-1], '\n')+1:]
		if json.Unmarshal(line, &last) == nil && last.Seq == v.Seq {
			return v.Length, nil
		}
	}
	var length int64
	_, err := readHistory(written(f), func(d Decision, end int64) {
		if d.Seq <= v.Seq {
			length = end
		}
	})
	return length, err
}

// Tidy prunes the history to o.Memory of log time, at most once a day. The state
// must be committed afterwards: a pass that dies before is repeated from the positions
// of the file, so what counts from there on is kept.
func (s *Store) Tidy(state *State, o Options, now int64) error {
	if state.horizon == 0 || now/86400 == state.Pruned/86400 {
		return nil
	}
	state.Pruned = now
	return s.prune(state, min(state.horizon, now)-o.Memory.Seconds(), state.History.Length)
}

// Outgrown tells whether the history is to be pruned to its size, see Shrink; shrunk is the
// length that the last one reached, 0: not known. What is all in force cannot be pruned,
// and is not looked at again at every pass.
func (o Options) Outgrown(v Vouch, shrunk int64) bool {
	most := int64(o.MaxHistory)
	return most > 0 && v.Length > most && (shrunk <= most || v.Length > shrunk+most/4)
}

// Shrink prunes the history to three quarters of o.MaxHistory and saves the state, which
// must have been committed: a repeated pass would count fewer bans than it did before.
func (s *Store) Shrink(state *State, o Options, now int64) error {
	most := int64(o.MaxHistory)
	f, err := s.open(s.history, os.O_RDONLY)
	if err != nil {
		return err
	}
	state.History.Length, err = vouched(f, state.History) // a pass may have died while it shrank it
	f.Close()
	if err != nil {
		return err
	}
	if err := s.prune(state, math.MinInt64, most-most/4); err != nil {
		return err
	}
	return s.Commit(state, nil, now)
}

// prune rewrites the history without the decisions from before cutoff, in
// seconds, and of the others without those before its last bytes, as many as latest
// says. Bans still in force stay, and those that were so at the cutoff: a rebuild judges
// what was logged under them.
func (s *Store) prune(state *State, cutoff, latest int64) error {
	live, err := s.outliving(state, cutoff)
	if err != nil {
		return err
	}
	var length int64
	var failed error
	out := io.Discard
	from := state.History.Length - latest
	keep := func(d Decision, end int64) {
		if d.Time >= cutoff && end > from || d.Key != nil && slices.Contains(live[priorKey{d.Jail, *d.Key}], d.Seq) {
			n, err := writeDecisions(out, []Decision{d}, d.Seq-1)
			length, failed = length+n, cmp.Or(failed, err)
		}
	}
	// Once to see whether anything goes, once more to write: a long history is not held in memory.
	if err := s.History(&state.History, keep); err != nil || failed != nil {
		return cmp.Or(err, failed)
	}
	if length == state.History.Length {
		return nil
	}
	err = s.replaceWith(s.history, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, piece)
		out, length = buffered, 0
		err := s.History(&state.History, keep)
		return cmp.Or(err, failed, buffered.Flush())
	})
	if err != nil {
		return fmt.Errorf("prune the history: %w", err)
	}
	state.History.Length = length
	return nil
}

// outliving gives the numbers of the bans from before cutoff that are in force, or were so
// then; where all of the history may go for want of room, those in force at the horizon.
func (s *Store) outliving(state *State, cutoff int64) (map[priorKey][]int64, error) {
	live := map[priorKey][]int64{}
	sized, over := cutoff == math.MinInt64, cutoff
	if sized { // a rebuild will know less
		over = state.horizon
	}
	err := s.History(&state.History, func(d Decision, _ int64) {
		if d.Key == nil {
			return
		}
		k := priorKey{d.Jail, *d.Key}
		switch d.Verb {
		case Banned:
			if (sized || d.Time < cutoff) && d.Until != nil && (*d.Until == 0 || *d.Until > over) {
				live[k] = append(live[k], d.Seq)
			}
		case Expired:
			if sized || d.Time < cutoff {
				delete(live, k)
			}
		case Unbanned, Released:
			delete(live, k)
		}
	})
	return live, err
}

// writeDecisions writes one line each, numbered from seq+1 on, and gives their length.
func writeDecisions(w io.Writer, decisions []Decision, seq int64) (length int64, err error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	for i := range decisions {
		seq++
		decisions[i].Seq = seq
		if err := out.Encode(&decisions[i]); err != nil {
			return length, err
		}
		if b.Len() >= piece || i == len(decisions)-1 {
			n, err := b.WriteTo(w)
			if length += n; err != nil {
				return length, err
			}
		}
	}
	return length, nil
}
