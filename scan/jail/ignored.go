package jail

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"scan2ban/scan/trust"
	"scan2ban/state"
)

// Ignored collects what the jail never counts: ignoreip, the lines of
// ignorefile and, with ignoreself, self. Lines that are no address are bad and
// left out; a file that cannot be read is an error, for nobody knows then whom
// not to ban.
func (j *Jail) Ignored(self map[string]state.Prefix) (set *state.Ignored, bad []error, err error) {
	set = state.NewIgnored()
	for _, p := range j.IgnoreIP {
		set.Add(p, "ignoreip")
	}
	if j.IgnoreSelf {
		for origin, p := range self {
			set.Add(p, origin)
		}
	}
	if j.IgnoreFile == "" {
		return set, nil, nil
	}
	text, err := trust.ReadFile(j.IgnoreFile)
	if err != nil {
		return set, nil, fmt.Errorf("jail %q: ignorefile: %w", j.Name, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := state.ParsePrefix(line)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s:%d: %w; host names are not resolved", j.IgnoreFile, number, err))
			continue
		}
		set.Add(p, fmt.Sprintf("%s:%d", j.IgnoreFile, number))
	}
	return set, bad, nil
}
