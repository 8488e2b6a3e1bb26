package fail2ban

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"scan2ban/scan/filter"
	"scan2ban/state"
	"scan2ban/state/lazy"
	"scan2ban/state/report"
)

// jail is one that is being converted.
type jail struct {
	name   string
	tree   *tree
	dir    string
	keep   bool
	result *Result
	err    error // the first option that cannot be read

	b       strings.Builder
	journal bool
	own     *filter.Filter // scan2ban's, where the jail gets that
}

// text is an option of the jail, "" where there is none.
func (j *jail) text(option string) string {
	v, _, err := j.tree.get(j.name, option, nil)
	if err != nil && j.err == nil {
		j.err = err
	}
	return strings.TrimSpace(v.text)
}

// left notes what is not carried over, at the place of the option.
func (j *jail) left(option, format string, args ...any) {
	v, _ := j.tree.raw(j.name, option)
	j.leftAt(v, format, args...)
}

func (j *jail) leftAt(v value, format string, args ...any) {
	l := Left{Jail: j.name, What: fmt.Sprintf(format, args...)}
	if v.file != "" {
		l.Where = v.where()
	}
	if j.name == defaults {
		l.Jail = ""
	}
	j.result.Left = append(j.result.Left, l)
}

// set writes a key of the jail. It is called in many places, and not inlined there.
//
//go:noinline
func (j *jail) set(key, value string) { fmt.Fprintf(&j.b, "%s = %s\n", key, value) }

// has is slices.Contains, which would be inlined in each of its places.
//
//go:noinline
func has(list []string, word string) bool { return slices.Contains(list, word) }

func isTrue(text string) bool {
	return has([]string{"1", "on", "true", "yes"}, strings.ToLower(text))
}

func tomlList(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// jailName is the jail's name as it may be here: a small letter, then small letters,
// digits, "-", "_", ".".
func jailName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	if name == "" || name[0] < 'a' || name[0] > 'z' || name == state.ByHand {
		name = "jail-" + name
	}
	return name
}

// convert gives the jail's section.
func (j *jail) convert() (string, error) {
	ours := jailName(j.name)
	if ours != j.name {
		j.left("enabled", "its name: here it is %s", ours)
	}
	fmt.Fprintf(&j.b, "[jail.%s]\n", quote(ours))
	j.set("enabled", "true")
	j.journal = strings.HasPrefix(j.text("backend"), "systemd")
	if err := j.filter(); err != nil {
		return "", err
	}
	j.sources()
	if n := j.text("maxretry"); n != "" {
		if count, err := strconv.Atoi(n); err != nil || count < 1 {
			j.left("maxretry", "maxretry = %s is not a number from 1", n)
		} else {
			j.set("maxretry", n)
		}
	}
	j.duration("findtime", "findtime")
	j.duration("bantime", "bantime")
	j.escalation()
	j.ignored()
	if err := j.actions(); err != nil {
		return "", err
	}
	for _, option := range []string{"ignorecommand", "ignorecache", "prefregex", "failregex", "ignoreregex", "datepattern", "maxlines"} {
		if text := j.text(option); text != "" {
			j.left(option, "%s = %s", option, text)
		}
	}
	if dns := j.text("usedns"); dns == "yes" || dns == "warn" {
		j.b.WriteString("# usedns = " + dns + ": a host name is never resolved here\n")
	}
	return j.b.String(), j.err
}

func (j *jail) filter() error {
	call := j.text("filter")
	if call == "" {
		call = j.name
	}
	name, options, err := parseCall(call)
	if err != nil {
		return err
	}
	if shipped(name) && !j.keep {
		if j.own, err = filter.Load(name); err != nil {
			return err
		}
		j.b.WriteString("# scan2ban's own filter; --keep-filters converts Fail2Ban's\n")
		j.set("filter", quote(name))
		for _, option := range slices.Sorted(maps.Keys(options)) {
			switch v := options[option]; {
			case option == "mode" && has([]string{"normal", "ddos", "extra", "aggressive"}, v):
				j.set("mode", quote(v))
			case v != "" && option != "logtype":
				j.left("filter", "an option that scan2ban's filter has not (--keep-filters converts Fail2Ban's): %s = %s", option, v)
			}
		}
		if j.own.Spoofable {
			j.left("filter", "filter %s: the jail is broken until you write allow_spoofable = true (\"scan2ban filters %[1]s --toml\" tells why)", name)
		}
		j.result.Jails = append(j.result.Jails, Imported{jailName(j.name), name, false})
		return j.changed(name)
	}
	if options["logtype"] == "" && j.journal {
		options["logtype"] = "journal"
	}
	text, warnings, err := convertFilter(j.dir, name, options)
	if err != nil {
		return err
	}
	for _, line := range warnings {
		j.left("filter", "filter %s: %s", name, line)
	}
	if converted, err := filter.Parse(name, name, text); err == nil && !j.journal {
		for _, line := range dayless(converted) {
			j.left("filter", "filter %s: %s", name, line)
		}
	}
	j.foolable(name, text)
	ours := "fail2ban-" + jailName(j.name)
	j.result.Filters[ours] = text
	j.set("filter", quote(ours))
	j.result.Jails = append(j.result.Jails, Imported{jailName(j.name), ours, true})
	return nil
}

// changed tells what the admin wrote over a filter of Fail2Ban's that is not converted.
func (j *jail) changed(name string) error {
	t, found, err := readTree(filepath.Join(j.dir, "filter.d"), name)
	if err != nil {
		return err
	}
	if _, known := forgeries()[name]; found && !known {
		j.left("filter", "filter %s: it is not one of Fail2Ban's; scan2ban's of that name is taken (--keep-filters converts yours)", name)
	}
	for _, section := range slices.Sorted(maps.Keys(t.sections)) {
		for _, option := range slices.Sorted(maps.Keys(t.sections[section])) {
			if v := t.sections[section][option]; section != "INCLUDES" && (filepath.Ext(v.file) == ".local" || filepath.Base(filepath.Dir(v.file)) == name+".d") {
				j.leftAt(v, "filter %s: %s = %s (--keep-filters converts it)", name, option, v.text)
			}
		}
	}
	return nil
}

// dayless tells of date patterns that find no day.
func dayless(f *filter.Filter) (lines []string) {
	found := f.Script.Undatable()
	for _, pattern := range found {
		means := "this filter bans nobody from a log file"
		if len(found) < len(f.Script.Dates) {
			means = "nobody is banned by a line of a log file that has no other date"
		}
		lines = append(lines, "datepattern "+pattern+" finds no day: "+means+
			" (Fail2Ban takes the time at which it reads, which proves nothing here); give it a datepattern that finds a day, or let the jail read the journal (backend = \"journal\")")
	}
	return lines
}

var span = lazy.Regexp(`^([\d.]+)\s*([a-z]*)\s*`)

// seconds reads a time as Fail2Ban takes it: 600, 10m, 1d 12h, 2 weeks.
func seconds(text string) (n int64, ok bool) {
	units := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": 2629800, "y": 31557600}
	long := map[string]string{"ss": "s", "sec": "s", "second": "s", "seconds": "s", "mm": "m", "min": "m", "minute": "m", "minutes": "m", "hh": "h", "hour": "h",
		"hours": "h", "da": "d", "dd": "d", "day": "d", "days": "d", "ww": "w", "we": "w", "week": "w", "weeks": "w", "mon": "mo", "month": "mo", "months": "mo",
		"yy": "y", "ye": "y", "year": "y", "years": "y"}
	text = strings.ToLower(strings.TrimSpace(text))
	sum := 0.0
	for rest := text; rest != ""; {
		m := span().FindStringSubmatch(rest)
		if m == nil {
			return 0, false
		}
		count, err := strconv.ParseFloat(m[1], 64)
		unit := m[2]
		if short, ok := long[unit]; ok {
			unit = short
		}
		size, known := units[unit]
		if err != nil || !known {
			return 0, false
		}
		sum += count * size
		rest = rest[len(m[0]):]
	}
	return int64(sum), text != "" && sum >= 1 && sum < 1e10
}

// timeOf writes seconds with the largest unit that needs no fraction.
func timeOf(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{604800, "w"}, {86400, "d"}, {3600, "h"}, {60, "m"}} {
		if n%u.size == 0 {
			return quote(strconv.FormatInt(n/u.size, 10) + u.name)
		}
	}
	return quote(strconv.FormatInt(n, 10) + "s")
}

func (j *jail) duration(option, key string) {
	text := j.text(option)
	if text == "" {
		return
	}
	if n, ok := seconds(text); ok {
		j.set(key, timeOf(n))
	} else if strings.HasPrefix(text, "-") && key == "bantime" {
		j.set(key, `"permanent"`)
	} else {
		j.left(option, "%s = %s is no time", option, text)
	}
}

// split parts the actions of a jail, one or more lines each.
func split(text string) (calls []string) {
	depth, from := 0, 0
	var quoted rune
	for i, r := range text {
		switch {
		case quoted != 0:
			if r == quoted {
				quoted = 0
			}
		case depth > 0 && (r == '"' || r == '\''):
			quoted = r
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == '\n' && depth <= 0:
			calls, from = append(calls, text[from:i]), i
		}
	}
	calls = append(calls, text[from:])
	return slices.DeleteFunc(calls, func(s string) bool { return strings.TrimSpace(s) == "" })
}

var (
	firewall = lazy.Regexp(`^(iptables|nftables|firewallcmd|ufw|shorewall|pf|ipfw|ipfilter|bsd-ipfw|npf|route|afctl)\b`)
	mailing  = lazy.Regexp(`^(sendmail|mail)\b`)
)

// actions become what a ban closes; the others are named. The error says that the jail
// is not one that keeps anybody out.
func (j *jail) actions() error {
	closes := false
	for _, call := range split(j.text("action")) {
		name, options, err := parseCall(call)
		switch {
		case err != nil:
			j.left("action", "action: %v", err)
		case firewall().MatchString(name) && strings.EqualFold(options["blocktype"], "return"):
			return fmt.Errorf("its action %s lets addresses in (blocktype = return), which a ban does not", name)
		case firewall().MatchString(name) && closes:
			j.left("action", "action %s: a ban closes the ports of the first action alone", name)
		case firewall().MatchString(name):
			j.reach(name, options)
			closes = true
		case mailing().MatchString(name):
			j.result.telling.mail(j, name, options)
		default:
			j.result.telling.other(j, name)
		}
	}
	if !closes {
		j.set("ports", closedPorts(j.text("port"))) // a converted filter names none
		const bansNobody = "false # none of its actions closes a port"
		j.set("enforce", bansNobody)
		j.left("action", "enforce = "+bansNobody)
	}
	return nil
}

var portRange = lazy.Regexp(`^(\d+)[:-](\d+)$`)

const allPorts = `"all"`

// closedPorts is an option port of Fail2Ban's as the value of the key ports.
func closedPorts(option string) string {
	var ports []string
	for _, word := range words(option) {
		if m := portRange().FindStringSubmatch(word); m != nil {
			word = m[1] + "-" + m[2]
		}
		if word == "all" || word == "0-65535" || word == "1-65535" {
			return allPorts
		}
		ports = append(ports, word)
	}
	if len(ports) == 0 {
		return allPorts
	}
	return tomlList(ports)
}

func (j *jail) reach(name string, options map[string]string) {
	ports := closedPorts(options["port"])
	if strings.Contains(name, "allports") || options["type"] == "allports" {
		ports = allPorts
	}
	j.set("ports", ports)
	if ports != allPorts {
		protocols := words(options["protocol"])
		if len(protocols) > 0 && !slices.ContainsFunc(protocols, func(p string) bool { return p != "tcp" && p != "udp" }) {
			j.set("protocol", tomlList(protocols))
		} else if len(protocols) > 0 {
			j.left("protocol", "protocol = %s", report.Clean(options["protocol"]))
		}
	}
	switch block := strings.ToLower(options["blocktype"]); {
	case strings.HasPrefix(block, "drop"):
		j.set("blocktype", `"drop"`)
	case block == "" || strings.HasPrefix(block, "reject"):
		j.set("blocktype", `"reject"`) // what Fail2Ban does without a word
	default:
		j.left("action", "blocktype = %s", block)
	}
	if chain := options["chain"]; chain != "" && chain != "INPUT" && !strings.HasPrefix(chain, "<known") {
		j.left("chain", "chain = %s (see the key forwarded)", chain)
	}
}
