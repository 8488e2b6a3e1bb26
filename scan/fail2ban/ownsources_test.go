package fail2ban

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
)

// TestOwnSources: with scan2ban's filter a jail reads where that looks, but where the
// admin wrote another place whose lines it understands.
func TestOwnSources(t *testing.T) {
	stock := map[string]string{
		"jail.conf": "[INCLUDES]\nbefore = paths-debian.conf\n[DEFAULT]\nbackend = auto\naction = nftables\n" +
			"[sshd]\nlogpath = %(sshd_log)s\nbackend = %(sshd_backend)s\n" +
			"[nginx-http-auth]\nlogpath = %(nginx_error_log)s\n" +
			"[asterisk]\nlogpath = /var/log/asterisk/messages\n" +
			"[recidive]\nlogpath = /var/log/fail2ban.log\n" +
			"[squid]\nlogpath = /srv/squid.log\n",
		"paths-debian.conf": "[DEFAULT]\nsshd_log = /var/log/auth.log\nsshd_backend = %(default/backend)s\nnginx_error_log = /var/log/nginx/*error.log\n",
	}
	const reads = "filter nginx-http-auth: logpath = /srv/error.log left out: our filter reads the access log; set logpath to that if it is not in /var/log/nginx/*access*.log, "
	for _, c := range []struct{ about, jail, local, logpath, backend, left string }{
		{"nothing written", "sshd", "", "", "", ""},
		{"another log of Fail2Ban's own", "nginx-http-auth", "", "", "", ""},
		{"a name of Fail2Ban's own", "sshd", "[DEFAULT]\nbackend = auto\n[sshd]\nlogpath = %(sshd_log)s\nbackend = %(sshd_backend)s", "", "", ""},
		{"a file of the distribution's", "asterisk", "", "", "", ""},
		{"an edited jail.conf", "squid", "", "['/srv/squid.log']", `"file"`, ""},
		{"files", "sshd", "[sshd]\nlogpath = /srv/auth.log", "['/srv/auth.log']", `"file"`, ""},
		{"files by a name", "sshd", "[DEFAULT]\nsshd_log = /srv/auth.log", "['/srv/auth.log']", `"file"`, ""},
		{"a backend", "sshd", "[sshd]\nbackend = polling", "", `"file"`, ""},
		{"the journal for all", "sshd", "[DEFAULT]\nbackend = systemd", "", `"journal"`, ""},
		{"a journal that the filter does not know", "nginx-http-auth", "[DEFAULT]\nbackend = systemd", "", "", "jail.local:2: filter nginx-http-auth: backend = systemd left out: our filter reads log files, "},
		{"one of two is another log", "nginx-http-auth", "[nginx-http-auth]\nlogpath = /srv/access.log\n  /srv/error.log", "['/srv/access.log']", `"file"`, "jail.local:2: " + reads},
		{"another log by a name", "nginx-http-auth", "[DEFAULT]\nnginx_error_log = /srv/error.log", "", "", "jail.local:2: " + reads},
		{"no log at all", "recidive", "[DEFAULT]\nbackend = systemd\n[recidive]\nlogpath = /srv/f2b.log", "", "", "jail.local:4: filter recidive: logpath = /srv/f2b.log left out: our filter reads no log, "},
	} {
		files := map[string]string{"jail.local": c.local + "\n"}
		for name, text := range stock {
			files[name] = text
		}
		dir := lay(t, files)
		r, err := Options{Dir: dir, Jails: []string{c.jail}}.Read()
		if err != nil {
			t.Fatal(err)
		}
		key := func(name string) string {
			if m := regexp.MustCompile(`(?m)^` + name + ` = (.*)$`).FindStringSubmatch(r.Config); m != nil {
				return m[1]
			}
			return ""
		}
		left := ""
		for _, l := range r.Left {
			if strings.Contains(l.What, "allow_spoofable") {
				continue
			}
			text := strings.TrimPrefix(l.Where, dir+"/") + ": " + l.What
			left += text
			_, why, _ := strings.Cut(l.What, ": ")
			if !strings.Contains(r.Config, "\n# "+l.Where+": "+why+"\n") {
				t.Errorf("%s: the jail does not say %s", c.about, text)
			}
		}
		if key("logpath") != c.logpath || key("backend") != c.backend || !strings.HasPrefix(left, c.left) || c.left == "" && left != "" {
			t.Errorf("%s: logpath %s, backend %s, left %s", c.about, key("logpath"), key("backend"), left)
		}
	}
}

// TestAnotherLog: what is called another log is one whose lines the filter refuses, and
// none where it looks by itself.
func TestAnotherLog(t *testing.T) {
	for name, c := range map[string]struct{ path, line string }{
		"nginx-http-auth": {"/srv/error.log", `2026/11/22 08:00:00 [error] 7#7: *3 no user/password was provided for basic authentication, client: 192.0.2.1, server: _, request: "GET / HTTP/1.1", host: "a"`},
		"nginx-botsearch": {"/var/log/nginx/site_error.log", `2026/11/22 08:00:00 [error] 7#7: *3 open() "/var/www/.env" failed (2: No such file or directory), client: 192.0.2.1, server: _, request: "GET /.env HTTP/1.1", host: "a"`},
		"asterisk":        {"/var/log/asterisk/full", `[2026-11-22 08:00:00] NOTICE[7][C-00000001] chan_sip.c: Registration from '<sip:a@b>' failed for '192.0.2.1' - Wrong password`},
		"proftpd":         {"/var/log/proftpd/proftpd.log", `2026-11-22 08:00:00,000 vm proftpd[7] vm (a[192.0.2.1]): USER a: no such user found from a [192.0.2.1] to 192.0.2.2:21`},
	} {
		f, err := filter.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if anotherLog(f, c.path) == "" {
			t.Errorf("%s: %s is taken", name, c.path)
		}
		var v filter.Verdict
		err = scan.MatchLines(strings.NewReader(c.line+"\n"), c.path, time.Unix(1_800_000_000, 0), f, f.Compile(filter.Aggressive), func(t scan.Trial) { v = t.Verdict })
		if err != nil || v.Kind != filter.Refused || v.Rule == nil {
			t.Errorf("%s: %v %v: %s", name, v.Kind, err, c.line)
		}
	}
	for _, name := range filter.Names() {
		f, err := filter.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range f.File.Paths {
			if reads := anotherLog(f, path); reads != "" {
				t.Errorf("%s looks in %s by itself: %s", name, path, reads)
			}
		}
	}
}

// What the admin wrote over a filter is told where ours takes its place, and converted
// where he wants that.
func TestChangedFilter(t *testing.T) {
	files := map[string]string{"jail.local": "[sshd]\nenabled = true\n", "filter.d/sshd.conf": "[Definition]\nfailregex = ^Failed password from <HOST>$\n",
		"filter.d/sshd.local": "[Definition]\nignoreregex = from 192\\.0\\.2\\.7\n"}
	dir := lay(t, files)
	for keep, want := range map[bool]string{false: "sshd.local:2: filter sshd: ignoreregex = from 192\\.0\\.2\\.7 (--keep-filters converts it)", true: ""} {
		r, err := Options{Dir: dir, Jails: []string{"sshd"}, KeepFilters: keep}.Read()
		if err != nil {
			t.Fatal(err)
		}
		left := ""
		for _, l := range r.Left {
			if strings.Contains(l.Where, "filter.d") {
				left += strings.TrimPrefix(l.Where, filepath.Join(dir, "filter.d")+"/") + ": " + l.What
			}
		}
		if left != want {
			t.Errorf("keep filters: %t: left %q, want %q", keep, left, want)
		}
	}
}
