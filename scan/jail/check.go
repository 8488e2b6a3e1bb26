package jail

import "scan2ban/scan/check"

// Subject is what `scan2ban check` looks at by this configuration; the caller adds
// the paths and the time.
func (c *Config) Subject() check.Subject {
	s := check.Subject{Setup: c.Setup(), Config: c.Path}
	for _, j := range c.Jails {
		paths := j.Paths()
		if j.Rules.Ledger {
			paths = nil
		}
		s.Jails = append(s.Jails, check.Jail{Name: j.Name, Filter: j.Filter, Backend: j.Backend, LogPaths: paths, Zone: j.LogTimeZone.Location})
	}
	return s
}
