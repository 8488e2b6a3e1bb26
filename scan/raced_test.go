//go:build race

package scan

// eachForm and most are a part of what they are without the race detector, which makes lines slow.
const (
	eachForm = 5
	most     = 400
)
