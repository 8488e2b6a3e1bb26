//go:build cgo && !race

package fail2ban

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dump runs "fail2ban-client -d" over all jails of a directory and prints JSON. One
// function is replaced: a log file counts also where this host has none.
const dump = `
import ast, contextlib, io, json, sys
from fail2ban.client import fail2banclient, jailreader
jailreader.JailReader._glob = staticmethod(lambda path: [path])
out = io.StringIO()
with contextlib.redirect_stdout(out):
    try:
        fail2banclient.exec_command_line(["fail2ban-client", "-c", sys.argv[1], "-d"])
    except SystemExit:
        pass
json.dump([ast.literal_eval(line) for line in out.getvalue().splitlines() if line.startswith("[")], sys.stdout)
`

// pythonRoot is where Fail2Ban and its modules lie; the interpreter is Debian's.
func pythonRoot(t *testing.T) (root string, python func(args ...string) *exec.Cmd) {
	for _, dir := range packageRoots() {
		modules := filepath.Join(dir, "usr/lib/python3/dist-packages")
		if dir == "" || !exists(filepath.Join(modules, "fail2ban/server/server.py")) || !exists("/usr/bin/python3") {
			continue
		}
		return dir, func(args ...string) *exec.Cmd {
			c := exec.Command("/usr/bin/python3", args...)
			c.Env = append(os.Environ(), "PYTHONPATH="+modules, "PYTHONDONTWRITEBYTECODE=1")
			return c
		}
	}
	t.Skip("no Fail2Ban to compare with (install the package fail2ban, or set FAIL2BAN_ROOT to where it is unpacked)")
	return "", nil
}

// TestDump: of every jail of Fail2Ban's package, what is read here with all that is put
// in is what Fail2Ban dumps as its effective configuration.
func TestDump(t *testing.T) {
	root, python := pythonRoot(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "etc/fail2ban"))); err != nil {
		t.Fatal(err)
	}
	all := "[DEFAULT]\nenabled = true\nignoreip = 127.0.0.1/8 ::1, localhost\nbantime.increment = true\n"
	if err := os.WriteFile(filepath.Join(dir, "jail.local"), []byte(all), 0o644); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	c := python("-c", dump, dir)
	c.Stderr = &stderr
	out, err := c.Output()
	var commands [][]any
	if err == nil {
		err = json.Unmarshal(out, &commands)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	theirs := map[string]map[string][]string{}
	for _, command := range commands {
		words := flat(command)
		switch {
		case words[0] == "add":
			theirs[words[1]] = map[string][]string{"backend": words[2:]}
		case words[0] == "set" && theirs[words[1]] != nil, words[0] == "multi-set" && words[2] != "action":
			theirs[words[1]][words[2]] = append(theirs[words[1]][words[2]], words[3:]...)
		}
	}
	tree, _, err := readTree(dir, "jail")
	if err != nil {
		t.Fatal(err)
	}
	jails, same := 0, 0
	for name := range tree.sections {
		if name == defaults || name == "INCLUDES" {
			continue
		}
		jails++
		if theirs[name] == nil {
			t.Errorf("%s: Fail2Ban has no such jail\n%s", name, stderr.String())
			continue
		}
		ours, err := effective(&jail{name: name, tree: tree, dir: dir, result: &Result{}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		alike := true
		for key, want := range ours {
			if got := theirs[name][key]; !slices.Equal(got, want) {
				alike = false
				t.Errorf("%s: %s\n ours   %q\n theirs %q", name, key, want, got)
			}
		}
		if alike {
			same++
		}
	}
	t.Logf("%d of %d jails as Fail2Ban dumps them", same, jails)
	if jails < 85 || jails != len(theirs) {
		t.Errorf("%d jails here, %d there", jails, len(theirs))
	}
}

// flat gives a command as words, with the lists in it laid open.
func flat(command []any) (words []string) {
	for _, word := range command {
		if list, ok := word.([]any); ok {
			words = append(words, flat(list)...)
		} else {
			words = append(words, fmt.Sprint(word))
		}
	}
	return words
}

// effective is what a jail is set to, by the words of Fail2Ban's dump.
func effective(j *jail) (map[string][]string, error) {
	call := j.text("filter")
	if call == "" {
		call = j.name
	}
	name, options, err := parseCall(call)
	if err != nil {
		return nil, err
	}
	src, err := readFilter(j.dir, name, options)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{
		"backend": {j.text("backend")}, "addfailregex": src.Failregex, "addignoreregex": src.Ignoreregex,
		"addignoreip": words(j.text("ignoreip")), "addlogpath": nil, "prefregex": nil, "bantime.increment": {"true"},
	}
	for _, option := range []string{"maxretry", "findtime", "bantime", "usedns"} {
		all[option] = []string{j.text(option)}
	}
	if src.Prefregex != "" {
		all["prefregex"] = []string{src.Prefregex}
	}
	for line := range strings.Lines(j.text("logpath")) {
		path, tail, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path != "" {
			all["addlogpath"] = append(all["addlogpath"], path, map[bool]string{true: "head", false: tail}[tail == ""])
		}
	}
	return all, j.err
}
