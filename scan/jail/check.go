package jail

import (
	"scan2ban/scan/check"
	"scan2ban/scan/filter"
)

// Subject is what `scan2ban check` looks at by the configuration at path, or that it
// cannot be read; the caller adds the paths and the time.
func Subject(path string) check.Subject {
	c, err := Load(path)
	if err != nil {
		return check.Subject{Config: path, Err: err}
	}
	s := check.Subject{Setup: c.Setup(), Config: c.Path}
	for _, j := range c.Jails {
		of := check.Jail{Name: j.Name, Filter: j.Filter, File: filter.Own(j.Filter, c.FilterDir()), Backend: j.Backend, Zone: j.LogTimeZone.Location, Containers: j.Container}
		if j.portsIn != builtIn {
			of.Place = j.portsIn
		}
		switch {
		case j.Rules.Ledger:
		case len(j.Container) > 0:
			of.LogPaths, of.Published = c.contained(j).seen()
		default:
			of.LogPaths = j.Paths()
		}
		s.Jails = append(s.Jails, of)
	}
	return s
}
