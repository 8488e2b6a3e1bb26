package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/state"
	"scan2ban/state/report"
)

// Services are the filters named, all of the catalogue and of dir where none is, with
// what this host has of what they read. A filter that cannot be loaded is there with
// the reason; a name that is none is an error, a *filter.UnknownError.
func Services(ctx context.Context, s Subject, dir string, names ...string) (list report.Services, err error) {
	c := &checker{Subject: s, world: thisHost(ctx)}
	for _, name := range names {
		if all := filter.Names(dir); !slices.Contains(all, name) {
			return nil, &filter.UnknownError{Name: name, Valid: all}
		}
	}
	if len(names) == 0 {
		names = filter.Names(dir)
	}
	for _, name := range names {
		list = append(list, c.service(ctx, name, dir))
	}
	return list, nil
}

// service is one filter and what of it is here.
func (c *checker) service(ctx context.Context, name, dir string) report.Service {
	shown := report.Service{Filter: name, Own: filter.Own(name, dir), Journal: [][]string{}, Files: []string{}, Found: []string{}, Jails: c.guards(name)}
	f, err := filter.Load(name, dir)
	if err != nil {
		shown.Error = err.Error()
		return shown
	}
	shown.Description, shown.Spoofable, shown.Ledger = f.Description, f.Spoofable, f.Ledger
	shown.Ports, shown.Files = state.Ports(f.Ports).Words(), slices.Concat(shown.Files, f.File.Paths, f.File.Otherwise)
	shown.Journal, shown.Container = append(shown.Journal, f.Matches()...), f.Container.Stream
	shown.Program = c.program(f)
	for _, pattern := range shown.Files {
		shown.Found = append(shown.Found, c.root.Glob(pattern)...)
	}
	if len(f.Journal.Match) > 0 {
		held, err := journal.Held(ctx, journal.Options{Path: c.JournalPath, Now: c.Now.UnixMicro(), Matches: scan.Terms(f.Matches())})
		if err == nil || errors.Is(err, journal.ErrNoJournal) {
			shown.InJournal = &held
		}
	}
	for _, r := range f.Rules() {
		rule := report.Rule{Name: r.Name, Kind: r.Kind.String(), Weight: r.Weight, Reason: r.Reason}
		for _, m := range r.Modes {
			rule.Modes = append(rule.Modes, string(m))
		}
		shown.Rules = append(shown.Rules, rule)
	}
	return shown
}

// guards are the enabled jails that use the filter.
func (c *checker) guards(name string) []string {
	jails := []string{}
	for _, j := range c.Jails {
		if j.Filter == name {
			jails = append(jails, j.Name)
		}
	}
	return jails
}

// program is the file that says that the filter's service is installed; "" where
// there is none.
func (c *checker) program(f *filter.Filter) string {
	for _, pattern := range f.Daemon {
		if found := c.root.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// unguarded suggests jails for services that are installed here. One of several
// filters of the same program is enough to take it for guarded, and a jail that says
// enabled = false is an answer too.
func unguarded(_ context.Context, c *checker, found *report.Findings) {
	if c.Err != nil {
		return
	}
	filters, programs, guarded := map[string][]string{}, []string{}, map[string]bool{}
	for _, name := range filter.Names() {
		f, err := filter.Load(name)
		if err != nil || f.Spoofable {
			continue
		}
		program := c.program(f)
		if program == "" {
			continue
		}
		if filters[program] == nil {
			programs = append(programs, program)
		}
		filters[program] = append(filters[program], name)
		guarded[program] = guarded[program] || len(c.guards(name)) > 0 || c.Off[name] || c.Kept[name]
	}
	for _, program := range programs {
		if !guarded[program] {
			found.Note("not guarded", fmt.Sprintf("%s is installed and no jail reads its log: [jail.%s] with enabled = true does",
				program, strings.Join(filters[program], "], [jail.")))
		}
	}
}
