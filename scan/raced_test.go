//go:build race

package scan

// eachForm is how many each form of a line is tried with: the race detector makes them slow.
const eachForm = 5
