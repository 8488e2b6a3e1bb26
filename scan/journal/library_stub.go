//go:build !cgo

package journal

// openLibrary has no library to open in a build without cgo.
func openLibrary(query) (reader, []badFile, error) { return nil, nil, errNoLibrary }
