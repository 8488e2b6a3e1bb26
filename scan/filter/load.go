package filter

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"scan2ban/scan/trust"
)

//go:embed catalogue/*.toml
var catalogue embed.FS

// UnknownError says that no filter has that name.
type UnknownError struct {
	Name  string
	Valid []string // the names that there are
	hint  string   // where others may be
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("no such filter %q%s", e.Name, DidYouMean(e.Name, e.Valid)+e.hint)
}

// Names are the filters that Load finds, sorted: the shipped ones and those of dirs.
func Names(dirs ...string) []string {
	entries, _ := fs.ReadDir(catalogue, "catalogue")
	for _, dir := range dirs {
		more, _ := os.ReadDir(dir) // a directory that is missing adds nothing
		entries = append(entries, more...)
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".toml"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Open is Load for a name, and reads the file for what is written as a path, with a
// slash or ".toml".
func Open(nameOrPath string, dirs ...string) (*Filter, error) {
	if !strings.ContainsRune(nameOrPath, filepath.Separator) && !strings.HasSuffix(nameOrPath, ".toml") {
		f, err := Load(nameOrPath, dirs...)
		if unknown, ok := err.(*UnknownError); ok {
			unknown.hint = "; one of your own lies in filters/ beside scan2ban.toml, or is named as a file: ./NAME.toml"
		}
		return f, err
	}
	text, err := os.ReadFile(nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("read filter: %w", err)
	}
	return Parse(strings.TrimSuffix(filepath.Base(nameOrPath), ".toml"), nameOrPath, string(text))
}

// Load reads the filter NAME.toml of the last of dirs that has it, else the
// shipped one. The error is an *UnknownError, or everything that is wrong with
// the file, joined, each as "FILE:LINE: what (remedy)".
func Load(name string, dirs ...string) (*Filter, error) {
	base := name + ".toml"
	if name == "" || filepath.Base(base) != base {
		return nil, &UnknownError{Name: name, Valid: Names(dirs...)}
	}
	for _, dir := range slices.Backward(dirs) {
		path := filepath.Join(dir, base)
		text, err := trust.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read filter: %w", err)
		}
		return Parse(name, path, string(text))
	}
	f, err := parseShipped(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UnknownError{Name: name, Valid: Names(dirs...)}
	}
	return f, err
}

// Own is the file of the last of dirs that has the filter; empty: it is shipped.
func Own(name string, dirs ...string) string {
	for _, dir := range slices.Backward(dirs) {
		path := filepath.Join(dir, name+".toml")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// fileText is the filter's file as it stands, the admin's or the shipped one. The error is
// an *UnknownError or that of reading it.
func fileText(name string, dirs ...string) (string, error) {
	if !slices.Contains(Names(dirs...), name) {
		return "", &UnknownError{Name: name, Valid: Names(dirs...)}
	}
	if path := Own(name, dirs...); path != "" {
		text, err := os.ReadFile(path)
		return string(text), err
	}
	text, err := catalogue.ReadFile("catalogue/" + name + ".toml")
	return string(text), err
}

// Print writes the files of the filters of these names, one after the other.
func Print(w io.Writer, names []string, dirs ...string) error {
	if len(names) == 0 {
		return errors.New("--toml: name the filters (\"scan2ban filters\" lists them)")
	}
	for _, name := range names {
		text, err := fileText(name, dirs...)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}
