package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"scan2ban/scan/host"
	"scan2ban/state"
	"scan2ban/state/report"
)

// ports compares what the bans of each jail close with what is listened on.
func ports(_ context.Context, c *checker, found *report.Findings) {
	sockets, err := c.sockets()
	if err != nil {
		found.Note("ports", fmt.Sprintf("listening sockets cannot be listed: %v", err))
		return
	}
	for _, j := range c.Jails {
		r := c.Rules[j.Name]
		if r == nil || r.Reach.Ports.All() {
			continue
		}
		what := "jail " + j.Name + ": ports"
		if j.Filter == "sshd" {
			open, from, err := c.sshPorts()
			if err != nil {
				found.Note(what, fmt.Sprintf("%v: a ban closes %s all the same", err, r.Reach.Ports.List()))
				continue
			}
			if c.open(found, what, j, r.Reach, open, from) {
				continue
			}
		}
		if j.Published != "" {
			found.OK(what, r.Reach.Ports.List()+", published by container "+j.Published)
			continue
		}
		if r.Ledger || served(r.Reach, sockets) {
			found.OK(what, r.Reach.Ports.List())
			continue
		}
		found.Warn(what, fmt.Sprintf("nothing listens on %s here: a ban closes nothing (a container's published port is not seen from here)", r.Reach.Ports.List()),
			c.line(j, nil))
	}
}

// open tells whether sshd is reached on a port that a ban leaves open.
func (c *checker) open(found *report.Findings, what string, j Jail, r state.Reach, ports []uint16, from string) bool {
	missing := slices.DeleteFunc(slices.Clone(ports), func(p uint16) bool { return closes(r, "tcp", p) })
	if len(missing) == 0 {
		return false
	}
	found.Fail(what, fmt.Sprintf("a ban closes %s, but sshd is reached on %s too (%s): who is banned goes on there", r.Ports.List(), list(missing, " and "), from),
		c.line(j, ports))
	return true
}

// line is what to write into which file; without ports which are meant is left to
// the reader.
func (c *checker) line(j Jail, ports []uint16) string {
	file := cmp.Or(j.Place, c.Config, "/etc/scan2ban/scan2ban.toml")
	if len(ports) == 0 {
		return fmt.Sprintf("in [jail.%s] of %s set ports to those that are served (ss -tulnp)", j.Name, file)
	}
	return fmt.Sprintf("in [jail.%s] of %s write\nports = [%s]", j.Name, file, list(ports, ", "))
}

func closes(r state.Reach, network string, port uint16) bool {
	return slices.Contains(r.Protocol, network) && slices.ContainsFunc(r.Ports, func(p state.Port) bool {
		return p.All() || p.From <= port && port <= p.To
	})
}

// served tells whether anybody but this host itself can reach one of the ports.
func served(r state.Reach, sockets []host.Socket) bool {
	return slices.ContainsFunc(sockets, func(s host.Socket) bool {
		return !s.AddrPort.Addr().IsLoopback() && closes(r, s.Network, s.AddrPort.Port())
	})
}

func list(ports []uint16, separator string) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(int(p))
	}
	return strings.Join(words, separator)
}
