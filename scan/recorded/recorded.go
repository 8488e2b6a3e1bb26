// Package recorded finds the recordings that tests read.
package recorded

import (
	"os"
	"path/filepath"
)

// Dir is /testdata/NAME of the repository, which is at or above the directory that a test runs
// in: what the compiler says of a source file is no path with -trimpath.
func Dir(name string) string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata", name)
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	panic("no go.mod at or above the working directory")
}
