package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A play is a list of steps in one house, in order: later ones build upon earlier.
type play struct {
	name    string
	debians []string           // on which it is played; empty: on all
	alone   bool               // it measures: nothing else may run, and only --only starts it
	init    []string           // the first process of the house, if not systemd
	furnish func(*house) error // before the first boot
	steps   []step
}

type step struct {
	name  string
	limit time.Duration // 0: half a minute
	play  func(*act)
}

var plays = []play{guard, timer, trial, firewall, cron, files, byMail, packaged, attempts}

func playNames() []string {
	var names []string
	for _, p := range plays {
		names = append(names, p.name)
	}
	return names
}

// plays are those asked for.
func (o *options) plays() ([]play, error) {
	var list []play
	if o.only == "" {
		return slices.DeleteFunc(slices.Clone(plays), func(p play) bool { return p.alone }), nil
	}
	for name := range strings.SplitSeq(o.only, ",") {
		i := slices.IndexFunc(plays, func(p play) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--only %s: there is no such play (%s)", name, strings.Join(playNames(), ", "))
		}
		list = append(list, plays[i])
	}
	return list, nil
}

// atOnce is how many houses stand at the same time.
const atOnce = 6

// play plays everything, in the namespaces.
func (o *options) play(ctx context.Context) error {
	houses := filepath.Join(o.inside, "houses")
	if err := os.MkdirAll(houses, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	for _, m := range []struct{ what, where, options string }{{"proc", "/proc", ""}, {"tmpfs", houses, "mode=755"}, {"tmpfs", "/run/netns", "mode=755"}} {
		if err := syscall.Mount(m.what, m.where, m.what, 0, m.options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.what, m.where, err)
		}
	}
	list, err := o.plays()
	if err != nil {
		return err
	}
	t := &table{}
	var wg sync.WaitGroup
	seats := make(chan bool, atOnce)
	for _, p := range list {
		for _, debian := range o.chosen() {
			if p.debians != nil && !slices.Contains(p.debians, debian) {
				continue
			}
			if p.alone {
				wg.Wait()
			}
			seats <- true
			wg.Go(func() {
				o.stage(ctx, t, p, debian, houses)
				<-seats
			})
			if p.alone {
				wg.Wait()
			}
		}
	}
	wg.Wait()
	t.write()
	if t.failed > 0 {
		return fmt.Errorf("%d of %d steps failed", t.failed, len(t.rows))
	}
	if len(t.rows) == 0 {
		return errors.New("nothing was played")
	}
	return nil
}

// stage plays the steps of one play in a new house. A house that does not come up
// fails them all: none is passed over in silence.
func (o *options) stage(ctx context.Context, t *table, p play, debian, houses string) {
	boot, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	h, err := newHouse(boot, houses, os.Getenv("SCENE_CGROUP"), debian, p.name)
	if err == nil {
		h.init = p.init
		if p.furnish != nil {
			err = p.furnish(h)
		}
		err = errors.Join(err, os.WriteFile(h.dir+"/askpass", []byte("#!/bin/sh\necho \"$SCENE_PASSWORD\"\n"), 0o755), h.boot(boot))
	}
	if err == nil {
		err = h.await(boot)
	}
	if err != nil {
		for _, s := range p.steps {
			t.add(row{debian: debian, play: p.name, step: s.name, err: err})
		}
		return
	}
	handed := &past{}
	for _, s := range p.steps {
		a := &act{house: h, work: o.inside, past: handed}
		started := time.Now()
		err := a.do(ctx, s)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, a.scenery(ctx))
		}
		t.add(row{debian: debian, play: p.name, step: s.name, took: time.Since(started), said: strings.Join(a.said, ", "), err: err})
		if err != nil && o.keep && ctx.Err() == nil {
			progress("kept: nsenter -t %d -a; end it with Ctrl-C", a.outerPID())
			<-ctx.Done()
		}
	}
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	h.halt(end, true)
}

// do plays one step and gives what failed.
func (a *act) do(ctx context.Context, s step) (err error) {
	if s.limit == 0 {
		s.limit = 30 * time.Second
	}
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithTimeout(ctx, s.limit)
	defer cancel()
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			err = errors.New(string(f))
			if a.ctx.Err() != nil {
				err = fmt.Errorf("over its limit of %v: %w", s.limit, err)
			}
		default:
			panic(f)
		}
	}()
	s.play(a)
	return nil
}

// outerPID is the leader's number outside of our process namespace.
func (a *act) outerPID() int {
	text, _ := os.ReadFile(filepath.Join(a.group, "payload/init.scope/cgroup.procs"))
	pid := 0
	fmt.Sscan(string(text), &pid)
	return pid
}

// scenery is what one wants to see of a house in which a step failed.
func (a *act) scenery(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var b strings.Builder
	for _, command := range []string{"journalctl -n 50 --no-pager -o short-precise || tail -n 50 /var/log/auth.log", "nft list ruleset", "scan2ban status", "scan2ban banned"} {
		text, code, err := a.inside(ctx, command)
		fmt.Fprintf(&b, "-- %s (%d, %v)\n%s\n", command, code, err, strings.TrimSpace(text))
	}
	return strings.ReplaceAll(b.String(), "\n", "\n        ")
}

// table collects the steps and says them as they end.
type table struct {
	mu     sync.Mutex
	rows   []row
	failed int
}

type row struct {
	debian, play, step, said string
	took                     time.Duration
	err                      error
}

func (r row) verdict() string {
	if r.err != nil {
		return "FAIL"
	}
	return "ok"
}

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
	fmt.Printf("%-4s  %s  %-8s  %5.1f s  %s", r.verdict(), r.debian, r.play, r.took.Seconds(), r.step)
	if r.said != "" {
		fmt.Printf(": %s", r.said)
	}
	fmt.Println()
	if r.err != nil {
		t.failed++
		fmt.Printf("      %v\n", r.err)
	}
}

// write prints the steps once more, the two Debians side by side.
func (t *table) write() {
	type cell struct{ play, step string }
	var order []cell
	cells := map[cell]map[string]row{}
	for _, p := range plays {
		for _, r := range t.rows {
			c := cell{r.play, r.step}
			if r.play == p.name && cells[c] == nil {
				order = append(order, c)
				cells[c] = map[string]row{}
			}
			if r.play == p.name {
				cells[c][r.debian] = r
			}
		}
	}
	fmt.Printf("\n| play | step | %s | |\n|---|---|--:|--:|---|\n", "Debian "+strings.Join(debians, " | Debian "))
	for _, c := range order {
		fmt.Printf("| %s | %s |", c.play, c.step)
		var said []string
		for _, debian := range debians {
			r, ok := cells[c][debian]
			switch {
			case !ok:
				fmt.Print(" - |")
			case r.err != nil:
				fmt.Print(" **FAIL** |")
			default:
				fmt.Printf(" %.1f s |", r.took.Seconds())
			}
			if r.said != "" {
				said = append(said, debian+": "+r.said)
			}
		}
		fmt.Printf(" %s |\n", strings.Join(said, "; "))
	}
	fmt.Printf("\n%d passed, %d failed\n", len(t.rows)-t.failed, t.failed)
}
