package jail

import (
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
	return set, addLines(set, j.IgnoreFile, string(text)), nil
}

// addLines adds the lines of the file at path; the errors tell of those that are no
// address. A line may have any length: what stands behind a long one counts too.
func addLines(set *state.Ignored, path, text string) (bad []error) {
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := state.ParsePrefix(line)
		if err != nil && len(line) > 100 {
			err = fmt.Errorf("%.60q... is not an address or CIDR", line)
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s:%d: %w; host names are not resolved", path, number, err))
			continue
		}
		set.Add(p, fmt.Sprintf("%s:%d", path, number))
	}
	return bad
}
