// Package jail reads the configuration.
//
// A jail is a filter, a policy and a reach: what to read, when to ban, what to
// keep the banned from. Each of the three is a type of the package that owns
// it; this package composes them, fills in the defaults and checks what comes
// from the files:
//
//	[defaults]          every jail inherits these
//	[jail.NAME]         a filter of that name, or of `filter = "..."`
//	[state] [kernel] [geo]   settings that no jail owns
//	[list.NAME]         addresses that another program keeps up to date
//	[mail] [[hook]]          who is told, and how
//
// [Load] reads the main file, or the built-in default where the host has none, and
// then conf.d/*.toml beside it, in the order of their names; a later file overrides
// key by key, lists are replaced. It finds all errors, not only the first. An error
// inside one [jail.X] breaks that jail alone; any other error makes the configuration
// unusable.
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

// Jail is one [jail.NAME].
type Jail struct {
	Name    string `toml:"-"`
	Enabled bool   `toml:"enabled"`
	filter.Watch
	state.Policy
	state.Reach

	Allow   bool            `toml:"allow_spoofable"` // ban although the filter's protocol lets an address be forged
	Rules   *filter.Filter  `toml:"-"`               // the filter, loaded
	Matcher *filter.Matcher `toml:"-"`               // its rules, compiled for the mode

	published bool   // of a container: what a ban closes are the ports that it publishes
	portsIn   string // the last file that names its ports, or else the jail
}

// Config is all that the files say.
type Config struct {
	Path    string // of the main file; empty: the built-in default
	State   state.Options
	Kernel  nftables.Options
	Geo     geo.Options
	Deliver deliver.Config
	Metrics metrics.Config
	Lists   []*list.Options  // by name
	Jails   []*Jail          // the enabled and valid ones, by name
	Off     []string         // jails that say enabled = false
	Broken  map[string]error // jails with an error, by name: every error of the jail, joined
	Notes   []string         // what is accepted but worth a word: Fail2Ban's names, sections without effect

	Root string // before the paths of the container engines; empty but in tests

	base   Jail            // [defaults]
	own    []string        // the directory of the admin's filters, where there is one
	failed map[string]bool // keys of the jail being read whose values could not be
	unfit  map[string]bool // keys of [defaults] whose values are wrong, which has been said
	faults []error         // all of Broken, in the order of their lines
}

// DefaultPath is the main file of a host.
const DefaultPath = "/etc/scan2ban/scan2ban.toml"

// defaults are what a jail has that says nothing.
func defaults() Jail {
	return Jail{
		Watch:  filter.Watch{Mode: filter.Normal, Backend: filter.Auto},
		Policy: state.DefaultPolicy(),
		Reach:  state.DefaultReach(),
	}
}

// clone copies the lists too: decoding into a list would write into the
// default's.
func (j Jail) clone() *Jail {
	j.LogPath, j.JournalMatch = slices.Clone(j.LogPath), slices.Clone(j.JournalMatch)
	j.NAT64, j.IgnoreIP = slices.Clone(j.NAT64), slices.Clone(j.IgnoreIP)
	j.TrustedProxies, j.Instant = slices.Clone(j.TrustedProxies), slices.Clone(j.Instant)
	j.Container = slices.Clone(j.Container)
	j.Ports, j.Protocol = slices.Clone(j.Ports), slices.Clone(j.Protocol)
	return &j
}

// builtin guards sshd: the configuration of a host without a file.
const builtin = "[jail.sshd]\nenabled = true\n"

// named tells whether text can be a jail's name, which also names its sets in the
// kernel: a small letter, then small letters, digits, "-", "_", ".".
func named(text string) bool {
	const letters, others = "abcdefghijklmnopqrstuvwxyz", "0123456789-_."
	return len(text) > 0 && len(text) <= 64 && strings.Contains(letters, text[:1]) && strings.Trim(text, letters+others) == ""
}

// check finds values that no file may have; report takes the key and what is
// wrong with its value.
func (j *Jail) check(report func(key, problem string)) {
	p, r := &j.Policy, &j.Reach
	number := func(key string, n, low, high int) {
		if n < low || n > high {
			report(key, fmt.Sprintf("%s = %d is out of range (%d to %d)", key, n, low, high))
		}
	}
	span := func(key string, d state.Duration, least int64) {
		if d == state.Permanent {
			report(key, key+" cannot be permanent")
		} else if d.Seconds() < least {
			report(key, fmt.Sprintf("%s = %s is too short (at least %s)", key, d, state.Plural(int(least), "second")))
		}
	}
	number("maxretry", p.MaxRetry, 1, 1_000_000)
	number("ipv4_prefix", p.IPv4Prefix, 8, 32)
	number("ipv6_prefix", p.IPv6Prefix, 16, 128)
	number("max_tracked", p.MaxTracked, 1, 10_000_000)
	span("findtime", p.FindTime, 1)
	span("spare", p.Spare, 0)
	if p.BanTime != state.Permanent {
		span("bantime", p.BanTime, 1)
	}
	e := p.Escalation
	if e.Factor < 0 || e.Factor > 1000 || e.Factor != e.Factor || e.Factor > 0 && e.Factor < 1 {
		report("escalation", fmt.Sprintf("escalation.factor = %v is out of range (1 to 1000)", e.Factor))
	}
	span("escalation", e.Max, 0)
	span("escalation", e.Jitter, 0)
	p.Subnets.Check(p, report)
	for _, protocol := range r.Protocol {
		if protocol != "tcp" && protocol != "udp" {
			report("protocol", fmt.Sprintf("%q is not a protocol (tcp, udp)", protocol))
		}
	}
	if len(r.Protocol) == 0 {
		report("protocol", "protocol is empty: no packet would be blocked (tcp, udp)")
	}
	if len(r.Ports) > 1 && r.Ports.All() {
		report("ports", `"all" stands among other ports (write ports = "all")`)
	}
}
