package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"scan2ban/units/host"
	"scan2ban/units/recipes"
)

// file is one of those that are laid down.
type file struct {
	path string
	mode fs.FileMode
	text []byte // nil: the program
}

// The places of what is not below the prefix.
const (
	unitDir        = "/etc/systemd/system"
	packageUnitDir = "/usr/lib/systemd/system"
	sysusersPath   = "/etc/sysusers.d/scan2ban.conf"
	packageProgram = "/usr/sbin/scan2ban"
	configPath     = "/etc/scan2ban/scan2ban.toml"
	observePath    = "/etc/scan2ban/conf.d/observe.toml"
	stateDir       = "/var/lib/scan2ban"
	runDir         = "/run/scan2ban"
)

// mark is the first line of what is laid below /etc, and how it is known again.
const mark = "# Laid down by \"scan2ban install\", which replaces it."

// binary is where the program lies: that of the prefix, or the package's own.
func (in *Install) binary() string {
	if in.fromPackage() {
		return packageProgram
	}
	return path.Join(in.Prefix, "sbin/scan2ban")
}

// fromPackage tells whether the program that runs came with its units.
func (in *Install) fromPackage() bool {
	return in.Dest == "" && in.program == packageProgram && in.exists(packageUnitDir+"/scan2ban.timer")
}

// layout lists the files: those of a package, or those that an install writes
// itself. What the admin may change (the configuration) is not among them.
func (in *Install) layout(packaged bool) []file {
	binary := path.Join(in.Prefix, "sbin/scan2ban")
	units, sysusers := unitDir, sysusersPath
	if packaged {
		units, sysusers = packageUnitDir, "/usr/lib/sysusers.d/scan2ban.conf"
	}
	marked := func(text []byte) []byte {
		if packaged {
			return text
		}
		return append([]byte(mark+"\n# Changes belong into a drop-in: systemctl edit NAME.\n\n"), text...)
	}
	list := []file{{binary, 0o755, nil}}
	if !in.Cron {
		for _, name := range host.Units {
			list = append(list, file{path.Join(units, name), 0o644, marked(host.Unit(name, binary))})
		}
		if in.Try > 0 {
			list = append(list, in.trialUnits()...)
		}
		list = append(list, file{sysusers, 0o644, marked(host.Sysusers())}, file{path.Join(in.Prefix, "lib/systemd/catalog/scan2ban.catalog"), 0o644, host.Catalog()})
	}
	dir := path.Join(in.Prefix, "share/scan2ban/recipes")
	for _, f := range recipes.Files(dir) {
		list = append(list, file{path.Join(dir, f.Name), f.Mode, f.Text})
	}
	for _, f := range in.Manual {
		name, text := path.Join(in.Prefix, "share", f.Path), f.Text
		if in.Prefix == "/usr" { // Debian's place for what packages bring; it is in every zsh's fpath there
			name = strings.Replace(name, "/zsh/site-functions/", "/zsh/vendor-completions/", 1)
		}
		list = append(list, file{name, 0o644, text})
	}
	return list
}

func (in *Install) layFiles(packaged bool) error {
	for _, f := range in.layout(packaged) {
		if f.text == nil {
			if err := in.layProgram(f); err != nil {
				return err
			}
			continue
		}
		if err := in.put(f); err != nil {
			return err
		}
	}
	return nil
}

// layProgram copies the program that runs to its place. The old one may be
// running there: it is replaced, not written to.
func (in *Install) layProgram(f file) error {
	from := in.program
	if in.Program == "" {
		from = "/proc/self/exe" // the same file, even where it was replaced meanwhile
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read the program that runs: %w", err)
	}
	f.text = text
	return in.put(f)
}

// dropIns are laid down or taken away, but for that of log files: the first pass
// tells whether it is needed.
func (in *Install) dropIns(ctx context.Context) error {
	light := in.exists(dropInPath("light"))
	if in.Light != nil {
		light = *in.Light
	}
	out, _ := in.Runner.Run(ctx, "", "systemctl", "--version") // "systemd 252 (252.39-1)"; unknown is old
	number := strings.TrimPrefix(out, "systemd ")
	digits := len(number) - len(strings.TrimLeft(number, "0123456789"))
	version, _ := strconv.Atoi(number[:digits]) // fmt.Sscanf would add 41 KB to the binary
	return errors.Join(in.dropIn("light", light), in.dropIn("disconnected", version >= 257))
}

// updateCatalog has "journalctl -x" know of our entries, or forget them. It is no
// more than an explanation, so a failure is none.
func (in *Install) updateCatalog(ctx context.Context) {
	if in.exists("/var/lib/systemd/catalog/database") {
		_, _ = in.Runner.Run(ctx, "", "journalctl", "--update-catalog")
	}
}

// dropInPath is where a drop-in of ours lies.
func dropInPath(name string) string { return unitDir + "/scan2ban.service.d/" + name + ".conf" }

// dropIn lays a drop-in down or takes it away.
func (in *Install) dropIn(name string, wanted bool) error {
	if !wanted {
		return in.remove(dropInPath(name))
	}
	return in.put(file{dropInPath(name), 0o644, append([]byte(mark+"\n\n"), host.DropIn(name)...)})
}
