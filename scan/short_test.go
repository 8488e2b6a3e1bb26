package scan

import (
	"fmt"
	"strings"
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
)

// TestLongNames: of a line that is a megabyte of a user's name, or of digits where a process's
// number stands, a finding that waits to be judged holds little.
func TestLongNames(t *testing.T) {
	rules, err := filter.Parse("long", "long.toml", "description = \"long\"\nports = [\"ssh\"]\n[file]\npaths = [\"/none\"]\nprogram = [\"longd\"]\n"+
		"[[rule]]\nname = \"fails\"\npattern = '^failed from <ADDR> for <USER>$'\nonce = true\n")
	if err != nil {
		t.Fatal(err)
	}
	const n = 1 << 19
	for _, line := range []string{
		fmt.Sprintf("Nov 22 08:14:01 host longd[1]: failed from 203.0.113.1 for %s", strings.Repeat("x", n)),
		fmt.Sprintf("Nov 22 08:14:01 host longd[%s]: failed from 203.0.113.1 for root", strings.Repeat("1", n)),
	} {
		w := Watch{Jail: "long", Matcher: rules.Compile(filter.Normal), Program: rules.File.Program, Paths: []string{writeLog(t, "long.log", line)}}
		found := 0
		logs(t, logfile.Options{}, w).Rest(func(f Finding) {
			if found++; f.Verdict.Kind != filter.Failure || len(f.Verdict.User)+len(f.Session) > 1000 {
				t.Errorf("%s, a name of %d bytes, a session of %d", f.Verdict.Kind, len(f.Verdict.User), len(f.Session))
			}
		})
		if found != 1 {
			t.Errorf("%d findings", found)
		}
	}
}
