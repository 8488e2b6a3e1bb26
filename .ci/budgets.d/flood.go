package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// floodRow is a pass over failures of which each has an address of its own, at least ten
// times as many as a jail tracks. It must ban those who come back, the one among them whose
// first four failures lie at the beginning and whose fifth is the last line; say once
// that addresses are being forgotten; and leave a next pass that knows of nothing.
func (b *bench) floodRow(journal bool) func(build) error {
	return func(build build) error {
		n, from, more := b.lines, "log file", fmt.Sprintf("backend = \"file\"\nlogpath = [%q]\n", b.path("flood.log"))
		write := b.floodLog
		dir := b.path("journal-flood")
		if journal {
			n, from, more = b.flood, "journal", "backend = \"journal\"\n"
			write = func(n int) error { return b.floodJournal(dir, n) }
		}
		if err := write(n); err != nil {
			return err
		}
		config := b.path("flood-" + from[:3] + ".toml")
		text := fmt.Sprintf("[jail.sshd]\nenabled = true\nmax_tracked = %d\n%s", min(n/10, 100_000), more)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return err
		}
		state, err := b.state()
		if err != nil {
			return err
		}
		args := []string{build.scan2ban, "run", "--state", state, "-c", config}
		if journal {
			args = append(args, "--journal", dir)
		}
		if err := flooded(append(args, "--json"), n, from); err != nil {
			return err
		}
		files := float64(length(state) + length(filepath.Join(filepath.Dir(state), "history.jsonl")))
		_, anonymous, err := peak(1, build, side{args: args, before: func() error { return forget(state) }})
		if err == nil {
			b.table.size(fmt.Sprintf("flood: %d failures from as many addresses in one pass, %s, anonymous memory", n, from), build, anonymous, 128e6)
			b.table.size("the same, state and history", build, files, 0)
		}
		return err
	}
}

// flooded runs the pass over the flood, and one more.
func flooded(args []string, n int, from string) error {
	for _, first := range []bool{true, false} {
		text, err := output(args...)
		if err != nil {
			return err
		}
		var p struct {
			Entries  int
			Banned   []struct{ Address string }
			Warnings []string
		}
		if err := json.Unmarshal(text, &p); err != nil {
			return err
		}
		var banned []string
		for _, b := range p.Banned {
			banned = append(banned, b.Address)
		}
		slices.Sort(banned)
		told := len(p.Warnings) == 1 && strings.Contains(p.Warnings[0], "max_tracked")
		switch want := slices.Sorted(slices.Values(append(offenders(), patient))); {
		case first && (p.Entries != n || !slices.Equal(banned, want) || !told):
			return fmt.Errorf("a pass over a flood in a %s read %d of %d, banned %q instead of %q, and warned %q", from, p.Entries, n, banned, want, p.Warnings)
		case !first && (len(banned) > 0 || p.Entries > 0 || len(p.Warnings) > 0):
			return fmt.Errorf("the pass after a flood in a %s read %d, banned %q and warned %q", from, p.Entries, banned, p.Warnings)
		}
	}
	return nil
}

// patient fails four times before a flood and once after it.
const patient = "192.0.2.1"

// offenders fail all the time.
func offenders() (list []string) {
	for i := range 10 {
		list = append(list, fmt.Sprintf("198.51.100.%d", i+1))
	}
	return list
}

// floodOf are the addresses of n failures.
func floodOf(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		often := offenders()
		gap := min(n/200, 5000) // each fails again before a jail forgets who failed once
		for i := range n {
			x := uint32(i) * 2654435761 // spread, and none twice
			address := fmt.Sprintf("11.%d.%d.%d", x>>16&255, x>>8&255, x&255)
			switch {
			case i < 4 || i == n-1:
				address = patient
			case i%gap == 0:
				address = often[i/gap%len(often)]
			case i%2 == 1:
				address = fmt.Sprintf("2001:db8:%x:%x::1", x>>16, x&0xffff)
			}
			if !yield(address) {
				return
			}
		}
	}
}

func guessed(address string) string {
	return "Failed password for root from " + address + " port 4711 ssh2"
}

// floodLog writes them within fifty minutes.
func (b *bench) floodLog(n int) error {
	path := b.path("flood.log")
	if exists(path) {
		return nil
	}
	progress("writing a flood of %d lines", n)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	step := 50 * time.Minute / time.Duration(n)
	at, pid := b.end.Add(-step*time.Duration(n)), 1000
	for address := range floodOf(n) {
		fmt.Fprintf(out, "%s host sshd[%d]: %s\n", at.Format("Jan _2 15:04:05"), pid, guessed(address))
		at, pid = at.Add(step), pid+1
	}
	return out.Flush()
}

// floodJournal writes them as ten thousand a second.
func (b *bench) floodJournal(dir string, n int) error {
	if exists(dir) {
		return nil
	}
	progress("writing a flood of %d journal entries", n)
	const step = 100 * time.Microsecond
	s := newSource(b.end.Add(-step*time.Duration(n)), step)
	next, stop := iter.Pull(floodOf(n))
	defer stop()
	return write(dir, s.write(n, func() []journaltest.Entry {
		s.pid++
		address, _ := next()
		return s.sshd([]string{guessed(address)})
	}))
}
