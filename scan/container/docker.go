package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state/order"
)

// config is what is wanted of config.v2.json.
type config struct {
	Name            string // with a slash before it
	NetworkSettings struct {
		Ports map[string][]binding // while it runs
	}
}

// hostConfig is what is wanted of hostconfig.json.
type hostConfig struct {
	LogConfig struct {
		Type   string
		Config map[string]string
	}
	NetworkMode  string
	PortBindings map[string][]binding // as asked for; the key is "80/tcp"
}

type binding struct{ HostIp, HostPort string }

// docker reads Docker's directory of containers, one directory each.
func (h *Host) docker(dir string, want []string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		h.fail(err)
		return
	}
	for _, d := range list {
		if !isID(d.Name()) {
			continue
		}
		c, err := dockerContainer(filepath.Join(dir, d.Name()), d.Name(), want)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it is being made, or taken away
		case err != nil:
			h.fail(err)
		case c != nil:
			h.Containers = append(h.Containers, *c)
		}
	}
}

// dockerContainer reads one; nil where it is none of those that are wanted.
func dockerContainer(dir, id string, want []string) (*Container, error) {
	text, err := os.ReadFile(filepath.Join(dir, "config.v2.json"))
	if err != nil {
		return nil, err
	}
	host, hostErr := os.ReadFile(filepath.Join(dir, "hostconfig.json"))
	if want != nil && !mayMean(want, text, host) {
		return nil, nil
	}
	var about config
	if err := json.Unmarshal(text, &about); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "config.v2.json"), err)
	}
	c := &Container{ID: id, Name: strings.TrimPrefix(about.Name, "/"), Engine: Docker, Log: filepath.Join(dir, id+"-json.log")}
	var asked hostConfig
	if hostErr == nil {
		if hostErr = json.Unmarshal(host, &asked); hostErr != nil {
			hostErr = fmt.Errorf("%s: %w", filepath.Join(dir, "hostconfig.json"), hostErr)
		}
	}
	if c.Err = hostErr; hostErr != nil {
		return c, nil
	}
	c.Driver, c.Network = asked.LogConfig.Type, asked.NetworkMode
	if tag := asked.LogConfig.Config["tag"]; !strings.Contains(tag, "{{") {
		c.Tag = tag
	}
	bindings := about.NetworkSettings.Ports
	if len(bindings) == 0 {
		bindings = asked.PortBindings
	}
	for target, list := range bindings {
		_, protocol, _ := strings.Cut(target, "/")
		for _, b := range list {
			if p, ok := b.port(protocol); ok && !slices.Contains(c.Ports, p) {
				c.Ports = append(c.Ports, p)
			}
		}
	}
	order.By(c.Ports, func(a, b Port) int { return int(a.From) - int(b.From) })
	return c, nil
}

// mayMean tells whether a container can be one of those that are wanted, so that the
// others are not decoded. Docker writes its files without spaces.
func mayMean(want []string, config, host []byte) bool {
	return slices.ContainsFunc(want, func(name string) bool {
		return strings.ContainsAny(name, `*?[\`) || bytes.Contains(config, []byte(`"/`+name+`"`)) || bytes.Contains(host, []byte(`"`+name+`"`))
	})
}

// port is what a binding publishes; ok is false where Docker chooses a port when the
// container starts.
func (b binding) port(protocol string) (p Port, ok bool) {
	low, high, ranged := strings.Cut(b.HostPort, "-")
	if !ranged {
		high = low
	}
	from, err := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	if err != nil || err2 != nil || from == 0 || to < from {
		return p, false
	}
	addr, err := netip.ParseAddr(b.HostIp)
	return Port{uint16(from), uint16(to), protocol, err == nil && addr.Unmap().IsLoopback()}, true
}

// isID tells whether a name is that of a container: 64 hexadecimal digits.
func isID(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}
