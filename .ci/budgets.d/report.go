package main

import (
	"errors"
	"fmt"
)

// reportRow is a report over a backlog: against journalctl, its memory, and with ten
// policies against one.
func (b *bench) reportRow(build build) error {
	dir, err := b.backlog()
	if err != nil {
		return err
	}
	peer, err := b.sshdEntries(dir)
	if err != nil {
		return err
	}
	ours := side{args: []string{build.scan2ban, "report", "--journal", dir, "-c", b.config}}
	p, err := compare(b.slow, ours, peer)
	if err != nil {
		return err
	}
	budget := map[string]float64{"cgo": 1.3}[build.name] // named for the build that reads with libsystemd
	b.table.add(fmt.Sprintf("report over %d sshd entries, against `journalctl -o cat` of the same matches", b.catchUp), build, p, budget)
	_, anonymous, err := peak(3, build, ours)
	if err == nil {
		b.table.size("the same, anonymous memory", build, anonymous, 64e6)
	}
	ten := side{args: append([]string{}, ours.args...)}
	for i := range 9 {
		ten.args = append(ten.args, "--policy", fmt.Sprintf("maxretry=%d,findtime=%dm", i+2, 10*(i+1)))
	}
	p, more := compare(b.slow, ten, ours)
	if more == nil {
		b.table.add("report with ten policies, against the same with one", build, p, 1.5)
	}
	return errors.Join(err, more)
}
