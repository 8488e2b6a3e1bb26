package units

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"scan2ban/scan/journal/journaltest"
)

// binaries are the builds under test: with libsystemd, and static.
var binaries = map[string]string{"cgo": "1", "static": "0"}

// TestScripts runs the commands as a user does, over testdata/script. Each script
// runs for each build; those of root run in a network namespace of their own, with
// these programs before all others:
//
//	scan2ban   the build under test, with --state in the script's directory
//	scan2ban-as-nobody   the same without any privilege
//	nft        on the namespace's ruleset
//
// $ATTACK is a recorded journal, $NOW a moment just after its end.
func TestScripts(t *testing.T) {
	for name, cgo := range binaries {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			build := exec.Command("go", "build", "-o", filepath.Join(bin, "scan2ban-build"), "..")
			build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			programs(t, bin)
			journal := journaltest.Unpack(t, "debian12")
			reachable(bin)
			reachable(journal)
			testscript.Run(t, testscript.Params{
				Dir: "../testdata/script",
				Setup: func(e *testscript.Env) error {
					reachable(e.WorkDir)
					e.Setenv("ATTACK", journal)
					e.Setenv("NOW", "2026-11-22T09:00:00Z")
					e.Setenv("TZ", "UTC")
					e.Setenv("BUILD", filepath.Join(bin, "scan2ban-build"))
					e.Setenv("PATH", bin+":"+e.Getenv("PATH"))
					return namespace(e)
				},
				Condition: func(cond string) (bool, error) {
					if cond == "root" {
						return os.Geteuid() == 0, nil
					}
					return false, fmt.Errorf("unknown condition %q", cond)
				},
			})
		})
	}
}

// reachable lets every user come to a temporary directory.
func reachable(dir string) {
	for ; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
}

// programs writes the wrappers that stand first in the scripts' PATH.
func programs(t *testing.T, dir string) {
	inside := ""
	if os.Geteuid() == 0 {
		inside = `nsenter --net=/run/netns/"$SPACE" `
	}
	run := `"$BUILD" --state "$WORK/state/state.json" "$@"`
	for name, line := range map[string]string{
		"scan2ban":           inside + run,
		"scan2ban-as-nobody": inside + "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all " + run,
		"nft":                inside + `/usr/sbin/nft "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec "+line+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// namespace makes a network namespace for one script.
func namespace(e *testscript.Env) error {
	if os.Geteuid() != 0 {
		return nil
	}
	space := fmt.Sprintf("s2b-%d-%s", os.Getpid(), filepath.Base(e.WorkDir))
	if text, err := exec.Command("ip", "netns", "add", space).CombinedOutput(); err != nil {
		return fmt.Errorf("ip netns add: %v\n%s", err, text)
	}
	e.Defer(func() { exec.Command("ip", "netns", "delete", space).Run() })
	e.Setenv("SPACE", space)
	return nil
}

func TestEveryHelpTextIsThere(t *testing.T) {
	entries, err := help.ReadDir("help")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()[:len(e.Name())-len(".txt")]
		if long, examples := Help(name); long == "" || examples == "" {
			t.Errorf("%s: a text or its examples are missing", name)
		}
	}
}
