// Package check looks for what would keep scan2ban from its work tonight.
//
//	found := check.Run(ctx, check.Subject{...})
//	return found.Write(os.Stdout, asJSON)
//
// Each finding says what was looked at, how much it matters, why, and what mends
// it. An error would make a pass fail, or its bans miss; a warning works tonight
// and should be mended; a note is worth knowing.
//
// # What is looked at
//
//	configuration   what the files say, and what of it is broken
//	jails           where each reads, what of the last 24 hours it understood, whether
//	                its ports are those that are listened on, who the worst offenders are
//	expressions     of converted filters: which of them a line can keep busy
//	permissions     the journal, the log files, the state and the kernel, as the user of
//	                scan2ban.service has them: root starts this program a second time
//	                with that user's rights and asks it
//	units           timer, restore unit, age of the last pass
//	host            nf_tables, IPv6, other firewalls, Fail2Ban, services that no jail
//	                guards, the clock, memory, journald
//
// # What it never does
//
// It changes nothing and resolves no name. The probes run side by side, each with
// a time limit; one that does not come back is named and left behind. What cannot
// be looked at without root is said, not guessed.
package check

import (
	"context"
	"fmt"
	"slices"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/pass"
	"scan2ban/state/report"
)

// Subject is what is to be checked.
type Subject struct {
	pass.Setup        // as a pass would have it, its Now and paths included
	Config     string // the configuration file; empty: the built-in one
	Err        error  // of reading the configuration; then what it says is not known
	Jails      []Jail // that are enabled and valid
	AsUnit     bool   // this is the second start, with the rights of the unit's user
}

// Jail is what the checks know of one beside its rules and its watch.
type Jail struct {
	Name     string
	Filter   string
	File     string         // the admin's own file of the filter; empty: it is a shipped one
	Place    string         // the file of the configuration where its ports belong; empty: there is none yet
	Backend  filter.Backend // as configured
	LogPaths []string       // globs of the log files that it reads where it reads files
	Zone     *time.Location // of times in them that name none; nil: the host's

	Containers []string // names or patterns of those that it reads; then the above does not count
	Published  string   // by which of them its ports are; "": they are the jail's or the filter's own
}

// limit is how long all probes together may take.
const limit = 40 * time.Second

// probe looks at one thing.
type probe struct {
	what string
	look func(context.Context, *checker, *report.Findings)
}

// The probes that depend on whose rights the process has, on the logs, and on the
// host.
var (
	ofUnit = []probe{{"configuration", configuration}, {"journal", readable}, {"log files", logFiles}, {"containers", containers}, {"state", store}, {"nftables", kernel}, {"deliveries", deliveries}, {"lists", lists}}
	ofLogs = []probe{{"jails", logs}, {"expressions", expressions}}
	ofHost = []probe{{"ports", ports}, {"sshd", sshd}, {"permissions", permissions}, {"units", units}, {"IPv6", ipv6}, {"firewalls", firewalls},
		{"Fail2Ban", fail2ban}, {"services", unguarded}, {"clock", clock}, {"memory", memory}, {"journald", journald}, {"syslog-ng", syslogd}, {"httpd", hostNames}}
)

// Run looks at everything. A journal that was given by hand is looked at by
// itself: what the host around it does is another matter.
func Run(ctx context.Context, s Subject) report.Findings {
	c := &checker{Subject: s, world: thisHost(ctx)}
	switch {
	case s.AsUnit:
		return run(ctx, c, ofUnit, limit/2)
	case s.JournalPath != "":
		return run(ctx, c, slices.Concat(ofUnit, ofLogs), limit)
	}
	return withoutEchoes(run(ctx, c, slices.Concat(ofUnit, ofLogs, ofHost), limit))
}

// run gives the findings of the probes in their order.
func run(ctx context.Context, c *checker, probes []probe, limit time.Duration) (found report.Findings) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	outcomes := make([]chan report.Findings, len(probes))
	for i, p := range probes {
		outcomes[i] = make(chan report.Findings, 1)
		go func() {
			var f report.Findings
			p.look(ctx, c, &f)
			outcomes[i] <- f
		}()
	}
	late := make(chan struct{}) // closed when a probe that heeds ctx has ended
	defer time.AfterFunc(limit+limit/20, func() { close(late) }).Stop()
	for i, p := range probes {
		select {
		case f := <-outcomes[i]:
			found = append(found, f...)
			continue
		default:
		}
		select {
		case f := <-outcomes[i]:
			found = append(found, f...)
		case <-late:
			found.Fail(p.what, fmt.Sprintf("no answer within %s: what a pass needs may hang too", limit), "see which file system or service hangs: dmesg; systemctl list-jobs")
		}
	}
	return found
}
