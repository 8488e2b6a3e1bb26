//go:build !race && cgo

package recipes

const once = false
