package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

// sizes are how much of everything there is.
type sizes struct {
	memory  uint64 // bytes that must be available
	journal int64  // bytes in use of "the 40 MB journal"
	archive int64  // bytes in use of each file of "the 4 GB journal"
	files   int    // of that
	keys    int    // tracked, and banned
	catchUp int    // entries
	flood   int    // entries of the flood in the journal, 10,000 a second
	lines   int    // of a log file

	fast, medium, slow int // pairs: of milliseconds, of half a second, of seconds
}

var (
	fullSizes  = sizes{7e9, 40e6, 45e6, 91, 100_000, 300_000, 300_000, 1_000_000, 31, 11, 5}
	quickSizes = sizes{1e9, 2e6, 2e6, 12, 5_000, 10_000, 10_000, 20_000, 3, 3, 1}
)

// bench is one run, inside the namespaces.
type bench struct {
	sizes
	dir    string // binaries; data/ holds all else
	only   []string
	config string
	end    time.Time // of the journals
	table  table

	small, many string // journals, once made
}

// run prints the table. The error says that a row could not be measured.
func (b *bench) run(inMemory bool) error {
	data := filepath.Join(b.dir, "data")
	if inMemory {
		// libsystemd chooses the size of a journal file by that of the file system.
		if err := syscall.Mount("tmpfs", data, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=64g,mode=0700"); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
	}
	b.config = b.path("scan2ban.toml")
	if err := os.WriteFile(b.config, []byte("[jail.sshd]\nenabled = true\n"), 0o600); err != nil {
		return err
	}
	b.end = time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	b.table.full = b.keys == fullSizes.keys
	fmt.Printf("%s\n\n", machine())
	failed := 0
	for _, row := range []struct {
		number  string // in the README's table of budgets, from the top
		measure func(build) error
	}{
		{"1", b.idle}, {"1b", b.idleGrown}, {"2", b.idleMany}, {"2b", b.manyJails}, {"3", b.idleTracked}, {"5", b.idleMemory},
		{"6", b.catchUpRow}, {"7", b.scanRow}, {"7b", b.regexRow}, {"8", b.bansRow(false)}, {"8b", b.bansRow(true)},
		{"8c", b.listRow}, {"9", b.dumpRow(false)}, {"9b", b.dumpRow(true)}, {"10", b.stateRow}, {"11", b.binaryRow}, {"12", b.reportRow},
		{"13", b.floodRow(false)}, {"13b", b.floodRow(true)},
	} {
		if len(b.only) > 0 && !slices.Contains(b.only, row.number) {
			continue
		}
		for _, build := range builds(b.dir) {
			progress("row %s, %s build", row.number, build.name)
			debug.FreeOSMemory() // no collection of garbage while others are timed
			err := noTable()     // bans of the row before would be taken over
			if err == nil {
				err = row.measure(build)
			}
			if err != nil {
				failed++
				progress("row %s, %s build: NOT MEASURED: %v", row.number, build.name, err)
				b.table.failed(row.number, build.name)
			}
		}
	}
	b.table.write(os.Stdout, b.sizes)
	if failed > 0 {
		return fmt.Errorf("%d rows could not be measured", failed)
	}
	return nil
}

// path is a name under data/.
func (b *bench) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir, "data"}, elem...)...)
}

// pass is the command line of a pass over a journal with a state.
func (b *bench) pass(build build, journal, state string, more ...string) []string {
	return append([]string{build.scan2ban, "run", "--journal", journal, "--state", state, "-c", b.config}, more...)
}

// state gives a new directory's state file.
func (b *bench) state() (string, error) {
	dir, err := os.MkdirTemp(b.path(), "state-")
	return filepath.Join(dir, "state.json"), err
}

// forget gives a state's directory anew.
func forget(state string) error {
	dir := filepath.Dir(state)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}
