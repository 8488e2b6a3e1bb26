package fail2ban

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"scan2ban/ban/deliver"
	"scan2ban/state/report"
)

// telling is what the jails' actions do beside closing ports: they send mail, which
// becomes [mail], or something else, which wants a hook that an admin writes.
type telling struct {
	to, from []string
	whois    bool
	lines    string              // an action that sends lines of the log
	others   map[string][]string // jails, by action
}

// mail notes an action that mails; what it names as an address and is none is left.
func (t *telling) mail(j *jail, name string, options map[string]string) {
	valid := func(list []string) (addresses []string) {
		for _, text := range list {
			var r deliver.Recipient
			if err := r.UnmarshalText([]byte(text)); err != nil {
				j.left("action", "action %s: %v", name, err)
				continue
			}
			addresses = append(addresses, text)
		}
		return addresses
	}
	t.to = append(t.to, valid(words(options["dest"]))...)
	if sender := options["sender"]; sender != "" && !strings.Contains(sender, "<") { // the default holds a tag for the host's name, as ours does
		t.from = append(t.from, valid([]string{sender})...)
	}
	if strings.Contains(name, "-lines") {
		t.lines = name
	}
	t.whois = t.whois || strings.Contains(name, "whois")
}

func (t *telling) other(j *jail, name string) {
	if t.others == nil {
		t.others = map[string][]string{}
	}
	t.others[name] = append(t.others[name], jailName(j.name))
	j.left("action", "action %s: write a hook for it (see [[hook]] in the configuration)", report.Clean(name))
}

// toml is the part of the configuration that follows from it.
func (t *telling) toml() string {
	var b strings.Builder
	if to := unique(t.to); len(to) > 0 {
		b.WriteString("\n# Fail2Ban's mails at every ban and every start become one a day; when = \"each\" sends them at once.\n")
		if t.lines != "" {
			fmt.Fprintf(&b, "# Lines of the log, which %s sends with them: quote = true beside when = \"each\".\n", report.Clean(t.lines))
		}
		fmt.Fprintf(&b, "[mail]\nto = %s\n", tomlList(to))
		if len(t.from) > 0 {
			fmt.Fprintf(&b, "from = %s\n", quote(t.from[0]))
		}
		if t.whois {
			b.WriteString("whois = true\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.others)) {
		fmt.Fprintf(&b, "\n# Fail2Ban's action %s: have a program of yours do its actionban and actionunban, which\n# is told of whom by SCAN2BAN_EVENT, SCAN2BAN_KEY and more (see \"man scan2ban.toml\", HOOKS).\n# [[hook]]\n# on = [\"ban\", \"expire\", \"unban\", \"release\"]\n# jails = %s\n# run = [\"/usr/local/bin/YOURS\"]\n",
			report.Clean(name), tomlList(unique(t.others[name])))
	}
	return b.String()
}

func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
