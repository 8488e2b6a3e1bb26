package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// side is one of the two commands of a row. Its standard output is thrown away.
type side struct {
	args   []string
	before func() error // untimed, before each run; may be nil
}

// pair is a row's figures: medians, and the quartiles of the ratios.
type pair struct {
	ours, peer      time.Duration
	ratio, low, top float64
	processor       float64 // the ratio of processor time, user and system, children included
}

// cost is what one run took.
type cost struct{ wall, processor time.Duration }

// compare runs the two in turn, once to warm up and then n times. The ratio is
// taken within each pair, so that what slows the machine for a while slows both.
func compare(n int, ours, peer side) (pair, error) {
	var a, b []time.Duration
	var ratios, processor []float64
	for i := range n + 1 {
		x, err := ours.run()
		if err != nil {
			return pair{}, err
		}
		y, err := peer.run()
		if err != nil {
			return pair{}, err
		}
		if i > 0 {
			a, b = append(a, x.wall), append(b, y.wall)
			ratios = append(ratios, float64(x.wall)/float64(y.wall))
			processor = append(processor, float64(x.processor)/float64(y.processor))
		}
	}
	return pair{quantile(a, 0.5), quantile(b, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75), quantile(processor, 0.5)}, nil
}

func quantile[T cmp.Ordered](list []T, q float64) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func (s side) run() (cost, error) {
	if s.before != nil {
		if err := s.before(); err != nil {
			return cost{}, err
		}
	}
	var complaint bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	cmd.Stderr = &complaint
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return cost{}, explain(s.args, err, complaint.Bytes())
	}
	return cost{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// output runs a command and gives what it prints.
func output(args ...string) ([]byte, error) {
	var complaint bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return nil, explain(args, err, complaint.Bytes())
	}
	return text, nil
}

func explain(args []string, err error, complaint []byte) error {
	return fmt.Errorf("%s %s: %w: %s", filepath.Base(args[0]), strings.Join(args[1:min(len(args), 3)], " "), err, bytes.TrimSpace(complaint))
}

// passed is what a pass says of itself.
type passed struct {
	Entries  int
	Failures int
	Banned   []any
	Warnings []string
}

// look runs one pass and gives what it says; warnings are an error, for they
// mean that the pass does something else than what is to be measured.
func (b *bench) look(build build, journal, state string) (passed, error) {
	var p passed
	args := b.pass(build, journal, state, "--json")
	text, err := output(args...)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil && len(p.Warnings) > 0 {
		err = fmt.Errorf("a pass over %s warns: %s", journal, strings.Join(p.Warnings, "; "))
	}
	return p, err
}

// settle makes a state that has read all of the journal, and passes over it
// until nothing is left to do.
func (b *bench) settle(build build, journal, state string) error {
	for range 3 {
		if _, err := b.look(build, journal, state); err != nil {
			return err
		}
	}
	p, err := b.look(build, journal, state)
	if err == nil && p.Entries != 0 {
		err = fmt.Errorf("the pass that was to be idle read %d entries", p.Entries)
	}
	return err
}
