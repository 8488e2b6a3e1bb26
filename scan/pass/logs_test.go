package pass

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/scan/logfile"
	"scan2ban/state"
)

// onFiles makes the host's jail read log files.
func onFiles(h *host, glob string) {
	w := &h.setup.Watches[0]
	w.Backend, w.Paths, w.Program, w.Zone = filter.File, []string{glob}, []string{"sshd"}, time.UTC
	h.setup.JournalPath = ""
}

func appendLine(t *testing.T, path string, at int64, address string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stamp := time.Unix(at, 0).UTC().Format(time.Stamp)
	if _, err := fmt.Fprintf(f, "%s host sshd[%d]: Failed password for root from %s port 1 ssh2\n", stamp, at%1000, address); err != nil {
		t.Fatal(err)
	}
}

func TestDecide(t *testing.T) {
	const journal, file = string(filter.Journal), string(filter.File)
	for _, c := range []struct {
		was                  string
		files, written, ever bool
		want                 string
	}{
		{"", true, true, true, journal},
		{"", true, true, false, file},
		{"", false, true, false, undecided},
		{journal, true, true, false, journal},
		{file, true, true, true, file},
		{file, false, true, true, journal},
		{undecided, true, true, false, file},
		{"", true, false, true, file}, // the journal is what another init has left
		{journal, true, false, true, file},
		{journal, false, false, true, journal},
	} {
		if got := decide(c.was, c.files, c.written, func() (bool, error) { return c.ever, nil }); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// Log files that are read instead of the journal hold the same failures: they count once.
func TestFilesInsteadOfJournal(t *testing.T) {
	const begin = 1_795_335_241
	h := newHost(t)
	log := filepath.Join(t.TempDir(), "auth.log")
	onFiles(h, log)
	for i := range int64(2) {
		appendLine(t, log, begin+i, "203.0.113.1")
	}
	h.pass(begin + 2)
	h.readBefore(begin+2, filter.Journal)
	h.pass(begin + 3)
	if got := h.bans(); len(got) > 0 {
		t.Fatalf("two failures of three ban: %q", got)
	}
	appendLine(t, log, begin+3, "203.0.113.1")
	h.pass(begin + 4)
	if got := h.bans(); len(got) != 1 {
		t.Errorf("three failures ban: %q", got)
	}
}

// readBefore has the state say that what was read came from there.
func (h *host) readBefore(now int64, from filter.Backend) {
	h.t.Helper()
	h.edit(now, func(s *state.State) {
		s.Sources.Backends = map[string]string{"sshd": string(from)}
		if from == filter.Journal {
			s.Sources.Logs = nil
		}
	})
}

// edit changes the state.
func (h *host) edit(now int64, change func(*state.State)) {
	h.t.Helper()
	store, err := state.OpenStore(h.setup.StatePath, true)
	if err != nil {
		h.t.Fatal(err)
	}
	defer store.Close()
	ledger, err := store.Load()
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		h.t.Fatal(err)
	}
	change(ledger)
	if err := store.Commit(ledger, nil, now); err != nil {
		h.t.Fatal(err)
	}
}

// damageHistory leaves no line of it that can be read.
func (h *host) damageHistory() {
	h.t.Helper()
	path := filepath.Join(filepath.Dir(h.setup.StatePath), "history.jsonl")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, bytes.ReplaceAll(text, []byte(`"kind"`), []byte(`"dink"`)), 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// failsTwice puts a failure into a log file and into the journal.
func (h *host) failsTwice(log string, at int64, address string) {
	appendLine(h.t, log, at, address)
	journaltest.Write(h.t, h.journal, []journaltest.Entry{{Time: at * 1e6, Message: "Failed password for root from " + address + " port 1 ssh2",
		Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(at % 1000)}}})
}

// And a journal that is read instead of log files that are gone.
func TestJournalInsteadOfFiles(t *testing.T) {
	const begin = 1_795_335_241
	h := newHost(t)
	dir, log := h.setup.JournalPath, filepath.Join(t.TempDir(), "auth.log")
	onFiles(h, log)
	failure := func(at int64) { h.failsTwice(log, at, "203.0.113.1") }
	failure(begin)
	failure(begin + 1)
	h.pass(begin + 2)
	h.readBefore(begin+2, filter.File)
	h.setup.JournalPath, h.setup.Watches[0].Backend = dir, filter.Auto
	h.pass(begin + 3)
	if got := h.bans(); len(got) > 0 {
		t.Fatalf("two failures of three ban: %q", got)
	}
	failure(begin + 3)
	h.readBefore(begin+3, filter.File)
	h.pass(begin + 4)
	if got := h.bans(); len(got) != 1 {
		t.Errorf("three failures ban: %q", got)
	}
}

// What led to a ban, or came during it, leads to no other where the journal is read instead of
// log files: neither while the ban is in force nor once it is over.
func TestRecountedBans(t *testing.T) {
	const begin = 1_795_335_241
	for name, moved := range map[string]int64{"in force": begin + 60, "over": begin + 302} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			rules := h.setup.Rules["sshd"]
			rules.FindTime, rules.BanTime = state.Duration(30*time.Minute), state.Duration(2*time.Minute)
			dir, log := h.setup.JournalPath, filepath.Join(t.TempDir(), "auth.log")
			onFiles(h, log)
			failure := func(at int64, address string) { h.failsTwice(log, at, address) }
			for _, at := range []int64{0, 1, 2, 10, 11, 12} {
				failure(begin+at, "203.0.113.1")
			}
			h.pass(begin + 13)
			if moved > begin+122 {
				failure(begin+300, "203.0.113.2")
				h.pass(begin + 301)
			}
			want := h.bans()
			if len(want) != 1 {
				t.Fatalf("at first %q", want)
			}
			h.readBefore(moved-1, filter.File)
			h.setup.JournalPath, h.setup.Watches[0].Backend = dir, filter.Auto
			p := h.pass(moved)
			if b := p.Ledger.Jail("sshd").Bans()[state.Key{Prefix: netip.MustParsePrefix("203.0.113.1/32")}]; b != nil && b.Late != 3 {
				t.Errorf("%d failures came during the ban", b.Late)
			}
			failure(begin+310, "203.0.113.1")
			h.pass(begin + 311)
			if got := h.bans(); !slices.Equal(got, want) {
				t.Errorf("bans %q, want %q", got, want)
			}
			failure(begin+312, "203.0.113.1")
			failure(begin+313, "203.0.113.1")
			h.pass(begin + 314)
			if got := h.bans(); len(got) != 2 {
				t.Errorf("three more failures: bans %q", got)
			}
		})
	}
}

// A pass that reads from there first, and dies when the history is written and the state is not,
// is repeated.
func TestRecountedAgain(t *testing.T) {
	const begin = 1_795_335_241
	h := newHost(t)
	dir, log := h.setup.JournalPath, filepath.Join(t.TempDir(), "auth.log")
	onFiles(h, log)
	h.failsTwice(log, begin, "203.0.113.1")
	h.failsTwice(log, begin+1, "203.0.113.1")
	h.pass(begin + 2)
	h.readBefore(begin+2, filter.File)
	h.setup.JournalPath, h.setup.Watches[0].Backend = dir, filter.Auto
	h.failsTwice(log, begin+3, "203.0.113.1")
	before, err := os.ReadFile(h.setup.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := os.WriteFile(h.setup.StatePath, before, 0o600); err != nil {
			t.Fatal(err)
		}
		if p := h.pass(begin + 4); len(p.Ledger.Jail("sshd").Bans()) != 1 || len(h.bans()) != 1 {
			t.Errorf("three failures ban: %q in the history, %d in the ledger", h.bans(), len(p.Ledger.Jail("sshd").Bans()))
		}
	}
}

// However a log is cut into passes and rotated, the bans are the same.
func TestLogFilesCutIntoPasses(t *testing.T) {
	const begin = 1_795_335_241
	var want []string
	for _, every := range []int{1000, 1, 2, 5} {
		h := newHost(t)
		dir := t.TempDir()
		log := filepath.Join(dir, "auth.log")
		onFiles(h, log)
		rotations := 0
		for i := range 60 {
			at := int64(begin + i*30)
			appendLine(t, log, at, fmt.Sprintf("203.0.113.%d", i*i%7))
			if i%13 == 12 && rotations == 0 || i%13 == 12 && every < 13 {
				rotations++
				if err := os.Rename(log, fmt.Sprintf("%s-%d", log, 20261122+rotations)); err != nil {
					t.Fatal(err)
				}
			}
			if i%every == every-1 {
				h.pass(at + 1)
			}
		}
		h.pass(begin + 1790)
		got := h.bans()
		slices.Sort(got)
		if want == nil {
			if want = got; len(want) < 4 {
				t.Fatalf("few bans: %q", want)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("a pass every %d lines: %q, want %q", every, got, want)
		}
	}
}

// A link that is not followed is told of its jail, and keeps no jail from its other logs, nor from their places.
func TestLinkNotFollowed(t *testing.T) {
	const begin, app = 1_795_335_241, 54321
	h := newHost(t)
	dir := t.TempDir()
	evil := filepath.Join(dir, "evil.log")
	onFiles(h, filepath.Join(dir, "e*.log"))
	second := h.setup.Watches[0]
	second.Jail, second.Paths = "second", []string{filepath.Join(dir, "auth.log")}
	h.setup.Watches, h.setup.Rules["second"] = append(h.setup.Watches, second), h.setup.Rules["sshd"]
	if err := errors.Join(os.Symlink("secret", evil), os.Lchown(evil, app, app)); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		at := begin + 60*i
		appendLine(t, filepath.Join(dir, "secret"), at, "203.0.113.1")
		appendLine(t, filepath.Join(dir, "auth.log"), at, "203.0.113.2")
		appendLine(t, filepath.Join(dir, "else.log"), at, "203.0.113.3")
		p := h.tried(at)
		if p.Failures != 2 || len(p.Errs) != 1 || !errors.Is(p.Errs[0], logfile.ErrLink) {
			t.Errorf("%d failures, errors %v", p.Failures, p.Errs)
		}
		if p.failed["sshd"] == "" || p.failed["second"] != "" {
			t.Errorf("failed for %v", p.failed)
		}
	}
	got := h.bans()
	for i := range got {
		jail, rest, _ := strings.Cut(got[i], " ")
		key, _, _ := strings.Cut(rest, " ")
		got[i] = jail + " " + key
	}
	if slices.Sort(got); !slices.Equal(got, []string{"second 203.0.113.2", "sshd 203.0.113.3"}) {
		t.Errorf("bans %q", got)
	}
}

// TestForgedPosition: a position that the owner of the state has written leads root's pass to no
// file beside the logs.
func TestForgedPosition(t *testing.T) {
	const begin, owner = 1_795_335_241, 54321
	h := newHost(t)
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	onFiles(h, filepath.Join(dir, "*.log"))
	appendLine(t, filepath.Join(dir, "a.log"), begin, "203.0.113.1")
	h.pass(begin)
	for i := range int64(5) {
		appendLine(t, secret, begin+30+i, "203.0.113.2")
	}
	info, err := os.Stat(secret)
	if err != nil {
		t.Fatal(err)
	}
	h.edit(begin+60, func(s *state.State) {
		pos := s.Sources.Logs.Files[0]
		pos.Path, pos.Inode, pos.Born, pos.Current = secret, info.Sys().(*syscall.Stat_t).Ino, 0, false
		pos.Offset, pos.Bytes, pos.Size, pos.Printed, pos.Print = 0, 0, -1, 1, "cbf29ce484222325" // of no byte
		s.Sources.Logs.Files = append(s.Sources.Logs.Files, pos)
	})
	at := filepath.Dir(h.setup.StatePath)
	names, err := filepath.Glob(at + "/*")
	for _, name := range append(names, at) {
		err = errors.Join(err, os.Chown(name, owner, owner))
	}
	if err != nil {
		t.Fatal(err)
	}
	if p := h.pass(begin + 120); p.Failures > 0 || len(h.bans()) > 0 {
		t.Errorf("%d failures, bans %q", p.Failures, h.bans())
	}
}

// A pass that read failures saves at once; what it saved is not counted again.
func TestFailuresInFilesAreSaved(t *testing.T) {
	const begin = 1_795_335_241
	h := newHost(t)
	log := filepath.Join(t.TempDir(), "auth.log")
	onFiles(h, log)
	h.pass(begin)
	appendLine(t, log, begin+60, "203.0.113.1")
	h.pass(begin + 60)
	if err := os.Truncate(log, 0); err != nil {
		t.Fatal(err)
	}
	appendLine(t, log, begin+120, "203.0.113.1")
	p := h.pass(begin + 120)
	if p.Failures != 1 || len(p.Warnings) != 1 {
		t.Errorf("%d failures, warnings %q", p.Failures, p.Warnings)
	}
	appendLine(t, log, begin+180, "203.0.113.1")
	if p = h.pass(begin + 180); len(h.bans()) != 1 {
		t.Errorf("bans %q", h.bans())
	}
	s, err := p.Status(nil)
	if err != nil || s.Jails[0].Backend != "file" || s.Jails[0].Entries != 3 {
		t.Errorf("status %+v, %v", s, err)
	}
	if p = h.pass(begin + 240); p.Entries != 0 || p.Failures != 0 {
		t.Errorf("an idle pass: %d entries, %d failures", p.Entries, p.Failures)
	}
}
