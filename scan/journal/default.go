package journal

// Default names the reader that Open takes first: "libsystemd", or "journalctl"
// in a binary built without cgo.
func Default() string {
	if builtWithLibrary {
		return "libsystemd"
	}
	return "journalctl"
}
