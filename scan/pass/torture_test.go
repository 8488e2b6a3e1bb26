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

	"scan2ban/ban/nftables"
)

// The torture: passes over a journal and log files that grow, rotate and are
// vacuumed, killed with SIGKILL at random instants and at each system call that
// changes something, on disks that are full, broken or read-only, with damaged
// files, a flushed ruleset, a clock that is stepped, two passes at once and an admin
// in between. After every step history, state and kernel must hold nothing that the
// model does not say; after every pass that succeeded, all of it.
//
//	go test ./scan/pass -run Torture -v -torture 300 -torture.seed 4
//
// Each kind of deed is done once, in an order that the seed says, and then any of
// them; the test fails when one was never done. Fewer steps than there are kinds do
// what they can.
var (
	tortureSteps = flag.Int("torture", tortureDefault, "steps of the torture")
	tortureSeed  = flag.Uint64("torture.seed", 1, "what its dice begin with")
)

const byHand = "by-hand"

const tortureMemory = 24 * 3600

// tortureBegin is long ago: by the time of the log its files must not have been changed
// in the past.
const tortureBegin = begin - 1e8

// tortureJails are those of the model; the pass knows of bans by hand itself.
var tortureJails = map[string]modelJail{
	"sshd":     {maxretry: 3, findtime: 600, bantime: 1200, factor: 2, most: 3600, count: 2, net4: 29, net6: 62, memory: tortureMemory},
	"vsftpd":   {maxretry: 4, findtime: 900, bantime: 900, most: 900, memory: tortureMemory},
	"recidive": {maxretry: 3, findtime: 4 * 3600, bantime: 6 * 3600, most: 6 * 3600, ledger: true, memory: tortureMemory},
	byHand:     {net4: 28, net6: 62},
}

// house is where the torture happens.
type house struct {
	t     *testing.T
	dir   string
	dice  *rand.Rand
	now   int64 // log time; the clock of a pass may be elsewhere
	model *model

	events  []modelEvent // of late
	waiting []modelEvent // that no log has yet
	archive int          // journal files and log files rotated away so far
	rotated map[string]int64
	rotate  int64 // when the journal was
	boot    int
	booted  int64
	pid     int // of the last sshd process
	fresh   int // addresses that are used once

	over    map[modelBan]bool // bans that had ended by the clock of a pass that succeeded
	clock   int64             // of the last pass
	adopted map[string]bool   // bans that only a rebuild knows of
	asked   map[string]bool   // whom a command was to ban, done or not, "JAIL KEY"
	failed  map[netip.Addr]bool
	spent   map[string]bool // elements whose ends the passes' clock has left behind, "JAIL KEY"
	lingers map[string]bool // elements of unbanned ones that no pass knew of any more
	read    history         // what was in the history at the last look
	spoiled []byte          // the state as a harm has left it

	trial torturePass // an admin's command that may have been done, or not

	touched bool // the ruleset was, since the last pass began
	exact   bool // and had been when that began: it must have read the ruleset

	passes, kills, faults, failures int
	done                            map[string]int // how often each deed was
}

func TestTorture(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a disk and changes the ruleset of a namespace")
	}
	for _, tool := range []string{"strace", "nft", "prlimit"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if err := nftables.Remove(context.Background()); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	deeds, harms := newDeck(h, deeds()), newDeck(h, harms())
	list := slices.Concat(deeds.list, harms.list)
	whole := *tortureSteps >= 3*len(list)/4
	for step := 0; step < *tortureSteps || whole && step < 2**tortureSteps && len(deeds.left)+len(harms.left) > 0; step++ {
		h.now += int64(1 + h.dice.IntN(90))
		h.grow()
		what := "nothing before"
		if h.dice.IntN(3) == 0 {
			what = harms.next(h)
		}
		what += ", " + deeds.next(h)
		if t.Failed() {
			t.Fatalf("step %d with seed %d: %s", step, *tortureSeed, what)
		}
	}
	h.pass(h.now + 1)
	h.report(list, whole)
}

// report prints what was done, and fails when something was not that was to be.
func (h *house) report(list []deed, whole bool) {
	var table strings.Builder
	for _, d := range list {
		fmt.Fprintf(&table, "\n%6d  %s", h.done[d.name], d.name)
		if h.done[d.name] == 0 && whole {
			h.t.Errorf("never done: %s", d.name)
		}
	}
	networks := 0
	for _, b := range h.model.bans {
		if b.network {
			networks++
		}
	}
	h.t.Logf("seed %d: %d steps, %d passes, %d of them killed, %d met a fault; %d failures, %d bans, %d of them of networks, %d taken back; 0 violations%s",
		*tortureSeed, *tortureSteps, h.passes, h.kills, h.faults, h.failures, len(h.model.bans), networks, len(h.model.undone), table.String())
	if *tortureSteps >= 50 && len(h.model.bans) < *tortureSteps/5 {
		h.t.Errorf("few bans: the torture tortures little")
	}
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, dir: t.TempDir(), dice: rand.New(rand.NewPCG(*tortureSeed, 0)), now: tortureBegin, rotate: tortureBegin, booted: tortureBegin - 1000, boot: 1,
		model: newModel(tortureJails), rotated: map[string]int64{}, over: map[modelBan]bool{}, adopted: map[string]bool{}, asked: map[string]bool{}, failed: map[netip.Addr]bool{}, lingers: map[string]bool{}, done: map[string]int{}}
	h.mount(h.dir, "256m") // no disk is waited for
	for _, dir := range []string{"state", "log"} {
		if err := os.Mkdir(filepath.Join(h.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.mount(filepath.Join(h.dir, "state"), "4m")
	h.must("nft", "add", "table", "inet", "neighbour")
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "inet", "neighbour").Run() })
	for h.pid == 0 { // until there is a journal
		h.grow()
	}
	h.pass(h.now + 1)
	return h
}

func (h *house) mount(at, size string) {
	h.must("mount", "-t", "tmpfs", "-o", "mode=0700,size="+size, "s2b-torture", at)
	h.t.Cleanup(func() { exec.Command("umount", at).Run() })
}

// disk is a name in the state directory.
func (h *house) disk(name string) string { return filepath.Join(h.dir, "state", name) }

// deed is what can be done: do says how it went, and whether it came to that.
type deed struct {
	name string
	do   func(h *house) (string, bool)
}

// deck deals each deed once, and then any.
type deck struct{ list, left []deed }

func newDeck(h *house, list []deed) *deck {
	left := slices.Clone(list)
	h.dice.Shuffle(len(left), func(i, k int) { left[i], left[k] = left[k], left[i] })
	return &deck{list, left}
}

func (d *deck) next(h *house) string {
	if len(d.left) == 0 {
		d.left = []deed{d.list[h.dice.IntN(len(d.list))]}
	}
	now := d.left[0]
	what, done := now.do(h)
	for tries := 0; !done && tries < 3 && !h.t.Failed(); tries++ {
		what, done = now.do(h)
	}
	if done {
		h.done[now.name]++
		d.left = d.left[1:]
	} else { // once more, later
		d.left = append(d.left[1:], now)
	}
	return strings.TrimSpace(now.name + " " + what)
}

// command is a child that makes a pass.
func (h *house) command(do torturePass, with ...string) *exec.Cmd {
	do.Dir = h.dir
	order, err := json.Marshal(do)
	if err != nil {
		h.t.Fatal(err)
	}
	if do.Ban != "" {
		h.asked[byHand+" "+do.Ban] = true
	}
	h.flush()
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
	h.succeed(torturePass{Now: now})
	h.check(done, "a pass in peace")
}

// succeed is a child in peace.
func (h *house) succeed(do torturePass) {
	h.t.Helper()
	if said, err := h.command(do).CombinedOutput(); err != nil {
		h.t.Fatalf("a pass in peace fails: %v\n%s", err, said)
	}
	h.elapsed()
}

// elapsed notes the bans that are over by the clock of the last pass: whether it was killed
// or not, it may have dropped them.
func (h *house) elapsed() {
	for _, s := range h.model.states {
		for _, b := range s.last {
			if b.until <= h.clock {
				h.over[b] = true
			}
		}
	}
}

func (h *house) must(args ...string) {
	h.t.Helper()
	if said, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// address is one of those that are seen often.
func (h *house) address() netip.Addr {
	if h.dice.IntN(3) == 0 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::%x", 1+h.dice.IntN(7), 1+h.dice.IntN(200)))
	}
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + h.dice.IntN(16))})
}
