package jail

import (
	"fmt"
	"slices"
	"strings"

	"scan2ban/ban/deliver"
	"scan2ban/ban/deliver/metrics"
	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
	"scan2ban/scan/filter"
	"scan2ban/state"
	"scan2ban/state/report/geo"
)

const (
	mostBans     = 10_000_000
	leastHistory = 16 << 20
)

// section reads one section of the top level that is not [jail.X].
func (c *Config) section(f *file, name string, base *Jail) []error {
	switch name {
	case "jail":
		return nil
	case "defaults":
		return f.decode([]string{name}, f.root[name], base, c)
	case "state":
		return c.stateSection(f)
	case "kernel":
		errs := f.decode([]string{name}, f.root[name], &c.Kernel, c)
		if c.Kernel.MaxBans < 1 || c.Kernel.MaxBans > mostBans {
			errs = append(errs, fmt.Errorf("%s: max_bans = %d is out of range (1 to %d)", f.place(name, "max_bans"), c.Kernel.MaxBans, mostBans))
			c.Kernel.MaxBans = nftables.DefaultOptions().MaxBans // told once
		}
		return errs
	case "geo":
		return f.decode([]string{name}, f.root[name], &c.Geo, c)
	case "mail":
		return c.mail(f)
	case "hook":
		return c.hooks(f)
	case "list":
		return c.lists(f)
	case "metrics":
		errs := f.decode([]string{name}, f.root[name], &c.Metrics, c)
		c.Metrics.Check(func(key, problem string) { errs = append(errs, fmt.Errorf("%s: %s", f.place(name, key), problem)) })
		return errs
	}
	hint := belongs(name, sections)
	if _, ok := f.root[name].(map[string]any); ok {
		if like := filter.DidYouMean(name, sections); strings.HasPrefix(like, " (did you mean") {
			hint = like // [jails.sshd], not the jails of a [[hook]]
		} else if slices.Contains(filter.Names(c.FilterDir()), name) {
			hint = fmt.Sprintf(" (write [jail.%s])", name)
		}
	}
	return []error{fmt.Errorf("%s: unknown key %q%s", f.place(name), name, hint)}
}

// stateSection reads [state]. A value out of its range is told once, and then as if it
// were not there.
func (c *Config) stateSection(f *file) []error {
	const name = "state"
	errs := f.decode([]string{name}, f.root[name], &c.State, c)
	values, _ := f.root[name].(map[string]any)
	s, usual := &c.State, state.DefaultOptions()
	wrong := func(key, problem string) {
		errs = append(errs, fmt.Errorf("%s: %s = %v %s", f.place(name, key), key, values[key], problem))
	}
	if s.Checkpoint < 0 {
		wrong("checkpoint", "is no span of time")
		s.Checkpoint = usual.Checkpoint
	}
	if s.Memory <= 0 {
		wrong("memory", "is no span of time, or too short")
		s.Memory = usual.Memory
	}
	if s.MaxLedger < 1 || s.MaxLedger > mostBans {
		wrong("max_ledger", fmt.Sprintf("is out of range (1 to %d)", mostBans))
		s.MaxLedger = usual.MaxLedger
	}
	if s.MaxHistory < leastHistory {
		wrong("max_history", fmt.Sprintf("is too small (at least %dM)", leastHistory>>20))
		s.MaxHistory = usual.MaxHistory
	}
	return errs
}

// belongs is a hint for a key that is none of valid: where it belongs, or what is like it.
func belongs(key string, valid []string) string {
	for _, section := range []struct {
		name string
		into any
	}{{"[defaults] or [jail.NAME]", &Jail{}}, {"[state]", &state.Options{}}, {"[kernel]", &nftables.Options{}}, {"[geo]", &geo.Options{}}, {"[mail]", &deliver.Mail{}},
		{"[[hook]]", &deliver.Hook{}}, {"[metrics]", &metrics.Config{}}, {"[list.NAME]", &list.Options{}}} {
		if slices.Contains(keysOf(section.into), key) {
			return " (it belongs into " + section.name + ")"
		}
	}
	return filter.DidYouMean(key, valid)
}
