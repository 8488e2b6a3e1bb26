package units

import "runtime/debug"

// Build says what this binary is.
type Build struct {
	Version string `json:"version"` // of the module, or the commit that it was built from
	Go      string `json:"go"`
	Journal string `json:"journal"` // how it reads journals
}

// Version reads what the Go toolchain noted in the binary.
func Version() Build {
	b := Build{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	if v := info.Main.Version; v != "" {
		b.Version = v
	}
	return b
}
