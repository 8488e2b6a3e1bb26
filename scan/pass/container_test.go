package pass

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/container/containertest"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
)

// say writes a line of a container into its log, as dockerd does.
func say(t *testing.T, log string, at int64, message string) {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, `{"log":"%s\n","stream":"stderr","time":"%s"}`+"\n", message, time.Unix(at, 5e8).UTC().Format(time.RFC3339Nano)); err != nil {
		t.Fatal(err)
	}
}

// A container that comes, is rotated, and is made anew, between passes.
func TestContainersComeAndGo(t *testing.T) {
	const begin = 1_795_335_241
	const failed = "Failed password for root from %s port 1 ssh2"
	for _, every := range []int{1, 2, 3} {
		h := newHost(t)
		root, n := t.TempDir(), 0
		log := containertest.Docker(t, root, containertest.ID(1), "ssh", "{}")
		w := &h.setup.Watches[0]
		w.Backend, w.Terms, w.Container, w.Program = filter.File, nil, true, []string{"sshd"}
		h.setup.JournalPath = ""
		for i := range 18 {
			at := int64(begin + i*30)
			switch i {
			case 7:
				if err := os.Rename(log, log+".1"); err != nil {
					t.Fatal(err)
				}
			case 12: // the old one stands still there when the new one writes
				log = containertest.Docker(t, root, containertest.ID(2), "ssh", "{}")
			}
			say(t, log, at, fmt.Sprintf(failed, fmt.Sprintf("203.0.113.%d", 1+i%6)))
			say(t, log, at, `{\"msg\":\"`+fmt.Sprintf(failed, "203.0.113.66")+`\"}`)
			say(t, log, at, `x\u000a`+fmt.Sprintf(failed, "203.0.113.66"))
			w.Paths, _ = filepath.Glob(filepath.Join(root, "var/lib/docker/containers/*/*-json.log")) // as package jail finds them
			if i%every == every-1 {
				n += h.pass(at + 1).Failures
			}
		}
		if bans := h.bans(); n != 18 || len(bans) != 6 {
			t.Errorf("a pass every %d: %d failures, bans %q", every, n, bans)
		}
	}
}

// Where the containers may not be looked for, the journal is read all the same if it
// holds what they have written.
func TestHindered(t *testing.T) {
	const begin = 1_795_335_241
	h := newHost(t)
	w := &h.setup.Watches[0]
	w.Backend, w.Container, w.Terms = filter.Journal, true, [][]string{{"CONTAINER_NAME=ssh", "_UID=0"}}
	w.Err = fmt.Errorf("containers: %w", fs.ErrPermission)
	journaltest.Write(t, h.journal, []journaltest.Entry{{Time: begin * 1e6, Message: "Failed password for root from 203.0.113.1 port 1 ssh2",
		Fields: map[string]string{"CONTAINER_NAME": "other", "_UID": "0"}}})
	p := h.tried(begin + 1)
	if len(p.Errs) != 1 || !errors.Is(p.Errs[0], fs.ErrPermission) {
		t.Errorf("nothing of it in the journal: %v", p.Errs)
	}
	if s, err := p.Status([]string{"sshd"}); err != nil || s.Jails[0].Health != "error" {
		t.Errorf("%+v, %v", s, err)
	}
	journaltest.Write(t, h.journal, []journaltest.Entry{{Time: (begin + 2) * 1e6, Message: "Failed password for root from 203.0.113.1 port 1 ssh2\n",
		Fields: map[string]string{"CONTAINER_NAME": "ssh", "_UID": "0"}}})
	for i := range 2 {
		if p := h.pass(begin + 3 + int64(i)); p.Failures != 1-i {
			t.Errorf("pass %d: %d failures", i, p.Failures)
		}
	}
	w.Err = errors.New("it logs where nothing can be read")
	if p := h.tried(begin + 5); len(p.Errs) != 1 || !errors.Is(p.Errs[0], w.Err) {
		t.Errorf("whatever is in the journal: %v", p.Errs)
	}
}

// A jail whose container is not there says so.
func TestMissingContainer(t *testing.T) {
	h := newHost(t)
	w := &h.setup.Watches[0]
	w.Container, w.Terms, w.Missing = true, [][]string{{"CONTAINER_NAME=ssh", "_UID=0"}}, "no container is called ssh"
	journaltest.Write(t, h.journal, journaltest.Attack(1_795_335_241, 1))
	p := h.pass(1_795_335_300)
	s, err := p.Status([]string{"sshd"})
	if err != nil || !strings.Contains(s.Jails[0].Message+fmt.Sprint(p.quiet("sshd")), "no container is called ssh") {
		t.Errorf("%+v, %v", s, err)
	}
}
