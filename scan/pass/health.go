package pass

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/state"
	"scan2ban/state/report"
)

// failFor collects an error that keeps these jails from their work; status tells
// of it until a pass goes well.
func (p *Pass) failFor(err error, jails ...string) {
	if err == nil {
		return
	}
	p.fail(err)
	if p.failed == nil {
		p.failed = map[string]string{}
	}
	for _, name := range jails {
		if p.failed[name] != "" {
			p.failed[name] += "; "
		}
		p.failed[name] += err.Error()
	}
}

// watching are the jails that read the journal.
func (p *Pass) watching() (names []string) {
	for _, w := range p.entered {
		names = append(names, w.Jail)
	}
	return names
}

// Unconfigured names the jails with bans in force, and how many, that the configuration
// does not have, so that a pass releases them: one that is removed, or of another
// configuration with the same state. "": there are none.
func (s *Setup) Unconfigured(ledger *state.State) string {
	var names []string
	for _, name := range ledger.Names() {
		if s.Rules[name] != nil || s.Kept[name] || s.Off[name] || name == state.ByHand {
			continue
		}
		if n := len(ledger.Jails[name].Live(s.Now.Unix())); n > 0 {
			names = append(names, fmt.Sprintf("%s (%d)", name, n))
		}
	}
	return strings.Join(names, ", ")
}

// enforcing are the jails whose bans the kernel is to hold.
func (p *Pass) enforcing() (names []string) {
	for name, j := range p.Ledger.Jails {
		if j.Reach.Enforce {
			names = append(names, name)
		}
	}
	return names
}

// held notes since when the kernel holds the bans, now that it was brought to the
// ledger. Where it had to be mended, as after a reboot, that is now; which bans are
// beyond max_bans is not known, so then nothing is noted.
func (p *Pass) held(result *nftables.Result) {
	now, mended := p.Now.Add(time.Since(p.begun)).Unix(), p.was == nil || result.Repaired > 0
	if mended {
		p.volatile.Held = now
	}
	p.Ledger.Enforced(now, mended, func(jail string) bool { return result.LeftOut > 0 || result.Failed[jail] != nil })
}

// condition is what the ledger does not know of a jail.
func (p *Pass) condition(name string) report.Condition {
	is := report.Condition{Broken: p.Kept[name], Off: p.Off[name], Ledger: p.Recidive(name), Backend: p.source(name),
		Trouble: p.failed[name], GaveUp: p.GaveUp(name), Quiet: p.quiet(name), Most: p.State.MaxLedger}
	if is.Broken && p.Causes[name] != nil {
		is.Trouble = p.Causes[name].Error()
	} else if last := p.LastRun; is.Trouble == "" && last != nil && last.Failed[name] != "" {
		is.Trouble = "the last pass: " + last.Failed[name]
	}
	is.Trouble = strings.ReplaceAll(is.Trouble, "\n", "; ") // of several errors
	return is
}

// quiet tells why the journal may hold nothing for the jail: whether one of the
// units that its filter names is running, which their control groups show.
func (p *Pass) quiet(name string) string {
	var units, running []string
	last := "" // of units: a filter may have several terms of one
	for _, w := range p.Watches {
		if w.Jail == name && w.Missing != "" {
			return w.Missing
		}
	}
	for _, w := range p.entered {
		for _, term := range w.Terms {
			for _, match := range term {
				if unit, ok := strings.CutPrefix(match, "_SYSTEMD_UNIT="); ok && w.Jail == name && unit != last {
					units, last = append(units, unit), unit
				}
			}
		}
	}
	for _, unit := range units {
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd"} {
			if _, err := os.Stat(filepath.Join(root, "system.slice", filepath.Base(unit))); err == nil {
				running = append(running, unit)
			}
		}
	}
	switch {
	case p.JournalPath != "" || len(units) == 0:
		return ""
	case len(running) == 0:
		return "not running, or not under systemd: " + strings.Join(units, ", ")
	}
	return running[0] + " is running: does it log to the journal, and at what level?"
}
