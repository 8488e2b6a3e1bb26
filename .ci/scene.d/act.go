package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// An act is one step being played in a house. Its methods fail the step by a panic
// of type failure, which the play catches, so that a step reads as a list of what
// must hold.
type act struct {
	*house
	ctx  context.Context
	work string   // the working directory, where the builds lie
	past *past    // what earlier steps of the same house have left for later ones
	said []string // figures for the table
}

// past is what steps of one play hand on.
type past struct {
	files map[string]string // before the installation, see snapshot
}

type failure string

func (a *act) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// say puts a figure into the table.
func (a *act) say(format string, args ...any) { a.said = append(a.said, fmt.Sprintf(format, args...)) }

func (a *act) must(err error) {
	if err != nil {
		a.fail("%v", err)
	}
}

// run runs a shell command in the house that must succeed.
func (a *act) run(format string, args ...any) string {
	command := fmt.Sprintf(format, args...)
	text, code := a.try(command)
	if code != 0 {
		a.fail("%s: exit code %d: %s", command, code, text)
	}
	return text
}

// try runs a shell command in the house and gives its exit code.
func (a *act) try(command string) (string, int) {
	text, code, err := a.inside(a.ctx, command)
	a.must(err)
	return strings.TrimSpace(text), code
}

// want fails unless text holds each of the words.
func (a *act) want(what, text string, words ...string) {
	for _, w := range words {
		if !strings.Contains(text, w) {
			a.fail("%s does not say %q: %s", what, w, text)
		}
	}
}

// equal fails unless two texts are the same.
func (a *act) equal(what, got, want string) {
	if got != want {
		a.fail("%s is %q, not %q", what, got, want)
	}
}

// until waits for something to hold.
func (a *act) until(what string, within time.Duration, holds func() bool) time.Duration {
	start := time.Now()
	for !holds() {
		if a.ctx.Err() != nil || time.Since(start) > within {
			a.fail("%s: not within %v", what, within)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(start)
}

// open fails unless a connection from the address is answered.
func (a *act) open(from, to string) {
	conn, err := a.dial(from, to, 3*time.Second)
	if err != nil {
		a.fail("%s should reach %s: %v", from, to, err)
	}
	conn.Close()
}

// shut fails unless a connection from the address goes unanswered.
func (a *act) shut(from, to string) {
	conn, err := a.dial(from, to, time.Second)
	if err == nil {
		conn.Close()
		a.fail("%s should not reach %s, and does", from, to)
	}
	if err != errShut {
		a.fail("%s should get no answer from %s, and gets: %v", from, to, err)
	}
}

// untilShut waits until connections to sshd from each of the addresses go
// unanswered, twice in a row: a house under load may leave one waiting.
func (a *act) untilShut(within time.Duration, addresses ...string) time.Duration {
	return a.until("bans of "+strings.Join(addresses, " and "), within, func() bool {
		for _, from := range slices.Concat(addresses, addresses) {
			conn, err := a.dial(from, sshPort(from), 500*time.Millisecond)
			if err == nil {
				conn.Close()
			}
			if err != errShut {
				return false
			}
		}
		return true
	})
}

// logsIn fails unless root logs in from the address, with the real client.
func (a *act) logsIn(from string) {
	if text := a.overSSH(from, "echo let in"); text != "let in" {
		a.fail("ssh from %s printed %q", from, text)
	}
}

// overSSH runs a command in a log-in of root's that must succeed.
func (a *act) overSSH(from, command string) string {
	text, code := a.trySSH(from, command)
	if code != 0 {
		a.fail("over ssh from %s, %s: exit code %d: %s", from, command, code, text)
	}
	return text
}

func (a *act) trySSH(from, command string) (string, int) {
	text, code, err := ran(a.ssh(a.ctx, from, password, 1, command))
	a.must(err)
	return strings.TrimSpace(text), code
}

// guesses gives n wrong passwords from the address.
func (a *act) guesses(from string, n int) { a.must(a.wrong(a.ctx, from, n)) }

// pass runs one pass by its unit, as the timer does.
func (a *act) pass() { a.run("systemctl start scan2ban.service") }

// configure says what a ban takes; the other settings are those of the installation.
func (a *act) configure(text string) { a.must(a.write("etc/scan2ban/conf.d/scene.toml", text)) }

// A ban as "scan2ban banned --json" tells it.
type ban struct {
	Jail, Address, Key string
	Since              time.Time
	Until              *time.Time
	Failures           int
}

func (a *act) bans() []ban {
	var list []ban
	text := a.run("scan2ban banned --json")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		a.fail("scan2ban banned --json: %v: %s", err, text)
	}
	return list
}

// banned finds a ban of a key.
func (a *act) banned(key string) (ban, bool) {
	for _, b := range a.bans() {
		if b.Key == key {
			return b, true
		}
	}
	return ban{}, false
}

func (a *act) wantBan(key string) ban {
	b, ok := a.banned(key)
	if !ok {
		a.fail("%s should be banned; there are %v", key, a.bans())
	}
	return b
}

func (a *act) wantNoBan(key string) {
	if b, ok := a.banned(key); ok {
		a.fail("%s should not be banned: %+v", key, b)
	}
}

// cursor is where the journal ends now.
func (a *act) cursor() string {
	text := a.run("journalctl --sync; journalctl -n 1 -o cat --show-cursor")
	_, cursor, ok := strings.Cut(text, "-- cursor: ")
	if !ok {
		a.fail("journalctl shows no cursor: %s", text)
	}
	return strings.TrimSpace(cursor)
}

// entries are the journal's entries after a cursor that have to do with scan2ban:
// written by it, or by systemd about its units.
func (a *act) entries(after string) []map[string]any {
	var list []map[string]any
	text := a.run("journalctl --sync; journalctl --after-cursor='%s' -o json --all --no-pager", after)
	for line := range strings.Lines(text) {
		entry := map[string]any{}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			continue // "-- No entries --"
		}
		ours := false
		for _, field := range []string{"_SYSTEMD_UNIT", "UNIT", "SYSLOG_IDENTIFIER", "_COMM", "MESSAGE"} {
			value, _ := entry[field].(string)
			ours = ours || strings.Contains(value, "scan2ban")
		}
		if ours {
			list = append(list, entry)
		}
	}
	return list
}

// property is one property of a unit.
func (a *act) property(unit, name string) string {
	return strings.TrimSpace(a.run("systemctl show -P %s %s", name, unit))
}

// restart boots the house again, with a new network and without waiting.
func (a *act) restart(cut bool) {
	a.must(a.halt(a.ctx, cut))
	a.must(a.boot(a.ctx))
}

// A line is an echo over ssh: what is typed comes back.
type line struct {
	send  func(string)
	back  <-chan string
	close func()
}

// echo logs in and starts cat.
func (a *act) echo(from string) line {
	cmd := a.ssh(a.ctx, from, password, 1, "cat")
	in, err := cmd.StdinPipe()
	a.must(err)
	out, err := cmd.StdoutPipe()
	a.must(err)
	a.must(cmd.Start())
	back := make(chan string, 100)
	go func() {
		buffer := make([]byte, 1000)
		for {
			n, err := out.Read(buffer)
			if err != nil {
				close(back)
				cmd.Wait()
				return
			}
			back <- string(buffer[:n])
		}
	}()
	return line{send: func(s string) { fmt.Fprintln(in, s) }, back: back, close: func() { cmd.Process.Kill() }}
}

// answers says whether what is typed comes back in time.
func (l line) answers(within time.Duration) bool {
	l.send("anybody there?")
	select {
	case text, open := <-l.back:
		return open && strings.Contains(text, "anybody")
	case <-time.After(within):
		return false
	}
}

// serve answers every connection to an address in a namespace of the house's with
// a word, until the step ends.
func (a *act) serve(namespace, address, word string) {
	var l net.Listener
	a.must(inNamespace(namespace, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	}))
	context.AfterFunc(a.ctx, func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, word)
			conn.Close()
		}
	}()
}

// snapshot is all of the house that an installation may touch: a name, and what it
// holds. Left out is what changes by itself.
func (a *act) snapshot() map[string]string {
	files := map[string]string{}
	list := a.run(`find /etc /usr /opt /root /home /srv /var /run/systemd/system /run/scan2ban \( -path /var/log -o -path /var/tmp -o -path /var/cache/ldconfig -o -path /var/lib/systemd -o -path /root/.cache -o -path /root/.ssh \) -prune -o -printf '%%p\t%%y %%u:%%g %%m %%l\n' 2>/dev/null; true`)
	for line := range strings.Lines(list) {
		name, what, _ := strings.Cut(strings.TrimSpace(line), "\t")
		switch {
		case strings.HasSuffix(name, "-") && strings.HasPrefix(name, "/etc/"), name == "/etc/.pwd.lock": // backups of passwd and group
		default:
			files[name] = what
		}
	}
	for _, command := range []string{"cat /etc/passwd", "cat /etc/group", "cat /etc/shadow", "cat /etc/gshadow", "nft list tables | grep scan2ban; true",
		"systemctl list-unit-files --plain --no-legend | grep -v ^session-; true", "systemctl list-timers --all --plain --no-legend | grep scan2ban; true", "grep -r scan2ban /etc /var/lib -l --exclude=*-; true"} {
		files["$ "+command] = a.run("%s", command)
	}
	return files
}

// changed are the names in which two snapshots differ, each with a sign.
func changed(before, after map[string]string) []string {
	var list []string
	for name, was := range before {
		if is, ok := after[name]; !ok {
			list = append(list, "- "+name)
		} else if is != was {
			list = append(list, fmt.Sprintf("! %s: %s", name, difference(was, is)))
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			list = append(list, "+ "+name)
		}
	}
	return list
}

// difference is the lines of which only one text has them.
func difference(was, is string) string {
	var b strings.Builder
	for _, d := range []struct{ sign, in, out string }{{"-", was, is}, {"+", is, was}} {
		for line := range strings.Lines(d.in) {
			if line = strings.TrimSpace(line); !strings.Contains(d.out, line) {
				fmt.Fprintf(&b, " %s%s;", d.sign, line)
			}
		}
	}
	return b.String()
}
