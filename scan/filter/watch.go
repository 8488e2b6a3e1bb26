package filter

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/lazy"
)

// Watch is what a jail says of its filter: a part of [jail.X].
type Watch struct {
	Filter       string     `toml:"filter"`       // the filter's name; the jail's own where empty
	Mode         Mode       `toml:"mode"`         // which of the filter's rules count
	Backend      Backend    `toml:"backend"`      // where to read
	JournalMatch [][]string `toml:"journalmatch"` // OR of ANDs of FIELD=value; replaces the filter's matches, not its requirements
	LogPath      Paths      `toml:"logpath"`      // globs; replaces the filter's
	LogTimeZone  Zone       `toml:"logtimezone"`  // of times in log files that name none; the host's where empty

	Container Containers `toml:"container"` // whose lines are read, instead of all the above

	TrustedProxies state.Prefixes `toml:"trusted_proxies"` // whose word on the client is taken, see Matcher.Behind
}

// Paths are globs of files. Written as one string they are separated by white
// space, as Fail2Ban's logpath is.
type Paths []string

// UnmarshalTOML reads a list of globs, or one string of them.
func (ps *Paths) UnmarshalTOML(value any) error {
	*ps = nil
	list, _ := value.([]any)
	if text, ok := value.(string); ok {
		for _, path := range strings.Fields(text) {
			list = append(list, path)
		}
	} else if list == nil {
		return fmt.Errorf("%v is not a list of files", value)
	}
	for _, v := range list {
		path, ok := v.(string)
		if _, err := filepath.Match(path, ""); err != nil || !ok || !filepath.IsAbs(path) {
			return fmt.Errorf("%v is not the absolute path of a file, or a pattern of such (as /var/log/nginx/*access.log)", v)
		}
		if i := strings.IndexAny(path, `*?[\`); i >= 0 && strings.Contains(path[i:]+"/", "/../") {
			return fmt.Errorf("%v goes up again behind a pattern (write where it leads)", v)
		}
		*ps = append(*ps, filepath.Clean(path)) // as the names are that a pattern leads to
	}
	return nil
}

// Containers are names of containers, or patterns of such (as app-*).
type Containers []string

// containerName is a name as Docker and podman accept it, with what path.Match reads.
var containerName = lazy.Regexp(`^[A-Za-z0-9*?\[][A-Za-z0-9_.*?\[\]^-]*$`)

// UnmarshalTOML reads a name or a list of them.
func (cs *Containers) UnmarshalTOML(value any) error {
	*cs = nil
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, v := range list {
		name, _ := v.(string)
		if _, err := filepath.Match(name, ""); err != nil || !containerName().MatchString(name) {
			return fmt.Errorf("%v is not the name of a container, or a pattern of such (as app-*)", v)
		}
		*cs = append(*cs, name)
	}
	if len(*cs) == 0 {
		return errors.New("no container is named (leave the key out to read the service's own logs)")
	}
	return nil
}

// Zone is the time zone that a log is written in.
type Zone struct {
	name string
	*time.Location
}

// fixedZone is an offset, as Fail2Ban writes it.
var fixedZone = lazy.Regexp(`^(?:UTC|GMT)?([+-])(\d\d):?(\d\d)?$`)

// UnmarshalText reads "Europe/Berlin", "UTC", "UTC+0200", and "local" for the host's.
func (z *Zone) UnmarshalText(text []byte) error {
	z.name = string(text)
	if at := fixedZone().FindStringSubmatch(z.name); at != nil {
		hours, _ := strconv.Atoi(at[2])
		minutes, _ := strconv.Atoi(at[3]) // 0 where they are left out
		seconds := hours*3600 + minutes*60
		if at[1] == "-" {
			seconds = -seconds
		}
		z.Location = time.FixedZone(z.name, seconds)
		return nil
	}
	name := z.name
	if name == "" || strings.EqualFold(name, "local") {
		name = "Local"
	}
	var err error
	if z.Location, err = time.LoadLocation(name); err != nil {
		return fmt.Errorf("%q is not a time zone that this host knows (a name below /usr/share/zoneinfo, package tzdata; or write UTC+0100)", z.name)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.name), nil }

// Mode chooses rules: "normal" those of mode normal, "ddos" and "extra" their
// own beside those, "aggressive" all of them. The words are Fail2Ban's.
type Mode string

const (
	Normal     Mode = "normal"
	DDoS       Mode = "ddos"
	Extra      Mode = "extra"
	Aggressive Mode = "aggressive"
)

// Modes are the valid modes.
var Modes = []Mode{Normal, DDoS, Extra, Aggressive}

// MarshalText writes the word.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m), nil }

// UnmarshalText accepts the Modes.
func (m *Mode) UnmarshalText(text []byte) error { return oneOf(m, text, Modes, "mode") }

// Backend says where a jail reads: auto takes the journal when the filter has
// a match there and the journal has ever held such an entry, else log files.
type Backend string

const (
	Auto    Backend = "auto"
	Journal Backend = "journal"
	File    Backend = "file"
)

// UnmarshalText accepts these, and "systemd" as Fail2Ban calls the journal.
func (b *Backend) UnmarshalText(text []byte) error {
	if string(text) == "systemd" {
		text = []byte(Journal)
	}
	return oneOf(b, text, []Backend{Auto, Journal, File}, "backend")
}

// oneOf sets value to text when valid holds it.
func oneOf[T ~string](value *T, text []byte, valid []T, what string) error {
	for _, v := range valid {
		if string(v) == string(text) {
			*value = v
			return nil
		}
	}
	names := make([]string, len(valid))
	for i, v := range valid {
		names[i] = string(v)
	}
	return fmt.Errorf("%q is not a %s%s", text, what, DidYouMean(string(text), names))
}
