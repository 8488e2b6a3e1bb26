package jail

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/past"
	"scan2ban/state"
	"scan2ban/state/report/geo"
)

// Report is what a report by the configuration at path is to read and to judge by; the
// caller adds the journal and the time. Jails that are broken are left out, and among the
// notes.
func Report(path string, ask *past.Flags) (o past.Options, err error) {
	c, err := Load(path)
	if err != nil {
		return o, err
	}
	o.Setup, o.Files = c.Setup(), ask.Files
	for _, err := range o.Setup.Errs {
		o.Notes = append(o.Notes, strings.Split(err.Error(), "\n")...)
	}
	if len(ask.Jails) > 0 {
		for _, name := range ask.Jails {
			if known := slices.Sorted(maps.Keys(o.Setup.Rules)); !slices.Contains(known, name) {
				return o, fmt.Errorf("no jail %q%s", name, filter.DidYouMean(name, known))
			}
		}
		maps.DeleteFunc(o.Setup.Rules, func(name string, _ *state.Rules) bool { return !slices.Contains(ask.Jails, name) })
		o.Setup.Watches = slices.DeleteFunc(o.Setup.Watches, func(w scan.Watch) bool { return !slices.Contains(ask.Jails, w.Jail) })
	}
	if !ask.Since.IsZero() {
		o.Since = ask.Since.Unix()
	}
	if !ask.Until.IsZero() {
		o.Until = ask.Until.Unix()
	}
	if o.Until != 0 && o.Until < o.Since {
		return o, errors.New("--until is before --since: nothing lies between")
	}
	where, warnings := geo.Open(c.Geo)
	if where != nil {
		o.Networks = where
	}
	o.Notes = append(o.Notes, warnings...)
	o.Policies, err = c.Policies(o.Setup.Rules, ask.Policies, ask.Jails)
	return o, err
}

// Policies are the ways to judge that a report compares: by the configuration, and by
// each of the texts. A text is the path of a TOML file, a configuration of its own, or
// "KEY=VALUE,...", what every jail has instead of what its configuration says. only, where
// not empty, are the jails that the report is about.
func (c *Config) Policies(rules map[string]*state.Rules, texts, only []string) ([]past.Policy, error) {
	list := []past.Policy{{Name: "configured", Rules: rules}}
	for _, text := range texts {
		p, err := c.policy(rules, text, only)
		if err != nil {
			return nil, fmt.Errorf("--policy %q: %w", text, err)
		}
		list = append(list, past.Policy{Name: text, Rules: p})
	}
	return list, nil
}

func (c *Config) policy(rules map[string]*state.Rules, text string, only []string) (map[string]*state.Rules, error) {
	if info, err := os.Stat(text); err == nil && info.Mode().IsRegular() {
		return policyFile(rules, text, only)
	}
	lines, err := assignments(text)
	if err != nil {
		return nil, err
	}
	changed := map[string]*state.Rules{}
	for _, j := range c.Jails {
		r := rules[j.Name]
		if r == nil {
			continue
		}
		own := j.clone()
		md, err := toml.Decode(lines, &own.Policy)
		if err != nil {
			text := err.Error()
			if _, of, ok := strings.Cut(text, `last key "`); ok { // behind the number of a line that nobody wrote
				text = strings.Replace(of, `")`, "", 1)
			}
			return nil, errors.New(strings.TrimPrefix(text, "toml: "))
		}
		for _, key := range md.Undecoded() {
			return nil, fmt.Errorf("unknown key %q%s", key, filter.DidYouMean(key.String(), policyKeys))
		}
		own.check(func(_, problem string) { err = errors.New(problem) })
		if err != nil {
			return nil, err
		}
		with := *r
		with.Policy = own.Policy
		changed[j.Name] = &with
	}
	return changed, nil
}

// policyKeys are those that KEY=VALUE may name.
var policyKeys = []string{"maxretry", "findtime", "bantime", "ipv4_prefix", "ipv6_prefix", "nat64", "forgive", "spare", "max_tracked",
	"escalation.factor", "escalation.max", "escalation.jitter", "escalation.across_jails", "subnets.count", "subnets.ipv4", "subnets.ipv6"}

// ignoring are the keys of a policy that say whom to ignore, which is read together with lists
// and the host's own addresses: of a file alone.
var ignoring = []string{"ignoreip", "ignorefile", "ignoreself"}

// assignments makes TOML of KEY=VALUE,...: numbers and true and false as they are,
// anything else as a string.
func assignments(text string) (string, error) {
	var b strings.Builder
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || value == "" || strings.ContainsAny(part, "\n\"'\\[]{}#") {
			return "", fmt.Errorf("%q is neither a file nor KEY=VALUE (as in maxretry=3,findtime=1h)", part)
		}
		if slices.Contains(ignoring, key) {
			return "", fmt.Errorf("%s is not taken here: whom to ignore is compared by a configuration of its own (--policy FILE)", key)
		}
		if value != "true" && value != "false" && strings.Trim(value, "0123456789.") != "" {
			value = `"` + value + `"`
		} else if strings.HasSuffix(key, "time") || key == "spare" || strings.HasSuffix(key, ".max") || strings.HasSuffix(key, ".jitter") {
			value = `"` + value + `"` // a duration may be a number of seconds
		}
		fmt.Fprintf(&b, "%s = %s\n", key, value)
	}
	return b.String(), nil
}

// policyFile is another configuration's way to judge the jails that are read.
func policyFile(rules map[string]*state.Rules, path string, only []string) (map[string]*state.Rules, error) {
	other, err := Load(path)
	if err != nil {
		return nil, err
	}
	for name, err := range other.Broken {
		return nil, fmt.Errorf("jail %q: %w", name, err)
	}
	all := other.Setup().Rules
	if len(only) > 0 {
		maps.DeleteFunc(all, func(name string, _ *state.Rules) bool { return !slices.Contains(only, name) })
	}
	for name := range all {
		if rules[name] == nil && !all[name].Ledger {
			return nil, fmt.Errorf("jail %q is not in the configuration whose logs are read", name)
		}
	}
	return all, nil
}
