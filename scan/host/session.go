package host

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state"
)

// Session is somebody who is logged in from elsewhere.
type Session struct {
	Addr netip.Addr
	User string // may be empty
	From string // how it is known: "$SSH_CONNECTION", "sshd", "logind" or "utmp"
}

// String says who it is: "the client of this session", "logged in as alice (utmp)".
func (s Session) String() string {
	switch {
	case s.From == ownSession:
		return "the client of this session"
	case s.User == "":
		return "somebody who is logged in (" + s.From + ")"
	}
	return "logged in as " + s.User + " (" + s.From + ")"
}

// ownSession is the From of the session that runs this command.
const ownSession = "$SSH_CONNECTION"

// Guests are the clients of those who are logged in, this session's first.
func Guests() *state.Ignored {
	set := state.NewIgnored()
	for _, s := range Sessions() {
		set.Add(state.Single(s.Addr), s.String())
	}
	return set
}

// Sessions are the remote addresses of who is logged in now, each once: first
// those of the session that runs this command, then those that sshd serves, then
// what logind and utmp know. Only literal addresses count: names are not resolved.
// Without root other users' connections to sshd are not seen.
func Sessions() []Session {
	return Tree("").sessions(os.Getpid())
}

func (t Tree) sessions(pid int) (list []Session) {
	for _, s := range slices.Concat(t.ancestors(pid), t.served(), t.logind(), t.utmp()) {
		s.Addr = s.Addr.Unmap().WithZone("")
		known := slices.ContainsFunc(list, func(x Session) bool { return x.Addr == s.Addr })
		if !known && s.Addr.IsValid() && !s.Addr.IsLoopback() && !s.Addr.IsUnspecified() {
			list = append(list, s)
		}
	}
	return list
}

// ancestors asks a process and all that it descends from for SSH_CONNECTION
// (ssh(1)). sudo takes the variable away; the shell that sudo was started from
// still has it.
func (t Tree) ancestors(pid int) (list []Session) {
	for hops := 0; pid > 1 && hops < 64; hops++ {
		env := map[string]string{}
		for entry := range strings.SplitSeq(t.Text(fmt.Sprintf("/proc/%d/environ", pid)), "\x00") {
			name, value, _ := strings.Cut(entry, "=")
			env[name] = value
		}
		client, _, _ := strings.Cut(cmp.Or(env["SSH_CONNECTION"], env["SSH_CLIENT"]), " ")
		if addr, err := netip.ParseAddr(client); err == nil {
			list = append(list, Session{Addr: addr, User: cmp.Or(env["SUDO_USER"], env["USER"]), From: ownSession})
		}
		pid = t.parent(pid)
	}
	return list
}

// parent is 0 where it is not known.
func (t Tree) parent(pid int) int {
	for line := range strings.Lines(t.Text(fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent, _ := strconv.Atoi(strings.TrimSpace(value))
			return parent
		}
	}
	return 0
}

// served are the clients of sshd's sessions: those whose connection is held by a
// process with the title "sshd: USER@TERMINAL" or "sshd-session: ...". Before the
// log-in the title has no "@" and ends in "[net]" or "[priv]" (sshd's
// session.c and auth2.c): whoever is only trying is not among them.
func (t Tree) served() (list []Session) {
	clients := map[string]netip.Addr{} // by inode
	for _, row := range append(t.rows("/proc/net/tcp"), t.rows("/proc/net/tcp6")...) {
		if len(row) < 10 || row[3] != established {
			continue
		}
		if from, ok := hexAddrPort(row[2]); ok {
			clients[row[9]] = from.Addr()
		}
	}
	t.owners(func(inode string, pid int, process string) {
		addr, ok := clients[inode]
		if !ok || !slices.Contains(comms, process) {
			return
		}
		title := strings.TrimRight(t.Text(fmt.Sprintf("/proc/%d/cmdline", pid)), "\x00")
		_, who, _ := strings.Cut(title, ": ")
		if user, _, ok := strings.Cut(who, "@"); ok && !strings.ContainsAny(who, " [") {
			list = append(list, Session{Addr: addr, User: user, From: "sshd"})
		}
	})
	return list
}

// comms are those of such processes, cut at 15 characters by the kernel; the last two
// are of Alpine's build with PAM.
var comms = []string{"sshd", "sshd-session", "sshd.pam", "sshd-session.pa"}

// established is TCP_ESTABLISHED of the kernel's net/tcp_states.h.
const established = "01"

// logind reads its files of sessions, which hold KEY=value lines. A session
// that is closing has nobody in it.
func (t Tree) logind() (list []Session) {
	for _, path := range t.Glob("/run/systemd/sessions/[0-9c]*") {
		values := map[string]string{}
		for line := range strings.Lines(t.Text(path)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			values[key] = strings.Trim(value, `"`)
		}
		addr, err := netip.ParseAddr(values["REMOTE_HOST"])
		if err == nil && values["STATE"] != "closing" {
			list = append(list, Session{Addr: addr, User: values["USER"], From: "logind"})
		}
	}
	return list
}
