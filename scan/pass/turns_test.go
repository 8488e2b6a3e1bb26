package pass

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/scan/filter"
	"scan2ban/state"
)

var turnsLogs = flag.Uint64("turns", 6, "logs of TestTurns")

// turning is a host whose jail reads the journal or one of two log files that hold the same,
// now this and now that.
type turning struct {
	*recounting
	dice  *rand.Rand
	logs  [2]string
	steps []string
}

func newTurning(t *testing.T, seed uint64) *turning {
	r := &turning{recounting: newRecounting(t), dice: rand.New(rand.NewPCG(seed, 0))}
	r.setup.JournalPath = r.dir
	if dir, err := os.MkdirTemp("/dev/shm", "s2b-turns"); err == nil { // no disk is waited for
		t.Cleanup(func() { os.RemoveAll(dir) })
		r.setup.StatePath = filepath.Join(dir, "state.json")
	}
	r.setup.Kernel.Backend = nftables.ByHooks // the kernel has no part in it
	rules := r.setup.Rules["sshd"]
	rules.BanTime = state.Duration([]time.Duration{2 * time.Minute, 20 * time.Minute, time.Hour}[r.dice.IntN(3)])
	for i := range r.logs {
		r.logs[i] = filepath.Join(t.TempDir(), fmt.Sprintf("%c.log", 'a'+i))
	}
	if r.dice.IntN(2) == 0 { // other jails read them too
		all := r.setup.Watches[0]
		all.Paths = r.logs[:1]
		for _, all.Backend = range []filter.Backend{filter.File, filter.Journal} {
			all.Jail = "all " + string(all.Backend)
			r.setup.Watches = append(r.setup.Watches, all)
			rules := *rules
			rules.MaxRetry = 1000
			r.setup.Rules[all.Jail] = &rules
		}
	}
	return r
}

// source is what the jail reads from now on: 0 the journal, else a log.
func (r *turning) source(n int) {
	w := &r.setup.Watches[0]
	if w.Backend, w.Paths = filter.Auto, r.logs[:]; n > 0 {
		w.Backend, w.Paths = filter.File, r.logs[n-1:n]
	}
}

// fails writes a failure to the journal and to both logs.
func (r *turning) fails(address string, at int64) {
	r.failsTwice(r.logs[0], at, address)
	appendLine(r.t, r.logs[1], at, address)
}

// killed is a pass that ends before it has changed anything.
func (r *turning) killed(now int64) { r.read(now).Close() }

// cut is a pass that is stopped after so many steps, before it has read all, and saves.
func (r *turning) cut(now int64, after int) {
	s := r.setup
	s.Now = time.Unix(now, 0)
	p, err := Begin(s)
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p.Step = func(int64) {
		if after--; after <= 0 {
			stop()
		}
	}
	p.Read(ctx)
	p.Commit(context.Background())
}

// sshd are the bans of the jail, sorted.
func (r *turning) sshd() (list []string) {
	for _, b := range r.bans() {
		if strings.HasPrefix(b, "sshd ") {
			list = append(list, b)
		}
	}
	slices.Sort(list)
	return list
}

// TestTurns: however often a jail changes its source, it bans as if it had read one all the
// time, though passes are killed, and end before they have read all.
//
//	go test ./scan/pass -run Turns -turns 100
func TestTurns(t *testing.T) {
	bans, turns := 0, 0
	for seed := range *turnsLogs {
		want, _ := turned(t, seed, false)
		got, r := turned(t, seed, true)
		bans += len(want)
		turns += strings.Count(strings.Join(r.steps, ""), "turn")
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: bans\n%s\nwant\n%s\n%s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"), strings.Join(r.steps, "\n"))
		}
	}
	if n := int(*turnsLogs); bans < 3*n || turns < 6*n {
		t.Errorf("%d bans, %d turns", bans, turns)
	}
}

// turned gives the bans of a log, read in the journal or in turns.
func turned(t *testing.T, seed uint64, turns bool) ([]string, *turning) {
	r := newTurning(t, seed)
	say := func(format string, args ...any) { r.steps = append(r.steps, fmt.Sprintf(format, args...)) }
	now := int64(recountBegin)
	r.fails("198.51.100.1", now) // there is a journal
	r.source(0)
	deeds := rand.New(rand.NewPCG(seed, 1))
	for range 25 {
		for range r.dice.IntN(4) {
			now += int64(r.dice.IntN(3)) * int64(r.dice.IntN(200))
			address := fmt.Sprintf("203.0.113.%d", r.dice.IntN(3))
			r.fails(address, now)
			say("%d %s", now-recountBegin, address)
		}
		now += 2
		if to := deeds.IntN(6); turns && to < 3 {
			r.source(to)
			say("%d turn to %d", now-recountBegin, to)
		}
		deed := deeds.IntN(6)
		switch {
		case r.dice.IntN(10) == 0:
			say("%d unban", now-recountBegin)
			r.pass(now)
			r.unban(now, "203.0.113.1")
			continue
		case !turns:
		case deed == 0:
			say("%d killed", now-recountBegin)
			r.killed(now)
			r.source(deeds.IntN(3))
		case deed == 1:
			for _, log := range r.logs {
				if err := errors.Join(os.Rename(log, fmt.Sprint(log, ".", now)), os.WriteFile(log, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			say("rotated")
		case deed == 2:
			say("%d cut", now-recountBegin)
			r.cut(now, 2)
			continue
		}
		r.pass(now)
	}
	r.pass(now + 1)
	return r.sshd(), r
}
