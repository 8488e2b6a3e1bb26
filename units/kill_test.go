package units

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// TestKilled runs passes over a growing journal and kills most of them with
// SIGKILL at a random moment. When the dust has settled, the history must be that
// of an undisturbed pass over all of it, and the kernel must hold its bans.
func TestKilled(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: changes the ruleset of a namespace")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "scan2ban")
	if text, err := exec.Command("go", "build", "-o", program, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	config := filepath.Join(dir, "scan2ban.toml")
	if err := os.WriteFile(config, []byte("[jail.sshd]\nenabled = true\nmaxretry = 3\nfindtime = \"10m\"\nbantime = \"30d\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	space := fmt.Sprintf("s2b-kill-%d", os.Getpid())
	if text, err := exec.Command("ip", "netns", "add", space).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	defer exec.Command("ip", "netns", "delete", space).Run()
	inside := func(args ...string) *exec.Cmd {
		return exec.Command("nsenter", append([]string{"--net=/run/netns/" + space}, args...)...)
	}
	pass := func(journal, state string) *exec.Cmd {
		return inside(program, "run", "-c", config, "--journal", journal, "--state", state)
	}
	bans := func(state string) string {
		text, err := exec.Command("jq", "-r", `select(.kind == "ban") | [.jail, .key, .since, .until, .n] | @tsv`, filepath.Join(filepath.Dir(state), "history.jsonl")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return string(text)
	}
	log := journaltest.Attack(time.Now().Add(-2*time.Hour).Unix(), 400)

	whole := filepath.Join(dir, "whole", "system.journal")
	journaltest.Write(t, whole, log)
	if text, err := pass(whole, filepath.Join(dir, "a", "state.json")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := bans(filepath.Join(dir, "a", "state.json"))
	if n := strings.Count(want, "\n"); n < 5 {
		t.Fatalf("only %d bans: the test tests little", n)
	}
	if text, err := inside("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}

	growing, state := filepath.Join(dir, "growing", "system.journal"), filepath.Join(dir, "b", "state.json")
	random, killed := rand.New(rand.NewPCG(1, 2)), 0
	lasts := 40 * time.Millisecond // a pass; what is not killed tells better
	for part := range slices.Chunk(log, 57) {
		journaltest.Write(t, growing, part)
		for range 4 {
			c := pass(growing, state)
			var said bytes.Buffer
			c.Stderr = &said
			begun := time.Now()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			stop := time.AfterFunc(time.Duration(random.Int64N(int64(lasts))), func() { c.Process.Kill() })
			err := c.Wait()
			if stop.Stop(); err == nil {
				lasts = time.Since(begun) * 3 / 2
			} else {
				killed++
				if c.ProcessState.Exited() {
					t.Fatalf("failed by itself: %v\n%s", err, said.String())
				}
			}
		}
	}
	if text, err := pass(growing, state).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got := bans(state)
	t.Logf("%d of 60 passes killed, %d bans", killed, strings.Count(got, "\n"))
	if got != want {
		t.Errorf("undisturbed\n%s\nkilled\n%s", want, got)
	}
	ruleset, err := inside("nft", "list", "table", "inet", "scan2ban").Output()
	for line := range strings.Lines(want) {
		key := strings.Fields(line)[1]
		key, _, _ = strings.Cut(key, "/")
		if !strings.Contains(string(ruleset), key+" ") {
			t.Errorf("the kernel does not hold %s: %v", key, err)
		}
	}
	if killed < 10 {
		t.Errorf("only %d passes were killed", killed)
	}
}
