package check

import (
	"context"
	"slices"
	"strings"

	"scan2ban/scan/filter"
	"scan2ban/state/lazy"
	"scan2ban/state/report"
)

// oneLine is what keeps syslog-ng from writing a message as several lines.
var oneLine = lazy.Regexp(`(?m)^[^#\n]*(?:\bno-multi-line\b|\bsubst\s*\(\s*["']\\n["'])`)

// syslogd says whether the daemon that writes the log files keeps a message in one line.
// inetutils' and busybox's do, and rsyslog by its default.
func syslogd(ctx context.Context, c *checker, found *report.Findings) {
	const conf = "/etc/syslog-ng/syslog-ng.conf"
	if !c.root.Runs("syslog-ng") {
		return
	}
	for _, path := range append([]string{conf}, c.root.Glob("/etc/syslog-ng/conf.d/*.conf")...) {
		if oneLine().MatchString(c.root.Text(path)) {
			return
		}
	}
	var jails []string
	for _, w := range c.Watches {
		i := slices.IndexFunc(c.Jails, func(j Jail) bool { return j.Name == w.Jail })
		if len(w.Program) == 0 || i < 0 || len(c.Jails[i].Containers) > 0 {
			continue
		}
		held, err := c.held(ctx, w.Jail)
		if err != nil && c.Jails[i].Backend != filter.File || c.readsJournal(c.Jails[i], held) {
			continue
		}
		jails = append(jails, w.Jail)
	}
	if len(jails) > 0 {
		found.Warn("syslog-ng", "it writes a line feed in a message as it comes: who can have one logged, as by a user name of ProFTPD, xrdp or Webmin, writes lines that blame anybody (read by "+strings.Join(jails, ", ")+")",
			"in "+conf+": rewrite r_one_line { subst(\"\\n\", \"#012\", value(\"MESSAGE\") flags(global)); };\nand rewrite(r_one_line); in each log { } behind its sources\nor, where journald runs, backend = \"journal\"")
	}
}

// lookups has httpd write a client's reverse name in its access log for the address.
var lookups = lazy.Regexp(`(?mi)^[ \t]*HostnameLookups[ \t]+"?On\b`)

// hostNames says whether httpd's access log, where jails read it, names clients as they please:
// who has the reverse zone of his address can be called 8.8.8.8 (seen with 2.4).
func hostNames(_ context.Context, c *checker, found *report.Findings) {
	if !slices.ContainsFunc(c.Jails, func(j Jail) bool {
		return slices.ContainsFunc(c.files(j), func(path string) bool { return strings.Contains(path, "/apache2/") || strings.Contains(path, "/httpd") })
	}) {
		return
	}
	for _, glob := range []string{"/etc/apache2/*.conf", "/etc/apache2/*-enabled/*", "/etc/apache2/*.d/*.conf", "/etc/httpd/conf*/*.conf"} {
		for _, path := range c.root.Glob(glob) {
			if lookups().MatchString(c.root.Text(path)) {
				found.Warn("httpd", path+": HostnameLookups On: a client is logged by its reverse name, which can read 8.8.8.8: who chooses his has anybody banned", "HostnameLookups Off")
				return
			}
		}
	}
}
