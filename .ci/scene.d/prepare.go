package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

const mirror = "http://deb.debian.org/debian"

// rootsDir keeps the roots from one run to the next.
const rootsDir = "/var/tmp/scan2ban-scene"

var (
	debians   = []string{"12", "13"} // played on unless one is asked for
	codenames = map[string]string{"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}

	// packages are what a root holds beside the essential ones. firewalld is large:
	// it is not on all.
	packages = map[string]string{
		"11": "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,nftables,iproute2,cron,rsyslog,busybox-static,postfix",
		"12": "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,nftables,iproute2,cron,rsyslog,busybox-static,postfix",
		"13": "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,nftables,iproute2,cron,busybox-static,firewalld,exim4-daemon-light",
		"14": "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,nftables,iproute2,cron,busybox-static,firewalld,exim4-daemon-light",
	}
)

// builds are what is installed on each: the C library of Debian 11 is older than that of
// the machine that builds.
var builds = map[string]string{"11": "static", "12": "cgo", "13": "static", "14": "cgo"}

// withRsyslog tells whether rsyslog writes log files there; and postfix takes mail.
func withRsyslog(debian string) bool { return debian == "11" || debian == "12" }

// rootOf is where the root of a Debian lies: in SCENE_ROOT_VERSION, or where
// prepare keeps it, under a name that changes with the packages.
func rootOf(debian string) string {
	if dir := os.Getenv("SCENE_ROOT_" + debian); dir != "" {
		return dir
	}
	sum := sha256.Sum256([]byte(mirror + packages[debian]))
	return filepath.Join(rootsDir, fmt.Sprintf("debian-%s-%x", debian, sum[:4]))
}

// prepare makes the roots that are missing, at the same time. Of two processes that
// prepare the same root the second waits for the first.
func prepare(ctx context.Context, list []string) error {
	if err := os.MkdirAll(rootsDir, 0o700); err != nil {
		return err
	}
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, debian := range list {
		wg.Go(func() { errs[i] = makeRoot(ctx, debian) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func makeRoot(ctx context.Context, debian string) error {
	lock, err := os.OpenFile(filepath.Join(rootsDir, debian+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	root := rootOf(debian)
	if _, err := os.Stat(filepath.Join(root, "etc/os-release")); err == nil {
		return nil
	} else if os.Getenv("SCENE_ROOT_"+debian) != "" {
		return fmt.Errorf("SCENE_ROOT_%s=%s: %w", debian, root, err)
	}
	old, err := filepath.Glob(filepath.Join(rootsDir, "debian-"+debian+"-*"))
	if err != nil {
		return err
	}
	for _, dir := range old { // of other packages, or cut off
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	progress("making a root of Debian %s", debian)
	unfinished := root + ".unfinished"
	// What is left out makes it quicker; the rule for it must not stay in the root,
	// where the package of scan2ban is to be installed whole.
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+packages[debian],
		"--aptopt=Acquire::Check-Valid-Until \"false\"", "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=rm -f \"$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap\"", codenames[debian], unfinished, mirror)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a root of Debian %s: %w\n%s", debian, err, text)
	}
	// Nothing is started at boot but what is essential; each play starts its own.
	for _, unit := range []string{"firewalld", "nftables", "rsyslog", "cron", "postfix", "exim4", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "exim4-base.timer", "fstrim.timer"} {
		exec.CommandContext(ctx, "chroot", unfinished, "systemctl", "disable", unit).Run() // not all are there
	}
	if err := os.Rename(unfinished, root); err != nil {
		return err
	}
	progress("root of Debian %s is made", debian)
	return nil
}
