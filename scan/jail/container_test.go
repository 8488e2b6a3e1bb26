package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/scan/container/containertest"
)

// told says what the jail's watches are, its ports, and the notes.
func told(t *testing.T, root, text string) string {
	t.Helper()
	return tell(load(t, root, text))
}

func load(t *testing.T, root, text string) *Config {
	t.Helper()
	c, err := Load(write(t, map[string]string{"scan2ban.toml": "[jail.sshd]\nenabled = true\n" + text + "\nallow_spoofable = true\n"}))
	if err != nil {
		t.Fatal(err)
	}
	c.Root = root
	return c
}

func tell(c *Config) string {
	s := c.Setup()
	var b strings.Builder
	for _, w := range s.Watches {
		fmt.Fprintf(&b, "%s", w.Backend)
		for _, term := range w.Terms {
			fmt.Fprintf(&b, " %s", strings.Join(term, "+"))
		}
		for _, path := range w.Paths {
			fmt.Fprintf(&b, " %s", strings.TrimPrefix(path, c.Root))
		}
		if w.Missing != "" {
			fmt.Fprintf(&b, " (%s)", w.Missing)
		}
		if w.Err != nil {
			fmt.Fprintf(&b, " (error: %v)", w.Err)
		}
		b.WriteByte('\n')
	}
	if r := s.Rules["sshd"]; r != nil {
		fmt.Fprintln(&b, r.Ports, r.Protocol)
	}
	for _, text := range append(s.Notes, fmt.Sprint(s.Errs)) {
		if text != "[]" {
			fmt.Fprintln(&b, text)
		}
	}
	return b.String()
}

const (
	asRoot = "+_UID=0+_TRANSPORT=journal"
	docker = "/var/lib/docker/containers/"
	podman = "/var/lib/containers/storage/overlay-containers/"
)

func terms(name string) string {
	return "CONTAINER_NAME=" + name + asRoot + " CONTAINER_TAG=" + name + asRoot
}

func jsonLog(id string) string { return docker + id + "/" + id + "-json.log" }

// The jails of the containers of testdata/containers.
func TestContainers(t *testing.T) {
	root := containertest.Recorded(t)
	const (
		web = "ed4200d77be96e0ac10a8825b11d5167226dd8d748d3e1ab58268ec7d7c02b5d"
		app = "ec6aa2f3e23b1e95feb9cb3f8f2aa043f9617a61a28b61669658953c70481a08"
		k8s = "0eed309fa18e5200206c3f354c8caad119314a03deee524e5c530673f7e7fc47"
	)
	const filters = ": a ban closes the filter's ports (or write ports)\n"
	for text, want := range map[string]string{
		`container = "web"`:                   "file " + jsonLog(web) + "\n[53 7000 7001 7002 8080] [tcp udp]\n",
		"container = \"web\"\nports = [2222]": "file " + jsonLog(web) + "\n[2222] [tcp]\n",
		`container = "app-*"`:                 "file " + jsonLog(app) + "\n[22] [tcp]\njail \"sshd\": container app-1 publishes no port" + filters,
		`container = "mytag"`:                 "file " + jsonLog(app) + "\n[22] [tcp]\njail \"sshd\": container app-1 publishes no port" + filters,
		`container = "jd"`:                    "journal " + terms("jd") + "\n[22] [tcp]\njail \"sshd\": container jd publishes no port" + filters,
		`container = "j*"`:                    "journal CONTAINER_NAME=jd" + asRoot + "\n[22] [tcp]\njail \"sshd\": container jd publishes no port" + filters,
		`container = ["jd", "k8s"]`: "journal " + terms("jd") + " " + terms("k8s") + "\nfile " + podman + k8s + "/userdata/ctr.log\n[22] [tcp]\n" +
			"jail \"sshd\": container jd publishes no port, what container k8s publishes is not known (podman keeps what it publishes in its data base, which is not read)" + filters,
		`container = "none"`:  "journal " + terms("none") + " (no container is called none)\n[22] [tcp]\njail \"sshd\": what its container publishes is not known" + filters,
		`container = "no*ne"`: "file (no container is called no*ne)\n[22] [tcp]\njail \"sshd\": what its container publishes is not known" + filters,
		`container = "local"`: "file (error: jail \"sshd\": container local logs by the driver \"local\", which cannot be read: create it with --log-driver json-file or journald)\n" +
			"[22] [tcp]\njail \"sshd\": container local publishes no port: it uses the host's network" + filters,
		"container = \"web\"\nbackend = \"journal\"": "journal " + terms("web") + "\n[53 7000 7001 7002 8080] [tcp udp]\n",
		"container = \"jd\"\nbackend = \"file\"":     "file\n[22] [tcp]\njail \"sshd\": container jd publishes no port" + filters,
	} {
		if got := told(t, root, text); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", text, got, want)
		}
	}
}

func TestContainersElsewhere(t *testing.T) {
	root := t.TempDir()
	if got := told(t, root, `container = "web"`); !strings.Contains(got, "(no container is called web: neither Docker nor podman keeps any here)\n[22] [tcp]\n") {
		t.Errorf("no engine: %s", got)
	}
	host := `{"LogConfig":{"Type":"json-file","Config":{}},"NetworkMode":"bridge","PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]}}`
	containertest.Docker(t, root, containertest.ID(1), "web", host)
	if got := told(t, root, `container = "web"`); !strings.Contains(got, "[22] [tcp]\njail \"sshd\": container web publishes a port to this host alone, where a proxy may stand before it: ") {
		t.Errorf("behind a proxy: %s", got)
	}
	c := load(t, root, `container = "web"`)
	containertest.AsNobody(t, root, func() {
		got := tell(c)
		if !strings.Contains(got, "journal "+terms("web")+" (error: jail \"sshd\": containers: ") || !strings.Contains(got, "CAP_DAC_READ_SEARCH") {
			t.Errorf("without rights: %s", got)
		}
	})
}

// A container of a name is another one after it was made anew.
func TestContainerMadeAnew(t *testing.T) {
	root := t.TempDir()
	const host = `{"LogConfig":{"Type":"json-file","Config":{}},"NetworkMode":"bridge","PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"%d"}]}}`
	for i := range 2 {
		id := containertest.ID(i)
		containertest.Docker(t, root, id, "web", fmt.Sprintf(host, 8000+i))
		if got, want := told(t, root, `container = "web"`), fmt.Sprintf("file %s\n[%d] [tcp]\n", jsonLog(id), 8000+i); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if err := os.RemoveAll(filepath.Join(root, docker, id)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContainerErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[jail.sshd]\nenabled = true\ncontainer = \"a b\"\n":                                  ":3: container: a b is not the name of a container",
		"[jail.sshd]\nenabled = true\ncontainer = [\"a[\"]\n":                                 ":3: container: a[ is not the name",
		"[jail.sshd]\nenabled = true\ncontainer = []\n":                                       ":3: container: no container is named",
		"[jail.sshd]\nenabled = true\ncontainer = 7\n":                                        ":3: container: 7 is not the name",
		"[jail.sshd]\nenabled = true\ncontainer = \"a\"\nlogpath = \"/x\"\n":                  ":3: jail \"sshd\": container says where to read",
		"[jail.sshd]\nenabled = true\ncontainer = \"a\"\n":                                    "filter \"sshd\" is not proven on what a container prints",
		"[jail.recidive]\nenabled = true\ncontainer = \"a\"\n":                                ":3: jail \"recidive\": the filter reads the bans",
		"[jail.sshd]\nenabled = true\ncontainer = \"a\"\njournalmatch = [[\"_COMM=sshd\"]]\n": "leave logpath and journalmatch away",
	} {
		c, err := Load(write(t, map[string]string{"scan2ban.toml": text}))
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, err := range c.Broken {
			said += err.Error()
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: %s, want %s", text, said, want)
		}
	}
	if _, err := Load(write(t, map[string]string{"scan2ban.toml": "[defaults]\ncontainer = \"a\"\n"})); err == nil || !strings.Contains(err.Error(), "belongs into [jail.NAME]") {
		t.Errorf("in defaults: %v", err)
	}
}
