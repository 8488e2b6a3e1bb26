package pass

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// TestMain runs the tests in a network namespace of their own, for passes change
// the ruleset.
func TestMain(m *testing.M) {
	if order := os.Getenv(tortureChild); order != "" {
		os.Exit(tortureMain(order))
	}
	if os.Geteuid() == 0 && os.Getenv("SCAN2BAN_TEST_NETNS") == "" {
		c := exec.Command("unshare", append([]string{"--net"}, os.Args...)...)
		c.Env = append(os.Environ(), "SCAN2BAN_TEST_NETNS=1")
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := c.Run()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "unshare:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// host is a journal and a state directory, passed over as time goes by.
type host struct {
	t       *testing.T
	journal string
	setup   Setup
}

func newHost(t *testing.T) *host {
	if os.Geteuid() != 0 {
		t.Skip("needs root: changes the ruleset of a namespace")
	}
	rules, err := filter.Load("sshd")
	if err := errors.Join(err, nftables.Remove(context.Background())); err != nil {
		t.Fatal(err)
	}
	policy := state.DefaultPolicy()
	policy.MaxRetry, policy.FindTime, policy.BanTime = 3, state.Duration(10*time.Minute), state.Duration(20*time.Minute)
	policy.Escalation.Factor = 2
	dir := t.TempDir()
	h := &host{t: t, journal: filepath.Join(dir, "journal", "system.journal")}
	h.setup = Setup{
		Watches: []scan.Watch{{Jail: "sshd", Matcher: rules.Compile(filter.Aggressive), Terms: rules.Matches()}},
		Rules:   map[string]*state.Rules{"sshd": {Policy: policy, Reach: reach(), Ignored: state.NewIgnored()}},
		State:   state.DefaultOptions(), Kernel: nftables.DefaultOptions(), Write: true,
		StatePath: filepath.Join(dir, "state", "state.json"), JournalPath: filepath.Join(dir, "journal"),
	}
	return h
}

func reach() state.Reach {
	r := state.DefaultReach()
	r.Ports = state.Ports{{From: 22, To: 22}}
	return r
}

// pass runs one at that second.
func (h *host) pass(now int64) *Pass {
	h.t.Helper()
	p := h.tried(now)
	for _, err := range p.Errs {
		h.t.Errorf("pass at %d: %v", now, err)
	}
	return p
}

// tried is one that may fail.
func (h *host) tried(now int64) *Pass {
	h.t.Helper()
	p := h.read(now)
	defer p.Close()
	if h.setup.Write {
		p.Commit(context.Background())
	}
	return p
}

// read is one that has read and judged, and is open.
func (h *host) read(now int64) *Pass {
	h.t.Helper()
	s := h.setup
	s.Now = time.Unix(now, 0)
	p, err := Begin(s)
	if err != nil {
		h.t.Fatal(err)
	}
	p.Read(context.Background())
	return p
}

// bans are those of the history: jail, key, since, until, n.
func (h *host) bans() (list []string) {
	store, err := state.OpenStore(h.setup.StatePath, false)
	if err != nil {
		h.t.Fatal(err)
	}
	defer store.Close()
	err = store.History(nil, func(d state.Decision, _ int64) {
		if d.Verb == state.Banned {
			list = append(list, fmt.Sprint(d.Jail, " ", d.Key, " ", d.Since, " ", *d.Until, " ", d.N))
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func kernel(t *testing.T) map[string]bool {
	k, err := nftables.Dump(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, e := range k.Elements {
		keys[e.Key.String()] = true
	}
	return keys
}

const begin = 1_795_000_000

// TestGrowingJournal: passes over a journal that grows decide what one pass over
// all of it does, and the kernel holds the live bans after each.
func TestGrowingJournal(t *testing.T) {
	log := journaltest.Attack(begin, 900)
	whole := newHost(t)
	journaltest.Write(t, whole.journal, log)
	end := log[len(log)-1].Time/1e6 + 1
	whole.pass(end)
	want := whole.bans()
	if len(want) < 8 {
		t.Fatalf("only %d bans: the test tests little", len(want))
	}

	growing := newHost(t)
	for part := range slices.Chunk(log, 137) { // cuts attempts in two, too
		journaltest.Write(t, growing.journal, part)
		now := part[len(part)-1].Time/1e6 + 1
		p := growing.pass(now)
		held := kernel(t)
		for _, b := range p.Ledger.Jail("sshd").Live(now) {
			if !held[b.Key.String()] { // what is over leaves by the kernel's clock, which the test does not move
				t.Errorf("at %d the kernel does not hold %s", now, b.Key)
			}
		}
		growing.pass(now) // and an idle one
	}
	if got := growing.bans(); !slices.Equal(got, want) {
		t.Errorf("in parts\n%s\nas a whole\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestIdlePassesWriteNothing: within an hour, and with failures within the
// checkpoint, the state is not written; what was read is read again.
func TestIdlePassesWriteNothing(t *testing.T) {
	h := newHost(t)
	log := journaltest.Attack(begin, 5)
	journaltest.Write(t, h.journal, log[:4])
	h.pass(begin + 60)
	written := func() time.Time {
		info, err := os.Stat(h.setup.StatePath)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	first := written()
	for now := int64(begin + 120); now < begin+600; now += 60 {
		if p := h.pass(now); p.Entries != 0 {
			t.Errorf("%d entries read again though the position was saved", p.Entries)
		}
	}
	if !written().Equal(first) {
		t.Error("an idle pass wrote the state")
	}
	journaltest.Write(t, h.journal, log[4:6])
	p := h.pass(begin + 661) // due: the checkpoint is over, and something changed
	if p.Entries != 2 || written().Equal(first) {
		t.Errorf("%d entries, written %v; want 2, and the state written", p.Entries, !written().Equal(first))
	}
	second := written()
	journaltest.Write(t, h.journal, log[6:8])
	for range 3 {
		if p := h.pass(begin + 720); p.Entries != 2 || p.Failures != 1 {
			t.Errorf("%d entries, %d failures; want 2 and 1 each time until they are saved", p.Entries, p.Failures)
		}
	}
	if !written().Equal(second) {
		t.Error("a pass that decided nothing wrote the state before its checkpoint")
	}
	if h.pass(begin + 661 + 3600); written().Equal(second) {
		t.Error("a position was not saved for an hour")
	}
}

// TestRepair: whatever happens to the ruleset between two passes is mended.
func TestRepair(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.pass(begin + 430)
	started := time.Now()
	want := kernel(t)
	if len(want) == 0 {
		t.Fatal("nobody is banned")
	}
	for _, harm := range []string{"flush ruleset", "flush set inet scan2ban sshd4", "flush chain inet scan2ban prerouting", "add table inet other", "delete table inet scan2ban"} {
		if text, err := exec.Command("nft", harm).CombinedOutput(); err != nil {
			t.Fatalf("nft %s: %v\n%s", harm, err, text)
		}
		p := h.pass(begin + 431 + int64(time.Since(started).Seconds())) // the kernel's clock goes on
		if held := kernel(t); !maps.Equal(held, want) {
			t.Errorf("after %q the kernel holds %v, want %v", harm, held, want)
		}
		if harmless := harm == "add table inet other"; (p.Repaired == 0) != harmless {
			t.Errorf("after %q %d pieces mended", harm, p.Repaired)
		}
		rules, _ := exec.Command("nft", "list", "chain", "inet", "scan2ban", "prerouting").Output()
		if !strings.Contains(string(rules), "ip saddr @sshd4 drop") {
			t.Errorf("after %q the chain is\n%s", harm, rules)
		}
	}
	r := h.setup.Rules["sshd"]
	r.Ports = state.Ports{{From: 2222, To: 2222}}
	h.pass(begin + 432 + int64(time.Since(started).Seconds()))
	rules, _ := exec.Command("nft", "list", "chain", "inet", "scan2ban", "prerouting").Output()
	if !strings.Contains(string(rules), "tcp dport 2222 ip saddr @sshd4 drop") || !maps.Equal(kernel(t), want) {
		t.Errorf("after another port in the configuration:\n%s%v", rules, kernel(t))
	}
}

// TestDryRun is the same judging and leaves no trace.
func TestDryRun(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.setup.Write = false
	dry := h.pass(begin + 430)
	if _, err := os.Stat(filepath.Dir(h.setup.StatePath)); err == nil {
		t.Error("a dry run made the state directory")
	}
	h.setup.Write = true
	wet := h.pass(dry.Now.Unix())
	ids := func(p *Pass) (list []string) {
		for _, d := range p.Judge.Decisions {
			list = append(list, string(d.Verb)+" "+d.ID)
		}
		return list
	}
	if !slices.Equal(ids(dry), ids(wet)) || len(ids(wet)) < 2 {
		t.Errorf("dry %v\nwet %v", ids(dry), ids(wet))
	}
	h.setup.Write, h.setup.Past, h.setup.StatePath = false, true, filepath.Join(t.TempDir(), "none", "state.json")
	early := h.pass(begin + 10)
	if early.Entries != 4 {
		t.Errorf("a pass at a moment of the past read %d entries, want 4", early.Entries)
	}
}

// TestAnotherJournal: a copied journal is looked at by itself, whatever the state
// says of the host's.
func TestAnotherJournal(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	n := h.pass(begin + 430).Entries
	other := filepath.Join(t.TempDir(), "other.journal")
	journaltest.Write(t, other, journaltest.Attack(begin-86400, 60))
	h.setup.JournalPath, h.setup.Write = other, false
	p := h.pass(begin + 430)
	if p.Entries != n || len(p.Judge.Decisions) < 2 {
		t.Errorf("%d entries of the other journal, %d decisions; want %d and some", p.Entries, len(p.Judge.Decisions), n)
	}
}

// TestAdoption: what only the kernel knows of survives the loss of the state.
func TestAdoption(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.pass(begin + 430)
	want := kernel(t)
	if err := errors.Join(os.RemoveAll(filepath.Dir(h.setup.StatePath)), os.Remove(h.journal)); err != nil {
		t.Fatal(err)
	}
	journaltest.Write(t, h.journal, journaltest.Attack(begin+420, 1))
	p := h.pass(begin + 440)
	if held := kernel(t); !maps.Equal(held, want) || len(want) == 0 {
		t.Errorf("the kernel holds %v, want %v", held, want)
	}
	if n := len(p.Ledger.Jail("sshd").Live(begin + 440)); n != len(want) {
		t.Errorf("%d bans in the ledger, want %d", n, len(want))
	}

	// but not what is to be ignored by now
	if err := os.RemoveAll(filepath.Dir(h.setup.StatePath)); err != nil {
		t.Fatal(err)
	}
	me, err := state.ParsePrefix(slices.Sorted(maps.Keys(want))[0])
	if err != nil {
		t.Fatal(err)
	}
	h.setup.Rules["sshd"].Ignored.Add(me, "ignoreip")
	h.pass(begin + 450)
	if held := kernel(t); held[me.String()] || len(held) != len(want)-1 {
		t.Errorf("%s is to be ignored, the kernel holds %v", me, held)
	}
}

// TestAdoptionInterrupted: so does it when the pass that makes the state anew was to end before
// it had read all.
func TestAdoptionInterrupted(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 60))
	h.pass(begin + 430)
	want := kernel(t)
	if err := errors.Join(os.RemoveAll(filepath.Dir(h.setup.StatePath)), os.Remove(h.journal)); err != nil {
		t.Fatal(err)
	}
	journaltest.Write(t, h.journal, journaltest.Attack(begin+420, 1))
	s := h.setup
	s.Now = time.Unix(begin+440, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Read(ctx)
	p.Commit(ctx)
	p.Close()
	h.pass(begin + 450)
	if held := kernel(t); !maps.Equal(held, want) || len(want) == 0 {
		t.Errorf("the kernel holds %v, want %v", held, want)
	}
}

// TestEntriesFromTheFuture: a clock that was ahead cannot ban for years.
func TestEntriesFromTheFuture(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin+10*365*86400, 12))
	p := h.pass(begin)
	for _, b := range p.Ledger.Jail("sshd").Live(begin) {
		if b.Since > begin+60 {
			t.Errorf("%s is banned from %d on, the clock is at %d", b.Key, b.Since, begin)
		}
	}
	if len(p.Ledger.Jail("sshd").Live(begin)) == 0 {
		t.Error("nobody is banned")
	}

	// and a window that was opened by such entries is not forgotten
	h = newHost(t)
	one := journaltest.Attack(begin+7200, 1)
	journaltest.Write(t, h.journal, slices.Concat(one, one))
	h.pass(begin)
	journaltest.Write(t, h.journal, journaltest.Attack(begin+10, 1))
	if n := len(h.pass(begin + 60).Ledger.Jail("sshd").Live(begin + 60)); n != 1 {
		t.Errorf("%d bans, want 1: two failures from the future and one of now are three", n)
	}
}

// TestReadingFails: what was read before an error is judged once, not again at
// every pass.
func TestReadingFails(t *testing.T) {
	if journal.Default() != "journalctl" {
		return // the static build runs it: only a child can be made to fail at will
	}
	real, err := exec.LookPath("journalctl")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	for _, end := range []string{"exit 1", "kill -9 $$"} { // it gives the file up; it was killed
		h := newHost(t)
		journaltest.Write(t, h.journal, journaltest.Attack(begin, 6)) // two attempts of each of three addresses
		fake := "#!/bin/sh\n" + real + ` "$@"; case "$*" in *--lines=1*) ;; *) ` + end + " ;; esac\n"
		if err := os.WriteFile(filepath.Join(bin, "journalctl"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			s := h.setup
			s.Now = time.Unix(begin+60, 0)
			p, err := Begin(s)
			if err != nil {
				t.Fatal(err)
			}
			p.Read(context.Background())
			p.Commit(context.Background())
			p.Close()
			if n == 0 && p.Entries == 0 {
				t.Errorf("%s: nothing was read before", end)
			}
			if p.Entries > 0 && len(p.Errs) == 0 && (end != "exit 1" || len(p.Warnings) == 0) {
				t.Errorf("%s: a reader that failed is no error: %q", end, p.Warnings)
			}
			if n := len(p.Ledger.Jail("sshd").Live(begin + 60)); n != 0 {
				t.Fatalf("%s: %d bans for two attempts each: what was read is counted again", end, n)
			}
		}
	}
}

// What the pass before leaves is read when that has ended.
func TestWaitsForWhatIsLeft(t *testing.T) {
	h := newHost(t)
	const second = 1_795_000_000
	path := h.setup.StatePath
	before, err := state.OpenStore(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Lock(0); err != nil {
		t.Fatal(err)
	}
	ended := time.AfterFunc(200*time.Millisecond, func() {
		if err := (&state.Volatile{LastRun: &state.LastRun{Time: second}}).Save(state.VolatilePath(path)); err != nil {
			t.Error(err)
		}
		before.Close()
	})
	defer ended.Stop()
	h.setup.Now = time.Unix(second, 0)
	p, err := Begin(h.setup)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.LastRun == nil || p.LastRun.Time != second {
		t.Errorf("of the pass before is known: %+v", p.LastRun)
	}
}
