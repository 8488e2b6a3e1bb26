package install

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

//go:embed scan2ban-try.service
var tryService string

//go:embed scan2ban-try.timer
var tryTimer string

const (
	tryServicePath = unitDir + "/scan2ban-try.service"
	tryTimerPath   = unitDir + "/scan2ban-try.timer"
)

// trialUnits are there for the time of a trial.
func (in *Install) trialUnits() []file {
	seconds := fmt.Sprint(int64((in.Try + time.Second - 1) / time.Second))
	text := func(unit string) []byte {
		return []byte(mark + "\n" + strings.NewReplacer("@BINARY@", in.binary(), "@SECONDS@", seconds).Replace(unit))
	}
	return []file{{tryServicePath, 0o644, text(tryService)}, {tryTimerPath, 0o644, text(tryTimer)}}
}

// arm starts the clock of a trial, before anything else can do harm. A boot
// during the trial ends it too.
func (in *Install) arm(ctx context.Context) error {
	boot, since := in.Clock()
	in.note.Trial = &Trial{Boot: boot, End: since + in.Try, Wrote: in.note.Wrote}
	if err := in.writeTrial(in.note.Trial); err != nil {
		return err
	}
	if in.Cron {
		if err := in.layCron(ctx, false); err != nil {
			return err
		}
	} else {
		if err := in.systemctl(ctx, "enable", "--quiet", "scan2ban-try.service", "scan2ban-try.timer"); err != nil {
			return err
		}
		if err := in.systemctl(ctx, "start", "scan2ban-try.timer"); err != nil {
			return err
		}
	}
	in.say("a trial: everything is taken back in %s unless you run \"scan2ban install --confirm\"", short(in.Try))
	return nil
}

// short writes 10m instead of 10m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// keep keeps what a trial installed.
func (in *Install) keep(ctx context.Context) error {
	if in.note.Trial == nil {
		return errors.New("no trial is running here")
	}
	found := in.Find(ctx)
	if found.By == systemd {
		if err := in.endTrial(ctx); err != nil {
			return err
		}
		if err := in.systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	in.note.Trial = nil
	if found.By != systemd {
		in.Cron = true
		if found.Binary != "" {
			in.Prefix = strings.TrimSuffix(found.Binary, "/sbin/scan2ban")
		}
		if err := in.layCron(ctx, true); err != nil {
			return err
		}
	}
	if err := in.writeTrial(in.note.Trial); err != nil {
		return err
	}
	in.say("confirmed: scan2ban stays")
	return nil
}

// endTrial stops the clock of a trial and takes its units away.
func (in *Install) endTrial(ctx context.Context) error {
	if _, err := os.Lstat(in.path(tryServicePath)); err != nil {
		return nil
	}
	// The service is not stopped: it may be what is running this.
	err := errors.Join(in.systemctl(ctx, "stop", "scan2ban-try.timer"), in.systemctl(ctx, "disable", "--quiet", "scan2ban-try.service", "scan2ban-try.timer"))
	return errors.Join(err, in.remove(tryTimerPath), in.remove(tryServicePath))
}
