//go:build !race

package scan

// eachForm is how many each form of a line is tried with.
const eachForm = 60
