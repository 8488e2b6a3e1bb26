package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// packaged is the life of the package and of the tarball.
var packaged = play{name: "package", steps: []step{
	{"dpkg -i starts nothing, scan2ban install does", 60 * time.Second, func(a *act) {
		a.past.files = a.snapshot()
		for _, name := range []string{"scan2ban.deb", "next.deb", "scan2ban.tar.gz"} {
			_, err := output(a.ctx, "cp", a.work+"/"+name, a.root+"/root/"+name)
			a.must(err)
		}
		a.run("dpkg -i scan2ban.deb")
		a.equal("the timer after dpkg -i", a.property("scan2ban.timer", "ActiveState"), "inactive")
		a.run("scan2ban install")
		a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
		a.configure(hour)
		a.guesses(mallory, 3)
		a.pass()
		a.shut(mallory, sshPort(mallory))
	}},
	{"an upgrade keeps timer, configuration and bans", 0, func(a *act) {
		before := a.run("sha256sum /etc/scan2ban/scan2ban.toml")
		a.run("dpkg -i next.deb")
		a.equal("the timer", a.property("scan2ban.timer", "ActiveState"), "active")
		a.equal("the configuration", a.run("sha256sum /etc/scan2ban/scan2ban.toml"), before)
		a.shut(mallory, sshPort(mallory))
		a.pass()
		a.shut(mallory, sshPort(mallory))
	}},
	{"dpkg -r takes the bans, keeps configuration and ledger", 0, func(a *act) {
		a.run("dpkg -r scan2ban")
		a.open(mallory, sshPort(mallory))
		a.run("test -f /etc/scan2ban/scan2ban.toml && test -f /var/lib/scan2ban/state.json && ! test -e /usr/sbin/scan2ban")
	}},
	{"installed again it brings the bans back; dpkg -P leaves nothing", 60 * time.Second, func(a *act) {
		a.run("dpkg -i scan2ban.deb && scan2ban install")
		a.shut(mallory, sshPort(mallory))
		a.run("dpkg -P scan2ban && rm scan2ban.deb next.deb")
		a.open(mallory, sshPort(mallory))
		a.run("! test -e /etc/scan2ban && ! test -e /var/lib/scan2ban && ! getent passwd scan2ban && ! nft list table inet scan2ban")
	}},
	{"the tarball installs itself and goes", 60 * time.Second, func(a *act) {
		a.run("mkdir t && tar -xzf scan2ban.tar.gz -C t && t/*/scan2ban install")
		a.guesses(mallory4, 5)
		a.pass()
		a.shut(mallory4, sshPort(mallory4))
		a.run("scan2ban uninstall --purge && rm -r t scan2ban.tar.gz")
		a.open(mallory4, sshPort(mallory4))
		a.run("! test -e /usr/local/sbin/scan2ban && ! test -e /etc/scan2ban && ! test -e /etc/systemd/system/scan2ban.timer")
	}},
}}

// wrapped puts what .ci/packages made into dir, and a package of a later version.
func wrapped(ctx context.Context, dir string) error {
	for _, p := range []struct{ pattern, name string }{{"dist/*_amd64.deb", "scan2ban.deb"}, {"dist/*-linux-amd64.tar.gz", "scan2ban.tar.gz"}} {
		found, err := filepath.Glob(p.pattern)
		if err != nil || len(found) == 0 {
			return errors.Join(err, fmt.Errorf("no %s (run .ci/packages)", p.pattern))
		}
		if _, err := output(ctx, "cp", slices.Max(found), filepath.Join(dir, p.name)); err != nil {
			return err
		}
	}
	_, err := output(ctx, "sh", "-ec", `cd "$0"; dpkg-deb -R scan2ban.deb next; sed -i 's/^Version: .*/&.1/' next/DEBIAN/control; dpkg-deb -b next next.deb; rm -r next`, dir)
	return err
}
