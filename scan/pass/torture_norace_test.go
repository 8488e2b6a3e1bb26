//go:build !race

package pass

// tortureDefault is how many steps the gate takes.
const tortureDefault = 100

// recallSteps are how many lines lie between two passes of TestRememberedLines.
var recallSteps = []int{1, 2, 5}
