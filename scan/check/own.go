package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"scan2ban/ban/nftables"
	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/state"
	"scan2ban/state/report"
)

// What depends on whose rights the process has.

// asRoot is the remedy of one who looks without root.
const asRoot = "sudo scan2ban check"

// configuration says what the files hold.
func configuration(_ context.Context, c *checker, found *report.Findings) {
	const what = "configuration"
	if c.Err != nil {
		found.Fail(what, c.Err.Error(), "mend what is named; until then no pass does anything")
		return
	}
	where := cmp.Or(c.Config, "built in, for there is no scan2ban.toml")
	if len(c.Rules)+len(c.Kept) == 0 {
		found.Fail(what, where+": no jail is enabled, nothing is guarded", "write enabled = true below [jail.sshd]")
	} else {
		found.OK(what, fmt.Sprintf("%s: %s", where, state.Plural(len(c.Rules), "jail")))
	}
	for _, note := range c.Notes {
		found.Note(what, note)
	}
	for _, err := range c.Errs {
		found.Fail(what, err.Error(), "mend what is named; the bans of a broken jail stay, and nothing new is judged")
	}
}

// lacking notes an error that may be one of our own rights alone.
func (c *checker) lacking(found *report.Findings, what string, err error, remedy string) {
	if errors.Is(err, fs.ErrPermission) && c.euid != 0 && !c.AsUnit {
		found.Note(what, fmt.Sprintf("%v: not looked at (%s)", err, asRoot))
		return
	}
	found.Fail(what, err.Error(), remedy)
}

// readsJournal tells whether a jail does: always, never, or as the passes have
// chosen (see package pass), which without a choice yet is the journal where it
// holds something of the jail or no log file is there.
func (c *checker) readsJournal(j Jail, held bool) bool {
	if j.Backend != filter.Auto || c.JournalPath != "" {
		return j.Backend != filter.File
	}
	files := len(c.files(j)) > 0
	if files && !c.systemd { // journald does not run
		return false
	}
	switch filter.Backend(c.chosen()[j.Name]) {
	case filter.Journal:
		return true
	case filter.File:
		return !files
	default:
		return held || !files
	}
}

// chosen are the sources that the state names, by jail; none where it cannot be
// read.
func (c *checker) chosen() map[string]string {
	if ledger := c.ledger(); ledger != nil {
		return ledger.Sources.Backends
	}
	return nil
}

// ledger is the state of the last pass; nil: it cannot be read.
func (c *checker) ledger() *state.State {
	s, err := state.OpenStore(c.StatePath, false)
	if err != nil {
		return nil
	}
	defer s.Close()
	ledger, err := s.Load()
	if err != nil {
		return nil
	}
	return ledger
}

// files are the log files of a jail that are there.
func (c *checker) files(j Jail) (paths []string) {
	for _, pattern := range j.LogPaths {
		paths = append(paths, c.root.Glob(pattern)...)
	}
	return paths
}

// held tells whether the journal has ever held an entry for a jail. No journal
// holds none.
func (c *checker) held(ctx context.Context, name string) (bool, error) {
	for _, w := range c.Watches {
		if w.Jail == name && len(w.Terms) > 0 {
			held, err := journal.Held(ctx, journal.Options{Path: c.JournalPath, Now: c.Now.UnixMicro(), Matches: scan.Terms(w.Terms)})
			if errors.Is(err, journal.ErrNoJournal) {
				err = nil
			}
			return held, err
		}
	}
	return false, nil
}

// readable says whether the journal can be read.
func readable(ctx context.Context, c *checker, found *report.Findings) {
	if !slices.ContainsFunc(c.Jails, func(j Jail) bool { return j.Backend != filter.File }) {
		return
	}
	files, err := journal.Files(c.JournalPath)
	const give = "SupplementaryGroups=systemd-journal in scan2ban.service\nor, for who runs this by hand: usermod -aG systemd-journal USER"
	switch {
	case errors.Is(err, journal.ErrNoJournal):
		if slices.ContainsFunc(c.Jails, func(j Jail) bool { return len(j.LogPaths) == 0 || j.Backend == filter.Journal }) {
			found.Fail("journal", err.Error(), "systemctl status systemd-journald; Storage= in journald.conf")
		} else {
			found.Note("journal", "there is none: log files are read")
		}
	case errors.Is(err, fs.ErrPermission):
		c.lacking(found, "journal", err, give)
	case err != nil:
		found.Warn("journal", err.Error()+"\nwhat a damaged file holds is passed over", "journalctl --verify; move away what it cannot read either")
	default:
		found.OK("journal", fmt.Sprintf("%s can be read", state.Plural(len(files), "file")))
	}
}

// readAll lets the passes read what only root may.
const readAll = "scan2ban install, once more: it lets the passes read them\nor systemctl edit " + service + ", and write\n[Service]\nAmbientCapabilities=CAP_DAC_READ_SEARCH\nCapabilityBoundingSet=CAP_DAC_READ_SEARCH"

// logFiles says whether the log files that jails read can be opened.
func logFiles(ctx context.Context, c *checker, found *report.Findings) {
	for _, j := range c.Jails {
		if len(j.LogPaths) == 0 || len(j.Containers) > 0 {
			continue
		}
		held, err := c.held(ctx, j.Name)
		if err != nil && j.Backend != filter.File || c.readsJournal(j, held) {
			continue // the error is told by readable
		}
		what, globs := "jail "+j.Name+": log files", strings.Join(j.LogPaths, " ")
		opened := 0
		var odd, links, others logfile.Unreadable
		files := c.files(j)
		for _, path := range files {
			f, err := logfile.OpenFile(c.root.Path(path))
			if err == nil {
				opened++
				f.Close()
			}
			switch {
			case err == nil:
			case errors.Is(err, logfile.ErrNoFile):
				odd.Add(globs, fmt.Errorf("%w: it is not read", err))
			case errors.Is(err, logfile.ErrLink):
				links.Add(globs, err)
			default:
				others.Add(globs, err)
			}
		}
		for _, u := range odd.List() {
			found.Warn(what, u.Err.Error(), "take it away, or leave it out of logpath")
		}
		for _, u := range links.List() {
			found.Fail(what, u.Err.Error(), "take the link away")
		}
		switch err := others.Err(); {
		case err != nil:
			c.lacking(found, what, err, readAll)
		case opened == 0 && links.Err() != nil:
		case opened == 0:
			found.Warn(what, fmt.Sprintf("no file is there for %v: nothing is read", j.LogPaths), "set logpath, or install the service's log daemon (rsyslog)")
		case c.unseen(what, files, found):
		default:
			found.OK(what, state.Plural(opened, "file")+" can be read")
		}
	}
}

// store says whether a pass may write its state.
func store(_ context.Context, c *checker, found *report.Findings) {
	dir := filepath.Dir(c.StatePath)
	switch err := state.CheckStore(c.StatePath); {
	case err == nil:
		found.OK("state", dir)
		c.ledgers(found)
	case errors.Is(err, fs.ErrPermission):
		owner := cmp.Or(c.unitUser(), "root")
		c.lacking(found, "state", err, fmt.Sprintf("chown -R %s: %s", owner, dir))
	default:
		found.Fail("state", err.Error(), "see to the free space and the mount of "+dir)
	}
}

// ledgers names the jails that have all the bans that they may keep, and those whose bans the next
// pass releases for the configuration does not have them.
func (c *checker) ledgers(found *report.Findings) {
	ledger := c.ledger()
	if ledger == nil {
		return
	}
	if gone := c.Unconfigured(ledger); gone != "" && c.Err == nil {
		found.Warn("state", "the next pass releases the bans of jails that the configuration does not have: "+gone, "another configuration wants a state of its own: --state FILE")
	}
	for _, name := range ledger.Names() {
		if ledger.Jails[name].Full(c.State.MaxLedger) {
			found.Warn("jail "+name, report.Full(c.State.MaxLedger), "shorter bans, or a greater max_ledger in [state]: 2 KB of memory for each ban")
		}
	}
}

// kernel says whether bans can be laid.
func kernel(ctx context.Context, c *checker, found *report.Findings) {
	if c.Kernel.Backend == nftables.ByHooks {
		switch held, err := nftables.Dump(ctx); {
		case errors.Is(err, fs.ErrPermission):
			found.Note("nftables", fmt.Sprintf("not used: hooks enforce the bans (backend = \"hook\"); whether any are left there is not looked at (%s)", asRoot))
		case len(held.Elements) > 0:
			found.Fail("nftables", fmt.Sprintf("hooks enforce the bans (backend = \"hook\"), and %s of before are in force in the kernel: unban does not lift them", state.Plural(len(held.Elements), "ban")), "nft delete table inet scan2ban")
		default:
			found.Note("nftables", "not used: hooks enforce the bans (backend = \"hook\")")
		}
		return
	}
	switch err := nftables.Check(ctx); {
	case err == nil:
		found.OK("nftables", "sets, timeouts and rules of ours are taken")
	case errors.Is(err, fs.ErrPermission):
		c.lacking(found, "nftables", err, "AmbientCapabilities=CAP_NET_ADMIN in scan2ban.service\nin a container: start it with that capability")
	default:
		found.Fail("nftables", err.Error()+"\nbans are decided and not enforced", "modprobe nf_tables; a kernel of the distribution, or one with the options named")
	}
}

// deliveries says whether people and programs can be told.
func deliveries(_ context.Context, c *checker, found *report.Findings) {
	c.Deliver.Look(c.StatePath, found)
	c.Metrics.Look(found)
}
