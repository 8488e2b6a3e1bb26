package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Service is a filter and what a host has of what it reads.
type Service struct {
	Filter      string     `json:"filter"`
	Description string     `json:"description"`
	Own         string     `json:"own,omitempty"`       // the admin's file; empty: it is shipped
	Ports       string     `json:"ports"`               // what a ban closes: names and numbers, separated by commas
	Spoofable   bool       `json:"spoofable,omitempty"` // its jail wants allow_spoofable = true
	Ledger      bool       `json:"ledger,omitempty"`    // it reads the bans of the other jails
	Journal     [][]string `json:"journal"`             // an OR of ANDs of FIELD=value
	Files       []string   `json:"files"`               // globs
	Container   string     `json:"container,omitempty"` // the stream in which a container has the lines
	Program     string     `json:"program"`             // that says that the service is installed; empty: it is not, or nothing tells
	InJournal   *bool      `json:"in_journal"`          // whether the journal has ever held such an entry; null: not known
	Found       []string   `json:"found"`               // log files that are there
	Jails       []string   `json:"jails"`               // that use it
	Rules       []Rule     `json:"rules"`
	Error       string     `json:"error,omitempty"` // why it cannot be used
}

// Rule is one of a filter's.
type Rule struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Modes  []string `json:"modes"`
	Weight int      `json:"weight"`
	Reason string   `json:"reason,omitempty"` // of kind refused: why
}

// Services are all that were asked for.
type Services []Service

// here says in a few words what the host has of it.
func (s *Service) here() (installed, log string) {
	if s.Program != "" {
		installed = "yes"
	}
	switch {
	case s.Error != "":
		log = "broken"
	case s.Ledger:
		log = "ledger"
	case s.InJournal != nil && *s.InJournal:
		log = "journal"
	case len(s.Found) == 1:
		log = s.Found[0]
	case len(s.Found) > 1:
		log = fmt.Sprintf("%s + %d", s.Found[0], len(s.Found)-1)
	}
	return installed, log
}

// Write draws the table, and all there is to say of a single one.
func (list Services) Write(w io.Writer) {
	if len(list) == 1 {
		list[0].write(w)
		return
	}
	t := table{heading: []string{"FILTER", "HERE", "LOG HERE", "JAIL", "WHAT"}}
	for _, s := range list {
		installed, log := s.here()
		t.rows = append(t.rows, []string{s.Filter, installed, Clean(log), strings.Join(s.Jails, ", "), Clean(s.Description)})
	}
	t.write(w)
}

func (s *Service) write(w io.Writer) {
	installed, log := s.here()
	say := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-11s %s\n", what, Clean(text))
		}
	}
	say("filter", s.Filter)
	say("what", s.Description)
	say("file", s.Own)
	if s.Error != "" {
		for line := range strings.Lines(s.Error) {
			say("broken", strings.TrimSuffix(line, "\n"))
		}
		return
	}
	say("ports", s.Ports)
	for _, term := range s.Journal {
		say("journal", strings.Join(term, " "))
	}
	for _, path := range s.Files {
		say("log file", path)
	}
	if s.Container != "" {
		say("container", strings.Replace(s.Container, "both", "stdout and stderr", 1))
	}
	if s.Spoofable {
		say("spoofable", "yes: its jail wants allow_spoofable = true")
	}
	if installed == "" {
		say("here", "not installed, as far as can be seen")
	} else {
		say("here", s.Program)
	}
	say("log here", cmp.Or(log, "none"))
	say("jail", strings.Join(s.Jails, ", "))
	if len(s.Rules) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{heading: []string{"RULE", "KIND", "WEIGHT", "MODES"}, right: map[int]bool{2: true}}
	for _, r := range s.Rules {
		weight := ""
		if r.Kind == "failure" {
			weight = fmt.Sprint(r.Weight)
		}
		t.rows = append(t.rows, []string{r.Name, r.Kind, weight, strings.Join(r.Modes, ", ")})
	}
	t.write(w)
	for _, r := range s.Rules {
		if r.Reason != "" {
			fmt.Fprintf(w, "\n%s is refused: %s\n", r.Name, Clean(r.Reason))
		}
	}
}

// Show writes a value that draws itself, or its JSON.
func Show(w io.Writer, value interface{ Write(io.Writer) }, asJSON bool) error {
	if asJSON {
		return JSON(w, value)
	}
	value.Write(w)
	return nil
}
