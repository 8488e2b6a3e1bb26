package filter

import (
	"slices"
	"strings"
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

// PAM writes to the files of the facility authpriv, whatever file the service's own lines
// are in.
func TestPathsOfPAM(t *testing.T) {
	for _, name := range Names() {
		f, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if f.Ledger || len(f.File.Paths) == 0 || !slices.ContainsFunc(f.Rules(), func(r Rule) bool { return r.Kind == Failure && strings.Contains(r.Pattern, "pam_") }) {
			continue
		}
		for _, path := range []string{"/var/log/auth.log", "/var/log/secure"} {
			if !slices.Contains(f.File.Paths, path) {
				t.Errorf("%s counts lines of PAM and does not read %s", name, path)
			}
		}
	}
}
