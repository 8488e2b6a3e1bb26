package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"scan2ban/scan/journal/journaltest"
	"scan2ban/units/host"
)

const packages = "systemd,systemd-sysv,dbus,openssh-server,nftables,iproute2,libsystemd0,fail2ban,python3-systemd,sshguard"

// prepare gives the root directory of a Debian that has both builds, Fail2Ban with
// one jail that reads the journal, and a journal of an everyday host.
func prepare(ctx context.Context, o options, r release, dir string) (string, error) {
	root := filepath.Join(dir, r.name)
	if from := os.Getenv("SCENE_ROOT_" + r.number); from != "" {
		progress("copying %s", from)
		if err := do(ctx, "cp", "-a", "--reflink=auto", from, root); err != nil {
			return "", err
		}
	} else {
		if err := needs("debootstrap", "debootstrap"); err != nil {
			return "", err
		}
		progress("debootstrap %s", r.name)
		if err := do(ctx, "debootstrap", "--variant=minbase", "--include="+packages, r.name, root); err != nil {
			return "", err
		}
	}
	if !has(root, "usr/bin/fail2ban-server") || !has(root, "usr/sbin/sshguard") {
		progress("installing Fail2Ban and SSHGuard")
		resolv, _ := os.ReadFile("/etc/resolv.conf")
		os.WriteFile(filepath.Join(root, "etc/resolv.conf"), resolv, 0o644)
		script := "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends fail2ban python3-systemd sshguard"
		if err := do(ctx, "chroot", root, "sh", "-c", script); err != nil {
			return "", err
		}
	}
	// Nothing of the host that the root was copied from.
	for _, old := range []string{"var/log/journal", "var/lib/scan2ban", "etc/scan2ban", "etc/systemd/system/scan2ban.service.d", "etc/systemd/system/timers.target.wants"} {
		os.RemoveAll(filepath.Join(root, old))
	}
	machine := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(root, "etc/machine-id")))))
	if len(machine) != 32 {
		machine = fmt.Sprintf("%032x", 0x5ca2ba2)
	}
	files := map[string][]byte{
		"etc/machine-id": []byte(machine + "\n"),
		"etc/fail2ban/jail.d/defaults-debian.conf": []byte("[sshd]\nenabled = true\nbackend = systemd\njournalmatch = SYSLOG_IDENTIFIER=sshd\nbanaction = nftables\n"),
		"etc/sysusers.d/scan2ban.conf":             host.Sysusers(),
		"usr/local/sbin/scan2ban-cgo":              must(os.ReadFile(filepath.Join(dir, "cgo"))),
		"usr/local/sbin/scan2ban-static":           must(os.ReadFile(filepath.Join(dir, "static"))),
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o755)); err != nil {
			return "", err
		}
	}
	for _, peer := range []string{"fail2ban", "sshguard"} {
		os.Remove(filepath.Join(root, "etc/systemd/system/multi-user.target.wants", peer+".service"))
	}
	if err := do(ctx, "systemd-sysusers", "--root="+root); err != nil {
		return "", err
	}
	return root, writeJournal(ctx, root, machine, o.journal)
}

func has(root, name string) bool { _, err := os.Stat(filepath.Join(root, name)); return err == nil }

// writeJournal makes an archived journal file of about that many bytes.
func writeJournal(ctx context.Context, root, machine string, size int) error {
	remote := "/usr/lib/systemd/systemd-journal-remote"
	if err := needs(remote, "systemd-journal-remote"); err != nil {
		return err
	}
	dir := filepath.Join(root, "var/log/journal", machine)
	path := filepath.Join(dir, "system@old.journal")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	at := time.Now().Add(-72 * time.Hour).UnixMicro()
	for n := 0; ; n++ {
		if info, err := os.Stat(path); err == nil && info.Size() >= int64(size) {
			break
		}
		var entries []journaltest.Entry
		for i := range 10_000 {
			at += 2_000_000
			entries = append(entries, journaltest.Entry{Time: at, Message: fmt.Sprintf("pam_unix(cron:session): session opened for user root(uid=0) by (uid=0), %d", n*10_000+i),
				Fields: map[string]string{"_TRANSPORT": "syslog", "_UID": "0", "_PID": strconv.Itoa(300 + i), "_COMM": "cron", "_EXE": "/usr/sbin/cron",
					"_SYSTEMD_UNIT": "cron.service", "_MACHINE_ID": machine, "_HOSTNAME": "minute", "SYSLOG_IDENTIFIER": "CRON", "PRIORITY": "6"}})
		}
		cmd := exec.CommandContext(ctx, remote, "--output="+path, "-")
		cmd.Stdin = bytes.NewReader(journaltest.Export(entries))
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("systemd-journal-remote: %w\n%s", err, text)
		}
	}
	return do(ctx, "chroot", root, "sh", "-c", "chgrp -R systemd-journal /var/log/journal && chmod 640 /var/log/journal/*/*.journal")
}

// do runs a command that says something only when it fails.
func do(ctx context.Context, args ...string) error {
	if text, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, tail(text))
	}
	return nil
}

func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }

// must is for files that cannot be missing.
func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}
