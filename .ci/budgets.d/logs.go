package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"scan2ban/scan/filter"
)

// scanRow is row 7: a first pass over a log file, against SSHGuard's parser alone.
func (b *bench) scanRow(build build) error {
	log, err := b.log(b.lines)
	if err != nil {
		return err
	}
	ours, err := b.logPass(build, log, b.lines)
	if err != nil {
		return err
	}
	parser, err := b.fetched("sshguard", "usr/libexec/sshguard/sshg-parser")
	if err != nil {
		return err
	}
	p, err := compare(b.slow, ours, side{args: []string{"sh", "-c", `exec "$0" <"$1"`, parser, log}})
	if err == nil {
		b.table.add(fmt.Sprintf("log file scan, %d sshd lines, a whole pass against `sshg-parser`", b.lines), build, p, 0.4)
	}
	return err
}

// regexRow is the same against what Fail2Ban's users try filters with.
func (b *bench) regexRow(build build) error {
	n := b.lines / 20 // it takes a minute for a million
	log, err := b.log(n)
	if err != nil {
		return err
	}
	ours, err := b.logPass(build, log, n)
	if err != nil {
		return err
	}
	tool, err := b.fetched("fail2ban", "usr/bin/fail2ban-regex")
	if err != nil {
		return err
	}
	root := strings.TrimSuffix(tool, "usr/bin/fail2ban-regex")
	peer := side{args: []string{"env", "PYTHONPATH=" + root + "usr/lib/python3/dist-packages", "python3", tool, "--usedns=no", "-c", root + "etc/fail2ban", log, "sshd"}}
	p, err := compare(b.slow, ours, peer)
	if err == nil {
		b.table.add(fmt.Sprintf("log file scan, %d sshd lines, a whole pass against `fail2ban-regex`", n), build, p, 1.0/30)
	}
	return err
}

// manyJails is the idle pass of a host that guards all that it can.
func (b *bench) manyJails(build build) error {
	const jails = 30
	journal, state, err := b.settled(build)
	if err != nil {
		return err
	}
	config := b.path("jails.toml")
	text, n := "", 0
	for _, name := range filter.Names() {
		f, err := filter.Load(name)
		if err != nil {
			return err
		}
		if f.Ledger || n == jails-1 && name < "sshd" {
			continue
		}
		if n++; n <= jails {
			text += fmt.Sprintf("[jail.%s]\nenabled = true\nallow_spoofable = true\n", name)
		}
	}
	if n < jails {
		return fmt.Errorf("the catalogue has %d filters, not %d", n, jails)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	one := b.config
	b.config = config
	defer func() { b.config = one }()
	manyState, err := b.state()
	if err == nil {
		err = b.settle(build, journal, manyState)
	}
	if err != nil {
		return err
	}
	// Each begins with the kernel as it left it, not as the other did.
	idle := func(args []string) side {
		return side{args: args, before: func() error { _, err := output(args...); return err }}
	}
	many := idle(b.pass(build, journal, manyState))
	b.config = one
	p, err := compare(b.fast, many, idle(b.pass(build, journal, state)))
	if err == nil {
		b.table.add(fmt.Sprintf("idle pass with %d jails, against the same with one", jails), build, p, 1.5)
	}
	return err
}

// log is a file of n lines of an sshd that is being guessed at, as rsyslog writes it.
func (b *bench) log(n int) (string, error) {
	path := b.path(fmt.Sprintf("auth-%d.log", n))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	progress("writing a log of %d lines", n)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	const step = time.Second / 20 // a million lines are fourteen hours, all of which a first pass reads
	for e := range newSource(b.end.Add(-step*time.Duration(n)), step).attack(n) {
		fmt.Fprintf(out, "%s host sshd[%s]: %s\n", time.UnixMicro(e.Time).Format("Jan _2 15:04:05"), e.Fields["_PID"], e.Message)
	}
	return path, out.Flush()
}

// logPass is a first pass over a log file.
func (b *bench) logPass(build build, log string, lines int) (side, error) {
	config := log + ".toml"
	text := fmt.Sprintf("[jail.sshd]\nenabled = true\nbackend = \"file\"\nlogpath = [%q]\n", log)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return side{}, err
	}
	state, err := b.state()
	if err != nil {
		return side{}, err
	}
	args := []string{build.scan2ban, "run", "--state", state, "-c", config}
	out, err := output(append(args, "--json")...)
	var p passed
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err == nil && (p.Entries < lines*9/10 || p.Failures == 0) {
		err = fmt.Errorf("a pass read %d of %d lines and counted %d failures", p.Entries, lines, p.Failures)
	}
	return side{args: args, before: func() error { return errors.Join(forget(state), noTable()) }}, err
}

// fetched is a file of a Debian package: the host's where it is installed, else of
// the package, unpacked here and not installed.
func (b *bench) fetched(pkg, file string) (string, error) {
	if installed := "/" + file; exists(installed) {
		return installed, nil
	}
	root := filepath.Join(b.dir, "packages", pkg)
	path := filepath.Join(root, file)
	if !exists(path) {
		return "", fmt.Errorf("%s is missing, and its package could not be fetched (apt-get download %s)", file, pkg)
	}
	return path, nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// fetch unpacks the packages of what we are compared with and is not installed; it
// is called outside, for there is no network inside. Rows without their peer say so.
func fetch(dir string) {
	for _, pkg := range []string{"sshguard", "fail2ban"} {
		root := filepath.Join(dir, "packages", pkg)
		progress("fetching %s", pkg)
		cmd := exec.Command("sh", "-c", "apt-get download -q "+pkg+" >&2 && dpkg-deb -x "+pkg+"_*.deb .")
		cmd.Dir, cmd.Stderr = root, os.Stderr
		if err := os.MkdirAll(root, 0o755); err == nil {
			err = cmd.Run()
			if err != nil {
				progress("%s cannot be fetched: %v", pkg, err)
			}
		}
	}
}
