// Package container knows the containers of a host: where Docker and podman keep
// what they log, how they wrap it, and which of the host's ports they publish.
//
//	host := container.Find("", []string{"vaultwarden", "app-*"})
//	for _, c := range host.Named(names) {
//		read(c.Log, c.Driver)
//	}
//	reader := container.Wrap(path)      // Docker, CRI, or Plain
//	line, ok := unwrapper.Line(text)    // message, stream, time, whether it is the line's end
//	whole, long, ok := stream.Add(line.Message, line.Last)
//
// # What is read
//
// Docker's /var/lib/docker/containers/ID: config.v2.json and hostconfig.json, which
// only dockerd writes; the log beside them is ID-json.log where the log driver is
// json-file. Podman's /var/lib/containers/storage/*-containers: containers.json for
// the names, and ID/userdata/ctr.log where the driver is k8s-file. What podman
// publishes stands in its data base alone and is not known here.
//
// # What is proven
//
// A client's bytes stand in the message and nowhere else: in the wrapper they are
// inside a JSON string whose quotes the daemon escapes, or behind a fixed number of
// words. A line that the daemon would not write so proves nothing. A line too long
// for the daemon comes in parts, of which the later ones begin with what a client
// may have chosen: a part is never taken for a line.
package container

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"scan2ban/state/order"
)

// Container is one container, running or not.
type Container struct {
	ID, Name string
	Tag      string // of the log, where it is a fixed text
	Engine   string // Docker or Podman
	Driver   string // of the log: "json-file", "journald", "k8s-file", "local" ...
	Log      string // the file that the drivers json-file and k8s-file write
	Network  string // "host", "bridge", "container:ID" ...
	Ports    []Port // that the host publishes for it
	Err      error  // why its ports and its driver are not known
}

// The engines.
const (
	Docker = "Docker"
	Podman = "podman"
)

// Port is one published port, or a range of them.
type Port struct {
	From, To uint16
	Protocol string // "tcp", "udp", "sctp"
	Local    bool   // only this host itself can dial it
}

// Logs of the drivers that are read.
const (
	JSONFile = "json-file"
	K8sFile  = "k8s-file"
	Journald = "journald"
)

// InFile tells whether the container logs into a file that can be read.
func (c *Container) InFile() bool { return c.Driver == JSONFile || c.Driver == K8sFile }

// Host is what was found.
type Host struct {
	Containers []Container // by name
	Engines    []string    // the directories that are there
	Err        error       // what could not be read; wraps fs.ErrPermission where that is why
}

// Directories of the engines. (A Docker with another data-root, and those of users
// without root, are not looked for.)
const (
	dockerDir = "/var/lib/docker/containers"
	podmanDir = "/var/lib/containers/storage/*-containers"
)

// Find lists the containers below root, which stands before every path, and reads
// what is known of those that a name or pattern of want may mean; without any, of
// all.
func Find(root string, want []string) *Host {
	h := &Host{}
	docker := filepath.Join(root, dockerDir)
	stores, _ := filepath.Glob(filepath.Join(root, podmanDir)) // the pattern is well-formed
	if base := filepath.Join(root, filepath.Dir(podmanDir)); len(stores) == 0 {
		if _, err := os.ReadDir(base); errors.Is(err, fs.ErrPermission) {
			h.Engines = append(h.Engines, base)
			h.fail(err)
		}
	}
	if _, err := os.Lstat(docker); err == nil {
		h.Engines = append(h.Engines, docker)
		h.docker(docker, want)
	} else if !errors.Is(err, fs.ErrNotExist) {
		h.Engines = append(h.Engines, docker)
		h.fail(err)
	}
	for _, store := range stores {
		h.Engines = append(h.Engines, store)
		h.podman(store)
	}
	h.share(docker)
	order.By(h.Containers, func(a, b Container) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return h
}

func (h *Host) fail(err error) {
	h.Err = errors.Join(h.Err, fmt.Errorf("containers: %w", err))
}

// share gives a container that uses another one's network the ports of that.
func (h *Host) share(docker string) {
	for i := range h.Containers {
		c := &h.Containers[i]
		id, ok := strings.CutPrefix(c.Network, "container:")
		if !ok || !isID(id) {
			continue
		}
		if other, err := dockerContainer(filepath.Join(docker, id), id, nil); err == nil {
			c.Ports = other.Ports
		}
	}
}

// Named are the containers that one of the names or patterns means, by their name
// or by the tag of their log.
func (h *Host) Named(names []string) (list []Container) {
	for _, c := range h.Containers {
		if means(names, c.Name) || means(names, c.Tag) {
			list = append(list, c)
		}
	}
	return list
}

// Names are those of all containers.
func (h *Host) Names() (names []string) {
	for _, c := range h.Containers {
		names = append(names, c.Name)
	}
	return slices.Compact(names)
}

// means tells whether one of the names or patterns means a container's name.
func means(names []string, name string) bool {
	return name != "" && slices.ContainsFunc(names, func(pattern string) bool {
		ok, _ := path.Match(pattern, name) // it has been checked
		return ok
	})
}
