package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/state"
	"scan2ban/state/report"
)

// stale is how old the last pass may be while the timer starts one every minute.
const stale = 5 * time.Minute

// units says whether anything starts the passes, and whether they come.
func units(_ context.Context, c *checker, found *report.Findings) {
	table := c.units()
	switch t := table[timer]; {
	case c.systemd && table == nil:
		found.Note("timer", "systemctl does not answer: not looked at")
		return
	case c.cron() != "" && c.isPaused() != nil:
		found.Note("paused", c.isPaused().Error())
		return
	case c.cron() != "":
		found.OK("cron", c.cron()+" starts the passes")
	case !t.loaded():
		found.Note("timer", "not installed: nothing starts a pass (scan2ban install)")
		return
	case c.isPaused() != nil:
		found.Note("paused", c.isPaused().Error())
		return
	case !t.active() && !t.enabled(): // as a package leaves it
		found.Fail("timer", timer+" is neither running nor enabled: no pass will be made", "scan2ban install")
		return
	case !t.active():
		found.Fail("timer", timer+" is not running: no pass will be made", "systemctl enable --now "+timer)
	case !t.enabled():
		found.Warn("timer", timer+" runs and is not enabled: no pass after the next boot", "systemctl enable "+timer)
	default:
		found.OK("timer", timer+" is enabled and running")
	}
	c.lastRun(found)
	c.owned(found)
	if r := table[restore]; table[timer].loaded() {
		switch {
		case !r.loaded():
			found.Warn("restore unit", restore+" is not there: after a boot or a firewall's restart the bans come back only with the next pass", "scan2ban install")
		case !r.enabled():
			found.Warn("restore unit", restore+" is not enabled: after a boot or a firewall's restart the bans come back only with the next pass", "systemctl enable "+restore)
		default:
			found.OK("restore unit", restore+" is enabled")
		}
	}
}

// isPaused is a *state.PausedError while an admin has taken the bans out, else nil.
func (c *checker) isPaused() error {
	s, err := state.OpenStore(c.StatePath, false)
	if err != nil {
		return nil
	}
	defer s.Close()
	if paused := s.Paused(); errors.As(paused, new(*state.PausedError)) {
		return paused
	}
	return nil
}

// lastRun says whether the last pass was made just now, and how it ended.
func (c *checker) lastRun(found *report.Findings) {
	const what = "last pass"
	path := state.VolatilePath(c.StatePath)
	if f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); errors.Is(err, fs.ErrPermission) {
		c.lacking(found, what, err, "chown -R scan2ban: "+filepath.Dir(path))
		return
	} else if err == nil {
		f.Close()
	}
	last := state.LoadVolatile(path).LastRun
	if last == nil {
		found.Warn(what, "none is known since the host started", c.why("systemctl start "+service+"; journalctl -u "+service))
		return
	}
	age := c.Now.Sub(time.Unix(last.Time, 0)).Round(time.Second)
	switch {
	case age > stale:
		found.Fail(what, fmt.Sprintf("it was %s ago, and one is due every minute", age), c.why("systemctl status "+timer+" "+service))
	case last.Error != "":
		found.Fail(what, fmt.Sprintf("it failed %s ago: %s", age, last.Error), c.why("journalctl -u "+service))
	default:
		found.OK(what, fmt.Sprintf("%s ago, %s, %.0f ms", age, state.Plural(last.Entries, "entry"), last.Seconds*1000))
	}
}

// why is how to learn what keeps the passes from coming: command, or what cron
// wants.
func (c *checker) why(command string) string {
	if c.cron() != "" {
		return "scan2ban run --verbose, and see that cron runs"
	}
	return command
}

// owned says whether the state belongs to the user that the passes run as. Root
// has asked that user already.
func (c *checker) owned(found *report.Findings) {
	dir := filepath.Dir(c.StatePath)
	info, err := os.Stat(dir)
	if err != nil || c.euid == 0 || c.unitUser() == "" {
		return
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	want, err := credentialOf(c.unitUser(), nil)
	if ok && err == nil && stat.Uid != want.Uid {
		found.Fail("state", fmt.Sprintf("%s belongs to %s, and the passes run as %s", dir, me(int(stat.Uid)), c.unitUser()), fmt.Sprintf("chown -R %s: %s", c.unitUser(), dir))
	}
}
