package state

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// What another user, or the passes' own, lays where the state is written.

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	os.WriteFile(elsewhere, []byte("precious"), 0o600)
	state, decisions := sample(t)
	for _, name := range []string{"state.json", "history.jsonl", "state.json.lock", "state.json.new"} {
		os.Symlink(elsewhere, filepath.Join(dir, name))
	}
	s := openStore(t, dir)
	if err := s.Lock(0); err == nil {
		t.Error("the lock was taken through a link")
	}
	if _, err := s.Load(); err == nil {
		t.Error("the state was read through a link")
	}
	if err := s.Commit(state, decisions, T); err == nil {
		t.Error("the history was written through a link")
	}
	if text, _ := os.ReadFile(elsewhere); string(text) != "precious" {
		t.Errorf("the file behind the links was changed: %q", text)
	}
}

// TestPlanted is what the owner of the directory, the passes' user, may have put
// there for root to open.
func TestPlanted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives files away")
	}
	plants := map[string]func(victim, name string) error{
		"a hard link": os.Link,
		"root's":      func(_, name string) error { return os.WriteFile(name, []byte("{}"), 0o600) }, // what is left of a link that is taken away in time
		"a fifo": func(_, name string) error {
			return errors.Join(syscall.Mkfifo(name, 0o600), os.Chown(name, 12345, 12345))
		},
		"a stranger's": func(_, name string) error {
			return errors.Join(os.WriteFile(name, []byte("{}"), 0o666), os.Chown(name, 4321, 4321))
		},
	}
	sampled, _ := sample(t)
	precious := string(sampled.Encode()) // what can be read is not refused for what it holds
	for what, plant := range plants {
		top := t.TempDir()
		dir, victim := filepath.Join(top, "state"), filepath.Join(top, "victim")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 12345, 12345), os.WriteFile(victim, []byte(precious), 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"state.json", "history.jsonl", "state.json.lock", "state.json.new", "pass.json"} {
			if err := plant(victim, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		s := openStore(t, dir)
		state, decisions := sample(t)
		if err := s.Lock(0); err == nil {
			t.Errorf("%s: the lock was taken", what)
		}
		if _, err := s.Load(); err == nil {
			t.Errorf("%s: the state was read", what)
		}
		if err := s.Commit(state, decisions, T); err == nil {
			t.Errorf("%s: the history was written", what)
		}
		_ = s.History(nil, func(Decision, int64) {})
		LoadVolatile(filepath.Join(dir, "pass.json")) // ends
		if info, err := os.Stat(filepath.Join(dir, "history.jsonl")); what == "root's" && (err != nil || owner(info) != 0) {
			t.Errorf("%s was given away: %v", what, err)
		}
		info, err := os.Stat(victim)
		if text, _ := os.ReadFile(victim); err != nil || string(text) != precious || owner(info) != 0 {
			t.Errorf("%s: the victim holds %q and belongs to %d", what, text, owner(info))
		}
	}
}

// TestHoles: files of terabytes without a byte on the disk are not read into memory.
func TestHoles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"state.json", "history.jsonl", "pass.json", "deliver.json"} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, name), nil, 0o600), os.Truncate(filepath.Join(dir, name), 1<<42)); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, dir)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Load(); !errors.As(err, new(*DamagedError)) {
		t.Errorf("the state: %v", err)
	}
	if err := s.History(nil, func(Decision, int64) { t.Error("a decision") }); err != nil {
		t.Errorf("the history: %v", err)
	}
	LoadVolatile(filepath.Join(dir, "pass.json"))
	if _, err := s.Beside("deliver"); err != nil {
		t.Errorf("the deliveries: %v", err)
	}
	if damaged, err := readHistory(io.MultiReader(io.LimitReader(endless{}, 1<<28), strings.NewReader("\n")), func(Decision, int64) { t.Error("a decision") }); damaged != 1 || err != nil {
		t.Errorf("a line without end: %d, %v", damaged, err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 512<<20 {
		t.Errorf("%d MB were taken", took>>20)
	}
}

// endless reads as x without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestLinkTakenAway: a hard link to another's file that is there when root opens it and
// gone when its names are counted.
func TestLinkTakenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives a directory away")
	}
	top := t.TempDir()
	dir, victim := filepath.Join(top, "state"), filepath.Join(top, "victim")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 12345, 12345), os.WriteFile(victim, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "state.json.lock")
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				os.Remove(name)
				os.Link(victim, name)
			}
		}
	}()
	s := openStore(t, dir)
	is, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		if f, err := s.open("state.json.lock", os.O_RDWR|os.O_CREATE); err == nil {
			if opened, err := f.Stat(); err != nil || os.SameFile(opened, is) {
				t.Errorf("the victim was opened for writing: %v", err)
				f.Close()
				break
			}
			f.Close()
		}
		if info, err := os.Stat(victim); err != nil || owner(info) != 0 {
			t.Errorf("the victim belongs to %d: %v", owner(info), err)
			break
		}
	}
	close(stop)
	<-done
}

func TestFilesGetTheOwnerOfTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives a directory away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	state, decisions := sample(t)
	s := openStore(t, dir)
	if err := errors.Join(s.Lock(0), s.Commit(state, decisions, T)); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, _ := e.Info()
		if uid := owner(info); uid != 12345 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: owner %d, mode %v; want 12345, 0600", e.Name(), uid, info.Mode())
		}
	}
	if len(entries) != 3 {
		t.Errorf("%d files, want state, history and lock", len(entries))
	}
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// TestNobodyDecided: a line that tells of a decision about nobody is damaged, whatever its ID.
func TestNobodyDecided(t *testing.T) {
	var lines bytes.Buffer
	for i, verb := range []Verb{Banned, Expired, Unbanned, Released, Spared, "verb", Warned} {
		until := int64(9)
		d := Decision{Verb: verb, Time: 5, Jail: "sshd", Until: &until, N: 1}
		d.Identify()
		if _, err := writeDecisions(&lines, []Decision{d}, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	var read []Verb
	damaged, err := readHistory(&lines, func(d Decision, _ int64) { read = append(read, d.Verb) })
	if err != nil || damaged != 6 || len(read) != 1 || read[0] != Warned {
		t.Errorf("%d damaged, %v are read, %v", damaged, read, err)
	}
}

func TestOthers(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(filepath.Join(dir, "state.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Others() {
		t.Error("one's own is another's")
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, 4321, 4321); err != nil || !s.Others() {
			t.Errorf("another's is one's own, %v", err)
		}
	}
}
