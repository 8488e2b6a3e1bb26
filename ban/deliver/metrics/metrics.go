// Package metrics writes what a pass knows as a text file that Prometheus'
// node_exporter picks up (--collector.textfile.directory).
//
// The format is Prometheus' text exposition format, names and units follow its
// conventions: base units, _total for counters, labels for what is added up.
package metrics

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Config is [metrics]. Without Textfile nothing is written.
type Config struct {
	Textfile string `toml:"textfile"` // absolute, ends with .prom: node_exporter reads no other
}

// Check finds values that no file may have; report takes the key and what is wrong.
func (c *Config) Check(report func(key, problem string)) {
	if t := c.Textfile; t != "" && (!filepath.IsAbs(t) || filepath.Ext(t) != ".prom" || filepath.Base(t) == ".prom" || strings.ContainsRune(t, 0)) {
		report("textfile", fmt.Sprintf("textfile = %q is not the absolute path of a file that ends with .prom (as /run/scan2ban/scan2ban.prom)", t))
	}
}

// Pass is what a pass tells. Times are seconds since the Unix epoch.
type Pass struct {
	Version  string
	Time     int64   // of this pass
	Good     int64   // of the last one without an error; 0: none is known since boot
	Seconds  float64 // how long it took
	Entries  int     // that it read
	Repaired int     // pieces of the kernel that it mended
	Errors   int
	Warnings int
	Gaps     int   // in the log
	State    int64 // bytes of the state file
	Healths  []string
	Jails    []Jail // sorted by name
}

// Jail is what a pass tells of a jail. The totals are of the state: they begin again at
// 0 when that is made anew.
type Jail struct {
	Name                                string
	Entries, Understood, Failures, Bans int64 // totals
	Banned, Tracked                     int
	Enforced                            bool
	Health                              string // one of Pass.Healths
}

// Text writes p in the text exposition format.
func (p *Pass) Text() []byte {
	var b bytes.Buffer
	head := func(name, kind, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	gauge := func(name, help string, value float64) {
		head(name, "gauge", help)
		fmt.Fprintf(&b, "%s %s\n", name, number(value))
	}
	jails := func(name, kind, help string, value func(j *Jail) float64) {
		if len(p.Jails) == 0 {
			return
		}
		head(name, kind, help)
		for i := range p.Jails {
			fmt.Fprintf(&b, "%s{jail=\"%s\"} %s\n", name, label.Replace(p.Jails[i].Name), number(value(&p.Jails[i])))
		}
	}
	head("scan2ban_build_info", "gauge", "The version of scan2ban; always 1.")
	fmt.Fprintf(&b, "scan2ban_build_info{version=\"%s\"} 1\n", label.Replace(p.Version))
	gauge("scan2ban_last_pass_timestamp_seconds", "When the last pass was made.", float64(p.Time))
	gauge("scan2ban_last_good_pass_timestamp_seconds", "When the last pass without an error was made; 0: none since boot.", float64(p.Good))
	gauge("scan2ban_last_pass_duration_seconds", "How long the last pass took.", p.Seconds)
	gauge("scan2ban_last_pass_entries", "Log entries that the last pass read.", float64(p.Entries))
	gauge("scan2ban_last_pass_repairs", "Pieces of the ruleset that the last pass had to mend.", float64(p.Repaired))
	gauge("scan2ban_last_pass_errors", "Errors of the last pass.", float64(p.Errors))
	gauge("scan2ban_last_pass_warnings", "Warnings of the last pass.", float64(p.Warnings))
	gauge("scan2ban_last_pass_gaps", "Gaps that the last pass found in the log.", float64(p.Gaps))
	gauge("scan2ban_state_size_bytes", "Size of the state file.", float64(p.State))

	jails("scan2ban_jail_entries_total", "counter", "Log entries read for the jail.", func(j *Jail) float64 { return float64(j.Entries) })
	jails("scan2ban_jail_understood_entries_total", "counter", "Of them, those that a rule of the filter explains.", func(j *Jail) float64 { return float64(j.Understood) })
	jails("scan2ban_jail_failures_total", "counter", "Failures counted, by weight.", func(j *Jail) float64 { return float64(j.Failures) })
	jails("scan2ban_jail_bans_total", "counter", "Bans decided.", func(j *Jail) float64 { return float64(j.Bans) })
	jails("scan2ban_jail_banned_keys", "gauge", "Bans in force.", func(j *Jail) float64 { return float64(j.Banned) })
	jails("scan2ban_jail_tracked_keys", "gauge", "Addresses or prefixes with failures in the window.", func(j *Jail) float64 { return float64(j.Tracked) })
	jails("scan2ban_jail_enforced", "gauge", "Whether bans reach the kernel; 0: the jail only observes.", func(j *Jail) float64 { return truth(j.Enforced) })
	if len(p.Jails) > 0 {
		head("scan2ban_jail_health", "gauge", "1 for the health that scan2ban status shows, 0 for the others.")
		for i := range p.Jails {
			for _, health := range p.Healths {
				fmt.Fprintf(&b, "scan2ban_jail_health{jail=\"%s\",health=\"%s\"} %s\n", label.Replace(p.Jails[i].Name), label.Replace(health), number(truth(p.Jails[i].Health == health)))
			}
		}
	}
	return b.Bytes()
}

// label escapes the value of a label.
var label = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
