package scan

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
)

// chosen are the fields beginning with "_" that are what a local user likes: journald
// takes them from its process, which he names, and from the socket to which he writes.
var chosen = map[string]bool{"_TRANSPORT": true, "_COMM": true, "_CMDLINE": true, "_PID": true, "_HOSTNAME": true}

// apart are the filters whose daemons run nothing of the host's users in their units: there
// the unit alone proves who writes. Of all others a user's process in the unit is not heard: a
// command of ~/.forward below Postfix or Exim, a shell below sshd where logind is missing.
var apart = map[string]bool{
	"asterisk": true, "caddy": true, "cyrus-imap": true, "grafana": true, "haproxy": true, "home-assistant": true, "mariadb": true,
	"named": true, "openvpn": true, "slapd": true, "vaultwarden": true,
	// Whoever has code in the web server's unit is the service: a pool of PHP of his own.
	"nextcloud": true, "roundcube": true, "wp-fail2ban": true,
}

// TestLocalUser: what a user of the host writes into the journal is read by no filter, not
// even as SYSLOG_IDENTIFIER=sshd from a unit of his own that is called ssh.service, nor from
// a process of his in the daemon's own unit. The real service's entry is.
func TestLocalUser(t *testing.T) {
	var all []*filter.Filter
	var theirs, inside, real []journaltest.Entry
	for _, name := range filter.Names() {
		rules, err := filter.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		terms := rules.Matches()
		if len(terms) == 0 {
			continue
		}
		all = append(all, rules)
		for _, term := range terms {
			at := (T-1000)*1e6 + int64(len(real))*1e6
			whole, forged := map[string]string{}, map[string]string{}
			for _, expr := range term {
				field, value, _ := strings.Cut(expr, "=")
				whole[field] = value
				if chosen[field] || !strings.HasPrefix(field, "_") {
					forged[field] = value
				}
			}
			maps.Copy(forged, map[string]string{"_GID": "1000", "_SYSTEMD_UNIT": "user@1000.service", "_SYSTEMD_USER_UNIT": whole["_SYSTEMD_UNIT"],
				"UNIT": whole["_SYSTEMD_UNIT"], "OBJECT_SYSTEMD_UNIT": whole["_SYSTEMD_UNIT"], "COREDUMP_UNIT": whole["_SYSTEMD_UNIT"], "OBJECT_UID": "0"})
			real = append(real, journaltest.Entry{Time: at, Message: "x", Fields: whole})
			for _, user := range []string{"1000", "65534"} {
				forged = maps.Clone(forged)
				forged["_UID"] = user
				theirs = append(theirs, journaltest.Entry{Time: at, Message: "x", Fields: forged})
				within := maps.Clone(whole)
				within["_UID"], within["_EXE"] = user, "/usr/bin/dash"
				inside = append(inside, journaltest.Entry{Time: at, Message: "x", Fields: within})
			}
		}
	}
	if len(all) < 15 {
		t.Fatalf("only %d filters read the journal", len(all))
	}
	dir := t.TempDir()
	forged, genuine := journaltest.Write(t, dir+"/forged.journal", theirs), journaltest.Write(t, dir+"/genuine.journal", real)
	unit := journaltest.Write(t, dir+"/unit.journal", inside)
	for _, rules := range all {
		read := func(path string) (n int) {
			if _, err := MatchJournal(context.Background(), path, time.Unix(T, 0), rules, rules.Compile(filter.Aggressive), func(Trial) { n++ }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := read(forged); n > 0 {
			t.Errorf("%s reads %d of %d entries that any user can write: %v", rules.Name, n, len(theirs), rules.Matches())
		}
		if n := read(unit); (n > 0) != apart[rules.Name] {
			t.Errorf("%s reads %d entries of users' processes in the daemon's unit; is there said to be none: %v", rules.Name, n, apart[rules.Name])
		}
		if n := read(genuine); n < len(rules.Matches()) {
			t.Errorf("%s reads %d entries, of the service there are %d", rules.Name, n, len(rules.Matches()))
		}
	}
}
