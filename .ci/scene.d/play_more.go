package main

import (
	"context"
	"strings"
	"time"
)

// timer shows that nobody has to start a pass.
var timer = play{name: "timer", steps: []step{
	{"the timer's own passes ban", 150 * time.Second, func(a *act) {
		a.lay()
		a.run("./scan2ban install")
		a.configure(hour)
		a.until("the timer's first pass", 70*time.Second, func() bool {
			return a.property("scan2ban.timer", "LastTriggerUSec") != "" && a.property("scan2ban.service", "ActiveState") == "inactive"
		})
		a.guesses(mallory, 3)
		took := a.untilShut(70*time.Second, mallory)
		a.wantBan(mallory)
		a.say("%.0f s after the last wrong password", took.Seconds())
	}},
}}

// trial is "install --try", and a first pass over what was logged before.
var trial = play{name: "try", steps: []step{
	{"the first pass spares the session, and names it", 60 * time.Second, func(a *act) {
		a.past.files = a.snapshot()
		a.guesses(mallory4, 5)
		a.run("systemctl restart ssh") // sshd's own penalties, where it has them, end
		a.guesses(mallory4, 1)         // the default of maxretry
		a.guesses(admin, 5)
		a.run("systemctl restart ssh")
		a.lay()
		text := a.overSSH(admin, "./scan2ban install --try 8s")
		a.run("rm scan2ban")
		a.want("the first pass", text, admin, mallory4)
		a.wantNoBan(admin)
		a.wantBan(mallory4)
		a.shut(mallory4, sshPort(mallory4))
		a.open(admin, sshPort(admin))
	}},
	{"install --try without confirmation leaves nothing", 60 * time.Second, func(a *act) {
		a.until("the end of the trial", 40*time.Second, func() bool {
			_, code := a.try("test -e /usr/local/sbin/scan2ban || test -e /etc/systemd/system/scan2ban.timer")
			return code != 0
		})
		time.Sleep(time.Second)
		a.open(mallory4, sshPort(mallory4))
		a.asBefore()
	}},
	{"a boot during a trial takes it back", 60 * time.Second, func(a *act) {
		a.lay()
		a.run("./scan2ban install --try 10m && rm scan2ban")
		a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
		a.restart(true)
		a.must(a.await(a.ctx))
		a.until("the end of the trial", 20*time.Second, func() bool {
			_, code := a.try("test -e /usr/local/sbin/scan2ban || test -e /etc/systemd/system/scan2ban.timer")
			return code != 0
		})
		time.Sleep(time.Second)
		a.open(mallory4, sshPort(mallory4))
		a.asBefore()
	}},
	{"install --confirm keeps it, also after a boot", 60 * time.Second, func(a *act) {
		a.lay()
		a.overSSH(honest, "./scan2ban install --try 6s && ./scan2ban install --confirm && rm scan2ban")
		time.Sleep(8 * time.Second)
		a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
		a.restart(false)
		a.must(a.await(a.ctx))
		a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
		a.run("scan2ban uninstall --purge")
		a.asBefore()
	}},
}}

// firewall is a host that firewalld rules.
var firewall = play{name: "firewall", debians: []string{"13", "14"}, steps: []step{
	{"firewalld runs, scan2ban is installed", 60 * time.Second, func(a *act) {
		a.run("systemctl enable --now firewalld")
		a.lay()
		a.run("./scan2ban install")
		a.configure(hour)
		a.guesses(mallory, 3)
		a.pass()
		a.shut(mallory, sshPort(mallory))
		a.logsIn(honest)
		a.run("systemctl stop scan2ban.timer")
	}},
	{"firewall-cmd --reload leaves the bans", 0, func(a *act) {
		for _, how := range []string{"--reload", "--complete-reload"} {
			a.run("firewall-cmd %s", how)
			a.shut(mallory, sshPort(mallory))
			a.logsIn(honest)
		}
	}},
	{"a restart of firewalld leaves the bans, without a pass", 0, func(a *act) {
		a.run("systemctl restart firewalld")
		a.until("the bans", 5*time.Second, func() bool {
			_, code := a.try("nft list table inet scan2ban | grep -q '" + mallory + " '")
			return code == 0
		})
		a.shut(mallory, sshPort(mallory))
	}},
	{"a flush under firewalld: the next pass repairs it", 0, func(a *act) {
		a.run("nft flush ruleset")
		a.pass()
		a.shut(mallory, sshPort(mallory))
	}},
}}

// cron is a host without systemd as init, its log a file: rsyslog's up to Debian 12,
// that of busybox from 13 on.
var cron = play{name: "cron", init: []string{"/bin/busybox", "init"}, furnish: sysvinit, steps: []step{
	{"install --cron, the static build", 60 * time.Second, func(a *act) {
		a.until("sshd", 10*time.Second, func() bool {
			conn, err := a.dial(honest, sshPort(honest), time.Second)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		_, err := output(a.ctx, "cp", a.work+"/scan2ban-static", a.root+"/root/scan2ban")
		a.must(err)
		a.logsIn(honest)
		a.overSSH(admin, "./scan2ban install --cron && rm scan2ban")
		a.run("test -f /etc/cron.d/scan2ban")
	}},
	{"cron's own passes ban, within two minutes", 150 * time.Second, func(a *act) {
		a.configure(hour)
		a.guesses(mallory, 3)
		a.guesses(mallory6, 3)
		took := a.untilShut(120*time.Second, mallory, mallory6) // a pass may come between their guesses
		a.shut(neighbour, sshPort(neighbour))
		a.logsIn(honest)
		a.say("%.0f s after the last wrong password", took.Seconds())
	}},
	{"uninstall takes the line for cron and the bans away", 0, func(a *act) {
		a.run("scan2ban uninstall --purge")
		a.open(mallory, sshPort(mallory))
		a.equal("what is left", a.run("find / -xdev -name '*scan2ban*' ! -path '/proc/*'; grep scan2ban /etc/passwd /etc/group; true"), "")
	}},
}}

// sysvinit says what busybox's init starts.
func sysvinit(h *house) error {
	syslog := "/bin/busybox syslogd -n" // to /var/log/messages
	if withRsyslog(h.debian) {
		syslog = "/usr/sbin/rsyslogd -n"
	}
	return h.write("etc/inittab", "::sysinit:/bin/mkdir -p /run/sshd\n::respawn:"+syslog+"\n::respawn:/usr/sbin/sshd -D\n::respawn:/usr/sbin/cron -f\n")
}

// attempts measures how many wrong passwords get through in the minute before a
// ban takes hold, from one address with as many connections as sshd lets it have.
var attempts = play{name: "attempts", alone: true, steps: []step{
	{"attempts of one address until its ban", 400 * time.Second, func(a *act) {
		a.lay()
		a.run("./scan2ban install")
		if _, code := a.try("sshd -T | grep -q '^persourcepenalties '"); code == 0 {
			a.hammer("with PerSourcePenalties as they come")
			a.run("scan2ban unban --all; echo 'PerSourcePenalties no' >> /etc/ssh/sshd_config.d/scene.conf; systemctl restart ssh")
		}
		a.hammer("without PerSourcePenalties")
	}},
}}

func (a *act) hammer(how string) {
	started := func() string { return a.property("scan2ban.service", "ExecMainStartTimestampMonotonic") }
	last := started()
	a.until("a pass of the timer", 70*time.Second, func() bool { return started() != last }) // the longest wait: from one to the next
	from := a.cursor()
	ctx, stop := context.WithTimeout(a.ctx, 90*time.Second)
	defer stop()
	const clients = 20
	end := make(chan bool)
	for range clients {
		go func() {
			for ctx.Err() == nil {
				ran(a.ssh(ctx, mallory, "wrong", 6, "true")) // refused, dropped or cut off: on with the next
			}
			end <- true
		}()
	}
	took := a.until("the ban", 80*time.Second, func() bool {
		_, code := a.try("nft list table inet scan2ban | grep -q '" + mallory + " '")
		return code == 0
	})
	stop()
	for range clients {
		<-end
	}
	a.shut(mallory, sshPort(mallory))
	count := strings.TrimSpace(a.run("journalctl --sync; journalctl --after-cursor='%s' -o cat | grep -c 'Failed password for root from %s '", from, mallory))
	a.say("%s passwords in %.0f s from %d clients %s", count, took.Seconds(), clients, how)
}
