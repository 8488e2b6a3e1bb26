// Package deliver brings what was decided to people and programs: into systemd's
// journal, by mail, and to hooks.
//
//	Tell(w, lines)   the lines of a pass, as journal entries with fields
//	Wake, Due        a pass says that something is to be delivered
//	Run(ctx, o)      a round, in a process of its own: every sink that is due
//	LetGo(ctx, o)    hooks that enforce bans release all of them
//
// A sink is the mail, or a hook. Each reads the history from a position of its own, which
// deliver.json keeps, and goes on from there at least once: what fails is tried again after
// a pause that grows, and given up in the end. Hooks that enforce the bans are besides
// told of what no decision tells, see kept.
//
// An entry of the journal has the text that a terminal would show as MESSAGE, a MESSAGE_ID that
// says what kind of thing happened (units/host/scan2ban.catalog explains each,
// see `journalctl -x`), and the ban in fields that begin with SCAN2BAN_:
//
//	journalctl SCAN2BAN_ADDRESS=203.0.113.9
//	journalctl MESSAGE_ID=17f9e861fefb991a7457330ba0963e6f -o json
//
// Nothing here decides anything, and nothing that fails here is an error of the
// pass: what the journal does not take is written as plain lines.
package deliver

import (
	"io"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"

	"scan2ban/state"
	"scan2ban/state/report"
)

// MessageIDs are those of the journal entries, by what they tell of. They are
// fixed for ever (sd-id128(3), machine-readable names of messages).
var MessageIDs = map[state.Verb]string{
	state.Banned:   "17f9e861fefb991a7457330ba0963e6f",
	state.Expired:  "ffa9b514110d69168a4f3d8890361c9f",
	state.Unbanned: "29d61ea25e60a67325d1d66fcad20243",
	state.Released: "85a9e4373b5cf292862735d4c24fbab9",
	state.Spared:   "0e4f4998c9b82a16d2fc9cd1c0e6008b",
	state.Repaired: "4c96dd3f24191617fbb6da5f00d3bd81",
	state.Rebuilt:  "bc60229e159b0186b5bd6d8421a8402a",
	state.Warned:   "d793dee93dd8e73a75b8c6f86a2d9da8",
}

// send is what hands an entry to journald; tests take its place.
var send = journal.Send

// Tell says the lines on w: as entries with fields where w leads into the journal
// and journald takes them, else as text.
func Tell(w io.Writer, lines []report.Line) {
	direct := len(lines) > 0 && report.Level(w, lines[0].Level) != ""
	for i := range lines {
		l := &lines[i]
		if direct {
			direct = send(strings.TrimPrefix(l.Text, "scan2ban: "), journal.Priority(l.Level), fields(l)) == nil
		}
		if !direct {
			l.Write(w)
		}
	}
}

// fields are those of an entry beside its message and priority.
func fields(l *report.Line) map[string]string {
	fields := l.Fields()
	fields["SYSLOG_IDENTIFIER"] = "scan2ban"
	if id := MessageIDs[l.Verb]; id != "" {
		fields["MESSAGE_ID"] = id
	}
	return fields
}
