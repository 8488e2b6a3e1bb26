package deliver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scan2ban/state/report"
)

// TestNoSecret: what a hook is given as an argument, a token perhaps, is told by nobody,
// neither when all goes well nor when it does not; and of a name that a client gave, which
// may be a password typed too early, only those hear who are told of the ban. Files that
// hold one are for their owner alone.
func TestNoSecret(t *testing.T) {
	const token, typed = "tok3n-0f-a-hook", "hunter2-typed-as-a-name"
	d := newDesk(t)
	good := d.hook(`true`)
	bad := d.hook(`exit 3`)
	good.Run, bad.Run = append(good.Run, token), append(bad.Run, token)
	d.ran()
	d.ban(1, typed)
	err := d.run()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("the hook that fails: %v", err)
	}
	var found report.Findings
	d.Look(d.StatePath, &found)
	var seen strings.Builder
	found.Write(&seen, true)
	seen.WriteString(err.Error() + d.said.String())
	names, globErr := filepath.Glob(d.dir + "/*.json*")
	if globErr != nil || len(names) < 3 {
		t.Fatalf("%v: the state's files are %q", globErr, names)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), token) {
			t.Errorf("%s holds what a hook is given", name)
		}
	}
	if strings.Contains(seen.String(), token) {
		t.Errorf("told: %s", &seen)
	}
	if strings.Contains(d.said.String(), typed) {
		t.Errorf("the deliveries say %q", &d.said)
	}
}
