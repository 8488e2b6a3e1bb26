package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/jail"
)

// idle is row 1: nothing was logged since the last pass.
func (b *bench) idle(build build) error {
	journal, state, err := b.settled(build)
	if err != nil {
		return err
	}
	p, err := compare(b.fast, side{args: b.pass(build, journal, state)}, last(journal))
	if err == nil {
		b.table.add("idle pass, "+describe(journal)+", empty state, against `journalctl -n 1 -o cat`", build, p, map[string]float64{"cgo": 2, "static": 4}[build.name])
	}
	return err
}

// idleGrown is the idle pass of an everyday host: somebody logged something that
// is nobody's failure, so that the file must be opened and asked.
func (b *bench) idleGrown(build build) error {
	journal, err := b.smallJournal()
	if err != nil {
		return err
	}
	mine := b.path("journal-grown-" + build.name)
	if err := os.CopyFS(mine, os.DirFS(journal)); err != nil {
		return err
	}
	defer os.RemoveAll(mine)
	state, err := b.state()
	if err == nil {
		err = b.settle(build, mine, state)
	}
	if err != nil {
		return err
	}
	more := newSource(b.end, time.Second)
	appended := func() error { return write(mine, more.noise(1)) }
	p, err := compare(b.fast, side{args: b.pass(build, mine, state), before: appended}, last(mine))
	if err != nil {
		return err
	}
	b.table.add("idle pass after one entry of another unit (the file is opened again), against the same", build, p, 0)
	resident, anonymous, err := peak(b.fast, build, side{args: b.pass(build, mine, state), before: appended})
	if err == nil {
		b.table.size("the same, peak RSS, mapped journal and journalctl included", build, resident, 0)
		b.table.size("the same, anonymous memory", build, anonymous, 0)
	}
	return err
}

// idleMany is row 2: it must not matter how much was logged long ago.
func (b *bench) idleMany(build build) error {
	journal, state, err := b.settled(build)
	if err != nil {
		return err
	}
	many, err := b.manyJournals()
	if err != nil {
		return err
	}
	manyState, err := b.state()
	if err == nil {
		err = b.settle(build, many, manyState)
	}
	if err != nil {
		return err
	}
	p, err := compare(b.fast, side{args: b.pass(build, many, manyState)}, side{args: b.pass(build, journal, state)})
	if err == nil {
		b.table.add("idle pass, "+describe(many)+", against the same pass on "+describe(journal), build, p, 1.3)
	}
	return err
}

// idleTracked is row 3: a window for each of many keys.
func (b *bench) idleTracked(build build) error {
	journal, state, err := b.settled(build)
	if err != nil {
		return err
	}
	tracked, err := b.tracked(build, journal)
	if err != nil {
		return err
	}
	p, err := compare(b.fast, side{args: b.pass(build, journal, tracked)}, side{args: b.pass(build, journal, state)})
	if err == nil {
		b.table.add(fmt.Sprintf("idle pass, %d tracked keys, against the same with an empty state", b.keys), build, p, 3)
	}
	return err
}

// idleMemory is row 5.
func (b *bench) idleMemory(build build) error {
	journal, state, err := b.settled(build)
	if err != nil {
		return err
	}
	resident, anonymous, err := peak(b.fast, build, side{args: b.pass(build, journal, state)})
	if err != nil {
		return err
	}
	b.table.size("idle pass, "+describe(journal)+", peak RSS", build, resident, 20e6)
	b.table.size("the same, anonymous memory", build, anonymous, map[string]float64{"cgo": 10e6}[build.name])
	return nil
}

// peak is the most memory that any of n runs had, in bytes. With children, the
// largest process counts.
func peak(n int, build build, s side) (resident, anonymous float64, err error) {
	for range n {
		if s.before != nil {
			if err := s.before(); err != nil {
				return 0, 0, err
			}
		}
		text, err := output(append([]string{build.probe, "peak"}, s.args...)...)
		if err != nil {
			return 0, 0, err
		}
		var r, a float64
		if _, err := fmt.Sscan(string(text), &r, &a); err != nil {
			return 0, 0, err
		}
		resident, anonymous = max(resident, r), max(anonymous, a)
	}
	return resident, anonymous, nil
}

// catchUpRow is row 6: a first pass over a backlog.
func (b *bench) catchUpRow(build build) error {
	dir, err := b.backlog()
	if err != nil {
		return err
	}
	state, err := b.state()
	if err != nil {
		return err
	}
	seen, err := b.look(build, dir, state)
	if err != nil {
		return err
	}
	if seen.Entries != b.catchUp || seen.Failures == 0 {
		return fmt.Errorf("a pass read %d of %d entries and counted %d failures", seen.Entries, b.catchUp, seen.Failures)
	}
	peer, err := b.sshdEntries(dir)
	if err != nil {
		return err
	}
	p, err := compare(b.slow, side{args: b.pass(build, dir, state), before: func() error { return errors.Join(forget(state), noTable()) }}, peer)
	if err == nil {
		b.table.add(fmt.Sprintf("catch-up, %d sshd entries, against `journalctl -o cat` of the same matches", b.catchUp), build, p, map[string]float64{"cgo": 1, "static": 2.5}[build.name])
	}
	return errors.Join(err, noTable())
}

// backlog is a journal of sshd's entries under attack.
func (b *bench) backlog() (dir string, err error) {
	dir = b.path("journal-attack")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	progress("writing %d sshd entries", b.catchUp)
	const step = 2 * time.Second // 300,000 take a week
	from := b.end.Add(-step * time.Duration(b.catchUp))
	return dir, write(dir, newSource(from, step).attack(b.catchUp))
}

// sshdEntries is journalctl with the matches of our jails.
func (b *bench) sshdEntries(dir string) (side, error) {
	config, err := jail.Load(b.config)
	if err != nil {
		return side{}, err
	}
	var watches []scan.Watch
	for _, j := range config.Jails {
		watches = append(watches, scan.Watch{Jail: j.Name, Matcher: j.Matcher, Terms: j.Terms()})
	}
	args := []string{"journalctl", "-q", "--directory=" + dir, "-o", "cat"}
	for i, term := range scan.Matches(watches) {
		if i > 0 {
			args = append(args, "+")
		}
		args = append(args, term...)
	}
	text, err := output(args...)
	if n := bytes.Count(text, []byte("\n")); err == nil && n != b.catchUp {
		err = fmt.Errorf("journalctl finds %d of %d entries", n, b.catchUp)
	}
	return side{args: args}, err
}

// stateRow is row 10.
func (b *bench) stateRow(build build) error {
	journal, err := b.smallJournal()
	if err != nil {
		return err
	}
	tracked, err := b.tracked(build, journal)
	if err != nil {
		return err
	}
	p, err := compare(b.medium, side{args: []string{build.probe, "resave", tracked}}, side{args: []string{"jq", "-c", ".", tracked}})
	if err == nil {
		b.table.add(fmt.Sprintf("state with %d keys, load and save, against `jq -c .` of it", b.keys), build, p, 0.6)
	}
	return err
}

// binaryRow is row 11.
func (b *bench) binaryRow(build build) error {
	size := length(build.scan2ban)
	b.table.size("stripped binary", build, float64(size), 8e6)
	return nil
}

// settled is the small journal and an empty state that has read all of it.
func (b *bench) settled(build build) (journal, state string, err error) {
	if journal, err = b.smallJournal(); err != nil {
		return "", "", err
	}
	if state, err = b.state(); err == nil {
		err = b.settle(build, journal, state)
	}
	return journal, state, err
}

// tracked is a settled state with b.keys windows.
func (b *bench) tracked(build build, journal string) (string, error) {
	state, err := b.state()
	if err == nil {
		_, err = b.look(build, journal, state)
	}
	if err == nil {
		_, err = output(build.probe, "track", state, strconv.Itoa(b.keys), strconv.FormatInt(b.end.Unix(), 10))
	}
	if err == nil {
		err = b.settle(build, journal, state)
	}
	return state, err
}

// last is what anybody would do to see whether there is something new.
func last(journal string) side {
	return side{args: []string{"journalctl", "-n", "1", "-o", "cat", "--directory=" + journal}}
}

// describe tells the size of a journal.
func describe(journal string) string {
	files, used, _ := measure(journal)
	unit := "1 file"
	if files > 1 {
		unit = fmt.Sprintf("%d files", files)
	}
	if used >= 1e9 {
		return fmt.Sprintf("%.1f GB / %s", float64(used)/1e9, unit)
	}
	return fmt.Sprintf("%.0f MB / %s", float64(used)/1e6, unit)
}
