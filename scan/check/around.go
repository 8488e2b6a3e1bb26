package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/state/lazy"
	"scan2ban/state/report"
)

// What else runs on the host and bears on the bans.

// firewalls says who else writes the kernel's rules and what comes of it.
func firewalls(_ context.Context, c *checker, found *report.Findings) {
	table := c.units()
	restored := table[restore].enabled()
	for _, name := range firewallUnits {
		u := table[name]
		if !u.loaded() || !u.active() && !u.enabled() {
			continue
		}
		short := strings.TrimSuffix(name, ".service")
		switch {
		case short == "nftables" && !c.flushes():
			found.OK("firewall", "nftables.service leaves our table alone")
		case short == "docker":
			found.Note("firewall", "docker: our chain stands before its rules, so published ports are covered with the port that the client dials")
		case short == "crowdsec" || short == "sshguard":
			found.Note("firewall", short+" bans here too: an address may be banned by both, and each lets go by itself")
		case restored:
			found.Note("firewall", fmt.Sprintf("%s%s: a start of it is followed by %s; after a reload the next pass mends what is gone", short, does(short), restore))
		case c.cron() != "":
			found.Note("firewall", fmt.Sprintf("%s%s: after that the next pass brings the bans back", short, does(short)))
		case !table[timer].loaded():
			found.Note("firewall", fmt.Sprintf("%s%s: the install adds a unit that brings the bans back after it", short, does(short)))
		default:
			found.Warn("firewall", fmt.Sprintf("%s%s: after each start of it the bans are gone until the next pass", short, does(short)), "systemctl enable "+restore)
		}
	}
}

func does(firewall string) string {
	if firewall == "nftables" {
		return " empties the whole ruleset (flush ruleset in /etc/nftables.conf)"
	}
	return " may rewrite the ruleset"
}

// flushLine is the command that takes every table away, ours too.
var flushLine = lazy.Regexp(`(?m)^\s*flush\s+ruleset\b`)

func (c *checker) flushes() bool {
	return slices.ContainsFunc([]string{"/etc/nftables.conf", "/etc/sysconfig/nftables.conf"}, func(path string) bool {
		return flushLine().MatchString(c.root.Text(path))
	})
}

// fail2ban says what it means that both ban.
func fail2ban(_ context.Context, c *checker, found *report.Findings) {
	if running, detail := c.fail2ban(); running {
		enforcing := slices.ContainsFunc(c.Jails, func(j Jail) bool { r := c.Rules[j.Name]; return r != nil && r.Enforce })
		const switchOver = "systemctl disable --now fail2ban"
		if enforcing {
			found.Warn("Fail2Ban", detail+": both ban, and an address that one lets go may still be banned by the other",
				switchOver+"\nor enforce = false in [defaults] while you compare")
		} else {
			found.Note("Fail2Ban", detail+": it bans, scan2ban observes. To switch over: "+switchOver+", and take enforce = false away (rm /etc/scan2ban/conf.d/observe.toml)")
		}
	}
}

// quiet are the levels at which sshd does not log a failed log-in (LogLevel in
// sshd_config(5)).
var quiet = []string{"QUIET", "FATAL", "ERROR"}

// sshd says whether it logs what is to be read; only root may ask it.
func sshd(ctx context.Context, c *checker, found *report.Findings) {
	i := slices.IndexFunc(c.Jails, func(j Jail) bool { return j.Filter == "sshd" })
	if i < 0 {
		return
	}
	out, err := c.ask(ctx, "sshd", "-T")
	if err != nil {
		return
	}
	for line := range strings.Lines(out) {
		if key, level, _ := strings.Cut(strings.TrimSpace(line), " "); key == "loglevel" && slices.Contains(quiet, strings.ToUpper(level)) {
			found.Fail("jail "+c.Jails[i].Name, "sshd has LogLevel "+level+": it does not write down who fails, and nobody will be banned",
				"LogLevel INFO in /etc/ssh/sshd_config\nsystemctl reload ssh")
		}
	}
}

// ipv6 says whether there is any.
func ipv6(_ context.Context, c *checker, found *report.Findings) {
	switch {
	case !c.root.Exists("/proc/sys/net/ipv6"):
		found.Note("IPv6", "the kernel has none: only IPv4 addresses can come, and only they are banned")
	case strings.TrimSpace(c.root.Text("/proc/sys/net/ipv6/conf/all/disable_ipv6")) == "1":
		found.Note("IPv6", "switched off here (net.ipv6.conf.all.disable_ipv6 = 1): only IPv4 addresses can come")
	}
}

// clock says whether the clock is right: what is banned until when hangs on it.
func clock(_ context.Context, c *checker, found *report.Findings) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	c.clock(found, err == nil && state != timeError && t.Status&unsynchronised == 0, err)
}

// TIME_ERROR and STA_UNSYNC of the kernel's timex.h.
const (
	timeError      = 5
	unsynchronised = 0x40
)

// epoch is before this program was written.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *checker) clock(found *report.Findings, synchronised bool, err error) {
	const what, mend = "clock", "timedatectl set-ntp true\n(package systemd-timesyncd or chrony)"
	switch {
	case c.Now.Before(epoch):
		found.Fail(what, fmt.Sprintf("it says %s: a host without a battery that has not been told the time yet? Bans of before end wrongly", c.Now.UTC().Format(time.DateOnly)), mend)
	case err != nil:
		found.Note(what, fmt.Sprintf("whether it is synchronised cannot be asked: %v", err))
	case !synchronised && c.root.Exists("/run/systemd/container"):
		found.Note(what, "nothing keeps it right on the host of this container: when it is set, bans end too early or too late by that step")
	case !synchronised:
		found.Warn(what, "nothing keeps it right: when it is set, bans end too early or too late by that step", mend)
	default:
		found.OK(what, "is synchronised")
	}
}
