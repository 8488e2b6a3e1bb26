package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/ban/deliver"
	"scan2ban/state"
)

const (
	cronPath   = "/etc/cron.d/scan2ban"
	blockBegin = "# scan2ban: begin (laid down by \"scan2ban install --cron\")"
	blockEnd   = "# scan2ban: end"
)

// cronLines start a pass every minute, and at boot one that only brings the bans
// back. During a trial the same line first takes it back when its time is over, so
// that no pass starts beside that. who stands before the command where the format
// has it.
func (in *Install) cronLines(who string, running bool) string {
	run, every := in.binary()+" -q run", "* * * * * "+who
	tell := "; test ! -e " + deliver.DuePath(state.DefaultPath) + " || " + in.binary() + " -q deliver"
	back := in.binary() + " -q uninstall --unconfirmed"
	switch trial := in.note.Trial != nil; {
	case trial && !running:
		return every + back + "\n"
	case trial:
		return every + back + "; test ! -x " + in.binary() + " || " + run + tell + "\n"
	}
	text := every + run + tell + "\n"
	if who != "" { // busybox 1.35's crond crashes on @reboot; its first pass brings the bans back
		text = "@reboot " + who + run + " --restore\n" + text
	}
	return text
}

// startCron has cron start the passes.
func (in *Install) startCron(ctx context.Context) error {
	if err := in.layCron(ctx, true); err != nil {
		return err
	}
	in.say("cron starts a pass every minute")
	if _, running := in.cronDaemon(); !running {
		in.say("WARNING: no cron daemon is running, so no pass will start: start cron (or crond), and have it started at boot")
	}
	return nil
}

// layCron writes the lines: a file in /etc/cron.d, or a block in root's crontab
// where cron is busybox's, which does not look there.
func (in *Install) layCron(ctx context.Context, running bool) error {
	if in.hasCronDir() {
		return in.put(file{cronPath, 0o644, []byte(mark + "\nSHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" + in.cronLines("root ", running))})
	}
	there, err := in.readCrontab(ctx)
	if err != nil {
		return err
	}
	rest := withoutBlock(there)
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		rest += "\n"
	}
	if err := in.writeCrontab(ctx, rest+blockBegin+"\n"+in.cronLines("", running)+blockEnd+"\n"); err != nil {
		return err
	}
	in.say("wrote our lines into root's crontab")
	return nil
}

// removeCron takes either away.
func (in *Install) removeCron(ctx context.Context) error {
	if err := in.remove(cronPath); err != nil {
		return err
	}
	there, err := in.readCrontab(ctx)
	if errors.Is(err, errNoCrontab) {
		return nil
	}
	if err != nil || !strings.Contains(there, blockBegin) {
		return err
	}
	if err := in.writeCrontab(ctx, withoutBlock(there)); err != nil {
		return err
	}
	in.say("removed our lines from root's crontab")
	return nil
}

// withoutBlock gives the crontab without our lines.
func withoutBlock(text string) string {
	before, rest, ok := strings.Cut(text, blockBegin+"\n")
	if !ok {
		return text
	}
	_, after, _ := strings.Cut(rest, blockEnd+"\n")
	return before + after
}

// hasCronDir tells whether cron reads /etc/cron.d.
func (in *Install) hasCronDir() bool {
	busybox, known := in.cronDaemon()
	return !busybox && (known || in.exists("/etc/cron.d"))
}

// errNoCrontab says that there is no crontab(1).
var errNoCrontab = errors.New("no crontab(1) on this host")

// readCrontab gives root's crontab, empty where there is none.
func (in *Install) readCrontab(ctx context.Context) (string, error) {
	out, err := in.first(ctx, "", [][]string{{"crontab", "-l"}, {"busybox", "crontab", "-l"}})
	exit := (*exec.ExitError)(nil)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", errNoCrontab
	case err == nil || errors.As(err, &exit) && out == "": // it fails where there is none
		return out, nil
	}
	return "", fmt.Errorf("read root's crontab: %w", err)
}

func (in *Install) writeCrontab(ctx context.Context, text string) error {
	ways := [][]string{{"crontab", "-"}, {"busybox", "crontab", "-"}}
	if text == "" {
		ways = [][]string{{"crontab", "-r"}, {"busybox", "crontab", "-r"}}
	}
	_, err := in.first(ctx, text, ways)
	if err != nil {
		return fmt.Errorf("write root's crontab: %w", err)
	}
	return nil
}

// awaitPasses waits a little for the passes that cron has started.
func (in *Install) awaitPasses() {
	for range 50 {
		if !in.passRuns() {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (in *Install) passRuns() bool {
	found, _ := filepath.Glob(in.path("/proc/[0-9]*/cmdline")) // the pattern is well-formed
	return slices.ContainsFunc(found, func(name string) bool {
		text, _ := os.ReadFile(name)
		words := strings.Split(string(text), "\x00")
		return filepath.Base(words[0]) == "scan2ban" && slices.Contains(words, "run")
	})
}

// cronDaemon looks for one among the processes, and whether it is busybox's.
func (in *Install) cronDaemon() (busybox, running bool) {
	found, _ := filepath.Glob(in.path("/proc/[0-9]*/comm")) // the pattern is well-formed
	for _, name := range found {
		text, _ := os.ReadFile(name)
		comm := strings.TrimSpace(string(text))
		exe, _ := os.Readlink(filepath.Join(filepath.Dir(name), "exe"))
		words, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		box := filepath.Base(exe) == "busybox"
		if box && comm == "busybox" && strings.Contains(string(words), "\x00crond\x00") {
			comm = "crond"
		}
		switch comm {
		case "cron", "crond", "cronie", "fcron":
			return box, true
		}
	}
	return false, false
}
