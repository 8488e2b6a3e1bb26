package pass

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"scan2ban/state"
	"scan2ban/state/report"
)

// ByHand is a ban or an unban that an admin asks for.
type ByHand struct {
	Keys   []state.Key
	Jail   string         // empty: ban from every port, unban everywhere
	For    state.Duration // of a ban; Permanent: for ever
	Force  bool           // ban also what is protected, and what is wide
	Shield *state.Ignored // who is protected beside what the jails ignore: see [Pass.Protected]
	All    bool           // of an unban: every ban there is; nothing to say of those that are not

	From string  // of a ban: the file that List is read from, "-" for standard input; empty: Keys are banned
	List []Taken // bans of another host

	instead string // of addresses, what the command can be told
}

// BanFlags adds what a ban can be told.
func (by *ByHand) BanFlags(flags *pflag.FlagSet) {
	by.instead = "--from FILE"
	flags.StringVar(&by.Jail, "jail", "", "ban in the ports of this `JAIL` (default: every port)")
	flags.Func("for", "how long, a `TIME` as 1d or 12h (default: for ever)", by.For.UnmarshalSpan)
	flags.BoolVar(&by.Force, "force", false, "ban also what is to be ignored: own addresses, gateways, those logged in; and a great part of all addresses")
	flags.StringVar(&by.From, "from", "", "ban what this `FILE` lists, - for standard input: a line each, or what export writes as json or csv, with the ends that it names")
}

// UnbanFlags adds what an unban can be told.
func (by *ByHand) UnbanFlags(flags *pflag.FlagSet) {
	by.instead = "--all"
	flags.StringVar(&by.Jail, "jail", "", "only in this `JAIL` (default: everywhere)")
	flags.BoolVar(&by.All, "all", false, "take back every ban")
}

// Take reads whom it is about, from the arguments or from the file.
func (by *ByHand) Take(args []string, stdin io.Reader) (err error) {
	switch elsewhere := by.All || by.From != ""; {
	case elsewhere == (len(args) > 0):
		return errors.New("give either addresses or " + by.instead)
	case by.From != "":
		by.List, err = readFrom(by.From, stdin, by.Force)
	default:
		by.Keys, err = Keys(args)
	}
	return err
}

// Ban lays the bans, once the sources are read. The error says why none was laid.
func (p *Pass) Ban(by ByHand) error {
	if by.From != "" {
		return p.banFrom(by)
	}
	name := cmp.Or(by.Jail, state.ByHand)
	if err := p.closes(name); err != nil {
		return err
	}
	until := by.until(p.Now.Unix())
	protected := p.Protected(by.Shield)
	var errs []error
	for _, key := range by.Keys {
		if entry, origin, ok := protected.Touches(key); ok && !by.Force {
			errs = append(errs, fmt.Errorf("%s holds %s (%s): it stays free (--force bans it all the same)", key, entry, origin))
		} else if !by.Force {
			errs = append(errs, tooWide(key))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, key := range by.Keys {
		if b, fresh := p.Judge.BanByHand(name, key, p.Now.Unix(), until, by.Force); !fresh {
			p.Warn("%s is banned %s already", key, report.Until(b.Until))
		}
	}
	return nil
}

// closes gives an error where nothing says which ports a jail closes.
func (p *Pass) closes(name string) error {
	p.Ledger.Jail(state.ByHand)
	if _, err := p.Jails([]string{name}); err != nil {
		return err
	}
	if j := p.Ledger.Jails[name]; p.Off[name] || j == nil || len(j.Reach.Ports) == 0 {
		return fmt.Errorf("jail %q is switched off or broken: nothing says which ports it closes", name)
	}
	return nil
}

// until is the second of the end of a ban laid now; 0: it has none.
func (by *ByHand) until(now int64) int64 {
	if by.For == state.Permanent {
		return 0
	}
	return now + by.For.Seconds()
}

// Unban takes bans back and forgives failures up to now.
func (p *Pass) Unban(by ByHand) error {
	var names []string
	if by.Jail != "" {
		names = []string{by.Jail}
	}
	p.Ledger.Jail(state.ByHand)
	names, err := p.Jails(names)
	if err != nil {
		return err
	}
	if by.All {
		by.Keys = state.Everything
	}
	for _, key := range by.Keys {
		freed, err := p.Judge.UnbanByHand(names, key, p.Now.Unix())
		if err != nil {
			return err
		}
		if len(freed) == 0 && !by.All {
			p.Warn("%s was not banned%s; its failures up to now are forgiven", key, p.elsewhere(by.Jail, key))
		}
	}
	return nil
}

// elsewhere says that a key was looked for in one jail alone, and which others ban it;
// empty where all were looked through.
func (p *Pass) elsewhere(jail string, key state.Key) string {
	if jail == "" {
		return ""
	}
	text := " in " + jail
	for _, name := range p.Ledger.Names() {
		for _, b := range p.Ledger.Jails[name].Live(p.Now.Unix()) {
			if b.Key.Overlaps(key.Prefix) {
				return text + ", and still is in " + name
			}
		}
	}
	return text
}

// Keys reads addresses and CIDRs; the error names each that is none.
func Keys(args []string) ([]state.Key, error) {
	var list []state.Key
	var errs []error
	for _, arg := range args {
		p, err := state.ParsePrefix(strings.TrimSpace(arg))
		errs = append(errs, err)
		list = append(list, state.Key(p))
	}
	return list, errors.Join(errs...)
}

// Protected is what no admin bans by accident: what any jail ignores, one that is not
// judged in this pass too, and shield, the clients of those who are logged in.
func (p *Pass) Protected(shield *state.Ignored) *state.Ignored {
	set := state.NewIgnored()
	for _, r := range p.Rules {
		set.AddAll(r.Ignored)
	}
	if p.Ignored != nil {
		set.AddAll(p.Ignored())
	}
	set.AddAll(shield)
	return set
}
