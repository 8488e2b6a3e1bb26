package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"scan2ban/scan"
	"scan2ban/scan/container"
	"scan2ban/scan/filter"
	"scan2ban/state"
	"scan2ban/state/order"
)

// A jail of containers reads what they log, wherever that is: each container says by
// which driver it does. What the filter has to say of places does not count there.

// facts are what only root, as whom dockerd and conmon run, can make true of an entry of
// the journal: any user can write the fields CONTAINER_NAME and CONTAINER_TAG. So a user's
// own podman is not read.
var facts = []string{"_UID=0", "_TRANSPORT=journal"}

// checkContainer finds what does not go with the key.
func (j *Jail) checkContainer(report func(key, problem string)) {
	switch {
	case j.Rules.Ledger:
		report("container", "the filter reads the bans of other jails, and no log")
	case len(j.LogPath) > 0, len(j.JournalMatch) > 0:
		report("container", "container says where to read: leave logpath and journalmatch away")
	case j.Rules.Container.Stream == "" && !j.Allow:
		report("container", fmt.Sprintf("filter %q is not proven on what a container prints: a program that prints its clients' line feeds as they are lets them forge whole lines "+
			"(write allow_spoofable = true to ban all the same, or [container] stream in a filter of your own)", j.Filter))
	}
}

// contained is what the containers of a jail make of it.
type contained struct {
	watches []scan.Watch
	reach   state.Reach
	notes   []string
	here    []container.Container
	whose   []string // containers whose published ports are closed
}

// seen are the files that are read, and the containers whose ports are closed.
func (got *contained) seen() (paths []string, whose string) {
	for _, w := range got.watches {
		paths = append(paths, w.Paths...)
	}
	return paths, strings.Join(got.whose, ", ")
}

// contained looks for the containers of a jail.
func (c *Config) contained(j *Jail) *contained {
	got := &contained{}
	host := container.Find(c.Root, j.Container)
	got.here = host.Named(j.Container)
	got.watches = j.inContainers(host, got.here)
	got.reach = j.Reach
	if j.published {
		var note string
		if got.reach, note = published(j.Reach, got.here); note != "" {
			if len(got.reach.Ports) > 0 {
				note += ": a ban closes the filter's ports (or write ports)"
			}
			got.notes = append(got.notes, fmt.Sprintf("jail %q: %s", j.Name, note))
		} else {
			for _, x := range got.here {
				got.whose = append(got.whose, x.Name)
			}
		}
	}
	return got
}

// inContainers are the watches: one of the journal for the containers that log there,
// one of files for those that log into files. Where no container is known the journal is
// read all the same: it may hold what one has left.
func (j *Jail) inContainers(host *container.Host, here []container.Container) (watches []scan.Watch) {
	w := scan.Watch{Jail: j.Name, Matcher: j.Matcher, Program: j.Rules.File.Program, Zone: j.LogTimeZone.Location, Container: true, Stream: j.Rules.Stream()}
	journal, files := w, w
	journal.Backend, files.Backend = filter.Journal, filter.File
	for _, name := range j.Container {
		if !strings.ContainsAny(name, `*?[\`) {
			journal.Terms = append(journal.Terms, term("CONTAINER_NAME", name), term("CONTAINER_TAG", name))
		}
	}
	var errs []error
	if host.Err != nil {
		errs = append(errs, fmt.Errorf("jail %q: %w%s", j.Name, host.Err, remedy(host.Err)))
	}
	inJournal := len(here) == 0
	for _, x := range here {
		switch {
		case x.Driver == container.Journald:
			inJournal = true
		case x.InFile():
			files.Paths = append(files.Paths, x.Log)
		case x.Driver == "":
			errs = append(errs, fmt.Errorf("jail %q: container %s: %w", j.Name, x.Name, x.Err))
		default:
			errs = append(errs, fmt.Errorf("jail %q: container %s logs by the driver %q, which cannot be read: "+
				"create it with --log-driver json-file or journald", j.Name, x.Name, x.Driver))
		}
		if t := term("CONTAINER_NAME", x.Name); !slices.ContainsFunc(journal.Terms, func(have []string) bool { return slices.Equal(have, t) }) {
			journal.Terms = append(journal.Terms, t)
		}
	}
	if len(here) == 0 && len(errs) == 0 {
		journal.Missing = fmt.Sprintf("no container is called %s", strings.Join(j.Container, " or "))
		if len(host.Engines) == 0 {
			journal.Missing += ": neither Docker nor podman keeps any here"
		}
	}
	files.Missing = journal.Missing
	if j.Backend != filter.File && (inJournal || j.Backend == filter.Journal) && len(journal.Terms) > 0 {
		watches = append(watches, journal)
	}
	if j.Backend != filter.Journal && (len(files.Paths) > 0 || len(watches) == 0) {
		watches = append(watches, files)
	}
	if len(errs) > 0 {
		watches[0].Err = errors.Join(errs...)
	}
	return watches
}

func term(field, name string) []string { return append([]string{field + "=" + name}, facts...) }

// remedy says what helps against an error.
func remedy(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return " (the pass's user needs CAP_DAC_READ_SEARCH)"
	}
	return ""
}

// published is the reach with the ports that clients dial to come to the containers.
// The kernel drops before it translates them, so these are the host's. Where there are
// none it is as it was, and the note says why.
func published(reach state.Reach, here []container.Container) (state.Reach, string) {
	var ports state.Ports
	var protocols []string
	notes := []string{}
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	for _, x := range here {
		local := false
		for _, p := range x.Ports {
			switch port := (state.Port{From: p.From, To: p.To}); {
			case p.Protocol != "tcp" && p.Protocol != "udp":
			case p.Local:
				local = true
			default:
				if !slices.Contains(ports, port) {
					ports = append(ports, port)
				}
				if !slices.Contains(protocols, p.Protocol) {
					protocols = append(protocols, p.Protocol)
				}
			}
		}
		switch {
		case x.Err != nil:
			note("what container %s publishes is not known (%v)", x.Name, x.Err)
		case x.Network == "host":
			note("container %s publishes no port: it uses the host's network", x.Name)
		case local:
			note("container %s publishes a port to this host alone, where a proxy may stand before it", x.Name)
		case len(x.Ports) == 0:
			note("container %s publishes no port", x.Name)
		}
	}
	if len(here) == 0 {
		note("what its container publishes is not known")
	}
	if len(ports) == 0 {
		return reach, strings.Join(notes, ", ")
	}
	order.By(ports, func(a, b state.Port) int { return int(a.From) - int(b.From) })
	slices.Sort(protocols)
	reach.Ports, reach.Protocol = ports, protocols
	return reach, ""
}
