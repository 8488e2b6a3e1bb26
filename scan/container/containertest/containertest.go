// Package containertest lays containers down as their engines do.
package containertest

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"scan2ban/scan/recorded"
)

// ID is a made-up id of a container.
func ID(n int) string { return fmt.Sprintf("c0ffee%058x", n) }

// Dir is /testdata/containers of the repository.
func Dir() string { return recorded.Dir("containers") }

// Recorded lays the recorded containers down below a new root, and gives that.
func Recorded(t testing.TB) (root string) {
	t.Helper()
	root = t.TempDir()
	for from, to := range map[string]string{"docker": "var/lib/docker/containers", "podman": "var/lib/containers/storage/overlay-containers"} {
		from = filepath.Join(Dir(), from)
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return unpack(path, filepath.Join(root, to, strings.TrimPrefix(path, from)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func unpack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	text := io.Reader(in)
	if name, ok := strings.CutSuffix(to, ".gz"); ok {
		if text, err = gzip.NewReader(in); err != nil {
			return err
		}
		to = name
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, text)
	return err
}

// Docker makes a container of Docker's below root, and gives the path of the log that it
// has with the driver json-file.
func Docker(t testing.TB, root, id, name, hostConfig string) (log string) {
	t.Helper()
	dir := filepath.Join(root, "var/lib/docker/containers", id)
	write(t, filepath.Join(dir, "config.v2.json"), fmt.Sprintf(`{"State":{"Running":true},"ID":"%s","NetworkSettings":{"Ports":{}},"LogPath":"","Name":"/%s","Driver":"overlay2"}`, id, name))
	write(t, filepath.Join(dir, "hostconfig.json"), hostConfig)
	return filepath.Join(dir, id+"-json.log")
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// AsNobody does something with the rights of a user who owns nothing, but may come to
// root.
func AsNobody(t testing.TB, root string, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	for dir := root; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends with the thread, whose user it is
		if err := syscall.Setfsuid(65534); err != nil {
			t.Error(err)
		}
		do()
	}()
	<-done
}
