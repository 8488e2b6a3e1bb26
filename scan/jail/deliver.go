package jail

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"scan2ban/ban/deliver"
	"scan2ban/ban/nftables"
	"scan2ban/scan/pass"
	"scan2ban/scan/past"
	"scan2ban/state"
	"scan2ban/state/report"
	"scan2ban/state/report/geo"
)

// mail reads [mail].
func (c *Config) mail(f *file) []error {
	errs := f.decode([]string{"mail"}, f.root["mail"], &c.Deliver.Mail, c)
	c.Deliver.Mail.Check(func(key, problem string) {
		errs = append(errs, fmt.Errorf("%s: %s", f.place("mail", key), problem))
	})
	return errs
}

// hooks reads each [[hook]] of a file; those of all files are told.
func (c *Config) hooks(f *file) (errs []error) {
	list, ok := f.root["hook"].([]map[string]any)
	if !ok {
		return []error{fmt.Errorf("%s: hook is not a list of tables (write [[hook]])", f.place("hook"))}
	}
	for i, table := range list {
		at := []string{"hook", "[" + strconv.Itoa(i) + "]"}
		h := deliver.DefaultHook()
		found := f.decode(at, table, &h, c)
		if len(found) == 0 {
			h.Check(func(key, problem string) {
				found = append(found, fmt.Errorf("%s: %s", f.place(append(at, key)...), problem))
			})
		}
		errs = append(errs, found...)
		if slices.ContainsFunc(c.Deliver.Hooks, func(other deliver.Hook) bool { return h.Same(&other) }) {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: the same hook stands before: each event is told once", f.place(at...)))
		}
		c.Deliver.Hooks = append(c.Deliver.Hooks, h)
	}
	return errs
}

// enforcers checks that somebody enforces the bans where the kernel's are not ours.
func (c *Config) enforcers(files []*file) error {
	if c.Deliver.Resend = c.Kernel.Backend == nftables.ByHooks; !c.Deliver.Resend {
		return nil
	}
	for _, o := range c.Lists {
		if !o.Allow && o.Enforce {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: the list closes nobody out: hooks are told of bans alone (backend = \"hook\")", listPlace(files, o.Name, "")))
		}
	}
	place, none := lastPlace(files, "kernel", "backend"), true
	for i := range c.Deliver.Hooks {
		h := &c.Deliver.Hooks[i]
		jail := ""
		if len(h.Jails) > 0 {
			jail = h.Jails[0]
		}
		if !h.Enforces(jail) {
			continue
		}
		none = false
		if !slices.Contains(h.On, "expire") {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: hook %s is not told of expire: its bans must end by themselves", place, h.Run[0]))
		}
	}
	if none {
		return fmt.Errorf("%s: backend = \"hook\" and no hook that bans (write a [[hook]] with on = [\"ban\", \"expire\", \"unban\", \"release\"])", place)
	}
	if !c.enforced(state.ByHand) {
		c.Notes = append(c.Notes, fmt.Sprintf("%s: no hook enforces bans by hand that name no jail: each is for some jails alone", place))
	}
	return nil
}

// enforced tells whether somebody enforces the bans of that jail.
func (c *Config) enforced(jail string) bool {
	return c.Kernel.Backend != nftables.ByHooks || slices.ContainsFunc(c.Deliver.Hooks, func(h deliver.Hook) bool { return h.Enforces(jail) })
}

// LetGo has hooks that enforce the bans release them, by the configuration at path, for the
// state at statePath. Where the configuration cannot be read it is an error if they may
// hold any.
func LetGo(ctx context.Context, path, statePath string) error {
	o, err := Deliveries(path, statePath, "")
	switch {
	case err == nil:
		return deliver.LetGo(ctx, o)
	case deliver.Held(statePath):
		return fmt.Errorf("%w: %w", deliver.ErrHeld, err)
	}
	return nil
}

// Deliveries are what a round of deliveries by the configuration at path needs, for the
// state and the journal at these paths.
func Deliveries(path, statePath, journal string) (o deliver.Options, err error) {
	c, err := Load(path)
	if err != nil {
		return o, err
	}
	setup := c.Setup()
	setup.StatePath, setup.JournalPath, setup.Now = statePath, journal, time.Now()
	o = deliver.Options{Config: c.Deliver, StatePath: statePath, Now: setup.Now}
	o.Status = func() (*report.Status, error) {
		p, err := pass.Begin(setup)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		return p.Status(nil)
	}
	var read *pass.Pass // one reading for all addresses
	o.Evidence = func(ctx context.Context, addr netip.Addr) []string {
		if read == nil {
			p, err := pass.Begin(setup)
			if err != nil {
				return nil
			}
			p.Read(ctx)
			read = p
		}
		return evidence(ctx, read, addr)
	}
	if where, _ := geo.Open(c.Geo); where != nil {
		o.Where = where
	}
	return o, nil
}

// evidence are the lines of the log that tell of an address, as far as they can be read.
func evidence(ctx context.Context, p *pass.Pass, addr netip.Addr) (lines []string) {
	why, _ := past.Why(ctx, p, addr)
	if why == nil {
		return nil
	}
	for i := range why.Jails {
		for _, line := range why.Jails[i].Lines {
			lines = append(lines, line.Line)
		}
	}
	return lines
}
