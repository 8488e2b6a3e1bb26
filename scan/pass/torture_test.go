package pass

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
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
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// The torture: passes over a journal and log files that grow, rotate and are
// vacuumed, killed with SIGKILL at random instants and at each system call that
// changes something, on disks that are full, broken or read-only, with damaged
// files, a flushed ruleset, a clock that is stepped, two passes at once and an admin
// in between. After every step the history must be a part of what the model says,
// after every pass that succeeded it must be that, and the kernel must hold the
// live bans.
//
//	go test ./scan/pass -run Torture -v -torture 300 -torture.seed 4
var (
	tortureSteps = flag.Int("torture", tortureDefault, "steps of the torture")
	tortureSeed  = flag.Uint64("torture.seed", 1, "what its dice begin with")
)

// The child: a pass of this test binary, in a process that can be killed.
const tortureChild = "SCAN2BAN_TORTURE_PASS"

// torturePass is what the child is to do.
type torturePass struct {
	Dir   string // of the house
	Now   int64
	Unban string // an address or network to be unbanned everywhere; "": a pass only
}

var tortureJails = map[string]modelJail{
	"sshd":     {maxretry: 3, findtime: 600, bantime: 1200, factor: 2, count: 2, net4: 29, net6: 62},
	"vsftpd":   {maxretry: 4, findtime: 900, bantime: 900},
	"recidive": {maxretry: 3, findtime: 4 * 3600, bantime: 6 * 3600, ledger: true},
}

func tortureSetup(dir string) (Setup, error) {
	s := Setup{Rules: map[string]*state.Rules{}, State: state.DefaultOptions(), Kernel: nftables.DefaultOptions(), Write: true,
		StatePath: filepath.Join(dir, "state", "state.json"), JournalPath: filepath.Join(dir, "journal")}
	s.State.Checkpoint = state.Duration(2 * time.Minute)
	for name, j := range tortureJails {
		policy := state.DefaultPolicy()
		policy.MaxRetry, policy.FindTime, policy.BanTime = j.maxretry, seconds(j.findtime), seconds(j.bantime)
		policy.Escalation.Factor = float64(j.factor)
		policy.Subnets = state.Subnets{Count: j.count, IPv4: j.net4, IPv6: j.net6}
		s.Rules[name] = &state.Rules{Policy: policy, Reach: reach(), Ignored: state.NewIgnored(), Ledger: j.ledger}
		if j.ledger {
			continue
		}
		f, err := filter.Load(name)
		if err != nil {
			return s, err
		}
		w := scan.Watch{Jail: name, Matcher: f.Compile(filter.Normal), Backend: filter.Journal, Terms: f.Matches()}
		if name == "vsftpd" {
			w = scan.Watch{Jail: name, Matcher: f.Compile(filter.Normal), Backend: filter.File, Paths: []string{filepath.Join(dir, "log", "vsftpd.log")}, Zone: time.UTC}
		}
		s.Watches = append(s.Watches, w)
	}
	return s, nil
}

func seconds(n int) state.Duration { return state.Duration(time.Duration(n) * time.Second) }

// tortureMain is the child's: what failed on standard error, and exit code 1.
func tortureMain(order string) int {
	var do torturePass
	err := json.Unmarshal([]byte(order), &do)
	if err == nil {
		var s Setup
		if s, err = tortureSetup(do.Dir); err == nil {
			s.Now = time.Unix(do.Now, 0)
			err = do.run(s)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (do torturePass) run(s Setup) error {
	p, err := Begin(s)
	if err != nil {
		return err
	}
	defer p.Close()
	ctx := context.Background()
	p.Read(ctx)
	if do.Unban != "" {
		keys, err := Keys([]string{do.Unban})
		if err != nil {
			return err
		}
		if err := p.Unban(ByHand{Keys: keys}); err != nil {
			return err
		}
	}
	p.Commit(ctx)
	for _, err := range p.Errs {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(p.Errs) > 0 {
		return fmt.Errorf("%d errors", len(p.Errs))
	}
	return nil
}

// house is where the torture happens.
type house struct {
	t    *testing.T
	dir  string
	dice *rand.Rand
	now  int64 // log time; the clock of a pass may be elsewhere

	over    map[string]bool // bans that had ended by the clock of a pass that succeeded
	clock   int64           // of the last pass
	adopted map[string]bool // bans that only a rebuild knows of
	spent   map[string]bool // elements whose ends the passes' clock has left behind, "JAIL KEY"

	events  []modelEvent
	pardons []modelPardon
	archive int // journal files and log files rotated away so far
	pid     int // of the last sshd process

	touched bool // the ruleset was, since the last pass began
	exact   bool // and had been when that began: it must have read the ruleset

	passes, kills, faults, harms int
}

func TestTorture(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a disk and changes the ruleset of a namespace")
	}
	for _, tool := range []string{"strace", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if err := nftables.Remove(context.Background()); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	for step := range *tortureSteps {
		what := h.step(step)
		if h.check(false, what); t.Failed() {
			t.Fatalf("step %d with seed %d: %s", step, *tortureSeed, what)
		}
	}
	h.pass(h.now + 1)
	bans, _ := modelBans(tortureJails, h.events, h.pardons)
	networks := 0
	for _, b := range bans {
		if b.network {
			networks++
		}
	}
	t.Logf("seed %d: %d steps, %d passes, %d of them killed, %d met a fault, %d harms between passes; %d failures, %d bans, %d of them of networks, %d unbans; 0 violations",
		*tortureSeed, *tortureSteps, h.passes, h.kills, h.faults, h.harms, len(h.events), len(bans), networks, len(h.pardons))
	if *tortureSteps >= 50 && (len(bans) < *tortureSteps/20 || h.kills < *tortureSteps/20) {
		t.Errorf("few bans or kills: the torture tortures little")
	}
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, dir: t.TempDir(), dice: rand.New(rand.NewPCG(*tortureSeed, 0)), now: begin, over: map[string]bool{}, adopted: map[string]bool{}}
	disk := filepath.Join(h.dir, "state")
	for _, dir := range []string{disk, filepath.Join(h.dir, "log")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.must("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "s2b-torture", disk)
	t.Cleanup(func() { exec.Command("umount", disk).Run() })
	h.must("nft", "add", "table", "inet", "neighbour")
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "inet", "neighbour").Run() })
	for h.pid == 0 { // until there is a journal
		h.grow()
	}
	h.pass(h.now + 1)
	return h
}

// step lets something happen, and says what.
func (h *house) step(n int) string {
	h.now += int64(1 + h.dice.IntN(90))
	h.grow()
	if h.dice.IntN(2) == 0 {
		h.harm()
	}
	switch h.dice.IntN(9) {
	case 0, 1:
		h.pass(h.now + 1)
		return "a pass"
	case 2: // ahead and back: what is over at that clock is over
		h.pass(h.now + 1) // a damaged state is not made anew by such a clock: it would not read back far enough
		h.pass(h.now + 1 + int64(h.dice.IntN(86400)))
		h.pass(h.now + 1)
		return "the clock stepped"
	case 3:
		h.pass(h.now - int64(h.dice.IntN(40)))
		return "the clock behind"
	case 4, 5:
		return h.kill()
	case 6:
		return h.fault(n)
	case 7:
		return h.atOnce()
	}
	return h.unban()
}

// command is a child that makes a pass.
func (h *house) command(do torturePass, with ...string) *exec.Cmd {
	do.Dir = h.dir
	order, err := json.Marshal(do)
	if err != nil {
		h.t.Fatal(err)
	}
	h.passes++
	h.exact, h.touched, h.clock = h.touched, false, do.Now
	if os.Getenv(tortureChild) != "" {
		h.t.Fatal("a child begins a torture of its own")
	}
	c := exec.Command("/proc/self/exe")
	if len(with) > 0 {
		self, err := os.Executable()
		if err != nil {
			h.t.Fatal(err)
		}
		c = exec.Command(with[0], append(with[1:], self)...)
	}
	c.Env = append(os.Environ(), tortureChild+"="+string(order))
	return c
}

// pass is one that must succeed, and what it leaves must be what the model says.
func (h *house) pass(now int64) {
	h.t.Helper()
	if said, err := h.command(torturePass{Now: now}).CombinedOutput(); err != nil {
		h.t.Fatalf("a pass in peace fails: %v\n%s", err, said)
	}
	bans, _ := modelBans(tortureJails, h.events, h.pardons)
	for _, b := range bans {
		if b.until <= now {
			h.over[b.String()] = true
		}
	}
	h.check(true, "a pass in peace")
}

// history reads what the state vouches for.
func (h *house) history() (bans []string) {
	store, err := state.OpenStore(filepath.Join(h.dir, "state", "state.json"), false)
	if err != nil {
		h.t.Fatal(err)
	}
	defer store.Close()
	vouched := int64(1 << 62)
	if s, err := store.Load(); err == nil {
		vouched = s.History.Length
	}
	live := map[string]string{}
	err = store.History(nil, func(d state.Decision, end int64) {
		if end > vouched || d.Key == nil {
			return
		}
		at := fmt.Sprint(d.Jail, " ", d.Key)
		switch d.Verb {
		case state.Banned:
			line := fmt.Sprint(at, " ", d.Since, " ", *d.Until, " ", d.N)
			if d.Rule == "found in the kernel" {
				h.adopted[at] = true // by a rebuild, an element whose end the passes' clock had left behind
				return
			}
			if slices.Contains(bans, line) {
				h.t.Errorf("recorded twice: %s", line)
			}
			bans, live[at] = append(bans, line), line
		case state.Released:
			h.t.Errorf("released: %s", live[at])
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	slices.Sort(bans)
	return bans
}

// check compares with the model; good says that all that was logged has been judged.
func (h *house) check(good bool, what string) {
	h.t.Helper()
	model, undone := modelBans(tortureJails, h.events, h.pardons)
	want := map[string]modelBan{}
	for _, b := range model {
		want[b.String()] = b
	}
	got := h.history()
	for _, line := range got {
		if _, ok := want[line]; !ok {
			h.t.Errorf("after %s the history has a ban that is none: %s", what, line)
		}
	}
	if !good {
		return
	}
	for line, b := range want {
		if _, ok := slices.BinarySearch(got, line); !ok {
			h.t.Errorf("after %s the history lacks %s %v", what, line, undone[b])
		}
	}
	held, ended := h.kernel(), map[string]bool{}
	for _, b := range model {
		at := b.jail + " " + shown(b.key)
		switch {
		case undone[b]:
		case h.clock < b.until && !h.over[b.String()]:
			if !held[at] && b.until-h.clock > margin {
				h.t.Errorf("after %s the kernel does not hold %s", what, b)
			}
			delete(held, at)
		case h.clock < b.until: // had ended by a clock that was ahead: whether it lives again is open
			ended[at] = true
		case !h.exact: // leaves by the kernel's own clock, which is not moved here
			ended[at] = true
		}
	}
	for at := range held {
		if !ended[at] && !h.spent[at] && !h.adopted[at] {
			h.t.Errorf("after %s the kernel holds %s, which is not banned", what, at)
		}
	}
	if err := exec.Command("nft", "list", "table", "inet", "neighbour").Run(); err != nil {
		h.t.Errorf("after %s another's table is gone", what)
	}
}

// margin is how many seconds a ban may have left by the clock of the passes and be over by
// the kernel's, which a slow machine lets run faster for once.
const margin = 60

// fading is with how many seconds left a pass leaves an element to the kernel's clock.
const fading = 3

// kernel is what nft shows in our sets: "JAIL KEY".
func (h *house) kernel() map[string]bool {
	h.spent = map[string]bool{}
	text, err := exec.Command("nft", "-j", "list", "table", "inet", "scan2ban").Output()
	if err != nil {
		h.t.Fatalf("nft list: %v", err)
	}
	var listed struct {
		Nftables []struct {
			Set *struct {
				Name string `json:"name"`
				Elem []struct {
					Elem struct {
						Val     json.RawMessage `json:"val"`
						Expires int             `json:"expires"` // whole seconds
					} `json:"elem"`
				} `json:"elem"`
			} `json:"set"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		h.t.Fatalf("nft list: %v\n%s", err, text)
	}
	held := map[string]bool{}
	for _, o := range listed.Nftables {
		if o.Set == nil {
			continue
		}
		for _, e := range o.Set.Elem {
			name := strings.TrimRight(strings.TrimSuffix(o.Set.Name, "_net"), "46")
			keys, err := elementKeys(tortureJails[name], e.Elem.Val)
			if err != nil {
				h.t.Fatalf("set %s: %v\n%s", o.Set.Name, err, text)
			}
			for _, key := range keys {
				if e.Elem.Expires <= fading {
					h.spent[name+" "+shown(key)] = true
				}
				held[name+" "+shown(key)] = true
			}
		}
	}
	return held
}

func (h *house) must(args ...string) {
	h.t.Helper()
	if said, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// grow logs some failures of the next seconds, in the journal and in a file.
func (h *house) grow() {
	var entries []journaltest.Entry
	var lines strings.Builder
	for range h.dice.IntN(12) {
		h.now += int64(h.dice.IntN(20))
		addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + h.dice.IntN(12))})
		if h.dice.IntN(3) == 0 {
			addr = netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::%x", 1+h.dice.IntN(4), 1+h.dice.IntN(200)))
		}
		e := modelEvent{h.now, "sshd", addr}
		if h.dice.IntN(3) == 0 {
			e.jail = "vsftpd"
			fmt.Fprintf(&lines, "%s [pid %d] [root] FAIL LOGIN: Client %q\n", time.Unix(e.at, 0).UTC().Format("Mon Jan _2 15:04:05 2006"), h.dice.IntN(9999), addr)
		} else {
			h.pid++
			entries = append(entries, journaltest.Entry{Time: e.at*1e6 + int64(len(entries)), Message: fmt.Sprintf("Failed password for root from %s port %d ssh2", addr, 1024+h.pid%60000),
				Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(1000 + h.pid)}})
		}
		h.events = append(h.events, e)
	}
	if len(entries) > 0 {
		journaltest.Write(h.t, filepath.Join(h.dir, "journal", "system.journal"), entries)
	}
	f, err := os.OpenFile(filepath.Join(h.dir, "log", "vsftpd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(lines.String())
		f.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}
