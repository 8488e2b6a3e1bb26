//go:build !race

package pass

// tortureDefault is how many steps the gate takes.
const tortureDefault = 100
