package main

import (
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// byMail is a host whose admin wants to be told: by postfix up to Debian 12, whose queue
// takes a setgid program, and by exim from 13 on, which is setuid root.
var byMail = play{name: "mail", steps: []step{
	{"a ban is told by mail and by a hook, from the real unit", 60 * time.Second, func(a *act) {
		a.run("useradd --create-home alice; echo house > /etc/mailname")
		server := "exim4"
		if withRsyslog(a.debian) {
			server = "postfix"
			a.run("postconf -e mydestination=house,localhost myorigin=house myhostname=house inet_interfaces=loopback-only")
		}
		a.run("systemctl start %s", server)
		a.lay()
		a.run("./scan2ban install && rm scan2ban && systemctl stop scan2ban.timer")
		a.must(a.write("usr/local/bin/tell", "#!/bin/sh\necho \"$SCAN2BAN_EVENT $SCAN2BAN_KEY as $(id -un) $(grep CapEff /proc/self/status | tr '\\t' ' ')\"\n"))
		a.run("chmod 755 /usr/local/bin/tell")
		a.configure(hour + "[mail]\nto = [\"alice\"]\nwhen = \"each\"\nquote = true\n[[hook]]\nrun = [\"/usr/local/bin/tell\"]\n[metrics]\ntextfile = \"/run/scan2ban/scan2ban.prom\"\n")
		found, _ := a.try("scan2ban check") // the timer that is stopped is an error
		a.want("check", found, "each to alice, by /usr/sbin/sendmail")
		a.pass() // gives both their positions
		a.until("the positions", 10*time.Second, func() bool {
			_, code := a.try("test -s /var/lib/scan2ban/deliver.json && systemctl is-active scan2ban-deliver.service | grep -q inactive")
			return code == 0
		})
		a.want("the metrics", a.run("stat -c '%%a %%U' /run/scan2ban/scan2ban.prom; cat /run/scan2ban/scan2ban.prom"), "644 scan2ban", "\nscan2ban_last_good_pass_timestamp_seconds 1", `scan2ban_jail_health{jail="sshd",health="ok"} 1`)
		a.guesses(mallory, 3)
		a.pass()
		box := filepath.Join(a.root, "var/mail/alice")
		took := a.until("a mail to alice", 20*time.Second, func() bool {
			text, _ := os.ReadFile(box)
			return len(text) > 0
		})
		text, err := os.ReadFile(box)
		a.must(err)
		_, message, _ := strings.Cut(string(text), "\n") // after mbox's own line
		m, err := mail.ReadMessage(strings.NewReader(message))
		a.must(err)
		body, err := io.ReadAll(m.Body)
		a.must(err)
		a.want("the subject", m.Header.Get("Subject"), "[scan2ban] house: sshd: banned "+mallory)
		a.want("the mail", string(body), "Failed password for root from "+mallory)
		a.want("the sender", m.Header.Get("From"), "scan2ban@house")
		a.say("%s, %.1f s after the pass", server, took.Seconds())
		told := ""
		a.until("the hook", 10*time.Second, func() bool {
			told = a.run("journalctl --sync; journalctl -u scan2ban-deliver.service -o cat")
			return strings.Contains(told, "tell: ban "+mallory)
		})
		a.want("the hook", told, "as scan2ban CapEff: 0000000000000000")
	}},
	{"deliver --test mail shows what sendmail says", 0, func(a *act) {
		a.want("the test", a.run("scan2ban deliver --test mail"), "/usr/sbin/sendmail took a mail to alice")
		a.until("a second mail", 20*time.Second, func() bool {
			text, _ := os.ReadFile(filepath.Join(a.root, "var/mail/alice"))
			return strings.Contains(string(text), "(a test)")
		})
		a.run("mv /usr/sbin/sendmail /usr/sbin/away")
		text, code := a.try("scan2ban deliver --test mail")
		a.run("mv /usr/sbin/away /usr/sbin/sendmail")
		if code != 1 {
			a.fail("without a sendmail the exit code is %d: %s", code, text)
		}
		a.want("without a sendmail", text, "there is no such program")
	}},
	{"uninstall takes the deliveries away too", 0, func(a *act) {
		a.run("scan2ban uninstall --purge")
		a.equal("what is left", a.run("find / -xdev -name '*scan2ban*' ! -path '/proc/*' ! -path '/var/log/*' ! -path '/tmp/*' ! -path '/var/tmp/*'; true"), "")
	}},
}}
