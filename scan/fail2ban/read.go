package fail2ban

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state/lazy"
)

var (
	callHead   = lazy.Regexp(`(?s)^([\w\-./]+)\s*(?:\[(.*)\])?\s*$`)
	callOption = lazy.Regexp(`(?s)^[\s,]*([\w\-.]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\]]*))\s*(?:,|\]\s*\[|$)`)
)

// parseCall reads what names a filter or an action with its options:
// name[option=value, other="a, b"].
func parseCall(text string) (name string, options map[string]string, err error) {
	m := callHead().FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", nil, fmt.Errorf("%q is not NAME or NAME[OPTION=VALUE, ...]", text)
	}
	options = map[string]string{}
	for rest := strings.TrimSpace(m[2]); rest != ""; {
		o := callOption().FindStringSubmatch(rest)
		if o == nil {
			return "", nil, fmt.Errorf("%q: %q is not OPTION=VALUE", text, rest)
		}
		options[strings.ToLower(o[1])] = o[2] + o[3] + strings.TrimSpace(o[4])
		rest = strings.TrimSpace(rest[len(o[0]):])
	}
	return m[1], options, nil
}

// readFilter reads filter.d/NAME.conf below dir, and what is laid over it, with the
// options that a jail gives.
func readFilter(dir, name string, options map[string]string) (*filterSource, error) {
	t, found, err := readTree(filepath.Join(dir, "filter.d"), name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("read filter %s: %s does not exist", name, filepath.Join(dir, "filter.d", name+".conf"))
	}
	all, err := t.definition(options)
	if err != nil {
		return nil, err
	}
	src := &filterSource{Name: name, Prefregex: all["prefregex"], Failregex: patterns(all["failregex"]), Ignoreregex: patterns(all["ignoreregex"]),
		Datepattern: all["datepattern"], Journalmatch: all["journalmatch"], Usedns: all["usedns"],
		places: map[string]value{}}
	for _, option := range []string{"prefregex", "failregex", "ignoreregex", "datepattern"} {
		for _, section := range []string{"Init", "Definition"} { // the later goes before
			if v, ok := t.raw(section, option); ok {
				src.places[option] = v
			}
		}
	}
	if text := strings.TrimSpace(all["maxlines"]); text != "" {
		if src.Maxlines, err = strconv.Atoi(text); err != nil || src.Maxlines < 1 {
			return nil, fmt.Errorf("filter %s: maxlines %q is not a number of lines", name, text)
		}
	}
	return src, nil
}

func patterns(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// definition gives the options of [Definition] and [Init] with all tags put in.
func (t *tree) definition(options map[string]string) (map[string]string, error) {
	given := maps.Clone(options)
	if given == nil {
		given = map[string]string{}
	}
	if given["logtype"] == "" {
		given["logtype"] = "file"
	}
	all := map[string]string{}
	for _, section := range []string{defaults, "Definition", "Init"} {
		for _, option := range slices.Sorted(maps.Keys(t.sections[section])) {
			in := section
			if in == defaults {
				in = "Definition"
			}
			v, _, err := t.get(in, option, given)
			if err != nil {
				return nil, err
			}
			all[option] = v.text
			if section == "Init" {
				all["known/"+option] = v.text
			}
		}
	}
	maps.Copy(all, given)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text, err := t.tags(name, all)
		if err != nil {
			return nil, err
		}
		all[name] = text
	}
	return all, nil
}

var tag = lazy.Regexp(`<([^ <>]+)>`)

// tags puts in <name>s until none is left that stands for an option.
func (t *tree) tags(option string, all map[string]string) (string, error) {
	text := all[option]
	for range 25 {
		changed := false
		text = tag().ReplaceAllStringFunc(text, func(whole string) string {
			name := whole[1 : len(whole)-1]
			put, ok := all[name]
			if section, inner, cut := strings.Cut(name, "/"); !ok && cut {
				v, there, err := t.get(section, inner, nil)
				put, ok = v.text, there && err == nil
			}
			if !ok || name == option || has([]string{"HOST", "ADDR", "F-ID"}, name) {
				return whole
			}
			changed = true
			return put
		})
		if !changed {
			return text, nil
		}
		if len(text) > longest {
			break
		}
	}
	return "", fmt.Errorf("%s: its <tag>s lead into one another without an end", option)
}

// convertFilter reads a filter and gives it as TOML, with what is not carried over.
func convertFilter(dir, name string, options map[string]string) (text string, warnings []string, err error) {
	src, err := readFilter(dir, name, options)
	if err != nil {
		return "", nil, err
	}
	return convert(src)
}
