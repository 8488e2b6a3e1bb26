package check

import (
	"path/filepath"
	"slices"
	"strings"

	"scan2ban/state/report"
)

// A veil is a directory that the unit of the passes hides from them, the line that does, and
// one that does not.
type veil struct{ dir, line, instead string }

// veils are those of the unit, none where it is not installed or hides nothing
// (systemd.exec(5)).
func (c *checker) veils() (list []veil) {
	u := c.units()[service]
	add := func(key, instead string, dirs ...string) {
		for _, dir := range dirs {
			list = append(list, veil{strings.TrimLeft(dir, "-+"), key + "=" + u[key], key + "=" + instead})
		}
	}
	if u["ProtectHome"] == "yes" || u["ProtectHome"] == "tmpfs" {
		add("ProtectHome", "read-only", "/home", "/root", "/run/user")
	}
	if u["PrivateTmp"] != "" && u["PrivateTmp"] != "no" {
		add("PrivateTmp", "no", "/tmp", "/var/tmp")
	}
	add("InaccessiblePaths", "", strings.Fields(u["InaccessiblePaths"])...)
	return list
}

// shown are the paths that the unit shows to the passes wherever they lie, as an admin may have
// it: source, perhaps a colon and where that is to be seen, perhaps options.
func (c *checker) shown() (paths []string) {
	u := c.units()[service]
	for _, word := range strings.Fields(u["BindPaths"] + " " + u["BindReadOnlyPaths"]) {
		parts := strings.Split(strings.TrimLeft(word, "-"), ":")
		paths = append(paths, parts[min(1, len(parts)-1)])
	}
	return paths
}

// unseen tells of log files of a jail, at the end of links, that lie where the unit hides them;
// and whether there are any.
func (c *checker) unseen(what string, paths []string, found *report.Findings) (any bool) {
	for _, v := range c.veils() {
		i := slices.IndexFunc(paths, func(path string) bool {
			end, err := filepath.EvalSymlinks(c.root.Path(path))
			end = strings.TrimPrefix(end, c.root.Path(""))
			below := func(dir string) bool { return strings.HasPrefix(end+"/", strings.TrimSuffix(dir, "/")+"/") }
			return err == nil && below(v.dir) && !slices.ContainsFunc(c.shown(), below)
		})
		if i >= 0 {
			found.Fail(what, paths[i]+": "+service+" hides "+v.dir+" from the passes ("+v.line+")",
				"systemctl edit "+service+"\n[Service]\n"+v.instead)
			any = true
		}
	}
	return any
}
