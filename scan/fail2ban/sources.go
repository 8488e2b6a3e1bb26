package fail2ban

import (
	"strings"

	"scan2ban/scan/filter"
)

// sources are where the jail reads: with Fail2Ban's filter, what it read there.
func (j *jail) sources() {
	if j.own != nil {
		j.ownSources()
		return
	}
	j.matches()
	if j.journal {
		j.set("backend", `"journal"`)
		return
	}
	if paths := j.paths(); len(paths) > 0 {
		j.set("logpath", tomlList(paths))
		j.set("backend", `"file"`)
	}
	j.written()
}

func (j *jail) matches() {
	if match := j.text("journalmatch"); match != "" {
		terms, warnings := journalTerms(match)
		all := make([]string, len(terms))
		for i, term := range terms {
			all[i] = tomlList(term)
		}
		j.set("journalmatch", "["+strings.Join(all, ", ")+"]")
		for _, line := range warnings {
			j.left("journalmatch", "%s", line)
		}
	}
}

// paths are the log files, without what stands after them.
func (j *jail) paths() (paths []string) {
	for line := range strings.Lines(j.text("logpath")) {
		path, tail, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path != "" {
			paths = append(paths, path)
		}
		if tail = strings.TrimSpace(tail); tail != "" {
			j.left("logpath", "%q after %s: a file that is new is read from its beginning", tail, path)
		}
	}
	return paths
}

// written says how the lines of log files are.
func (j *jail) written() {
	if zone := j.text("logtimezone"); zone != "" {
		var valid filter.Zone
		if err := valid.UnmarshalText([]byte(zone)); err != nil {
			j.left("logtimezone", "logtimezone = %s: %v", zone, err)
		} else {
			j.set("logtimezone", quote(zone))
		}
	}
	if code := strings.ToLower(j.text("logencoding")); code != "" && code != "auto" && code != "utf-8" && code != "ascii" {
		j.left("logencoding", "logencoding = %s", code)
	}
}
