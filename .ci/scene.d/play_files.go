package main

import (
	"fmt"
	"strings"
	"time"
)

// files is a host whose sshd is guarded by its log file, which only root may read, or
// group adm: rsyslog's on Debian 12; on 13 what sshd logs is written there by a unit.
var files = play{name: "files", steps: []step{
	{"a log file that the unit may not read: check says so, and what to do", 120 * time.Second, func(a *act) {
		if withRsyslog(a.debian) {
			a.run("systemctl enable -q --now rsyslog")
		} else {
			a.run("systemd-run -q --unit=tolog -p UMask=0077 sh -c 'exec journalctl -q -f -n 0 -o short SYSLOG_IDENTIFIER=sshd SYSLOG_IDENTIFIER=sshd-session >> /var/log/auth.log'")
		}
		a.logsIn(honest)
		a.until("a line in auth.log", 10*time.Second, func() bool {
			_, code := a.try("grep -q 'Accepted password for root from " + honest + " ' /var/log/auth.log")
			return code == 0
		})
		a.lay()
		a.run("./scan2ban install && rm scan2ban && systemctl stop scan2ban.timer")
		a.exposed("scan2ban.service", 1.1)
		a.configure(hour + "[jail.sshd]\nbackend = \"file\"\n")
		text, code := a.try("scan2ban check")
		if code == 0 {
			a.fail("check finds nothing wrong: %s", text)
		}
		a.want("check", text, "jail sshd: log files", "open /var/log/auth.log: permission denied", "AmbientCapabilities=CAP_DAC_READ_SEARCH")
		a.guesses(mallory, 3)
		if text, code = a.try("systemctl start scan2ban.service"); code == 0 {
			a.fail("a pass that could not read its log went well: %s", text)
		}
		a.open(mallory, sshPort(mallory))
		a.say("auth.log is %s", strings.TrimSpace(a.run("stat -c '%%U:%%G %%a' /var/log/auth.log")))
	}},
	{"with the drop-in that a second install lays it reads the file, bans, and nothing else is opened", 120 * time.Second, func(a *act) {
		a.lay()
		a.want("the second install", a.run("./scan2ban install && rm scan2ban && systemctl stop scan2ban.timer"), "scan2ban.service.d/logfiles.conf")
		a.equal("the capabilities", a.property("scan2ban.service", "AmbientCapabilities"), "cap_dac_read_search cap_net_admin")
		a.equal("the bounds", a.property("scan2ban.service", "CapabilityBoundingSet"), "cap_dac_read_search cap_net_admin")
		a.exposed("scan2ban.service", 1.3)
		a.guesses(mallory2, 3)
		a.until("its lines in auth.log", 10*time.Second, func() bool {
			_, code := a.try("test $(grep -c 'Failed password for root from " + mallory2 + " ' /var/log/auth.log) = 3")
			return code == 0
		})
		a.pass()
		a.equal("the pass", a.property("scan2ban.service", "Result"), "success")
		for _, from := range []string{mallory, mallory2} { // the first from what no pass could read before
			if b := a.wantBan(from); b.Failures != 3 {
				a.fail("the ban of %s: %+v", from, b)
			}
			a.shut(from, sshPort(from))
		}
		a.logsIn(honest)
		a.want("status", a.run("scan2ban status"), "sshd  file ")
		text, _ := a.try("scan2ban check") // the timer that is stopped is an error
		if strings.Contains(text, "permission denied") {
			a.fail("check still finds that something cannot be read: %s", text)
		}
	}},
	{"the file is rotated: what was written before and after counts", 120 * time.Second, func(a *act) {
		a.guesses(mallory3, 2)
		a.until("its lines in auth.log", 10*time.Second, func() bool {
			_, code := a.try("test $(grep -c 'Failed password for root from " + mallory3 + " ' /var/log/auth.log) = 2")
			return code == 0
		})
		a.run("mv /var/log/auth.log /var/log/auth.log.1")
		if withRsyslog(a.debian) {
			a.run("systemctl kill -s HUP rsyslog")
		} else {
			a.run("systemctl stop tolog; systemd-run -q --unit=tolog2 -p UMask=0077 sh -c 'exec journalctl -q -f -n 0 -o short SYSLOG_IDENTIFIER=sshd SYSLOG_IDENTIFIER=sshd-session >> /var/log/auth.log'; until pgrep -f '^journalctl -q -f'; do sleep 0.1; done")
		}
		a.guesses(mallory3, 1)
		a.until("its line in the new auth.log", 10*time.Second, func() bool {
			_, code := a.try("grep -q 'Failed password for root from " + mallory3 + " ' /var/log/auth.log")
			return code == 0
		})
		a.pass()
		a.wantBan(mallory3)
		a.shut(mallory3, sshPort(mallory3))
	}},
	{"read from the journal again, what a local user forges there bans nobody", 120 * time.Second, (*act).forged},
}}

// forged writes entries as a user without rights would to have others banned, and then the
// same line as root, who is believed: it is no other that kept them from being read.
func (a *act) forged() {
	const line, user = "Failed password for root from %s port 4711 ssh2", "setpriv --reuid=65534 --regid=65534 --clear-groups "
	a.configure(hour)
	a.pass()
	a.want("status", a.run("scan2ban status"), "sshd  journal ")
	forged := fmt.Sprintf(line, "203.0.113.66")
	a.must(a.write("srv/entry", "MESSAGE="+forged+"\nSYSLOG_IDENTIFIER=sshd\n_UID=0\n_SYSTEMD_UNIT=ssh.service\n_TRANSPORT=syslog\nCONTAINER_NAME=sshd\nPRIORITY=6\n"))
	for range 4 {
		a.run("%slogger -t sshd -p auth.info '%s'", user, forged)
		a.run("%slogger -t sshd-session -i --socket-errors=on -p authpriv.info '%s'", user, forged)
		a.run("%slogger --journald=/srv/entry", user)
		a.run("systemd-run -q --wait --uid=65534 -p SyslogIdentifier=sshd echo '%s'", forged)
	}
	a.want("the journal", a.run("journalctl --sync; journalctl -o cat -n 100"), forged)
	a.pass()
	a.wantNoBan("203.0.113.66")
	believed := fmt.Sprintf(line, "203.0.113.67")
	for range 3 {
		a.run("logger -t sshd -p auth.info '%s'", believed)
	}
	a.run("journalctl --sync")
	a.pass()
	a.wantBan("203.0.113.67")
}

// exposed fails unless systemd-analyze thinks that the unit's exposure is at most that.
func (a *act) exposed(unit string, most float64) {
	text := a.run("systemd-analyze security --no-pager %s", unit)
	_, level, ok := strings.Cut(text, "Overall exposure level for "+unit+": ")
	exposure := 0.0
	if _, err := fmt.Sscan(level, &exposure); !ok || err != nil {
		a.fail("systemd-analyze security says no level: %s", text)
	}
	if exposure > most {
		a.fail("%s is exposed %.1f, more than %.1f: %s", unit, exposure, most, text)
	}
	a.say("%s exposed %.1f", strings.TrimSuffix(unit, ".service"), exposure)
}
