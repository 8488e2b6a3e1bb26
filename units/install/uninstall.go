package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/ban/deliver"
	"scan2ban/state"
	"scan2ban/state/order"
	"scan2ban/units/host"
)

// How says how much an uninstall takes away.
type How struct {
	Purge       bool // the configuration too
	Stop        bool // only end the passes and the bans: a package manager takes the files
	Unconfirmed bool // only if a trial is over; then also what it wrote of the configuration
}

// Uninstall takes everything away: first what starts passes, then the bans, then
// the files, the program last. One failure does not stop the rest. What is not
// ours stays and is named.
func (in *Install) Uninstall(ctx context.Context, how How) error {
	if how.Unconfirmed && (in.note.Trial == nil || !in.note.Trial.over(in.Clock())) {
		return nil
	}
	found := in.Find(ctx)
	if !in.anything(found, how) {
		in.say("nothing is installed")
		return nil
	}
	if found.Binary != "" && found.Package == "" {
		in.Prefix = prefixOf(found.Binary)
	}
	in.Cron, in.Try = false, time.Minute // the longest list

	errs := []error{in.stop(ctx), in.removeCron(ctx)}
	if found.By == cronFile || found.By == crontab {
		in.awaitPasses()
	}
	err := in.letGo(ctx)
	if err != nil && how == (How{Purge: how.Purge}) {
		return errors.Join(append(errs, fmt.Errorf("%w\nthe passes are stopped, and nothing is taken away: without the ledger nobody could lift these bans; "+
			"%srun it again, or leave them in force with [kernel] backend = \"nftables\"", err, deliver.Before(err)))...)
	}
	errs = append(errs, err, in.removeBans(ctx))
	if how.Stop {
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, in.takeAway(ctx, found, how))...)
}

// takeAway takes away the files, the user and, at the end, the program.
func (in *Install) takeAway(ctx context.Context, found Found, how How) error {
	// From here on it is finished, whoever wants it to end: without its unit file systemd takes
	// the service of a trial for one that may last no longer than others.
	ctx = context.WithoutCancel(ctx)
	files := in.layout(false)
	if found.Package == "" && in.exists(packageUnitDir+"/scan2ban.timer") {
		files = append(files, in.layout(true)...) // a package's files that no package knows
	}
	err := errors.Join(
		in.removeFiles(ctx, files, found),
		in.removeAccount(ctx, found),
		in.removeConfig(how),
		in.removeTree(stateDir),
		in.removeTree(runDir),
		in.removeProgram(files, found),
		in.removeEmpty(reverse(in.made(files))...))
	if found.Package != "" {
		in.say("the files belong to the package %s: %s", found.Package, found.Remove)
	}
	if how == (How{}) && in.exists(configPath) {
		in.say("the configuration stays: rm -r %s (uninstall --purge does that too)", path.Dir(configPath))
	}
	return err
}

// removeFiles takes away what an install lays down, but the program and what is a package's.
func (in *Install) removeFiles(ctx context.Context, files []file, found Found) error {
	var errs []error
	for _, f := range files {
		if f.text != nil && (found.Package == "" || strings.HasPrefix(f.path, "/etc/")) {
			errs = append(errs, in.remove(f.path))
		}
	}
	for _, name := range host.DropIns {
		errs = append(errs, in.remove(dropInPath(name)))
	}
	errs = append(errs, in.keepDropIns())
	in.updateCatalog(ctx)
	if in.exists("/run/systemd/system") || in.Host.Systemd {
		errs = append(errs, in.systemctl(ctx, "daemon-reload"))
		_ = in.systemctl(ctx, "reset-failed", "scan2ban*") // fails where nothing of it is loaded
	}
	return errors.Join(errs...)
}

// removeAccount takes away the user, unless that is a package's.
func (in *Install) removeAccount(ctx context.Context, found Found) error {
	if in.note.User && (found.Package == "" || in.note.Trial != nil) {
		return in.removeUser(ctx)
	}
	return nil
}

func (in *Install) removeConfig(how How) error {
	switch {
	case how.Purge:
		return in.removeTree(path.Dir(configPath))
	case how.Unconfirmed:
		return in.takeConfigBack()
	}
	return nil
}

// removeProgram takes away the program, unless that is a package's.
func (in *Install) removeProgram(files []file, found Found) (err error) {
	last := ""
	for _, f := range files {
		if f.text == nil && found.Package == "" && f.path != last {
			err, last = errors.Join(err, in.remove(f.path)), f.path
		}
	}
	return err
}

// anything tells whether there is something to take away.
func (in *Install) anything(found Found, how How) bool {
	if found.Package != "" && !found.Enabled && !in.exists(stateDir) {
		return how.Purge && in.exists(path.Dir(configPath))
	}
	if found.By != "" || in.exists(stateDir) || in.exists(runDir) || how.Purge && in.exists(path.Dir(configPath)) {
		return true
	}
	return slices.ContainsFunc(in.layout(false), func(f file) bool {
		text, err := os.ReadFile(in.path(f.path))
		return err == nil && ours(f.path, text)
	})
}

// stop ends what starts passes, and a pass that runs.
func (in *Install) stop(ctx context.Context) error {
	var units, enabled []string
	for _, name := range host.Units {
		if in.exists(unitDir+"/"+name) || in.exists(packageUnitDir+"/"+name) {
			units = append(units, name)
			if name != "scan2ban.service" && name != "scan2ban-deliver.service" { // which nothing enables
				enabled = append(enabled, name)
			}
		}
	}
	var errs []error
	if len(units) > 0 {
		errs = append(errs, in.systemctl(ctx, append([]string{"disable", "--quiet"}, enabled...)...))
		order.By(units, func(a, b string) int { // first what starts services
			return strings.Compare(strings.TrimPrefix(path.Ext(a), ".timer"), strings.TrimPrefix(path.Ext(b), ".timer"))
		})
		errs = append(errs, in.systemctl(ctx, append([]string{"stop"}, units...)...))
		in.say("stopped %s", strings.Join(units, ", "))
	}
	return errors.Join(append(errs, in.endTrial(ctx), in.writeTrial(nil))...)
}

func (in *Install) letGo(ctx context.Context) error {
	if in.LetGo == nil {
		return nil
	}
	return in.LetGo(ctx)
}

// patience is how long an uninstall waits for a pass, and for a directory to be gone. A test has it shorter.
var patience = 10 * time.Second

// removeBans empties the kernel, once no pass is running that could fill it. Who holds the
// lock for ever does not keep the bans there: nothing would be left to take them out.
func (in *Install) removeBans(ctx context.Context) (locked error) {
	if store, err := state.OpenStore(in.path(state.DefaultPath), false); err == nil {
		defer store.Close()
		if err := store.Lock(patience); err != nil {
			locked = fmt.Errorf("wait for the pass that is running: %w (if it still is, it may bring bans back: nft delete table inet scan2ban)", err)
		}
	}
	if in.Table == nil {
		return locked
	}
	if err := in.Table(ctx); err != nil {
		return errors.Join(locked, fmt.Errorf("take the bans out of the kernel: %w", err))
	}
	in.say("took the bans out of the kernel")
	return locked
}

// keepDropIns names what the admin has added to our units.
func (in *Install) keepDropIns() error {
	var errs []error
	for _, name := range host.Units {
		dir := unitDir + "/" + name + ".d"
		if err := in.removeEmpty(dir); err != nil {
			errs = append(errs, err)
		}
		_ = filepath.WalkDir(in.path(dir), func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				in.say("kept %s: it is yours", strings.TrimPrefix(name, strings.TrimSuffix(in.Root, "/")))
			}
			return nil
		})
	}
	return errors.Join(errs...)
}
