package host

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// deepest is how many files may include one another (sshd's own limit).
const deepest = 16

// sshConfig is what matters here of sshd_config(5).
type sshConfig struct {
	ports     []uint16
	addresses []string // of ListenAddress
}

// configPorts reads sshd_config and what it includes; nil where there is none.
func (t Tree) configPorts() []uint16 {
	const path = "/etc/ssh/sshd_config"
	if !t.Exists(path) {
		if t.Exists("/usr/etc/ssh/sshd_config") { // SUSE
			return t.sshPorts("/usr/etc/ssh/sshd_config")
		}
		return nil
	}
	return t.sshPorts(path)
}

func (t Tree) sshPorts(path string) []uint16 {
	var c sshConfig
	t.readSSH(path, &c, 0)
	if len(c.ports) == 0 {
		c.ports = []uint16{22}
	}
	if len(c.addresses) == 0 {
		return tidy(c.ports)
	}
	var ports []uint16
	for _, a := range c.addresses {
		if port := portOf(a); port != "" {
			ports = appendPort(ports, port)
		} else {
			ports = append(ports, c.ports...)
		}
	}
	return tidy(ports)
}

// readSSH reads one file. What follows a Match holds for some clients only, and
// sshd allows neither Port nor ListenAddress there; "Match all" ends it.
func (t Tree) readSSH(path string, c *sshConfig, depth int) {
	if depth > deepest {
		return
	}
	matching := false
	for line := range strings.Lines(t.Text(path)) {
		key, values := sshWords(line)
		switch {
		case key == "match":
			matching = !slices.Equal(values, []string{"all"})
		case matching:
		case key == "port" && len(values) > 0:
			c.ports = appendPort(c.ports, values[0])
		case key == "listenaddress" && len(values) > 0:
			c.addresses = append(c.addresses, values[0])
		case key == "include":
			for _, pattern := range values {
				if !filepath.IsAbs(pattern) {
					pattern = "/etc/ssh/" + pattern
				}
				for _, file := range t.Glob(pattern) {
					t.readSSH(file, c, depth+1)
				}
			}
		}
	}
}

// sshWords cuts a line into its keyword, in lower case, and its arguments.
func sshWords(line string) (key string, values []string) {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	end := cmp.Or(strings.IndexAny(line, " \t=")+1, len(line)+1) - 1
	key = strings.ToLower(line[:end])
	rest := strings.TrimLeft(line[end:], " \t=")
	for _, word := range strings.Fields(rest) {
		values = append(values, strings.Trim(word, `"`))
	}
	return key, values
}
