package fail2ban

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"scan2ban/scan/filter"
	"scan2ban/state/lazy"
	"scan2ban/state/report"
)

// ownSources are where a jail with scan2ban's filter reads: where that looks by itself,
// which is the journal before the files, but for what the admin wrote.
func (j *jail) ownSources() {
	if j.own.Ledger {
		if at, chosen := j.chosen("logpath"); chosen {
			j.misfit(at, "logpath", j.paths(), "our filter reads no log, but the bans of the other jails")
		}
		return
	}
	match, matched := j.chosen("journalmatch")
	if matched = matched && match.text != ""; matched {
		j.matches()
	}
	backend, chosen := j.chosen("backend")
	name, _, _ := strings.Cut(j.text("backend"), "[")
	switch {
	case j.journal && chosen && len(j.own.Journal.Match) == 0 && !matched:
		j.misfit(backend, "backend", []string{name}, "our filter reads log files, which are looked for in "+j.own.File.Paths[0])
		j.written()
		return
	case j.journal && chosen:
		j.set("backend", `"journal"`)
		return
	case j.journal: // Fail2Ban heeds no logpath then
		return
	}
	paths := []string{}
	if at, wrote := j.chosen("logpath"); wrote {
		for _, path := range j.paths() {
			if reads := anotherLog(j.own, path); reads != "" {
				j.misfit(at, "logpath", []string{path}, reads)
			} else {
				paths = append(paths, path)
			}
		}
	}
	if len(paths) > 0 {
		j.set("logpath", tomlList(paths))
	}
	if len(paths) > 0 || chosen && name != "auto" && len(j.own.File.Paths) > 0 {
		j.set("backend", `"file"`)
	}
	j.written()
}

// misfit leaves a setting out that is not for scan2ban's filter, and says so in the jail too.
func (j *jail) misfit(at value, option string, values []string, why string) {
	text := option + " = " + strings.Join(values, " ") + " left out: " + why
	j.leftAt(at, "filter %s: %s", j.own.Name, text)
	j.b.WriteString("# " + report.Clean(at.where()+": "+text) + "\n")
}

// shippedFiles are those of Fail2Ban's own, and of the distributions' packages.
var shippedFiles = lazy.Regexp(`^(?:jail\.conf|paths-.*\.conf|defaults-debian\.conf|00-systemd\.conf|00-firewalld\.conf)$`)

// chosen tells whether the admin wrote any part of an option, and where: a value that only
// puts others in, as %(sshd_log)s does, is whose those are.
func (j *jail) chosen(option string) (at value, ok bool) {
	if j.text(option) == "" {
		return value{}, false
	}
	v, _ := j.tree.raw(j.name, option)
	for _, leaf := range j.tree.leaves(j.name, v, 0) {
		file := filepath.Base(leaf.file)
		if !shippedFiles().MatchString(file) || file == "jail.conf" && option == "logpath" && !j.stock(leaf) {
			return leaf, true
		}
	}
	return value{}, false
}

// stock tells whether paths that stand in jail.conf may be those that Fail2Ban ships
// there: the filter looks there by itself, or can make nothing of them. Others are an
// admin's, who has edited that file.
func (j *jail) stock(v value) bool {
	return !slices.ContainsFunc(words(v.text), func(path string) bool {
		return !j.own.Ledger && !reference().MatchString(path) && !has(j.own.File.Paths, path) && anotherLog(j.own, path) == ""
	})
}

var reference = lazy.Regexp(`%\(([^)]*)\)s`)

// leaves are the values that the text of v comes from.
func (t *tree) leaves(section string, v value, depth int) (all []value) {
	if depth > deepestName {
		return nil
	}
	if strings.Trim(reference().ReplaceAllString(v.text, ""), " \t\n,") != "" {
		all = append(all, v)
	}
	for _, m := range reference().FindAllStringSubmatch(v.text, -1) {
		if inner, ok := t.lookup(section, strings.ToLower(m[1]), nil); ok {
			all = append(all, t.leaves(section, inner, depth+1)...)
		}
	}
	return all
}

// anotherLogs are the files whose lines scan2ban's filter refuses, or cannot tell
// anything by, and what it reads instead.
var anotherLogs = map[string]struct {
	paths func() *regexp.Regexp
	reads string
}{
	"asterisk":   {lazy.Regexp(`/asterisk/[^/]*$`), "our filter reads Asterisk's security events in syslog or the journal (logger.conf: syslog.local0 => security)"},
	"gitea":      {lazy.Regexp(`gitea[^/]*\.log$`), readsAccess},
	"mariadb":    {lazy.Regexp(`error[^/]*$|mysqld\.log$`), "our filter reads syslog or the journal, where the plugin server_audit writes"},
	"phpmyadmin": {lazy.Regexp(`/(?:auth\.log|secure|syslog|messages|user\.log)$|error[^/]*$`), readsAccess},
	"proftpd":    {lazy.Regexp(`/proftpd/[^/]*$`), "our filter reads syslog or the journal, where ProFTPD writes without SystemLog"},
}

const readsAccess = "our filter reads the access log"

var errorLog = lazy.Regexp(`error[^/]*$`)

// anotherLog says what scan2ban's filter reads, where that is another log than path.
func anotherLog(f *filter.Filter, path string) string {
	accessible := func(p string) bool { return strings.Contains(p, "access") }
	all := len(f.File.Paths) > 0 && !slices.ContainsFunc(f.File.Paths, func(p string) bool { return !accessible(p) })
	other, ok := anotherLogs[f.Name]
	if !(ok && other.paths().MatchString(path) || all && !accessible(filepath.Base(path)) && errorLog().MatchString(path)) {
		return ""
	}
	if ok && other.reads != readsAccess {
		return other.reads
	}
	return readsAccess + "; set logpath to that if it is not in " + strings.Join(f.File.Paths, ", ")
}
