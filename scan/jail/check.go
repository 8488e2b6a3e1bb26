package jail

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/journal"
	"scan2ban/state/report"
)

// Check looks for what would keep the jails from their work: broken
// configuration, addresses that cannot be read, a journal that cannot be or
// holds nothing of theirs. path is that of journal.Options, now the clock.
func (c *Config) Check(ctx context.Context, path string, now time.Time, found *report.Findings) {
	for _, name := range slices.Sorted(maps.Keys(c.Broken)) {
		found.Add("jail "+name, c.Broken[name], "mend the lines named; until then its bans stay and nothing new is judged")
	}
	for _, note := range c.Notes {
		found.Note("configuration", note)
	}
	if len(c.Jails) == 0 {
		found.Note("configuration", "no jail is enabled: nothing is guarded")
	}
	if path == "" {
		for _, name := range namespaces() {
			found.Note("journal", "namespace "+name+" has a journal of its own, which is not read")
		}
	}
	self, err := Self()
	found.Add("own addresses", err, "")
	for _, j := range c.Jails {
		_, bad, err := j.Ignored(self)
		found.Add("jail "+j.Name+": ignored addresses", errors.Join(append(bad, err)...), "mend the file named")
		if j.Rules.Ledger {
			continue
		}
		held, err := journal.Held(ctx, journal.Options{Path: path, Now: now.UnixMicro(), Matches: scan.Terms(j.Terms())})
		found.Add("jail "+j.Name+": journal", err, "")
		if err == nil && !held {
			found.Note("jail "+j.Name, "the journal holds no entry for it: is the service installed, and does it log to the journal?")
		}
	}
}

// namespaces lists the journal namespaces of this host: directories named for the
// machine id, a dot and the namespace (systemd-journald.service(8)).
func namespaces() (names []string) {
	for _, dir := range []string{"/run/log/journal", "/var/log/journal"} {
		found, _ := filepath.Glob(filepath.Join(dir, strings.Repeat("[0-9a-f]", 32)+".*")) // the pattern is well-formed
		for _, path := range found {
			names = append(names, filepath.Ext(path)[1:])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
