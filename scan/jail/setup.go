package jail

import (
	"fmt"
	"maps"
	"slices"

	"scan2ban/ban/nftables"
	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/host"
	"scan2ban/scan/pass"
	"scan2ban/state"
)

// Setup is what a pass by this configuration needs; the caller adds the paths and
// the time. A jail that is broken, or whose ignored addresses cannot be read, the host's
// own among them, is kept as it is: without them the wrong ones could be banned.
func (c *Config) Setup() pass.Setup { return c.setup(host.Self()) }

// setup is Setup on a host with these addresses of its own, or whose own are not known.
func (c *Config) setup(self map[string]state.Prefix, unknown error) pass.Setup {
	s := pass.Setup{Watches: make([]scan.Watch, 0, len(c.Jails)), Rules: map[string]*state.Rules{}, Kept: map[string]bool{}, Off: map[string]bool{}, Causes: maps.Clone(c.Broken),
		State: c.State, Kernel: c.Kernel, Deliver: c.Deliver, Metrics: c.Metrics, Notes: slices.Clone(c.Notes), Lists: c.Lists}
	fail := func(errs ...error) {
		for _, err := range errs {
			if err != nil {
				s.Errs = append(s.Errs, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Broken)) {
		s.Kept[name] = true
	}
	fail(c.faults...)
	for _, name := range c.Off {
		s.Off[name] = true
	}
	allowed, missing := c.allowed(&s)
	kept := state.NewIgnored() // what jails ignore that are not judged
	for _, j := range c.Jails {
		ignored, unread, err := j.Ignored(self)
		fail(unread...)
		ignored.AddAll(allowed)
		if err == nil && missing != nil {
			err = fmt.Errorf("jail %q: %w", j.Name, missing)
		}
		if err == nil && j.IgnoreSelf && unknown != nil {
			err = fmt.Errorf("jail %q: ignoreself: %w", j.Name, unknown)
		}
		if err != nil {
			s.Kept[j.Name], s.Causes[j.Name] = true, err
			kept.AddAll(ignored)
			fail(fmt.Errorf("%w: not judged in this pass", err))
			continue
		}
		reach := j.Reach
		if len(j.Container) > 0 {
			here := c.contained(j)
			s.Watches = append(s.Watches, here.watches...)
			s.Notes = append(s.Notes, here.notes...)
			reach = here.reach
			if len(reach.Ports) == 0 {
				err := fmt.Errorf(`jail %q: neither its filter nor its container names ports (write ports = [...], or ports = "all")`, j.Name)
				s.Kept[j.Name], s.Causes[j.Name] = true, err
				fail(err)
				continue
			}
		}
		s.Rules[j.Name] = &state.Rules{Policy: j.Policy, Reach: reach, Ignored: ignored, Ledger: j.Rules.Ledger}
		if !j.Rules.Ledger && len(j.Container) == 0 {
			s.Watches = append(s.Watches, scan.Watch{Jail: j.Name, Matcher: j.Matcher, Backend: j.Backend, Terms: j.Terms(),
				Paths: j.Paths(), Program: j.Rules.File.Program, Zone: j.LogTimeZone.Location})
		}
	}
	s.Ignored = func() *state.Ignored {
		set, _, _ := c.base.Ignored(self) // of a file that cannot be read the jails tell
		set.AddAll(kept)
		set.AddAll(allowed)
		return set
	}
	s.Spared = c.spared(&s, self, allowed)
	if s.Spared != nil && c.base.IgnoreSelf && unknown != nil {
		s.Spared = nil
		fail(fmt.Errorf("[defaults] ignoreself: %w: every list is left as it is", unknown))
	}
	return s
}

// Names are the jails of the configuration at path, sorted: enabled, broken and
// switched off. One that cannot be read has none.
func Names(path string) []string {
	c, err := Load(path)
	if err != nil {
		return nil
	}
	names := slices.Concat(c.Off, slices.Collect(maps.Keys(c.Broken)))
	for _, j := range c.Jails {
		names = append(names, j.Name)
	}
	slices.Sort(names)
	return names
}

// Filters are those that a jail of the configuration at path may name.
func Filters(path string) []string {
	return filter.Names(FilterDir(path))
}

// FilterDir is where the admin's own filters lie beside the configuration at path,
// be it sound or not.
func FilterDir(path string) string { return (&Config{Path: path}).FilterDir() }

// Restoring is what brings the kernel back by the configuration at path; where that
// cannot be read, as the last pass had it. The caller adds path and time.
func Restoring(path string) pass.Setup {
	c, err := Load(path)
	if err != nil {
		return pass.Setup{Kernel: nftables.DefaultOptions(), Unread: err}
	}
	return c.Setup()
}
