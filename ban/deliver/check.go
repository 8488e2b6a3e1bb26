package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/report"
)

// Look puts into found whether what is to be delivered can be, by this process, and
// what has failed of late.
func (c *Config) Look(statePath string, found *report.Findings) {
	at := savedPositions(statePath)
	for _, s := range c.sinks() {
		program := c.Mail.Sendmail
		if h, ok := s.(*hookSink); ok {
			program = h.Run[0]
		}
		info, err := os.Stat(program)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("is not a program")
		} else if err == nil {
			err = unix.Faccessat(unix.AT_FDCWD, program, unix.X_OK, unix.AT_EACCESS)
		}
		switch t := at.of(s).fails(); {
		case errors.Is(err, fs.ErrNotExist) && s.title() == "mail":
			found.Fail(s.title(), program+": there is no such program", "install a mail program that has it: apt install msmtp-mta, or dma, postfix, exim4\nor name yours: [mail] sendmail = \"/path/sendmail\"")
		case err != nil:
			found.Fail(s.title(), fmt.Sprintf("%s: %v", program, err), "chmod 755 "+program+"; every directory on the way must be open to the unit's user")
		case t != nil:
			found.Warn(s.title(), fmt.Sprintf("fails since %s (%s): %s", report.Local(t.Failing), state.Plural(t.Tries, "try"), report.Clean(t.Error)), "scan2ban deliver --test "+strings.Fields(s.title())[0])
		case s.title() == "mail":
			found.OK("mail", fmt.Sprintf("%s to %s, by %s", c.Mail.When, c.Mail.names(), program))
		default:
			found.OK(s.title(), "")
		}
	}
	if c.Mail.Whois && len(c.Mail.To) > 0 {
		if _, err := exec.LookPath("whois"); err != nil {
			found.Warn("mail", "whois = true and there is no program whois", "apt install whois")
		}
	}
}

// names are the recipients for people.
func (m *Mail) names() string {
	names := make([]string, len(m.To))
	for i, name := range m.To {
		names[i] = string(name)
	}
	return strings.Join(names, ", ")
}

// savedPositions are those on disk; none where they cannot be read.
func savedPositions(statePath string) *positions {
	store, err := state.OpenStore(filepath.Clean(statePath), false)
	if err != nil {
		return newPositions()
	}
	defer store.Close()
	at, _, err := load(store)
	if err != nil {
		return newPositions()
	}
	return at
}
