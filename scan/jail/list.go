package jail

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"scan2ban/ban/list"
	"scan2ban/scan/pass"
	"scan2ban/state"
)

// lists reads each [list.NAME] of a file over what earlier files say of it.
func (c *Config) lists(f *file) (errs []error) {
	tables, ok := f.root["list"].(map[string]any)
	if !ok {
		return []error{fmt.Errorf("%s: list is not a table (write [list.NAME])", f.place("list"))}
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		i := slices.IndexFunc(c.Lists, func(o *list.Options) bool { return o.Name == name })
		if i < 0 {
			o := list.Default(name)
			c.Lists, i = append(c.Lists, &o), len(c.Lists)
		}
		errs = append(errs, f.decode([]string{"list", name}, tables[name], c.Lists[i], c)...)
	}
	slices.SortFunc(c.Lists, func(a, b *list.Options) int { return cmp.Compare(a.Name, b.Name) })
	return errs
}

// checkLists checks each list as a whole; told takes the place and what is wrong.
func (c *Config) checkLists(files []*file, told func(place, problem string)) {
	for _, o := range c.Lists {
		report := func(key, problem string) {
			told(listPlace(files, o.Name, key), fmt.Sprintf("list %q: %s", o.Name, problem))
		}
		if !named(o.Name) {
			report("", `not a name for a list (small letters, digits, "-", "_", ".")`)
		}
		o.Check(report)
	}
}

// listPlace is the place of a list's key in the last file that sets it.
func listPlace(files []*file, name, key string) (place string) {
	for _, f := range files {
		lists, _ := f.root["list"].(map[string]any)
		if table, ok := lists[name].(map[string]any); ok && (place == "" || table[key] != nil) {
			place = f.place("list", name, key)
		}
	}
	return place
}

// allowed are the addresses of the allow lists. Without one of them nobody knows whom
// not to ban.
func (c *Config) allowed(s *pass.Setup) (*state.Ignored, error) {
	set := state.NewIgnored()
	for _, o := range c.Lists {
		if !o.Allow {
			continue
		}
		content, err := o.Read()
		s.Errs = append(s.Errs, content.Told()...)
		if err != nil {
			return set, fmt.Errorf("list %q: %w", o.Name, err)
		}
		s.Allowed = append(s.Allowed, list.Known{Entries: content.Entries, Ranges: len(content.Ranges), Bad: content.Bad, Time: o.Written()})
		for _, r := range content.Ranges {
			for _, p := range r.Prefixes() {
				set.Add(state.Prefix{Prefix: p}, "list "+o.Name)
			}
		}
	}
	return set, nil
}

// spared is what no list may close out: what [defaults] and every jail ignore, and
// the allow lists. nil: it is not known, for a part of it cannot be read.
func (c *Config) spared(s *pass.Setup, self map[string]state.Prefix, allowed *state.Ignored) *state.Ignored {
	if len(c.Lists) == 0 || len(s.Kept) > 0 {
		return nil
	}
	set, _, err := c.base.Ignored(self)
	if err != nil {
		return nil
	}
	for _, r := range s.Rules {
		set.AddAll(r.Ignored)
	}
	set.AddAll(allowed)
	return set
}
