package nftables

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/state/bootid"
)

// Memory is what one Sync tells the next, by way of a file under /run: what
// the kernel looked like when we left it. It is opaque; a nil Memory proves nothing.
type Memory struct {
	Generation uint32 `json:"generation"` // after our last commit; moves with every commit by anybody
	Boot       string `json:"boot"`       // the generation starts again at boot; empty: cannot be read
	Netns      uint64 `json:"netns"`      // and in every network namespace: its inode
	Structure  string `json:"structure"`  // hash of the rendered chain and sets
	// Offset is CLOCK_REALTIME - CLOCK_MONOTONIC in nanoseconds when the table was
	// last read back. Element timeouts run on jiffies, which a clock step does not
	// move and a suspend stops, as it stops CLOCK_MONOTONIC; ends of bans are on
	// the real clock.
	Offset int64 `json:"offset"`
}

// tolerance is how far an end in the kernel may be from the ledger's.
const tolerance = 2 * time.Second

// identify says what there is to compare with a Memory, in this thread's
// network namespace.
func identify(generation uint32, structure string) Memory {
	m := Memory{Generation: generation, Boot: bootid.Running(), Structure: structure}
	var stat unix.Stat_t
	if unix.Stat("/proc/thread-self/ns/net", &stat) == nil {
		m.Netns = stat.Ino
	}
	var real, monotonic unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &real) // cannot fail with these clocks
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic)
	m.Offset = real.Nano() - monotonic.Nano()
	return m
}

// differs tells why the kernel may have changed since m was taken; empty: it
// has not.
func (m *Memory) differs(now Memory) string {
	switch {
	case m == nil:
		return "no memory of the last pass"
	case m.Boot != now.Boot:
		return "the host was rebooted"
	case m.Netns != now.Netns:
		return "another network namespace"
	case m.Structure != now.Structure:
		return "the configuration or the kinds of keys changed"
	case m.Generation != now.Generation:
		return fmt.Sprintf("the ruleset was changed (generation %d, was %d)", now.Generation, m.Generation)
	}
	if step := time.Duration(now.Offset - m.Offset); step.Abs() > tolerance {
		return fmt.Sprintf("the clock was stepped or the host suspended by %v", step.Round(time.Millisecond))
	}
	return ""
}
