package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// hostRoot is put before /etc and the journal's directories: "" but in tests.
var hostRoot = ""

// listing is what stands in the directories of a journal.
type listing struct {
	files  []FileInfo       // headers that could be read
	bad    []FileInfo       // what could not: Path and stat only
	errs   map[string]error // by path of bad: why
	denied []string         // directories and files that we may not read
}

// Files reads the headers of the journal's files, those of the host for the
// path "". Files that are damaged are left out; the error tells of them.
// For no file at all it is [ErrNoJournal].
func Files(path string) ([]FileInfo, error) {
	l, err := list(path)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, bad := range l.bad {
		errs = append(errs, fmt.Errorf("journal file %s: %w", bad.Path, l.errs[bad.Path]))
	}
	for _, path := range l.denied {
		errs = append(errs, fmt.Errorf("journal file %s: %w", path, fs.ErrPermission))
	}
	return l.files, errors.Join(errs...)
}

// Written tells whether journald runs on this host. Where it does not, what lies there of the
// journal is from a time before.
func Written() bool {
	_, err := os.Stat(hostRoot + "/run/systemd/journal")
	return !errors.Is(err, fs.ErrNotExist)
}

// list finds the files of a journal and reads their headers, one after the
// other: an entry of one file may be written between two of the readings.
func list(path string) (*listing, error) {
	l := &listing{errs: map[string]error{}}
	var dirs []string
	where := path
	switch {
	case path == "":
		id, err := machineID()
		if err != nil {
			return nil, err
		}
		dirs = []string{
			filepath.Join(hostRoot+"/run/log/journal", id),
			filepath.Join(hostRoot+"/var/log/journal", id),
		}
		where = strings.Join(dirs, " and ")
	default:
		st, err := os.Stat(path)
		if err != nil {
			return nil, withRemedy(fmt.Errorf("open journal: %w", err))
		}
		if !st.IsDir() {
			l.add(path)
			return l, l.verdict(path)
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, withRemedy(fmt.Errorf("open journal: %w", err))
		}
		l.addAll(path, entries)
		dirs = machineDirs(path, entries)
	}
	for _, dir := range dirs {
		l.addDir(dir)
	}
	return l, l.verdict(where)
}

// machineDirs are, of what stands in the directory, the subdirectories named for a
// machine id; not remote/, not those of namespaces (ID.NAME).
func machineDirs(path string, entries []fs.DirEntry) (dirs []string) {
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if _, err := parseID(e.Name()); err == nil {
			dirs = append(dirs, filepath.Join(path, e.Name()))
		}
	}
	return dirs
}

func (l *listing) addDir(dir string) {
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		l.denied = append(l.denied, dir)
	default: // its file system is damaged, say: the others are read
		l.bad, l.errs[dir] = append(l.bad, FileInfo{Path: dir}), damaged(err)
	}
	l.addAll(dir, entries)
}

// addAll adds the journal files of what stands in the directory.
func (l *listing) addAll(dir string, entries []fs.DirEntry) {
	if l.files == nil {
		l.files = make([]FileInfo, 0, len(entries))
	}
	for _, e := range entries {
		// journald's own names: NAME.journal while written and when archived,
		// NAME.journal~ when it was found unclean and put aside.
		if strings.HasSuffix(e.Name(), ".journal") || strings.HasSuffix(e.Name(), ".journal~") {
			l.add(filepath.Join(dir, e.Name()))
		}
	}
}

func (l *listing) add(path string) {
	info, err := readInfo(path)
	switch {
	case err == nil:
		l.files = append(l.files, info)
	case errors.Is(err, fs.ErrNotExist): // vacuumed this moment
	case errors.Is(err, fs.ErrPermission):
		l.denied = append(l.denied, path)
	default:
		l.bad = append(l.bad, info)
		l.errs[path] = err
	}
}

// verdict is the error of a listing that gives nothing to read.
func (l *listing) verdict(where string) error {
	switch {
	case len(l.files) > 0:
		return nil
	case len(l.denied) > 0:
		return withRemedy(fmt.Errorf("open journal %s: %w", l.denied[0], fs.ErrPermission))
	case len(l.bad) > 0:
		return nil
	}
	return fmt.Errorf("%w in %s (does systemd-journald run here? \"journalctl -n 1\" shows)", ErrNoJournal, where)
}

func withRemedy(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (run as root, or as a member of the group systemd-journal or adm)", err)
	}
	return err
}

// machineID is the host's own, from machine-id(5).
func machineID() (string, error) {
	text, err := os.ReadFile(hostRoot + "/etc/machine-id")
	if err != nil {
		return "", fmt.Errorf("%w: whose journal is the host's: %w", ErrNoJournal, err)
	}
	id, err := parseID(strings.TrimSpace(string(text)))
	if err != nil {
		return "", fmt.Errorf("%w: %s/etc/machine-id holds no machine id", ErrNoJournal, hostRoot)
	}
	return id, nil
}

// isVanished tells of a file that was deleted between the listing and the opening.
func isVanished(err error) bool { return errors.Is(err, fs.ErrNotExist) }
