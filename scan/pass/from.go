package pass

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"scan2ban/ban/list"
	"scan2ban/state"
)

// Taken is a ban that another host made.
type Taken struct {
	Key   state.Key
	Until int64 // second of its end; 0: for ever; -1: it says none
}

const (
	fromMost    = 64 << 20       // bytes of such a file
	fromErrors  = 10             // that are told
	fromLongest = 100 * 31557600 // seconds, as of a bantime: what ends later is for ever
)

// readFrom reads a file, or stdin where it is named "-": what "scan2ban export" writes as
// json or csv, or one address or CIDR a line with comments after "#" or ";". The error
// names by its line what cannot be read and, unless force is given, what is wide; nothing
// is taken then.
func readFrom(name string, stdin io.Reader, force bool) (list []Taken, err error) {
	in := stdin
	if name == "-" {
		name = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, fromMost+1))
	if err == nil && len(text) > fromMost {
		err = fmt.Errorf("is longer than %d MB", fromMost>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")):
		list, err = fromJSON(text, force)
	case bytes.HasPrefix(text, []byte("key,")):
		list, err = fromCSV(text, force)
	default:
		list, err = fromLines(text, force)
	}
	if err == nil && !force && wideTogether(list) {
		err = errors.New("holds more than half of all addresses (--force bans them all the same)")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

func wideTogether(taken []Taken) bool {
	prefixes := make([]netip.Prefix, len(taken))
	for i, t := range taken {
		prefixes[i] = t.Key.Prefix
	}
	return list.WideTogether(prefixes)
}

// parseKey reads whom a list names.
func parseKey(text string, force bool) (state.Key, error) {
	p, err := state.ParsePrefix(text)
	if err == nil && !force {
		err = tooWide(state.Key(p))
	}
	return state.Key(p), err
}

// tooWide is the error of a key that nobody bans by accident.
func tooWide(key state.Key) error {
	if !list.Wide(key.Prefix) {
		return nil
	}
	return fmt.Errorf("%s holds a great part of all addresses (--force bans it all the same)", key)
}

func fromLines(text []byte, force bool) (list []Taken, err error) {
	var errs []error
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := parseKey(line, force)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			if len(errs) == fromErrors {
				break
			}
			continue
		}
		list = append(list, Taken{key, -1})
	}
	return list, errors.Join(errs...)
}

func fromJSON(text []byte, force bool) (list []Taken, err error) {
	var bans []struct {
		Key      string
		Until    *string
		Observed bool
	}
	if err := json.Unmarshal(text, &bans); err != nil {
		return nil, fmt.Errorf("is no list of bans as \"scan2ban export --form json\" writes it: %w", err)
	}
	for i, b := range bans {
		until := "permanent"
		if b.Until != nil {
			until = *b.Until
		}
		t, err := taken(b.Key, until, force || b.Observed)
		if err != nil {
			return nil, fmt.Errorf("ban %d: %w", i+1, err)
		}
		if !b.Observed {
			list = append(list, t)
		}
	}
	return list, nil
}

// fromCSV reads rows of which each is a line: what stands in one before its end holds neither
// a comma nor a quote. (encoding/csv would add 10 KB to the binary.)
func fromCSV(text []byte, force bool) (list []Taken, err error) {
	until, n := 0, 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), ",")
		for i, cell := range cells {
			cells[i] = strings.Trim(cell, `"`)
		}
		if n++; n == 1 {
			until = slices.Index(cells, "until")
		}
		switch {
		case len(cells) == 1 && cells[0] == "":
			continue
		case until < 0 || until >= len(cells):
			return nil, fmt.Errorf(`line %d: no column "until"`, n)
		case n == 1:
			continue
		}
		t, err := taken(cells[0], cells[until], force)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, t)
	}
	return list, nil
}

func taken(text, until string, force bool) (t Taken, err error) {
	key, err := parseKey(text, force)
	if err != nil || until == "permanent" {
		return Taken{Key: key}, err
	}
	end, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return t, fmt.Errorf("%q is not a time (RFC 3339), or permanent", until)
	}
	return Taken{key, max(end.Unix(), 1)}, nil // what ended before 1970 is over as well
}

// banFrom lays bans of another host with their ends, those that name none for by.For. What
// is protected here, and what is over, is left out and said.
func (p *Pass) banFrom(by ByHand) error {
	name := cmp.Or(by.Jail, state.ByHand)
	if err := p.closes(name); err != nil {
		return err
	}
	protected, over, kept := p.Protected(by.Shield), 0, 0
	for _, t := range by.List {
		until := t.Until
		switch {
		case until < 0:
			until = by.until(p.Now.Unix())
		case until > p.Now.Unix()+fromLongest:
			until = 0
		}
		if until != 0 && until <= p.Now.Unix() {
			over++
			continue
		}
		if entry, origin, ok := protected.Touches(t.Key); ok && !by.Force {
			if kept++; kept <= fromErrors {
				p.Warn("%s holds %s (%s): it stays free (--force bans it all the same)", t.Key, entry, origin)
			}
			continue
		}
		p.Judge.BanByHand(name, t.Key, p.Now.Unix(), until, by.Force)
	}
	if kept > fromErrors {
		p.Warn("%d of the list stay free, for they hold what is protected here", kept)
	}
	if over > 0 {
		p.Warn("%d of the list are over and left out", over)
	}
	return nil
}
