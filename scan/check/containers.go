package check

import (
	"context"
	"fmt"
	"strings"

	"scan2ban/scan/container"
	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
	"scan2ban/state"
	"scan2ban/state/report"
)

// containers says of each jail that reads what containers log which there are, where
// they log, and whether that can be read.
func containers(_ context.Context, c *checker, found *report.Findings) {
	var host *container.Host
	for _, j := range c.Jails {
		if len(j.Containers) == 0 {
			continue
		}
		if host == nil {
			host = container.Find(string(c.root), nil)
		}
		c.containers(found, j, host)
	}
}

func (c *checker) containers(found *report.Findings, j Jail, host *container.Host) {
	what, names := "jail "+j.Name+": containers", strings.Join(j.Containers, " or ")
	here := host.Named(j.Containers)
	switch {
	case host.Err != nil:
		c.lacking(found, what, fmt.Errorf("which there are and where they log cannot be seen: %w", host.Err), readAll)
	case len(host.Engines) == 0:
		found.Warn(what, "neither Docker (/var/lib/docker) nor podman (/var/lib/containers) keeps any here",
			"for a Docker with another data-root, or a user's own podman: logpath or journalmatch instead of container")
	case len(here) == 0:
		hint := ""
		for _, name := range j.Containers {
			hint += filter.DidYouMean(name, host.Names())
		}
		found.Warn(what, fmt.Sprintf("none is called %s%s", names, hint), "docker ps --all --format '{{.Names}}'")
	}
	for _, x := range here {
		from := fmt.Sprintf("%s of %s", x.Name, x.Engine)
		switch {
		case x.Driver == "":
			c.lacking(found, what, fmt.Errorf("%s: where it logs cannot be seen: %w", from, x.Err), readAll)
		case x.Driver == container.Journald:
			found.OK(what, from+" logs to the journal")
		case x.InFile():
			f, err := logfile.OpenFile(x.Log)
			if err != nil {
				c.lacking(found, what, fmt.Errorf("%s: %w", from, err), readAll)
				continue
			}
			f.Close()
			found.OK(what, fmt.Sprintf("%s logs to %s", from, x.Log))
		default:
			found.Fail(what, fmt.Sprintf("%s logs by the driver %q, which cannot be read", from, x.Driver),
				"create it anew with --log-driver json-file or --log-driver journald\n(compose: logging: { driver: journald }; for all: \"log-driver\" in /etc/docker/daemon.json)")
		}
	}
}

// ofContainers says what a jail of containers reads.
func (c *checker) ofContainers(j Jail) string {
	var from []string
	for _, w := range c.Watches {
		switch {
		case w.Jail != j.Name:
		case len(w.Paths) > 0:
			from = append(from, state.Plural(len(w.Paths), "file"))
		case w.Missing != "" && len(w.Terms) > 0:
			from = append(from, "the journal, where it has left something")
		case len(w.Terms) > 0:
			from = append(from, "the journal")
		}
	}
	if len(from) == 0 {
		return "nothing"
	}
	return strings.Join(from, " and ") + " of container " + strings.Join(j.Containers, ", ")
}
