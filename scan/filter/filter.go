// Package filter knows what services write to their logs.
//
// A filter is one TOML file: where a service logs, and rules that each explain
// one line. The shipped ones are embedded (catalogue/*.toml); a file of the
// same name in a directory given to [Load] replaces one whole. [Filter.Compile]
// makes the rules of a mode ready, [Matcher.Match] gives a [Verdict] on one
// message, and [Verdict.Event] is what package state judges. Nothing here reads
// a log, asks for the time, or resolves a name.
//
// # The file
//
//	description = "OpenSSH server"
//	ports       = ["ssh"]
//	daemon      = ["/usr/sbin/sshd"] # files (globs) of which one says that the service is installed
//	spoofable   = false            # true: the source address can be forged (UDP)
//	ledger      = false            # true: its failures are the bans of all other jails; it has no rules
//	max_length  = 500              # the daemon cuts its lines here; longer ones prove nothing
//
//	[journal]
//	match   = [["_SYSTEMD_UNIT=ssh.service"], ["SYSLOG_IDENTIFIER=sshd"]]   # OR of ANDs
//	require = ["_UID=0"]                                                   # AND, with each of them
//
//	[file]
//	paths     = ["/var/log/auth.log"]
//	otherwise = ["/var/log/messages"]   # read where none of paths is there, nor what it was rotated into
//	program   = ["sshd"]           # the tags whose lines are this filter's
//
//	[container]
//	stream = "stdout"              # or "stderr", "both": where a container prints these lines, and
//	                               # a client's line feeds are escaped there
//
//	[json]                         # where lines that are JSON objects have what counts; a
//	address   = "request.remote_ip"           # list: the first that is there
//	user      = "request.user"
//	forwarded = "request.headers.X-Forwarded-For"
//	unless    = "RULE"             # no line in JSON counts in a session (a process, a file)
//	                               # that has written a line of RULE: its lines can be forged
//
//	[script]                       # instead of rules, for filters that were written for
//	...                            # other programs, see Script
//
//	[[rule]]
//	name    = "failed-password"
//	pattern = '^Failed password for <USER> from <ADDR> port \d+ ssh2$'
//
//	[[rule]]                       # a rule on lines in JSON has conditions, which must all
//	name    = "log-in"             # hold, instead of a pattern
//	where   = { logger = "http.log.access", status = [401, 403] }   # the value, or one of them
//	like    = { "request.uri" = '^/login(?:\?.*)?$' }               # the value matches
//
// A rule further has
//
//	kind    = "failure"    # the default; "success", "benign" (understood, nothing to do),
//	                       # "mark" (explains a later line of its session),
//	                       # "refused" (looks like a failure, and a client can forge it)
//	reason  = "..."        # of kind "refused": why, and what to read instead
//	modes   = ["normal"]   # the default: in every mode; ["ddos"]: in ddos and aggressive
//	weight  = 1            # failures that the line counts for
//	stage   = 0            # its place among the lines of one attempt, see state.Event
//	once    = false        # counts only when its session has counted nothing
//	after   = "RULE"       # counts only after RULE in its session
//	alone   = false        # written by a listener that serves everybody: it has no session
//	echo    = false        # another program's line about an attempt: counts only while
//	                       # the service writes none of its own about that address
//	program = ["sshd"]     # only lines of these programs
//	lingers = false        # may be written long after the client's last packet (a time
//	                       # limit, a connection given up): no sign that a ban was passed
//
// In a pattern (RE2, https://golang.org/s/re2syntax) <ADDR> is the client's
// address, <USER> is greedy text, <PID> the process whose session a line of the
// listener speaks of, <SESSION> the number that one process gives the connection,
// <COUNT> how many failures the line sums up, and <FORWARDED> what a proxy says of
// the client (X-Forwarded-For), see [Matcher.Behind]. A failure without <ADDR> has
// the client that the line of `after` has named in its session.
//
// A pattern sees the message: a line without the syslog daemon's prefix, or
// without the time at its beginning. A line that begins with "{" is seen by the
// rules on JSON alone where the filter has such, any other by the patterns alone.
//
// # What is proven
//
// A log line is half written by the attacker. A verdict blames an address only
// where the line can be read in one way:
//
//   - Patterns are anchored at both ends; [Load] refuses others. The daemon's
//     own reading of its line is therefore always among ours.
//   - Text before <ADDR> is greedy and the text after it is fixed, so the last
//     address wins, which is the one that the daemon wrote. Where free text
//     stands on both sides the line is read a second time without the address
//     that was found: if it still matches, it is refused.
//   - <ADDR> matches host names too, so that a name cannot make an address
//     earlier in the line the last one. Names are never resolved and never blamed.
//   - A message of max_length bytes or more may have lost its end and is refused;
//     so is one with a line feed or NUL, and one over 8 KiB whose address stands
//     after free text that could go on where the address begins.
//   - A line in JSON is one strict object: what is there twice is refused.
//   - Loopback, link-local, multicast and unspecified addresses and those with a
//     zone are refused.
//
// Of a [script] nothing of this is proven but the last: it is as good as its author.
// An expression of it that is not linear has a number of steps for each line.
//
// The first rule of the file that matches decides; a rule that the mode leaves
// out decides too, as benign: the line was understood.
package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"scan2ban/state"
)

// Filter is one service: where it logs and what its lines mean.
type Filter struct {
	Name        string
	Description string
	Ports       []state.Port
	Daemon      []string // globs of files of which one says that the service is installed
	Ledger      bool     // recidive: it reads no log, its failures are the bans of other jails
	Spoofable   bool     // a source address can be forged: bans want the admin's word
	MaxLength   int      // messages this long or longer prove nothing; 0: no such limit

	Journal struct {
		Match   [][]string // OR of ANDs of FIELD=value
		Require []string   // AND, with each term of Match
	}
	File struct {
		Paths     []string // globs
		Otherwise []string // globs, read where none of Paths has ever been there
		Program   []string // syslog tags; empty: every line is the service's
	}

	Container struct {
		Stream string // in which the lines stand, "stdout", "stderr" or "both"; empty: what containers print proves nothing
	}
	JSON Fields // of lines that are JSON objects

	Script *Script // instead of rules; nil: there is none

	// Rules explain the lines. Those of a shipped filter are read when they are first
	// asked for: an idle pass does not.
	Rules func() []Rule
}

// Rule explains one line.
type Rule struct {
	Name    string
	Kind    Kind   // Failure, Success, Benign, Mark or Refused
	Reason  string // of Refused: for who tries the filter
	Modes   []Mode // never empty; Normal: in every mode; all count in Aggressive
	Pattern string // with <ADDR>, <USER>, <PID>, <SESSION>, <COUNT>, <FORWARDED>; empty: Conditions
	Program []string

	Conditions []Condition // on a line in JSON

	Weight  int // at least 1
	Stage   int
	Once    bool
	After   string
	Unless  string // of the rules on JSON: [json] unless
	Alone   bool
	Echo    bool
	Lingers bool
}

// Kind is what a line says.
type Kind uint8

const (
	None    Kind = iota // no rule understands it
	Failure             // an attempt that failed
	Success             // a log-in
	Benign              // understood, nothing to do
	Refused             // it cannot be proven whom it blames
	Mark                // explains a later line of its session
)

var kindNames = [...]string{"none", "failure", "success", "benign", "refused", "mark"}

// String writes the word that `match --json` shows.
func (k Kind) String() string { return kindNames[k] }

// Active tells whether the rule counts in mode.
func (r *Rule) Active(mode Mode) bool {
	return mode == Aggressive || slices.Contains(r.Modes, Normal) || slices.Contains(r.Modes, mode)
}

// Stream is the one that holds a container's lines for the filter; empty: either.
func (f *Filter) Stream() string {
	if f.Container.Stream == "both" {
		return ""
	}
	return f.Container.Stream
}

// Matches are the journal's match terms, an OR of ANDs, with Require in each.
func (f *Filter) Matches() [][]string {
	terms := make([][]string, 0, len(f.Journal.Match))
	for _, term := range f.Journal.Match {
		terms = append(terms, slices.Concat(term, f.Journal.Require))
	}
	return terms
}

// CheckTerm says what is wrong with one AND of journal matches, require
// included, or nil. A field named twice is an error because journald would
// take either value.
func CheckTerm(term, require []string) error {
	if len(term) == 0 {
		return errors.New("empty match term: it would take every entry")
	}
	seen := map[string]bool{}
	for _, match := range slices.Concat(term, require) {
		field, _, found := strings.Cut(match, "=")
		if !found {
			return fmt.Errorf("match %q is not FIELD=value", match)
		}
		if field == "" || strings.Trim(field, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			return fmt.Errorf("match %q: %q is not a journal field (capitals, digits and _)", match, field)
		}
		if seen[field] {
			return fmt.Errorf("match term names %s twice: journald would take either value (write two terms)", field)
		}
		seen[field] = true
	}
	return nil
}
