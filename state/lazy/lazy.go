// Package lazy has what is made when it is first asked for. A pass that has nothing
// to do needs none of it, and each regular expression compiled at the start costs it
// ten pages of memory.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp compiles text, which must be valid, at the first call. Inlined, each
// use of it would be 1.3 KB of the binary.
//
//go:noinline
func Regexp(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
