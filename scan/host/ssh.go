package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state/order"
)

// ErrNoSSH says that no trace of sshd was found.
var ErrNoSSH = errors.New("no sshd was found on this host")

// SSHPorts are the ports on which sshd is reached now, or would be after a
// restart: what its configuration says (or ssh.socket, where systemd listens for
// it) and what it listens on. from tells where each port was seen. The error is
// [ErrNoSSH] where there are none.
func SSHPorts() (ports []uint16, from string, err error) {
	t, ctx := Tree(""), context.Background()
	var seen []string
	add := func(list []uint16, where string) {
		if len(list) > 0 {
			seen = append(seen, fmt.Sprintf("%s: %s", where, join(list)))
			ports = append(ports, list...)
		}
	}
	var units []uint16
	if Systemd() {
		out, _ := Ask(ctx, "systemctl", "show", "--property=Listen,ActiveState,UnitFileState", "ssh.socket", "sshd.socket")
		units = unitPorts(out)
	}
	if add(units, "ssh.socket"); len(units) == 0 {
		out, err := Ask(ctx, "sshd", "-T")
		if list := testedPorts(out); err == nil && len(list) > 0 {
			add(list, "sshd -T")
		} else {
			add(t.configPorts(), "sshd_config")
		}
	}
	add(t.listenerPorts(), "listening")
	if len(ports) == 0 {
		return nil, "", ErrNoSSH
	}
	return tidy(ports), strings.Join(seen, "; "), nil
}

func tidy(ports []uint16) []uint16 {
	order.By(ports, cmp.Compare)
	return slices.Compact(ports)
}

func join(ports []uint16) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(int(p))
	}
	return strings.Join(words, ", ")
}

// testedPorts reads the output of sshd -T, in which every listenaddress has its
// port.
func testedPorts(out string) []uint16 {
	var ports, addresses []uint16
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "port":
			ports = appendPort(ports, value)
		case "listenaddress":
			addresses = appendPort(addresses, portOf(value))
		}
	}
	if len(addresses) > 0 {
		return tidy(addresses)
	}
	return tidy(ports)
}

func appendPort(ports []uint16, text string) []uint16 {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
		return append(ports, uint16(n))
	}
	return ports
}

// portOf is the port of "HOST:PORT", "[ADDR]:PORT" or "*:PORT", "" without one.
// What may follow a blank (rdomain) is left out.
func portOf(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), " ")
	i := strings.LastIndexByte(text, ':')
	if _, err := netip.ParseAddr(text); i < 0 || err == nil {
		return ""
	}
	return text[i+1:]
}

// unitPorts reads what systemctl show says of socket units: the TCP ports of
// those that listen, or will after a restart.
func unitPorts(out string) (ports []uint16) {
	for unit := range strings.SplitSeq(out, "\n\n") {
		var list []uint16
		used := false
		for line := range strings.Lines(unit) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "Listen": // "[::]:22 (Stream)", or "22 (Stream)"
				if address, ok := strings.CutSuffix(value, " (Stream)"); ok && !strings.HasPrefix(address, "vsock:") {
					list = appendPort(list, cmp.Or(portOf(address), address))
				}
			case "ActiveState":
				used = used || value == "active"
			case "UnitFileState":
				used = used || value == "enabled"
			}
		}
		if used {
			ports = append(ports, list...)
		}
	}
	return tidy(ports)
}

// listenerPorts are those on which a process sshd listens for clients. The
// process of a session listens too, for forwarded ports; its title says so.
func (t Tree) listenerPorts() (ports []uint16) {
	sockets, _ := Listening(string(t))
	for _, s := range sockets {
		if s.Network != "tcp" || s.Process != "sshd" && s.Process != "sshd.pam" {
			continue
		}
		title := t.Text(fmt.Sprintf("/proc/%d/cmdline", s.PID))
		if !strings.HasPrefix(title, s.Process+": ") || strings.Contains(title, "[listener]") {
			ports = append(ports, s.AddrPort.Port())
		}
	}
	return tidy(ports)
}
