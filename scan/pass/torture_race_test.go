//go:build race

package pass

// tortureDefault is low: the race detector makes each start of a child take a second.
const tortureDefault = 15

// recallSteps are how many lines lie between two passes of TestRememberedLines.
var recallSteps = []int{1}
