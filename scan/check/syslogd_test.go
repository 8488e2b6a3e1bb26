package check

import (
	"testing"

	"scan2ban/scan/filter"
)

// TestSyslogNG: a daemon that writes a message as several lines is told of, where a jail
// reads what it writes and nothing keeps it from that.
func TestSyslogNG(t *testing.T) {
	const conf = "/etc/syslog-ng/syslog-ng.conf"
	for _, row := range []struct {
		name, main, more string
		backend          filter.Backend
		told             bool
	}{
		{"as Debian has it", "source s_src { system(); internal(); };\n", "", "file", true},
		{"the journal is read", "source s_src { system(); };\n", "", "journal", false},
		{"a comment", "# flags(no-multi-line)\n", "", "file", true},
		{"a flag", "source s_src { unix-dgram(\"/dev/log\" flags(no-multi-line)); };\n", "", "file", false},
		{"a rewrite", "", "rewrite r { subst(\"\\n\", \"#012\", value(\"MESSAGE\") flags(global)); };\n", "file", false},
	} {
		c := healthy()
		c.root = plant(t, map[string]string{conf: row.main, "/etc/syslog-ng/conf.d/more.conf": row.more, "/var/log/auth.log": "x\n",
			"/proc/self/status": "NSpid:\t9\n", "/proc/20/comm": "syslog-ng\n", "/proc/20/status": "Uid:\t0\t0\t0\t0\nNSpid:\t20\n"})
		c.Jails[0].Backend, c.Jails[0].LogPaths, c.Watches[0].Program = row.backend, []string{"/var/log/auth.log"}, []string{"sshd"}
		want := []string{}
		if row.told {
			want = []string{"warning syslog-ng: it writes a line feed"}
		}
		has(t, row.name, look(syslogd, c), want...)
	}
	has(t, "another daemon", look(syslogd, healthy()))
}

// TestHostNames: httpd that logs names which clients choose is told of, where a jail reads that.
func TestHostNames(t *testing.T) {
	for _, row := range []struct {
		path, text, log string
		told            bool
	}{
		{"/etc/apache2/apache2.conf", "HostnameLookups Off\n", "/var/log/apache2/access.log", false},
		{"/etc/apache2/apache2.conf", "# HostnameLookups On\nHostnameLookups Double\n", "/var/log/apache2/access.log", false},
		{"/etc/apache2/sites-enabled/a.conf", "<Directory />\n\thostnamelookups on\n", "/var/log/apache2/access.log", true},
		{"/etc/apache2/vhosts.d/a.conf", "HostnameLookups On\n", "/var/log/apache2/access_log", true},
		{"/etc/httpd/conf.d/a.conf", "HostnameLookups \"On\"\n", "/var/log/httpd/access_log", true},
		{"/etc/httpd/conf/httpd.conf", "HostnameLookups On\n", "/var/log/nginx/access.log", false},
	} {
		c := healthy()
		c.root = plant(t, map[string]string{row.path: row.text, row.log: ""})
		c.Jails[0].LogPaths = []string{row.log}
		want := []string{}
		if row.told {
			want = []string{"warning httpd: " + row.path + ": HostnameLookups On"}
		}
		has(t, row.path+row.text, look(hostNames, c), want...)
	}
}
