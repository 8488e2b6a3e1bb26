//go:build !race

package scan

// eachForm is how many each form of a line is tried with.
const eachForm = 60

// most is how many forged lines are tried for a filter, spread evenly over all that
// there are; with FORGED=all in the environment all are.
const most = 4_000
