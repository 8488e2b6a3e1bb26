package check

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"scan2ban/scan/filter"
	"scan2ban/state/report"
)

// journald says what its configuration means for what can be read.
func journald(_ context.Context, c *checker, found *report.Findings) {
	if !slices.ContainsFunc(c.Jails, func(j Jail) bool { return j.Backend != filter.File }) {
		return
	}
	for _, name := range c.namespaces() {
		found.Note("journal namespace "+name, "has a journal of its own, which is not read")
	}
	if !c.systemd {
		return
	}
	set := c.journalSettings()
	const what = "journald"
	switch storage := cmp.Or(set["Storage"], "auto"); {
	case storage == "none":
		found.Fail(what, "Storage=none: it keeps nothing that could be read", "Storage=persistent in /etc/systemd/journald.conf\nsystemctl restart systemd-journald")
	case storage == "volatile" || storage == "auto" && !c.root.Exists("/var/log/journal"):
		found.Note(what, fmt.Sprintf("Storage=%s: the journal is lost at a reboot; bans are not, but what was logged in the last minute before it is", storage))
	default:
		found.OK(what, "Storage="+storage)
	}
	if level := set["MaxLevelStore"]; level != "" && drops(level) {
		found.Fail(what, "MaxLevelStore="+level+": it throws away what sshd logs at level info", "MaxLevelStore=debug in /etc/systemd/journald.conf\nsystemctl restart systemd-journald")
	}
	burst := cmp.Or(set["RateLimitBurst"], "10000") // journald.conf(5)
	interval := cmp.Or(set["RateLimitIntervalSec"], "30s")
	if n, err := strconv.Atoi(burst); err == nil && n > 0 && n < 1000 && strings.Trim(interval, "0s") != "" {
		found.Warn(what, fmt.Sprintf("RateLimitBurst=%s in %s: of a flood it keeps little, and failures are missed", burst, interval), "systemctl edit ssh.service, and write\n[Service]\nLogRateLimitIntervalSec=0")
	}
}

// drops tells whether what is logged at info is not stored.
func drops(level string) bool {
	n := slices.Index([]string{"emerg", "alert", "crit", "err", "warning", "notice"}, level)
	if number, err := strconv.Atoi(level); err == nil {
		n = number
		return n < 6
	}
	return n >= 0
}

// journalSettings reads journald.conf and its drop-ins (journald.conf(5)): the
// main file first, then the drop-ins of all directories by name, of which a file
// in /etc hides those of the same name elsewhere.
func (c *checker) journalSettings() map[string]string {
	set := map[string]string{}
	read := func(path string) {
		lines := bufio.NewScanner(strings.NewReader(c.root.Text(path)))
		for lines.Scan() {
			key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
			if ok && !strings.HasPrefix(key, "#") && !strings.HasPrefix(key, ";") {
				set[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
		}
	}
	for _, dir := range []string{"/etc", "/run", "/usr/local/lib", "/usr/lib"} {
		if path := dir + "/systemd/journald.conf"; c.root.Exists(path) {
			read(path)
			break
		}
	}
	byName := map[string]string{}
	for _, dir := range []string{"/usr/lib", "/usr/local/lib", "/run", "/etc"} {
		for _, path := range c.root.Glob(dir + "/systemd/journald.conf.d/*.conf") {
			byName[filepath.Base(path)] = path
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		read(byName[name])
	}
	return set
}

// namespaces lists the journal namespaces of this host: directories named for the
// machine id, a dot and the namespace (systemd-journald.service(8)).
func (c *checker) namespaces() (names []string) {
	for _, dir := range []string{"/run/log/journal/", "/var/log/journal/"} {
		for _, path := range c.root.Glob(dir + strings.Repeat("[0-9a-f]", 32) + ".*") {
			names = append(names, filepath.Ext(path)[1:])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
