package fail2ban

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"scan2ban/scan/logfile"
	"scan2ban/state/lazy"
)

// tree is what several files say together, a later one over an earlier one.
type tree struct {
	sections sections
	known    sections // what an option was before the last file that gave it
}

const defaults = "DEFAULT"

// readTree reads DIR/NAME.conf, DIR/NAME.d/*.conf, then the same with .local, each with
// what its [INCLUDES] names before and after it. found tells whether any was there.
func readTree(dir, name string) (t *tree, found bool, err error) {
	base := filepath.Join(dir, name)
	files := []string{}
	for _, ext := range []string{".conf", ".local"} {
		files = append(files, base+ext)
		more, err := filepath.Glob(filepath.Join(logfile.Literal(base+".d"), "*"+ext))
		if err != nil {
			return nil, false, err
		}
		files = append(files, more...)
	}
	t = &tree{sections: sections{defaults: {}}, known: sections{}}
	left := mostFiles
	all, err := withIncludes(files, nil, &left)
	if err != nil {
		return nil, false, err
	}
	for _, file := range all {
		s, err := parseFile(file)
		if err != nil {
			return nil, false, err
		}
		found = found || s != nil && has(files, file)
		t.merge(s)
	}
	return t, found, nil
}

// deepest bounds how far files include one another, and mostFiles how many are read for
// it, each as often as it is included.
const (
	deepest   = 20
	mostFiles = 2000
)

// withIncludes gives the files with those that they include, in the order of reading; left
// is how many more may be.
func withIncludes(files, seen []string, left *int) (all []string, err error) {
	if len(seen) > deepest {
		return nil, fmt.Errorf("%s: files include one another more than %d deep", seen[0], deepest)
	}
	for _, file := range expandLocal(files) {
		s, err := parseFile(file)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		if *left--; *left < 0 {
			return nil, fmt.Errorf("%s: more than %d files are included, some again and again", file, mostFiles)
		}
		around := map[string][]string{}
		for _, side := range []string{"before", "after"} {
			one := &tree{sections: s}
			v, ok := one.raw("INCLUDES", side)
			if !ok {
				continue
			}
			text, err := one.interpolate("INCLUDES", v, nil, 0)
			if err != nil {
				return nil, err
			}
			for name := range strings.Lines(text) {
				if name = strings.TrimSpace(name); name == "" {
					continue
				}
				if !filepath.IsAbs(name) {
					name = filepath.Join(filepath.Dir(file), name)
				}
				if has(seen, name) || name == file {
					continue
				}
				more, err := withIncludes([]string{name}, append(slices.Clone(seen), file), left)
				if err != nil {
					return nil, err
				}
				around[side] = append(around[side], more...)
			}
		}
		all = append(append(append(all, around["before"]...), file), around["after"]...)
	}
	return all, nil
}

// expandLocal puts NAME.local after a NAME.conf, where it is not in the list itself.
func expandLocal(files []string) (all []string) {
	for _, file := range files {
		all = append(all, file)
		local := strings.TrimSuffix(file, filepath.Ext(file)) + ".local"
		if !has(files, local) {
			all = append(all, local)
		}
	}
	return all
}

var conditional = lazy.Regexp(`^(\w+)(\?.+)$`)

// merge lays a file's options over those that are there.
func (t *tree) merge(s sections) {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names) // [Init] before [Init?family=inet6]
	for _, name := range names {
		suffix := ""
		options := s[name]
		if m := conditional().FindStringSubmatch(name); m != nil {
			name, suffix = m[1], m[2]
		}
		if t.sections[name] == nil {
			t.sections[name] = map[string]value{}
		}
		for option, v := range options {
			option += suffix
			if old, ok := t.sections[name][option]; ok && name != defaults {
				if t.known[name] == nil {
					t.known[name] = map[string]value{}
				}
				t.known[name][option] = old
			}
			t.sections[name][option] = v
		}
	}
}

// raw is an option of a section, or of [DEFAULT], as it is written.
func (t *tree) raw(section, option string) (value, bool) {
	if v, ok := t.sections[section][option]; ok {
		return v, true
	}
	v, ok := t.sections[defaults][option]
	return v, ok
}

// get is an option with all %(name)s put in; given are the options of the caller, which
// go before the section's inside of %(name)s.
func (t *tree) get(section, option string, given map[string]string) (v value, ok bool, err error) {
	if v, ok = t.raw(section, option); !ok {
		return v, false, nil
	}
	v.text, err = t.interpolate(section, v, given, 0)
	return v, true, err
}

// deepestName bounds how far %(name)s may lead on, as Python does.
const deepestName = 10

// longest bounds what a value may grow to, in bytes.
const longest = 1 << 20

func (t *tree) interpolate(section string, v value, given map[string]string, depth int) (string, error) {
	fail := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%s: %s", v.where(), fmt.Sprintf(format, args...))
	}
	if depth > deepestName {
		return fail("%%(name)s leads on more than %d times", deepestName)
	}
	var b strings.Builder
	for rest := v.text; ; {
		text, after, found := strings.Cut(rest, "%")
		b.WriteString(text)
		if !found {
			return b.String(), nil
		}
		if b.Len() > longest {
			return fail("the value is longer than %d bytes", longest)
		}
		if strings.HasPrefix(after, "%") {
			b.WriteByte('%')
			rest = after[1:]
			continue
		}
		name, tail, closed := strings.Cut(after, ")s")
		if !strings.HasPrefix(after, "(") || !closed {
			return fail("a %% wants to be %%%% or %%(name)s")
		}
		inner, ok := t.lookup(section, strings.ToLower(name[1:]), given)
		if !ok {
			return fail("%%(%s)s: there is no such option in [%s]", name[1:], section)
		}
		if inner.file == "" {
			inner.file, inner.line = v.file, v.line
		}
		put, err := t.interpolate(section, inner, given, depth+1)
		if err != nil {
			return "", err
		}
		b.WriteString(put)
		rest = tail
	}
}

// lookup finds what %(name)s stands for.
func (t *tree) lookup(section, name string, given map[string]string) (value, bool) {
	if text, ok := given[name]; ok {
		return value{text: strings.ReplaceAll(text, "%", "%%")}, true
	}
	if name == "__name__" {
		return value{text: section}, true
	}
	if v, ok := t.raw(section, name); ok {
		return v, true
	}
	in, option, ok := strings.Cut(name, "/")
	if !ok {
		return value{}, false
	}
	if in == "known" {
		if v, ok := t.known[section][option]; ok {
			return v, true
		}
	} else {
		for other := range t.sections { // a section's name keeps its case, a %(name)s does not
			if v, ok := t.sections[other][option]; ok && strings.EqualFold(other, in) {
				return v, true
			}
		}
	}
	v, ok := t.sections[defaults][option]
	return v, ok
}
