package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"scan2ban/state"
)

// Line is one thing that a pass did, for people and for the journal.
type Line struct {
	Verb  state.Verb
	Level int    // how urgent it is, see Level
	Text  string // for people
	ID    string // of the decision; empty where it stands for several or none
	Ban   *Ban   // that it tells of; nil: none
}

// The levels of syslog(3) that lines have. The unit hides what is below a notice.
const (
	LevelWarning = 4
	LevelNotice  = 5
)

// Lines say what happened, one for each thing that did; an idle pass says nothing.
// A rebuild is one line however many bans it found.
func (p *Pass) Lines() (lines []Line) {
	say := func(verb state.Verb, format string, args ...any) *Line {
		lines = append(lines, Line{Verb: verb, Level: LevelNotice, Text: Clean(fmt.Sprintf(format, args...))})
		return &lines[len(lines)-1]
	}
	of := func(list []Ban, text func(b *Ban) (state.Verb, string)) {
		for i := range list {
			verb, told := text(&list[i])
			l := say(verb, "%s: %s", list[i].Jail, told)
			l.ID, l.Ban = list[i].id, &list[i]
		}
	}
	banned := p.Banned
	if p.Summary != "" {
		say(state.Rebuilt, "%s", p.Summary)
		banned = nil
		for _, b := range p.Banned {
			if b.ByHand {
				banned = append(banned, b)
			}
		}
	}
	of(banned, func(b *Ban) (state.Verb, string) {
		verb := "banned"
		if b.Observed {
			verb = "observed, not banned:"
		}
		return state.Banned, fmt.Sprintf("%s %s %s (%s)", verb, b.Key, Until(b.ban.Until), why(b.ban))
	})
	seen := func(b *Ban) string {
		if b.Observed {
			return "observed, "
		}
		return ""
	}
	of(p.Expired, func(b *Ban) (state.Verb, string) {
		return state.Expired, fmt.Sprintf("%sban of %s is over (%s while it lasted)", seen(b), b.Key, state.Plural(b.Late, "failure"))
	})
	of(p.Released, func(b *Ban) (state.Verb, string) { return state.Released, seen(b) + "released " + b.Key })
	of(p.Unbanned, func(b *Ban) (state.Verb, string) { return state.Unbanned, seen(b) + "unbanned " + b.Key })
	for _, line := range p.spared {
		say(state.Spared, "%s", line)
	}
	if p.Repaired > 0 {
		say(state.Repaired, "the kernel did not hold what it should have: %s mended", state.Plural(p.Repaired, "piece"))
	}
	return lines
}

// Warnings are lines that warn of these.
func Warnings(texts []string) (lines []Line) {
	for _, text := range texts {
		lines = append(lines, Line{Verb: state.Warned, Level: LevelWarning, Text: "scan2ban: warning: " + Clean(text)})
	}
	return lines
}

// Write puts the line on w, behind its level where w leads into the journal.
func (l *Line) Write(w io.Writer) { fmt.Fprintf(w, "%s%s\n", Level(w, l.Level), l.Text) }

// Fields are those of the ban for a journal entry, under names that begin with
// SCAN2BAN_. No value holds a control character.
func (l *Line) Fields() map[string]string {
	fields := map[string]string{}
	put := func(name, value string) {
		if value != "" {
			fields["SCAN2BAN_"+name] = Clean(value)
		}
	}
	put("ID", l.ID)
	b := l.Ban
	if b == nil {
		return fields
	}
	put("JAIL", b.Jail)
	put("ADDRESS", b.Address)
	put("KEY", b.Key)
	put("SINCE", b.Since)
	put("UNTIL", "permanent")
	if b.Until != nil {
		put("UNTIL", *b.Until)
	}
	put("FAILURES", strconv.Itoa(b.Failures))
	put("LATE", strconv.Itoa(b.Late))
	put("N", strconv.Itoa(b.N))
	put("MEMBERS", strings.Join(b.Members, ", "))
	put("USERS", strings.Join(b.Users, ", "))
	put("RULE", b.Rule)
	if b.Observed {
		put("OBSERVED", "1")
	}
	return fields
}
