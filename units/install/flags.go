package install

import (
	"strconv"

	"github.com/spf13/pflag"

	"scan2ban/state"
)

// Flags adds what an install can be told on the command line.
func (o *Options) Flags(flags *pflag.FlagSet) {
	flags.Func("try", "take everything back after this `TIME` (10m), or at a reboot, unless it is confirmed", (*state.Duration)(&o.Try).UnmarshalSpan)
	flags.BoolVar(&o.Confirm, "confirm", false, "keep what --try has installed")
	flags.BoolVar(&o.Cron, "cron", false, "let cron start the passes, where systemd is not init")
	flags.BoolFunc("light", "start the passes with a cheaper sandbox, for small hosts", func(text string) error {
		light, err := strconv.ParseBool(text)
		o.Light = &light
		return err
	})
	flags.BoolVar(&o.Force, "force", false, "ban although Fail2Ban runs here, and whoever is logged in")
	flags.StringVar(&o.Prefix, "prefix", "/usr/local", "lay program and manual down below this `DIR`")
	flags.StringVar(&o.Dest, "dest", "", "only lay files down, below this `DIR`, as a package has them")
	_ = flags.MarkHidden("dest")
}

// Flags adds what an uninstall can be told.
func (how *How) Flags(flags *pflag.FlagSet) {
	flags.BoolVar(&how.Purge, "purge", false, "the configuration as well")
	flags.BoolVar(&how.Unconfirmed, "unconfirmed", false, "only what a trial has installed whose time is over")
	flags.BoolVar(&how.Stop, "stop", false, "only end the passes and the bans, as before a package goes")
	_, _ = flags.MarkHidden("unconfirmed"), flags.MarkHidden("stop")
}
