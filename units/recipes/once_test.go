//go:build race || !cgo

package recipes

// once: scripts are the same in every build, so one of them tries both shells.
const once = true
