package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// guard is a host from the first ten minutes to the last: installed, attacked,
// flushed, started again, and given up.
var guard = play{name: "guard", steps: []step{
	{"install, as the README says", 60 * time.Second, (*act).install},
	{"a second install keeps what the admin wrote", 0, (*act).upgrade},
	{"idle passes leave no line in the journal", 0, (*act).idle},
	{"maxretry wrong passwords ban at the next pass, over IPv4 and IPv6", 0, (*act).bansAtMaxretry},
	{"the banned get no answer, the honest log in", 0, (*act).honestLogIn},
	{"a ban is one entry at notice, with its fields", 0, (*act).oneEntry},
	{"an open connection of the banned gets no further packet", 0, (*act).openConnection},
	{"unban works at once and lasts", 0, (*act).unban},
	{"the unit's user and root share the files", 0, (*act).sharedFiles},
	{"a ban ends by itself, without a pass", 60 * time.Second, (*act).endsByItself},
	{"nft flush ruleset: the next pass repairs it", 0, (*act).flushed},
	{"systemctl restart nftables: repaired without a pass", 0, (*act).firewallRestarted},
	{"a published port is covered as dialled, transit is not", 0, (*act).published},
	{"the address of one's own session cannot be banned", 0, (*act).ownSession},
	{"a boot: bans are back before sshd answers", 60 * time.Second, (*act).boots},
	{"a power cut: the same", 60 * time.Second, (*act).powerCut},
	{"pause: no ban in the kernel and none to come, also after a boot", 60 * time.Second, (*act).pause},
	{"resume: both are back", 0, (*act).resume},
	{"uninstall leaves the configuration only", 0, (*act).uninstall},
	{"uninstall --purge leaves nothing at all", 0, (*act).purge},
}}

// lay copies a build into the house, as a person brings it there.
func (a *act) lay() {
	build := builds[a.debian]
	_, err := output(a.ctx, "cp", a.work+"/scan2ban-"+build, a.root+"/root/scan2ban")
	a.must(err)
	a.say("%s build", build)
}

func (a *act) install() {
	a.past.files = a.snapshot()
	a.lay()
	a.overSSH(admin, "./scan2ban install")
	a.run("rm scan2ban")
	a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
	a.equal("the timer at boot", a.property("scan2ban.timer", "UnitFileState"), "enabled")
	a.equal("the restore unit at boot", a.property("scan2ban-restore.service", "UnitFileState"), "enabled")
	a.equal("the pass", a.property("scan2ban.service", "Result"), "success")
	a.exposed("scan2ban.service", 1.1)
	a.exposed("scan2ban-restore.service", 1.1)
}

const hour = "[defaults]\nmaxretry = 3\nbantime = \"1h\"\n"

func (a *act) upgrade() {
	a.configure(hour)
	a.run("echo '# by the admin' >> /etc/scan2ban/scan2ban.toml")
	before := a.run("sha256sum /etc/scan2ban/scan2ban.toml /etc/scan2ban/conf.d/scene.toml")
	a.lay()
	a.overSSH(admin, "./scan2ban install && rm scan2ban")
	a.equal("the configuration", a.run("sha256sum /etc/scan2ban/scan2ban.toml /etc/scan2ban/conf.d/scene.toml"), before)
	a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
	a.pass()
}

func (a *act) idle() {
	a.pass()
	// Though the unit hides most of /proc, the pass knows the boot and the network namespace.
	a.want("/run/scan2ban/pass.json", a.run("cat /run/scan2ban/pass.json"),
		fmt.Sprintf(`"boot":%q,"netns":%s,`, strings.TrimSpace(a.run("cat /proc/sys/kernel/random/boot_id")), strings.TrimSpace(a.run("stat -Lc %%i /proc/self/ns/net"))))
	from := a.cursor()
	for range 3 {
		a.pass()
	}
	for _, e := range a.entries(from) {
		switch message := fmt.Sprint(e["MESSAGE"]); {
		case strings.Contains(message, "pids.max"): // no controllers in this container's groups
		case a.debian == "11" && e["_PID"] == "1": // systemd 247 tells of each start all the same
		default:
			a.fail("an idle pass left: %s", message)
		}
	}
}

func (a *act) bansAtMaxretry() {
	a.run("systemctl stop scan2ban.timer") // the next pass is ours, so that its time is known
	all := []string{mallory, mallory6, beside6}
	a.eachAtOnce(all, func(from string) error { return a.wrong(a.ctx, from, 2) })
	a.pass()
	if bans := a.bans(); len(bans) > 0 {
		a.fail("two failures of three ban: %v", bans)
	}
	a.eachAtOnce(all, func(from string) error { return a.wrong(a.ctx, from, 1) })
	a.pass()
	a.run("systemctl start scan2ban.timer")
	for _, key := range []string{mallory, "2001:db8:2::/64", beside6} {
		b := a.wantBan(key)
		if b.Failures != 3 || b.Until == nil || b.Until.Sub(b.Since) != time.Hour {
			a.fail("the ban of %s: %+v", key, b)
		}
	}
}

// eachAtOnce does something for several clients at the same time.
func (a *act) eachAtOnce(list []string, do func(string) error) {
	results := make(chan error)
	for _, from := range list {
		go func() { results <- do(from) }()
	}
	var failed error
	for range list {
		if err := <-results; err != nil {
			failed = err
		}
	}
	a.must(failed)
}

func (a *act) honestLogIn() {
	for _, from := range []string{mallory, mallory6, neighbour, beside6} {
		a.shut(from, sshPort(from))
	}
	text, code := a.trySSH(mallory, "true")
	if code == 0 || !strings.Contains(text, "timed out") {
		a.fail("ssh of the banned should time out: exit code %d: %s", code, text)
	}
	a.logsIn(honest)
	a.logsIn(honest6)
}

func (a *act) oneEntry() {
	text := a.run("journalctl --sync; journalctl -o json --all SCAN2BAN_ADDRESS=%s", mallory)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 1 {
		a.fail("%d entries tell of one ban: %s", len(lines), text)
	}
	a.want("the entry", text, `"SCAN2BAN_JAIL":"sshd"`, `"SCAN2BAN_UNTIL":"`, `"MESSAGE_ID":"`, `"PRIORITY":"5"`, mallory)
}

func (a *act) openConnection() {
	open := a.echo(mallory2)
	defer open.close()
	if !open.answers(10 * time.Second) {
		a.fail("no echo over ssh before the ban")
	}
	a.guesses(mallory2, 3)
	if !open.answers(3 * time.Second) {
		a.fail("no echo over ssh before the pass")
	}
	a.pass()
	a.wantBan(mallory2)
	if open.answers(3 * time.Second) {
		a.fail("the open connection still answers")
	}
}

func (a *act) unban() {
	a.run("scan2ban unban %s 2001:db8:2::/64", mallory2)
	for range 2 {
		a.open(mallory2, sshPort(mallory2))
		a.open(neighbour, sshPort(neighbour))
		a.wantNoBan(mallory2)
		a.pass()
	}
	a.shut(mallory, sshPort(mallory)) // of the others nothing was said
}

func (a *act) sharedFiles() {
	owners := func(after string) {
		a.equal("what does not belong to the unit's user after "+after, a.run("find /var/lib/scan2ban /run/scan2ban ! -user scan2ban ! -name install.json"), "")
	}
	owners("unban by root")
	a.pass()
	a.run("scan2ban ban %s --for 1h", mallory2)
	owners("a ban by root")
	a.shut(mallory2, sshPort(mallory2))
	a.pass()
	owners("a pass by the unit")
	a.wantBan(mallory2)
	a.run("scan2ban unban %s", mallory2)
	a.run("scan2ban run")
	owners("a pass by root")
	a.pass()
	a.wantNoBan(mallory2)
	a.equal("the pass", a.property("scan2ban.service", "Result"), "success")
	a.run("scan2ban status; scan2ban banned")
	owners("status by root")
}

func (a *act) endsByItself() {
	const lasts = 15 * time.Second
	a.configure(fmt.Sprintf("[defaults]\nmaxretry = 3\nbantime = \"%d\"\n", int(lasts.Seconds())))
	a.run("systemctl stop scan2ban.timer")
	a.guesses(mallory3, 3)
	a.pass()
	until := a.wantBan(mallory3).Until
	started := a.property("scan2ban.service", "ExecMainStartTimestampMonotonic")
	a.shut(mallory3, sshPort(mallory3))
	a.until("the end of the ban", 2*lasts, func() bool {
		conn, err := a.dial(mallory3, sshPort(mallory3), 200*time.Millisecond)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if off := time.Since(*until); off < 0 || off > 2*time.Second {
		a.fail("the kernel let the banned in %v after the end of the ban", off)
	} else {
		a.say("%.1f s after the end of a ban of %.0f s", off.Seconds(), lasts.Seconds())
	}
	a.equal("the last pass", a.property("scan2ban.service", "ExecMainStartTimestampMonotonic"), started)
	a.configure(hour)
	a.pass()
	a.wantNoBan(mallory3)
	a.told("expiry", "ffa9b514110d69168a4f3d8890361c9f", mallory3)
	a.run("systemctl start scan2ban.timer")
}

// told fails unless the real journal holds an entry of the kind, and its catalogue
// explains it.
func (a *act) told(what, id, word string) {
	a.want(what, a.run("journalctl --sync; journalctl -x -o short --no-pager -t scan2ban MESSAGE_ID=%s", id), word, "Subject: ")
}

func (a *act) flushed() {
	a.run("systemctl stop scan2ban.timer")
	a.pass()
	a.shut(mallory, sshPort(mallory))
	a.run("nft flush ruleset")
	a.open(mallory, sshPort(mallory))
	a.pass()
	a.shut(mallory, sshPort(mallory))
	a.shut(beside6, sshPort(beside6))
	a.told("repair", "4c96dd3f24191617fbb6da5f00d3bd81", "mended")
}

func (a *act) firewallRestarted() {
	a.run("systemctl stop scan2ban.timer; systemctl enable --now nftables")
	a.until("the end of the restore unit", 5*time.Second, func() bool {
		return a.property("scan2ban-restore.service", "ActiveState") == "inactive"
	})
	started := a.property("scan2ban.service", "ExecMainStartTimestampMonotonic")
	for _, restarts := range []int{1, 3} { // once, and while the repair still runs
		if a.debian == "11" && restarts > 1 {
			break // to systemd 247 a unit that is being started is not part of one that is restarted
		}
		a.run("systemctl reset-failed nftables") // systemd allows five starts in ten seconds
		a.run("for i in $(seq %d); do systemctl restart nftables; done", restarts)
		gap := a.until("the repair", 5*time.Second, func() bool {
			_, code := a.try("nft list table inet scan2ban | grep -q '" + mallory + " '")
			return code == 0
		})
		a.until("the end of the restore unit", 5*time.Second, func() bool {
			return a.property("scan2ban-restore.service", "ActiveState") == "inactive"
		})
		a.shut(mallory, sshPort(mallory))
		a.say("%.0f ms after %d", gap.Seconds()*1e3, restarts)
	}
	a.equal("the last pass", a.property("scan2ban.service", "ExecMainStartTimestampMonotonic"), started)
	a.run("systemctl start scan2ban.timer")
}

func (a *act) published() {
	a.serve(a.box(), boxIPv4+":80", "box")
	a.must(a.write("etc/scan2ban/conf.d/scene.toml", hour+"[jail.sshd]\nenabled = true\nports = [\"ssh\", 8080]\n"))
	a.run(`nft 'table ip published { chain pre { type nat hook prerouting priority dstnat; ip daddr %s tcp dport { 8080, 8081 } dnat to %s:80; }; }'`, hostIPv4, boxIPv4)
	a.open(mallory3, hostIPv4+":8080")
	a.pass()
	a.shut(mallory, hostIPv4+":8080") // a port of the jail, as dialled
	a.open(mallory, hostIPv4+":8081") // no port of the jail, though the same in the box
	a.open(mallory, boxIPv4+":80")    // routed for others
	a.open(honest, hostIPv4+":8080")
	a.run("scan2ban ban %s --for 1h", mallory3) // by hand: every port
	a.shut(mallory3, hostIPv4+":8080")
	a.shut(mallory3, hostIPv4+":8081")
	a.open(mallory3, boxIPv4+":80")
	a.run("scan2ban unban %s; nft delete table ip published", mallory3)
	a.configure(hour)
	a.pass()
}

func (a *act) ownSession() {
	for _, key := range []string{admin, "192.0.2.28/30"} {
		text, code := a.trySSH(admin, "scan2ban ban "+key)
		if code == 0 {
			a.fail("an admin at %s could ban %s", admin, key)
		}
		a.want("the refusal", text, admin)
	}
	for _, own := range []string{hostIPv4, hostIPv6} {
		if text, code := a.try("scan2ban ban " + own); code == 0 {
			a.fail("the host's own %s could be banned: %s", own, text)
		}
	}
	a.logsIn(admin)
	open := a.echo(honest) // another's session, known from logind or utmp
	defer open.close()
	if !open.answers(5 * time.Second) {
		a.fail("no echo over ssh")
	}
	if text, code := a.try("scan2ban ban " + honest); code == 0 {
		a.fail("%s, who is logged in, could be banned: %s", honest, text)
	}
}

func (a *act) boots()    { a.bootProof(false) }
func (a *act) powerCut() { a.bootProof(true) }

// slowBoot are units that hold a boot up. A sshd that does not wait for the restore loses;
// a restore that does not wait for what empties /tmp fails, as systemd wants to write there.
var slowBoot = map[string]string{
	"scan2ban-restore.service.d/scene.conf":       "[Service]\nExecStartPre=/bin/sleep 1\n",
	"scene.service":                               "[Unit]\nDefaultDependencies=no\nBefore=local-fs.target\n[Service]\nType=oneshot\nExecStart=/bin/mount -o remount,ro /tmp\n",
	"local-fs.target.d/scene.conf":                "[Unit]\nWants=scene.service\n",
	"systemd-tmpfiles-setup.service.d/scene.conf": "[Service]\nExecStartPre=/bin/sh -c 'sleep 1; mount -o remount,rw /tmp'\n",
}

// bootProof boots while the banned knock without a pause, and shows from both ends
// that they are never let in.
func (a *act) bootProof(cut bool) {
	a.pass()
	a.wantBan(mallory)
	for name, text := range slowBoot {
		a.must(a.write("etc/systemd/system/"+name, text))
	}
	defer func() {
		for name := range slowBoot {
			first, _, _ := strings.Cut(name, "/")
			a.must(os.RemoveAll(filepath.Join(a.root, "etc/systemd/system", first)))
		}
		a.run("systemctl daemon-reload")
	}()
	a.restart(cut)
	knocks, stop := 0, make(chan bool)
	let := make(chan string, 10)
	knocked := make(chan bool)
	for _, from := range []string{mallory, beside6} {
		go func() {
			defer func() { knocked <- true }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := a.dial(from, sshPort(from), 150*time.Millisecond)
				if from == mallory {
					knocks++
				}
				if err == nil {
					conn.Close()
					let <- from
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
	}
	up := a.until("sshd's answer to the honest", 30*time.Second, func() bool {
		conn, err := a.dial(honest, sshPort(honest), 150*time.Millisecond)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	time.Sleep(time.Second) // and a while after
	close(stop)
	<-knocked
	<-knocked
	select {
	case from := <-let:
		a.must(a.await(a.ctx))
		a.fail("%s, banned, was let in during the boot", from)
	default:
	}
	a.must(a.await(a.ctx))
	a.shut(mallory, sshPort(mallory))
	a.shut(beside6, sshPort(beside6))
	var restored, listens int64
	fmt.Sscan(a.property("scan2ban-restore.service", "ExecMainExitTimestampMonotonic"), &restored)
	fmt.Sscan(a.property("ssh.service", "ExecMainStartTimestampMonotonic"), &listens)
	if restored == 0 || listens == 0 || restored >= listens {
		a.fail("the bans were back at %d us and sshd was started at %d us", restored, listens)
	}
	a.say("sshd after %.1f s, %d knocks; bans %.2f s before sshd's start", up.Seconds(), knocks, float64(listens-restored)/1e6)
}

func (a *act) pause() {
	a.run("scan2ban pause")
	gone := func() {
		a.pass() // as somebody may by hand, or the timer after a boot
		a.open(mallory, sshPort(mallory))
	}
	gone()
	a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "inactive")
	a.run("systemctl restart nftables")
	gone()
	a.restart(false)
	a.must(a.await(a.ctx))
	gone()
	a.want("status", a.run("scan2ban status"), "ause")
}

func (a *act) resume() {
	a.run("scan2ban resume")
	a.shut(mallory, sshPort(mallory))
	a.shut(beside6, sshPort(beside6))
	a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
	a.equal("the timer at boot", a.property("scan2ban.timer", "UnitFileState"), "enabled")
}

func (a *act) uninstall() {
	a.run("systemctl disable --now nftables")
	a.run("scan2ban uninstall")
	a.open(mallory, sshPort(mallory))
	var left []string
	for _, name := range changed(a.past.files, a.snapshot()) {
		if !strings.HasPrefix(name, "+ /etc/scan2ban") && !strings.HasPrefix(name, "! $ grep") {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		slices.Sort(left)
		a.fail("an uninstall left:\n%s", strings.Join(left, "\n"))
	}
	a.run("test -f /etc/scan2ban/scan2ban.toml")
}

func (a *act) purge() {
	a.lay()
	a.run("./scan2ban install && rm scan2ban && scan2ban uninstall --purge")
	a.asBefore()
}

// asBefore fails unless the house is as it was before the installation.
func (a *act) asBefore() {
	if left := changed(a.past.files, a.snapshot()); len(left) > 0 {
		slices.Sort(left)
		a.fail("this is not as before the installation:\n%s", strings.Join(left, "\n"))
	}
	a.say("%d files and lists as before", len(a.past.files))
}
