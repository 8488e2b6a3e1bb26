package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// source writes entries with the fields that journald gives them. What it
// writes depends on its seed alone.
type source struct {
	rand  *rand.Rand
	now   time.Time // of the next entry
	step  time.Duration
	pid   int
	users []string
}

func newSource(from time.Time, step time.Duration) *source {
	s := &source{rand: rand.New(rand.NewPCG(1, 2)), now: from, step: step, pid: 1000,
		users: []string{"admin", "test", "ubuntu", "oracle", "postgres", "git", "user", "ftpuser", "pi", "deploy"}}
	for i := range 500 {
		s.users = append(s.users, fmt.Sprintf("user%d", i))
	}
	return s
}

// attack is n entries of an sshd that is being guessed at, with a log-in now and then.
func (s *source) attack(n int) iter.Seq[journaltest.Entry] {
	return s.write(n, func() []journaltest.Entry {
		s.pid++
		if s.rand.IntN(40) == 0 {
			return s.sshd(s.login())
		}
		return s.sshd(s.guess())
	})
}

// everyday is n entries of a host that nobody attacks: other units, cron's
// many, and one log-in in a hundred entries. None of it is a failure.
func (s *source) everyday(n int) iter.Seq[journaltest.Entry] {
	return s.write(n, func() []journaltest.Entry {
		s.pid++
		if s.rand.IntN(100) == 0 {
			return s.sshd(s.login())
		}
		return []journaltest.Entry{s.other()}
	})
}

// noise is n entries that no filter of ours asks for.
func (s *source) noise(n int) iter.Seq[journaltest.Entry] {
	return s.write(n, func() []journaltest.Entry { return []journaltest.Entry{s.other()} })
}

// write gives n entries of what makes some, at even intervals.
func (s *source) write(n int, some func() []journaltest.Entry) iter.Seq[journaltest.Entry] {
	return func(yield func(journaltest.Entry) bool) {
		for n > 0 {
			for _, e := range some() {
				e.Time = s.now.UnixMicro()
				e.Monotonic = e.Time - 1<<50 // the boot was some time in 2005
				e.Fields["_SOURCE_REALTIME_TIMESTAMP"] = strconv.FormatInt(e.Time-37, 10)
				s.now = s.now.Add(s.step)
				if n--; n < 0 || !yield(e) {
					return
				}
			}
		}
	}
}

// guess is what one connection of an attacker logs.
func (s *source) guess() []string {
	// A few attackers are responsible for most of it.
	attacker := int(3000 * s.rand.Float64() * s.rand.Float64() * s.rand.Float64())
	addr := fmt.Sprintf("198.%d.%d.%d", 18+attacker%2, attacker/250, 1+attacker%250)
	if attacker%20 == 0 {
		addr = fmt.Sprintf("2001:db8:%x::%x", attacker, s.rand.IntN(1<<16))
	}
	user, port := s.users[s.rand.IntN(len(s.users))], 1024+s.rand.IntN(60000)
	from := fmt.Sprintf("from %s port %d", addr, port)
	pam := "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=" + addr
	switch kind := s.rand.IntN(100); {
	case kind < 60:
		return []string{
			fmt.Sprintf("Invalid user %s %s", user, from),
			"pam_unix(sshd:auth): check pass; user unknown",
			pam,
			fmt.Sprintf("Failed password for invalid user %s %s ssh2", user, from),
			fmt.Sprintf("Received disconnect %s:11: Bye Bye [preauth]", from),
			fmt.Sprintf("Disconnected from invalid user %s %s port %d [preauth]", user, addr, port),
		}
	case kind < 85:
		return []string{
			pam + "  user=root",
			fmt.Sprintf("Failed password for root %s ssh2", from),
			fmt.Sprintf("Connection closed by authenticating user root %s port %d [preauth]", addr, port),
		}
	case kind < 95:
		return []string{fmt.Sprintf("Connection closed by %s port %d [preauth]", addr, port)}
	case kind < 98:
		return []string{fmt.Sprintf("Unable to negotiate with %s port %d: no matching key exchange method found. Their offer: diffie-hellman-group1-sha1 [preauth]", addr, port)}
	}
	return []string{
		"error: kex_exchange_identification: client sent invalid protocol identifier \"GET / HTTP/1.1\"",
		fmt.Sprintf("banner exchange: Connection %s: invalid format", from),
	}
}

// login is what one connection of a user logs.
func (s *source) login() []string {
	from := fmt.Sprintf("from 192.0.2.%d port %d", 1+s.rand.IntN(20), 1024+s.rand.IntN(60000))
	return []string{
		fmt.Sprintf("Accepted publickey for deploy %s ssh2: ED25519 SHA256:%043x", from, s.rand.Uint64()),
		"pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
		fmt.Sprintf("Received disconnect %s:11: disconnected by user", from),
		"Disconnected from user deploy " + from[len("from "):],
		"pam_unix(sshd:session): session closed for user deploy",
	}
}

func (s *source) sshd(lines []string) []journaltest.Entry {
	entries := make([]journaltest.Entry, len(lines))
	for i, text := range lines {
		entries[i] = s.entry("ssh", "sshd", "/usr/sbin/sshd", "sshd: unknown [priv]", text)
		entries[i].Fields["SYSLOG_FACILITY"] = "4"
	}
	return entries
}

func (s *source) other() journaltest.Entry {
	unit := s.rand.IntN(30)
	name := fmt.Sprintf("service%d", unit)
	return s.entry(name, name, "/usr/bin/"+name, "/usr/bin/"+name+" --foreground",
		fmt.Sprintf("worker %d: request %016x-%016x for /api/v2/accounts/%d/items?page=%d&order=newest&view=compact by client %d (session %016x) answered 200 in %d ms, %d bytes, cache miss, upstream backend-%d",
			unit, s.rand.Uint64(), s.rand.Uint64(), s.rand.IntN(1e6), s.rand.IntN(50), s.rand.IntN(5000), s.rand.Uint64(), s.rand.IntN(900), s.rand.IntN(1<<20), s.rand.IntN(8)))
}

func (s *source) entry(unit, name, exe, line, text string) journaltest.Entry {
	pid := strconv.Itoa(s.pid)
	return journaltest.Entry{Message: text, Fields: map[string]string{
		"_TRANSPORT": "syslog", "_UID": "0", "_GID": "0", "_PID": pid, "SYSLOG_PID": pid, "PRIORITY": "6",
		"SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": name, "_COMM": name, "_EXE": exe, "_CMDLINE": line,
		"_CAP_EFFECTIVE": "1ffffffffff", "_SYSTEMD_CGROUP": "/system.slice/" + unit + ".service",
		"_SYSTEMD_UNIT": unit + ".service", "_SYSTEMD_SLICE": "system.slice",
		"_HOSTNAME": "host", "_MACHINE_ID": journaltest.Boot(9),
	}}
}
