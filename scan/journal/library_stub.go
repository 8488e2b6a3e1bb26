//go:build !cgo

package journal

const builtWithLibrary = false

// openLibrary has no library to open in a build without cgo.
func openLibrary(query) (reader, []badFile, error) { return nil, nil, errNoLibrary }
