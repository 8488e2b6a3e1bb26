package units

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
)

// Build says what this binary is.
type Build struct {
	Version string `json:"version"` // of the module, or the commit that it was built from
	Go      string `json:"go"`
	Journal string `json:"journal"` // how it reads journals
}

// Write says it in a line.
func (b Build) Write(w io.Writer) {
	fmt.Fprintf(w, "scan2ban %s, %s, reads journals with %s\n", b.Version, b.Go, b.Journal)
}

// version is set when packages are built: -ldflags "-X scan2ban/units.version=1.2.3".
var version string

// Version reads what the Go toolchain noted in the binary.
func Version() Build {
	b := Build{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	b.Version = cmp.Or(version, info.Main.Version, b.Version)
	return b
}
