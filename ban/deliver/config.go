package deliver

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
)

// Config is what is to be delivered to whom: [mail] and each [[hook]].
type Config struct {
	Mail   Mail
	Hooks  []Hook
	Resend bool // hooks enforce the bans ([kernel] backend = "hook"), see kept
}

// Mail is [mail]. Without To no mail is sent.
type Mail struct {
	To         Recipients     `toml:"to"`
	From       Recipient      `toml:"from"` // empty: scan2ban@HOST
	When       When           `toml:"when"`
	Every      state.Duration `toml:"every"`        // between two digests
	MaxPerHour int            `toml:"max_per_hour"` // of when = "each"
	Quote      bool           `toml:"quote"`        // when = "each": with the lines of the log
	Whois      bool           `toml:"whois"`        // with network and abuse contact of the worst
	Sendmail   string         `toml:"sendmail"`     // the program that takes a message with -i -t
}

// DefaultMail is [mail] where it says nothing.
func DefaultMail() Mail {
	return Mail{When: Daily, Every: state.Duration(24 * time.Hour), MaxPerHour: 10, Sendmail: "/usr/sbin/sendmail"}
}

// Check finds values that no file may have; report takes the key and what is wrong.
func (m *Mail) Check(report func(key, problem string)) {
	if s := m.Every.Seconds(); m.Every == state.Permanent || s < 60 || s > 31557600 { // a year as state.ParseDuration has it
		report("every", fmt.Sprintf("every = %s is not between a minute and a year", m.Every))
	}
	if m.MaxPerHour < 1 || m.MaxPerHour > 1000 {
		report("max_per_hour", fmt.Sprintf("max_per_hour = %d is out of range (1 to 1000)", m.MaxPerHour))
	}
	if !filepath.IsAbs(m.Sendmail) {
		report("sendmail", fmt.Sprintf("sendmail = %q is not the absolute path of a program", m.Sendmail))
	}
}

// When says how often mail comes.
type When string

const (
	Daily  When = "digest" // one report for every span of Mail.Every in which something happened
	Hourly When = "hourly" // the same for every hour
	Each   When = "each"   // what each pass did, at once
)

// UnmarshalText accepts the three.
func (w *When) UnmarshalText(text []byte) error {
	*w = When(text)
	if !slices.Contains([]When{Daily, Hourly, Each}, *w) {
		return fmt.Errorf("%q is none of digest, hourly, each", text)
	}
	return nil
}

// Recipient is an address of mail, or the name of a local user.
type Recipient string

// UnmarshalText accepts what can stand in a header as it is: a local part and perhaps
// a domain, in printable ASCII and without what RFC 5322 has quoted.
func (r *Recipient) UnmarshalText(text []byte) error {
	*r = Recipient(text)
	local, domain, at := strings.Cut(string(text), "@")
	const atext = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."
	if local == "" || at && domain == "" || strings.Trim(local, atext) != "" || strings.Trim(domain, atext+"[]:") != "" || local[0] == '-' || len(text) > 254 {
		return fmt.Errorf("%q is not an address of mail (as admin@example.com, or root)", text)
	}
	return nil
}

// Recipients are a list of them. Written as one string they are separated by commas or
// spaces, as Fail2Ban's destemail is.
type Recipients []Recipient

// UnmarshalTOML reads a list of addresses, or one string of them.
func (rs *Recipients) UnmarshalTOML(value any) error {
	*rs = nil
	list, ok := value.([]any)
	if text, is := value.(string); is {
		ok = true
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			list = append(list, word)
		}
	}
	if !ok {
		return fmt.Errorf("%v is not a list of addresses of mail", value)
	}
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is not an address of mail", v)
		}
		var r Recipient
		if err := r.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		*rs = append(*rs, r)
	}
	return nil
}

// Hook is one [[hook]]: a program that is told of events.
type Hook struct {
	On       []string       `toml:"on"`
	Run      []string       `toml:"run"`      // the program, absolute, and its arguments
	Jails    []string       `toml:"jails"`    // only what these jails decide; empty: all
	Timeout  state.Duration `toml:"timeout"`  // after which it is killed
	Parallel int            `toml:"parallel"` // how many may run at a time; 1 keeps the order of events
}

// DefaultHook is a [[hook]] where it says nothing.
func DefaultHook() Hook {
	return Hook{On: []string{"ban"}, Timeout: state.Duration(30 * time.Second), Parallel: 1}
}

// Check finds values that no file may have; report takes the key and what is wrong.
func (h *Hook) Check(report func(key, problem string)) {
	if len(h.Run) == 0 || !filepath.IsAbs(h.Run[0]) || strings.ContainsRune(strings.Join(h.Run, ""), 0) {
		report("run", `run is not a list that begins with the absolute path of a program (run = ["/usr/local/bin/tell", "argument"])`)
	}
	for _, on := range h.On {
		if !slices.Contains(EventNames, on) {
			report("on", fmt.Sprintf("%q is no event (%s)", on, strings.Join(EventNames, ", ")))
		}
	}
	if len(h.On) == 0 {
		report("on", "on is empty: the hook would never run")
	}
	if s := h.Timeout.Seconds(); h.Timeout == state.Permanent || s < 1 || s > 600 {
		report("timeout", fmt.Sprintf("timeout = %s is not between 1s and 10m", h.Timeout))
	}
	if h.Parallel < 1 || h.Parallel > 64 {
		report("parallel", fmt.Sprintf("parallel = %d is out of range (1 to 64)", h.Parallel))
	}
}

// takes tells whether the hook wants to know of e.
func (h *Hook) takes(e *Event) bool {
	return slices.Contains(h.On, e.Event) && (len(h.Jails) == 0 || slices.Contains(h.Jails, e.Jail))
}

// sinks are where deliveries go, each with a position of its own.
func (c *Config) sinks() (list []sink) {
	switch m := &c.Mail; {
	case len(m.To) == 0:
	case m.When == Each:
		list = append(list, &eachMail{m})
	default:
		list = append(list, &digestMail{m})
	}
	for _, h := range c.hookSinks() {
		list = append(list, h)
	}
	return list
}
