package install

import (
	"context"
	"os"
	"path"
	"strings"

	"scan2ban/state/lazy"
)

// Who starts the passes.
const (
	systemd  = "systemd"
	cronFile = "cron"           // /etc/cron.d/scan2ban
	crontab  = "root's crontab" // where cron knows no cron.d
)

// Found is what is installed on a host.
type Found struct {
	By      string // "": nothing starts passes
	Binary  string // the program that is started
	Enabled bool   // and is, at every boot
	Package string // the package that the program belongs to
	Remove  string // the command that removes it
	Trial   *Trial // the install is a trial
}

// started finds the program in a unit or a crontab.
var started = lazy.Regexp(`(?m)(/[^\s]*/scan2ban) (?:-q )?(?:run|uninstall)\b`)

// Find looks for an install, of this program or of a package.
func (in *Install) Find(ctx context.Context) Found {
	f := Found{Trial: in.note.Trial}
	text := ""
	for _, dir := range []string{unitDir, packageUnitDir} {
		if unit, err := os.ReadFile(in.path(dir + "/scan2ban.service")); err == nil && in.exists(dir+"/scan2ban.timer") {
			f.By, text = systemd, string(unit)
			f.Enabled = in.exists(unitDir + "/timers.target.wants/scan2ban.timer")
			break
		}
	}
	if lines, err := os.ReadFile(in.path(cronPath)); err == nil && f.By == "" {
		f.By, text, f.Enabled = cronFile, string(lines), true
	}
	if f.By == "" {
		if lines, _ := in.readCrontab(ctx); strings.Contains(lines, blockBegin) {
			f.By, text, f.Enabled = crontab, lines[strings.Index(lines, blockBegin):], true
		}
	}
	if m := started().FindStringSubmatch(text); m != nil {
		f.Binary = m[1]
	}
	if in.exists(packageProgram) {
		f.Package, f.Remove = in.packageOf(ctx, packageProgram)
	}
	return f
}

// packageOf asks the host's package manager whose a file is.
func (in *Install) packageOf(ctx context.Context, name string) (pkg, remove string) {
	if out, err := in.Runner.Run(ctx, "", "dpkg", "-S", name); err == nil {
		if pkg, _, ok := strings.Cut(out, ":"); ok {
			return pkg, "apt remove " + pkg
		}
	}
	if out, err := in.Runner.Run(ctx, "", "rpm", "-qf", "--queryformat", "%{NAME}\n", name); err == nil {
		pkg, _, _ := strings.Cut(out, "\n")
		return pkg, "dnf remove " + pkg
	}
	return "", ""
}

// prefixOf is what the program lies below.
func prefixOf(binary string) string { return path.Dir(path.Dir(binary)) }
