package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Encode is the state as it is written.
func (s *State) Encode() []byte {
	var whole bytes.Buffer
	_ = s.encode(&whole) // a buffer takes all
	return whole.Bytes()
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(dir, "state.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sample is a state with something in every part.
func sample(t *testing.T) (*State, []Decision) {
	b := newBench(func(r *Rules) { r.Spare = Duration(time.Hour) })
	for _, a := range []string{"203.0.113.1", "2001:db8::1"} {
		for s := range int64(4) {
			b.Event(fail(a, s))
		}
	}
	e := fail("203.0.113.9", 5)
	e.Session, e.Stage, e.User = "boot/7", 1, "a\"\\<é\u202e"
	b.Event(e)
	m := e
	m.Kind, m.Rule = KindMark, "mark"
	b.Event(m)
	e.Kind = KindSuccess
	b.Event(e)
	b.BanByHand(ByHand, Key(must("198.51.100.0/24")), T, 0, false)
	if _, err := b.UnbanByHand([]string{"sshd"}, Key(must("203.0.113.77")), T); err != nil {
		t.Fatal(err)
	}
	b.state.Sources.Journal = &JournalPosition{Cursor: "s=1;i=2", Time: T * 1e6}
	return b.state, b.Decisions
}

func TestStateSurvivesItsFile(t *testing.T) {
	s, _ := sample(t)
	text := s.Encode()
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	again, err := Decode(bytes.Clone(text))
	if err != nil {
		t.Fatal(err)
	}
	if untouched := again.Encode(); !bytes.Equal(untouched, text) {
		t.Errorf("unread parts changed:\n%s\n%s", text, untouched)
	}
	for _, j := range again.Jails {
		j.windows.get()
		j.bans.get()
		j.sessions.get()
	}
	if read := again.Encode(); !bytes.Equal(read, text) {
		t.Errorf("read parts changed:\n%s\n%s", text, read)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	s, _ := sample(t)
	text := s.Encode()
	for i := range len(text) - 1 { // the last line feed may go
		for bit := range 8 {
			bad := bytes.Clone(text)
			bad[i] ^= 1 << bit
			if again, err := Decode(bad); err == nil && !bytes.Equal(again.Encode(), text) {
				t.Fatalf("byte %d bit %d: read as if nothing was wrong", i, bit)
			} else if errors.Is(err, ErrNewer) { // it would be refused for ever
				t.Fatalf("byte %d bit %d: taken for a newer version", i, bit)
			}
		}
	}
	for n := range len(text) - 1 {
		if _, err := Decode(bytes.Clone(text[:n])); err == nil {
			t.Fatalf("cut to %d bytes: read as if nothing was wrong", n)
		}
	}
}

func TestChecksums(t *testing.T) {
	s, _ := sample(t)
	body, _, _ := strings.Cut(string(s.Encode()), checksum)
	for polynomial, want := range map[uint32]bool{crc32.IEEE: true, crc32.Castagnoli: true, crc32.Koopman: false} {
		text := fmt.Sprintf("%s%s%08x\"}\n", body, checksum, crc32.Checksum([]byte(body), crc32.MakeTable(polynomial)))
		if _, err := Decode([]byte(text)); (err == nil) != want {
			t.Errorf("CRC-32 by %#x: %v", polynomial, err)
		}
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	body, _, _ := strings.Cut(strings.Replace(string(New().Encode()), `"version":1`, `"version":7`, 1), checksum)
	like := fmt.Sprintf("%s%s%08x\"}\n", body, checksum, crc32.ChecksumIEEE([]byte(body)))
	for _, text := range []string{`{"version":2,"anything":[]}`, `{"version":2` + checksum + `of another kind"}`, like} {
		if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(t, dir).Load(); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v, want ErrNewer", text, err)
		}
	}
}

func TestDamagedStatesAreKept(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for i := range 5 {
		os.WriteFile(filepath.Join(dir, "state.json"), []byte("{"), 0o600)
		damaged := (*DamagedError)(nil)
		if _, err := s.Load(); !errors.As(err, &damaged) {
			t.Fatalf("load: %v, want a DamagedError", err)
		}
		if _, err := s.SetAside(T + int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "state.json.damaged-*")); len(kept) != 3 {
		t.Errorf("%d kept, want 3: %q", len(kept), kept)
	}
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load: %v, want fs.ErrNotExist", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	first, second := openStore(t, dir), openStore(t, dir)
	if err := first.Lock(0); err != nil {
		t.Fatal(err)
	}
	if err := second.Lock(0); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	first.Close()
	if err := second.Lock(0); err != nil {
		t.Errorf("after the first is closed: %v", err)
	}
}

// errKilled is what a fault throws: the pass dies there and runs nothing more.
var errKilled = errors.New("killed")

// TestCrashLaw kills a pass at every step that changes something, between the
// kernel and the files too, and lets the next one run. The kernel, the state and
// the history must then be what they are where nobody was killed.
func TestCrashLaw(t *testing.T) {
	var log [][]Event // what each pass finds; the third decides nothing
	for p := range int64(4) {
		var events []Event
		for i := range int64(6) {
			if p != 2 {
				events = append(events, fail([]string{"203.0.113.1", "203.0.113.2", "2001:db8::1"}[i%3], p*40+i))
			}
		}
		log = append(log, events)
	}
	undisturbed, _, _ := crashRun(t, log, -1)
	steps := 0
	for ; ; steps++ {
		got, history, killed := crashRun(t, log, steps)
		if !killed {
			break
		}
		if !maps.Equal(got, undisturbed) {
			t.Errorf("killed at step %d: ended with\n%v\nwant\n%v", steps, got, undisturbed)
		}
		ids := map[string]bool{}
		for i, d := range history {
			if ids[d.ID] || d.Seq != int64(i+1) {
				t.Errorf("killed at step %d: decision %d (%s) is there twice or out of order", steps, d.Seq, d.Verb)
			}
			ids[d.ID] = true
		}
	}
	t.Logf("killed at each of %d steps", steps)
	if steps < 30 {
		t.Errorf("only %d steps: faults are not where they should be", steps)
	}
}

// crashRun runs a pass for each part of the log, over a kernel that is a map. It
// is killed once, at the step of that number, and the same pass begins anew. What
// the end looks like: the kernel's bans, and lines of the state that matter.
func crashRun(t *testing.T, log [][]Event, kill int) (end map[string]string, history []Decision, killed bool) {
	dir, kernel, step := t.TempDir(), map[string]string{}, 0
	fault := func(name string) error {
		if step == kill && !killed {
			killed = true
			if name == "append to the history" || name == "sync the history" { // and the disk has a part of it, more than the next pass writes
				f, err := os.OpenFile(filepath.Join(dir, "history.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
				if _, missing := os.Stat(filepath.Join(dir, "state.json")); missing == nil { // else the next one believes what it finds
					f.WriteString(strings.Repeat("{\"seq\":99,\"id\":\"left\"}\n", 200))
				}
				if err == nil {
					f.WriteString(`{"seq":99,"id":"half`)
					f.Close()
				}
			}
			panic(errKilled)
		}
		step++
		return nil
	}
	onePass := func(number int) (done bool) {
		defer func() {
			if r := recover(); r != nil && r != errKilled {
				panic(r)
			}
		}()
		s, err := OpenStore(filepath.Join(dir, "state.json"), true)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Fault = fault
		now := int64(T + 40*number + 30)
		state, err := s.Load()
		var recorded *Recorded
		fresh := errors.Is(err, fs.ErrNotExist)
		if fresh {
			state, recorded, err = s.Recall(now, T-10_000)
		}
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(nil)
		b.rules.MaxRetry, b.rules.BanTime = 2, Duration(50*time.Second)
		b.rules.Escalation.Factor = 2
		b.Judge, b.state = NewJudge(state, map[string]*Rules{"sshd": b.rules}, DefaultOptions(), s.Prior(state.History)), state
		if fresh {
			b.Replay(recorded)
		}
		from := int64(0)
		if state.Sources.Journal != nil {
			from = state.Sources.Journal.Time
		}
		for n, part := range log[:number+1] {
			for _, e := range part {
				if position := int64(n+1) * 1e6; position > from {
					b.Event(e)
				}
			}
		}
		state.Sources.Journal = &JournalPosition{Time: int64(number+1) * 1e6}
		b.Finish(now, nil)
		fault("before the kernel")
		clear(kernel)
		for _, live := range state.Jail("sshd").Live(now) {
			kernel[live.Key.String()] = time.Unix(live.Until, 0).UTC().Format(time.RFC3339)
		}
		fault("between the kernel and the files")
		if err := s.Commit(state, b.Decisions, now); err != nil {
			t.Fatal(err)
		}
		fault("after the files")
		return true
	}
	for number := range log {
		for !onePass(number) {
		}
	}
	s := openStore(t, dir)
	state, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	end = maps.Clone(kernel)
	state.Saved = 0
	for key, b := range state.Jail("sshd").Bans() {
		end["ban "+key.String()] = string(appendBans(nil, &pieces{}, map[Key]*Ban{key: b}))
	}
	end["windows"] = string(appendWindows(nil, &pieces{}, state.Jail("sshd").windows.get()))
	end["tally"] = string(mustJSON(state.Jail("sshd").Seen.Total))
	err = s.History(nil, func(d Decision, _ int64) { history = append(history, d) }) // the whole file, as a rebuild reads it
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range history {
		end["decided "+d.ID] = string(d.Verb)
	}
	return end, history, killed
}

func TestHistoryIsPruned(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	state := New()
	ban := func(a string, since, until int64, verb Verb) Decision {
		return (&Ban{Jail: "sshd", Key: Key(must(a)), Since: since, Until: until, N: 1}).decision(verb, since)
	}
	err := s.Commit(state, []Decision{
		ban("203.0.113.1", T, T+10, Banned), ban("203.0.113.2", T, 0, Banned), ban("203.0.113.3", T, 0, Banned),
		ban("203.0.113.3", T+1, 0, Unbanned), ban("203.0.113.1", T+10, T+10, Expired), ban("203.0.113.4", T+1000, T+2000, Banned),
		ban("203.0.113.6", T, T+5, Banned), // over when it was decided: nobody announced its end
	}, T)
	if err != nil {
		t.Fatal(err)
	}
	before := *state
	if err := s.prune(state, T+500, state.History.Length); err != nil {
		t.Fatal(err)
	}
	read := func(v Vouch) (keys []string) {
		s.History(&v, func(d Decision, _ int64) { keys = append(keys, d.Key.String()) })
		return keys
	}
	want := []string{"203.0.113.2", "203.0.113.4"}
	if got := read(state.History); !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	// a pass that pruned and died before it saved: the old state still finds its end
	if err := s.Commit(&before, []Decision{ban("203.0.113.5", T+1001, 0, Banned)}, T); err != nil {
		t.Fatal(err)
	}
	if got := read(before.History); !slices.Equal(got, append(want, "203.0.113.5")) {
		t.Errorf("after the crash %q", got)
	}
}

func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var want string
		quoted := appendText(nil, text)
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatalf("%q is written as %s: %v", text, quoted, err)
		}
		got, err := (&scanner{data: quoted}).text()
		if err != nil || got != want {
			t.Fatalf("%s is read as %q, %v", quoted, got, err)
		}
	})
}

// FuzzDecode: nothing that can stand in the file makes the program fail
// otherwise than by an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"sshd":{"window":{"203.0.113.1":[[1,1,"root"]]},"bans":{},"sessions":{}}}`))
	f.Add([]byte(`{"sshd":{"bans":{"::/64":{"address":"::1","since":1,"until":null,"users":["\u00e9"]}}}}`))
	f.Fuzz(func(t *testing.T, jails []byte) {
		in := &scanner{data: jails}
		s := New()
		if in.object(func(name string) error { return s.Jail(name).decode(in) }) != nil {
			return
		}
		for _, j := range s.Jails {
			for _, part := range []func() error{
				func() error { _, err := readBans("", j.bans.raw); return err },
				func() error { _, err := readWindows(j.windows.raw); return err },
				func() error { _, err := readSessions(j.sessions.raw); return err },
			} {
				_ = part()
			}
		}
	})
}

// BenchmarkResave is a pass's share for a state of 100,000 keys: load, read the
// windows, save.
func BenchmarkResave(b *testing.B) {
	s := New()
	j := s.Jail("sshd")
	for i := range 100_000 {
		key := Key{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)}
		j.hit(key, hit{T + int64(i), 1, "root"}, 3600, 100_000)
	}
	store, err := OpenStore(filepath.Join(b.TempDir(), "state.json"), true)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Commit(s, nil, T); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := store.Load()
		if err != nil || s.Jail("sshd").Tracked() != 100_000 {
			b.Fatal(err)
		}
		if err := store.Commit(s, nil, T); err != nil {
			b.Fatal(err)
		}
	}
}

// Of two states of which each would cut the other's history one is written, that which was
// saved last.
func TestStoreTwins(t *testing.T) {
	for _, c := range []struct {
		first, second string
		refused       bool
	}{{"x", "x.json", true}, {"x.json", "x", true}, {"x.json", "y.json", false}, {"state", "state.json", false}, {"state.json", "state", false}} {
		dir := t.TempDir()
		write := func(name string) error {
			s, err := OpenStore(filepath.Join(dir, name), true)
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.Lock(0); err != nil {
				return err
			}
			return s.Commit(New(), nil, T)
		}
		if err := write(c.first); err != nil {
			t.Fatal(err)
		}
		if err := write(c.first); err != nil {
			t.Errorf("%s again: %v", c.first, err)
		}
		checked := CheckStore(filepath.Join(dir, c.second))
		err := write(c.second)
		if refused := err != nil && strings.Contains(err.Error(), "would share one history, x.history.jsonl"); refused != c.refused || !refused && err != nil {
			t.Errorf("%s beside %s: %v", c.second, c.first, err)
		}
		if fmt.Sprint(checked) != fmt.Sprint(err) {
			t.Errorf("checked: %v, and tried: %v", checked, err)
		}
		// Where both are there already, the later one goes on.
		if !c.refused {
			continue
		}
		for name, saved := range map[string]int64{c.first: T, c.second: T + 1} {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.WriteFile(path+".lock", nil, 0o600), os.Chtimes(path, time.Time{}, time.Unix(saved, 0))); err != nil {
				t.Fatal(err)
			}
		}
		if err := write(c.first); err == nil {
			t.Errorf("%s is written, and %s was saved later", c.first, c.second)
		}
		if err := write(c.second); err != nil {
			t.Errorf("%s was saved later: %v", c.second, err)
		}
	}
}

// Who waits for a lock in vain hears which.
func TestLockNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	var stores [2]*Store
	for i := range stores {
		s, err := OpenStore(path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	if err := stores[0].Lock(0); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].Lock(0); !errors.Is(err, ErrLocked) || err.Error() != "another pass is running: "+path+".lock is held" {
		t.Error(err)
	}
}
