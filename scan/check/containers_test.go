package check

import (
	"context"
	"os"
	"testing"
	"time"

	"scan2ban/scan/container/containertest"
	"scan2ban/scan/filter"
	"scan2ban/scan/host"
	"scan2ban/state/report"
)

func TestContainers(t *testing.T) {
	root := containertest.Recorded(t)
	c := healthy()
	c.root = host.Tree(root)
	for name, want := range map[string][]string{
		"web":        {"ok jail sshd: containers: web of Docker logs to " + root + "/var/lib/docker/containers/ed42"},
		"jd":         {"ok jail sshd: containers: jd of Docker logs to the journal"},
		"k*":         {"ok jail sshd: containers: k8s of podman logs to " + root},
		"local":      {`error jail sshd: containers: local of Docker logs by the driver "local", which cannot be read -> create it anew with --log-driver json-file`},
		"vaultwarde": {`warning jail sshd: containers: none is called vaultwarde (did you mean "vaultwarden"?) -> docker ps`},
	} {
		c.Jails[0].Containers = []string{name}
		has(t, name, look(containers, c), want...)
	}
	c.Jails[0].Containers = []string{"web"}
	var found report.Findings
	containertest.AsNobody(t, root, func() { found = look(containers, c) })
	has(t, "not readable", found, "error jail sshd: containers: which there are and where they log cannot be seen", "scan2ban install, once more", "AmbientCapabilities=CAP_DAC_READ_SEARCH")
	c.root = host.Tree(t.TempDir())
	has(t, "no engine", look(containers, c), "warning jail sshd: containers: neither Docker")
	c.Jails[0].Containers = nil
	has(t, "no such jail", look(containers, c))
}

// What a container wrote in the last day, and how much of it is understood.
func TestContainerLines(t *testing.T) {
	c := healthy()
	root := t.TempDir()
	log := containertest.Docker(t, root, containertest.ID(1), "ssh", "{}")
	line := func(message string) string {
		return `{"log":"` + message + `\n","stream":"stdout","time":"` + now.Add(-time.Hour).Format(time.RFC3339Nano) + `"}` + "\n"
	}
	text := line("Failed password for root from 203.0.113.1 port 1 ssh2") + line("Server listening on 0.0.0.0 port 22.")
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &c.Watches[0]
	w.Backend, w.Terms, w.Paths, w.Container = filter.File, nil, []string{log}, true
	j := &c.Jails[0]
	j.Containers, j.LogPaths, j.Published = []string{"ssh"}, []string{log}, "ssh"
	var found report.Findings
	logs(context.Background(), c, &found)
	has(t, "lines", found, "ok jail sshd: reads 1 file of container ssh; in the last 24 hours: 2 entries, 2 understood, 1 failure")
	j.Filter = "other"
	has(t, "ports", look(ports, c), "ok jail sshd: ports: 22, published by container ssh")
}
