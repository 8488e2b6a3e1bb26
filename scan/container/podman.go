package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// errPublished says why the ports of podman's containers are not known.
var errPublished = errors.New("podman keeps what it publishes in its data base, which is not read")

// podman reads the list of a storage of podman's. Which driver a container logs by is
// seen from its log: there is one where it is k8s-file.
func (h *Host) podman(store string) {
	path := filepath.Join(store, "containers.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var list []struct {
		ID    string   `json:"id"`
		Names []string `json:"names"`
	}
	if err == nil {
		if err = json.Unmarshal(text, &list); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		h.fail(err)
		return
	}
	for _, x := range list {
		if !isID(x.ID) || len(x.Names) == 0 {
			continue
		}
		c := Container{ID: x.ID, Name: x.Names[0], Engine: Podman, Driver: Journald, Err: errPublished,
			Log: filepath.Join(store, x.ID, "userdata", "ctr.log")}
		if _, err := os.Stat(c.Log); err == nil {
			c.Driver = K8sFile
		}
		h.Containers = append(h.Containers, c)
	}
}
