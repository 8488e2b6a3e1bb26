package filter

import "fmt"

// Watch is what a jail says of its filter: a part of [jail.X].
type Watch struct {
	Filter       string     `toml:"filter"`       // the filter's name; the jail's own where empty
	Mode         Mode       `toml:"mode"`         // which of the filter's rules count
	Backend      Backend    `toml:"backend"`      // where to read
	JournalMatch [][]string `toml:"journalmatch"` // OR of ANDs of FIELD=value; replaces the filter's matches, not its requirements
	LogPath      []string   `toml:"logpath"`      // globs; replaces the filter's
}

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

// Backends are the valid backends.
var Backends = []Backend{Auto, Journal, File}

// UnmarshalText accepts the Backends, and "systemd" as Fail2Ban calls the journal.
func (b *Backend) UnmarshalText(text []byte) error {
	if string(text) == "systemd" {
		text = []byte(Journal)
	}
	return oneOf(b, text, Backends, "backend")
}

// oneOf sets value to text when valid holds it.
func oneOf[T ~string](value *T, text []byte, valid []T, what string) error {
	for _, v := range valid {
		if string(v) == string(text) {
			*value = v
			return nil
		}
	}
	return fmt.Errorf("%q is not a %s (valid: %v)", text, what, valid)
}
