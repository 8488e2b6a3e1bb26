package check

import (
	"context"
	"os"
	"strings"
	"sync"

	"scan2ban/scan/host"
)

// checker is a subject and the host around it.
type checker struct {
	Subject
	world
}

// world is what the probes ask of the host; tests have their own.
type world struct {
	root     host.Tree
	euid     int
	systemd  bool
	ask      func(ctx context.Context, name string, args ...string) (string, error)
	units    func() map[string]unit // by name
	sockets  func() ([]host.Socket, error)
	sshPorts func() ([]uint16, string, error)
	sessions func() []host.Session
	fail2ban func() (bool, string)
	memory   func() (free int64, known bool)
}

func thisHost(ctx context.Context) world {
	return world{
		euid: os.Geteuid(), systemd: host.Systemd(), ask: host.Ask,
		units:    sync.OnceValue(func() map[string]unit { return askUnits(ctx, host.Ask) }),
		sockets:  func() ([]host.Socket, error) { return host.Listening("") },
		sshPorts: host.SSHPorts, sessions: host.Sessions, fail2ban: host.Fail2Ban, memory: host.Free,
	}
}

// unit is what systemd says of one, by property.
type unit map[string]string

func (u unit) loaded() bool  { return u["LoadState"] == "loaded" }
func (u unit) active() bool  { return u["ActiveState"] == "active" }
func (u unit) enabled() bool { return strings.HasPrefix(u["UnitFileState"], "enabled") }

// Units of ours, and of those who write rules too.
const (
	service = "scan2ban.service"
	timer   = "scan2ban.timer"
	restore = "scan2ban-restore.service"
)

var firewallUnits = []string{"nftables.service", "firewalld.service", "ufw.service", "netfilter-persistent.service", "iptables.service",
	"docker.service", "crowdsec.service", "sshguard.service"}

// askUnits asks systemd for all units at once. Without systemd there are none.
func askUnits(ctx context.Context, ask func(context.Context, string, ...string) (string, error)) map[string]unit {
	if !host.Systemd() {
		return nil
	}
	args := append([]string{"show", "--property=Id,LoadState,ActiveState,UnitFileState,Result,User,SupplementaryGroups,AmbientCapabilities,ProtectHome,PrivateTmp,InaccessiblePaths,BindPaths,BindReadOnlyPaths",
		service, timer, restore}, firewallUnits...)
	out, err := ask(ctx, "systemctl", args...)
	if err != nil {
		return nil
	}
	return parseUnits(out)
}

// parseUnits reads KEY=value lines, a blank line between two units.
func parseUnits(out string) map[string]unit {
	units := map[string]unit{}
	for block := range strings.SplitSeq(out, "\n\n") {
		u := unit{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			u[key] = value
		}
		units[u["Id"]] = u
	}
	return units
}
