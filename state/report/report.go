// Package report draws what state holds: as text for people and as JSON with
// stable names for programs.
//
// Text is a table or a sentence, times local with their zone; JSON has times in
// UTC as RFC 3339. What a client wrote (user names above all) reaches a terminal
// only through [Clean].
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/clean"
)

// Ban is a ban as every command shows it in JSON.
type Ban struct {
	Jail     string   `json:"jail"`
	Address  string   `json:"address"` // of the deciding failure; the key for a network, and for a CIDR banned by hand
	Key      string   `json:"key"`
	Since    string   `json:"since"`
	Until    *string  `json:"until"` // null: permanent
	Failures int      `json:"failures"`
	Late     int      `json:"late"`
	Users    []string `json:"users"`
	N        int      `json:"n"`
	Rule     string   `json:"rule,omitempty"`
	Members  []string `json:"members,omitempty"` // of a network: what was banned before it
	ByHand   bool     `json:"by_hand,omitempty"`
	Observed bool     `json:"observed,omitempty"` // by a jail that leaves the kernel alone: nobody is kept out
	Pending  bool     `json:"pending,omitempty"`  // no pass has decided it yet: it comes with the next one
	Packets  *uint64  `json:"packets"`            // dropped by the kernel; null: not known

	ban *state.Ban
	id  string // of the decision; empty: of none
}

// FromBan shows b.
func FromBan(b *state.Ban) Ban {
	shown := Ban{Jail: b.Jail, Address: b.Key.String(), Key: b.Key.String(), Since: UTC(b.Since), Failures: b.Failures,
		Late: b.Late, Users: append([]string{}, b.Users...), N: b.N, Rule: b.Rule, ByHand: b.ByHand, ban: b}
	if b.Addr.IsValid() {
		shown.Address = b.Addr.String()
	}
	for _, key := range b.Members {
		shown.Members = append(shown.Members, key.String())
	}
	if b.Until != 0 {
		until := UTC(b.Until)
		shown.Until = &until
	}
	return shown
}

// UTC writes seconds since the Unix epoch as RFC 3339.
func UTC(second int64) string { return time.Unix(second, 0).UTC().Format(time.RFC3339) }

// Local writes seconds since the Unix epoch for people, in the local zone.
func Local(second int64) string { return time.Unix(second, 0).Format("2006-01-02 15:04:05 MST") }

// End says until when a ban lasts.
func End(until int64) string {
	if until == 0 {
		return "for ever"
	}
	return Local(until)
}

// JSON writes v as one line.
func JSON(w io.Writer, v any) error {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(printable(b.Bytes()))
	return err
}

// printable escapes what JSON may hold and a terminal would act on: C1 controls,
// and what turns the writing direction.
func printable(text []byte) []byte {
	shown := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r < utf8.RuneSelf || unicode.IsPrint(r) || r == utf8.RuneError {
			shown = append(shown, text[:size]...)
		} else if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
			shown = fmt.Appendf(shown, `\u%04x\u%04x`, high, low)
		} else {
			shown = fmt.Appendf(shown, `\u%04x`, r)
		}
		text = text[size:]
	}
	return shown
}

// Level is the prefix by which journald knows how urgent a line is (sd-daemon(3)):
// 3 error, 4 warning, 5 notice; the unit hides what is below. It is empty where w
// does not lead into the journal, which $JOURNAL_STREAM tells by device and inode.
func Level(w io.Writer, n int) string {
	f, ok := file(w)
	if !ok {
		return ""
	}
	var stat unix.Stat_t
	if unix.Fstat(int(f.Fd()), &stat) != nil || os.Getenv("JOURNAL_STREAM") != fmt.Sprintf("%d:%d", stat.Dev, stat.Ino) {
		return ""
	}
	return fmt.Sprintf("<%d>", n)
}

// Clean makes text that a stranger wrote safe for a terminal and a log, see package clean.
// It is called in a hundred places, and not inlined there.
//
//go:noinline
func Clean(text string) string { return clean.Text(text) }

// longestName is how much of a user name a table shows, in characters.
const longestName = 20

// users joins names for people.
func users(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = cut(Clean(name), longestName)
	}
	return strings.Join(shown, ", ")
}

// isTerminal tells whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := file(w)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// coloured tells whether text on w may be coloured: on a terminal, unless
// NO_COLOR is set (no-color.org).
func coloured(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && isTerminal(w) }
