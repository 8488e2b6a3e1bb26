// Package fail2ban reads a directory of Fail2Ban's configuration as Fail2Ban reads it,
// and writes TOML that does the same. No pass needs it.
package fail2ban

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// value is what an option was given, and where.
type value struct {
	text string
	file string
	line int
}

func (v value) where() string { return fmt.Sprintf("%s:%d", v.file, v.line) }

// sections are the options of each section, by their names in lower case.
type sections map[string]map[string]value

// parse reads one file in the dialect of Python's configparser: "=" or ":" parts name
// and value; what is indented deeper than the name continues the value; a line that
// begins with # or ; is a comment, and so is what follows a ; after a blank.
// An error names file and line.
func parse(file string, data []byte) (sections, error) {
	s := sections{}
	var section map[string]value
	option, indent, head := "", 0, ""
	fail := func(n int, format string, args ...any) (sections, error) {
		return nil, fmt.Errorf("%s:%d: %s", file, n, fmt.Sprintf(format, args...))
	}
	for i, raw := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		n := i + 1
		line := strings.TrimRight(raw, "\r")
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") {
			continue
		}
		text = strings.TrimSpace(uncomment(text))
		if text == "" {
			if option != "" {
				v := section[option]
				v.text += "\n"
				section[option] = v
			}
			continue
		}
		deep := len(line) - len(strings.TrimLeft(line, " \t\f\v"))
		if option != "" && deep > indent {
			v := section[option]
			v.text += "\n" + text
			section[option] = v
			continue
		}
		indent = deep
		if name, ok := strings.CutPrefix(text, "["); ok {
			end := strings.LastIndexByte(name, ']')
			if end <= 0 {
				return fail(n, "a section's name wants to end with ]")
			}
			head, option = name[:end], ""
			if s[head] != nil {
				return fail(n, "section [%s] is there twice", head)
			}
			section = map[string]value{}
			s[head] = section
			continue
		}
		at := strings.IndexAny(text, "=:")
		switch {
		case section == nil:
			return fail(n, "an option before the first [section]")
		case at <= 0:
			return fail(n, "%q is neither a section nor NAME = VALUE", text)
		}
		option = strings.ToLower(strings.TrimSpace(text[:at]))
		if old, twice := section[option]; twice {
			return fail(n, "%s is given in [%s] already, in line %d", option, head, old.line)
		}
		section[option] = value{text: strings.TrimSpace(text[at+1:]), file: file, line: n}
	}
	for _, section := range s {
		for name, v := range section {
			v.text = strings.TrimRight(v.text, "\n")
			section[name] = v
		}
	}
	return s, nil
}

// uncomment cuts a comment off that begins inside a line.
func uncomment(text string) string {
	for i := 1; i < len(text); i++ {
		if text[i] == ';' && (text[i-1] == ' ' || text[i-1] == '\t') {
			return text[:i]
		}
	}
	return text
}

// longestFile is how much of a file is read, in bytes.
const longestFile = 16 << 20

// parseFile gives nil for a file that does not exist, or that is a link to /dev/null, as
// admins mask what a package lays down. It never waits: the directory may be anybody's, and
// hold a fifo.
func parseFile(path string) (sections, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if os.IsNotExist(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if null, no := os.Stat(os.DevNull); err == nil && no == nil && os.SameFile(info, null) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > longestFile) {
		err = fmt.Errorf("%s: not a regular file of at most %d MB", path, longestFile>>20)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, longestFile))
	if err != nil {
		return nil, err
	}
	return parse(path, data)
}
