package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/units/host"
)

// note is what an install leaves to the uninstall: what was not there before. It
// lies where the passes' user could change it, so nothing in it is taken for
// more than it can do harm with: directories go only when they are empty and on the way
// to what an install lays down, and no file.
// Without a note an uninstall does without.
type note struct {
	Made  []string          `json:"made,omitempty"` // directories
	User  bool              `json:"user"`           // the user was made
	Wrote map[string]string `json:"-"`              // see Trial
	Trial *Trial            `json:"-"`              // not of the note, see trialPath
}

// Trial is an install that is taken back unless it is confirmed in time.
type Trial struct {
	Boot string        `json:"boot"` // id of the boot that it began in; another one ends it
	End  time.Duration `json:"end"`  // of CLOCK_BOOTTIME, in nanoseconds

	Wrote map[string]string `json:"wrote,omitempty"` // configuration: path -> SHA-256 of what was written
}

// over tells whether the time has passed.
func (t *Trial) over(boot string, since time.Duration) bool { return boot != t.Boot || since >= t.End }

func (t *Trial) left(boot string, since time.Duration) string {
	if t.over(boot, since) {
		return "its time is over"
	}
	return fmt.Sprintf("%s of it left", (t.End - since).Round(time.Second))
}

const notePath = stateDir + "/install.json"

// trialPath is where a trial is noted, while it runs: where root alone writes. Who could
// remove or alter it would keep what nobody has confirmed, or have it taken back.
const trialPath = "/etc/scan2ban/trial.json"

// noteMost is how much of a note is read, in bytes.
const noteMost = 1 << 20

// readTrial gives nil where none runs.
func (in *Install) readTrial() *Trial {
	t := &Trial{}
	if text, err := os.ReadFile(in.path(trialPath)); err != nil || json.Unmarshal(text, t) != nil {
		return nil
	}
	return t
}

// writeTrial notes the trial that runs; nil: none does.
func (in *Install) writeTrial(t *Trial) error {
	if t == nil {
		if err := os.Remove(in.path(trialPath)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", trialPath, err)
		}
		return nil
	}
	text, err := json.Marshal(t)
	if err = errors.Join(err, in.makeDir(path.Dir(trialPath), 0o755)); err == nil {
		err = replace(in.path(trialPath), append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", trialPath, err)
	}
	return nil
}

// readNote gives an empty one where there is none that can be read. It never waits.
func (in *Install) readNote() (n note) {
	if f, err := os.OpenFile(in.path(notePath), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && json.NewDecoder(io.LimitReader(f, noteMost)).Decode(&n) == nil {
			return n
		}
	}
	return note{User: true}
}

// made are the directories of the note that an install can have made.
func (in *Install) made(laid []file) (dirs []string) {
	ways := []string{stateDir, runDir, notePath, configPath, observePath, cronPath, tryServicePath, trialPath}
	for _, name := range host.DropIns {
		ways = append(ways, dropInPath(name))
	}
	for _, f := range laid {
		ways = append(ways, f.path)
	}
	for _, dir := range in.note.Made {
		if slices.ContainsFunc(ways, func(way string) bool { return way == dir || strings.HasPrefix(way, dir+"/") }) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (in *Install) writeNote() error {
	text, err := json.MarshalIndent(in.note, "", "\t")
	if err == nil {
		err = replace(in.path(notePath), append(text, '\n'), 0o600)
	}
	if errors.Is(err, fs.ErrNotExist) { // the install ended before there was a state directory
		return nil
	} else if err != nil {
		return fmt.Errorf("write %s: %w", notePath, err)
	}
	return nil
}
