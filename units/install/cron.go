package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	cronPath   = "/etc/cron.d/scan2ban"
	blockBegin = "# scan2ban: begin (laid down by \"scan2ban install --cron\")"
	blockEnd   = "# scan2ban: end"
)

// cronLines start a pass every minute, and one at boot that only brings the bans
// back. user stands before the command where the format has it.
func (in *Install) cronLines(user string, running bool) string {
	binary, text := in.binary(), ""
	if in.note.Trial != nil {
		text = fmt.Sprintf("* * * * * %s%s -q uninstall --unconfirmed\n", user, binary)
	}
	if running {
		text += fmt.Sprintf("@reboot %s%s -q run --restore\n* * * * * %s%s -q run\n", user, binary, user, binary)
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
	busybox, known := in.cronDaemon()
	if !busybox && (known || in.exists("/etc/cron.d")) {
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

// readCrontab gives root's crontab, empty where there is none or no crontab(1).
func (in *Install) readCrontab(ctx context.Context) (string, error) {
	out, err := in.first(ctx, [][]string{{"crontab", "-l"}, {"busybox", "crontab", "-l"}})
	if exit := (*exec.ExitError)(nil); err == nil || errors.Is(err, exec.ErrNotFound) || errors.As(err, &exit) && out == "" {
		return out, nil // crontab(1) fails where there is none
	}
	return "", fmt.Errorf("read root's crontab: %w", err)
}

func (in *Install) writeCrontab(ctx context.Context, text string) error {
	ways := [][]string{{"crontab", "-"}, {"busybox", "crontab", "-"}}
	if text == "" {
		ways = [][]string{{"crontab", "-r"}, {"busybox", "crontab", "-r"}}
	}
	var err error
	for _, way := range ways {
		if _, err = in.Runner.Run(ctx, text, way[0], way[1:]...); !errors.Is(err, exec.ErrNotFound) {
			break
		}
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("no cron was found on this host: neither /etc/cron.d nor crontab(1)")
	}
	if err != nil {
		return fmt.Errorf("write root's crontab: %w", err)
	}
	return nil
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
