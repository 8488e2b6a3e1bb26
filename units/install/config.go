package install

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state/sha256"
)

//go:embed scan2ban.toml
var configText string

//go:embed observe.toml
var observeText []byte

// Config is the configuration of a new host: what holds without any, written
// out, with sshd's real ports.
func (h Host) Config() []byte {
	from, ports := "sshd's port was not found: ssh is 22.", `["ssh"]`
	if len(h.SSHPorts) > 0 {
		words := make([]string, len(h.SSHPorts))
		for i, p := range h.SSHPorts {
			words[i] = strconv.Itoa(int(p))
		}
		ports = "[" + strings.Join(words, ", ") + "]"
		from = "What a ban closes: where sshd was found (" + oneLine(h.PortsFrom) + ")."
	}
	return []byte(strings.NewReplacer("@FROM@", from, "@PORTS@", ports).Replace(configText))
}

// oneLine keeps what programs said inside a comment.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// layConfig writes the main file where there is none: what conf.d says comes after it.
// Where Fail2Ban bans already, and nothing starts passes yet, the jails only watch.
func (in *Install) layConfig(started bool) error {
	if in.exists(configPath) {
		in.say("kept the configuration in %s", path.Dir(configPath))
	} else if err := in.write(configPath, in.Host.Config()); err != nil {
		return err
	}
	if !in.Host.Fail2Ban || in.Force || started || in.exists(observePath) {
		return nil
	}
	if err := in.write(observePath, observeText); err != nil {
		return err
	}
	in.say("Fail2Ban bans here already, so scan2ban only watches. To switch over:")
	in.say("    systemctl disable --now fail2ban")
	in.say("    rm %s", observePath)
	return nil
}

// write lays a file down that belongs to the admin from then on.
func (in *Install) write(name string, text []byte) error {
	if err := in.makeDir(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := replace(in.path(name), text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if in.note.Wrote == nil {
		in.note.Wrote = map[string]string{}
	}
	in.note.Wrote[name] = hash(text)
	in.say("wrote %s", name)
	return nil
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// takeConfigBack removes what the install wrote, as long as nobody changed it.
func (in *Install) takeConfigBack() error {
	for _, name := range []string{observePath, configPath} {
		text, err := os.ReadFile(in.path(name))
		wrote := in.note.Trial.Wrote[name]
		if err != nil || wrote == "" {
			continue
		}
		if wrote != hash(text) {
			in.say("kept %s: it was changed since it was written", name)
			continue
		}
		if err := in.unlink(name); err != nil {
			return err
		}
	}
	return nil
}

// reverse gives the directories that were made, the inner ones first.
func reverse(names []string) []string {
	names = slices.Sorted(slices.Values(names))
	slices.Reverse(names)
	return names
}
