package filter

import (
	"slices"
	"testing"
)

// A path is taken as the names are that a pattern leads to: clean.
func TestPaths(t *testing.T) {
	for text, want := range map[string]Paths{
		"/var//log/./app/*.log":    {"/var/log/app/*.log"},
		"/var/log/../app/x.log /y": {"/var/app/x.log", "/y"},
		"/var/log/app..log":        {"/var/log/app..log"},
		"/var/log/*/../x.log":      nil,
		"/var/log/*/..":            nil,
		"/var/log/*/..data/x.log":  {"/var/log/*/..data/x.log"},
		"/var/log/[a-":             nil,
		"log/x":                    nil,
	} {
		var got Paths
		if err := got.UnmarshalTOML(text); (err != nil) != (want == nil) || want != nil && !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}
