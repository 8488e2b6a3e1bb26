package check

import (
	"context"
	"fmt"

	"scan2ban/state/report"
)

// What a pass takes in a flood, measured with the program itself: see "Small hosts" in
// README.md.
const (
	memoryLeast  = 4 << 20
	memoryPerKey = 512 // bytes for each address with a window
)

// memory says whether a flood fits into what is free: a pass that the kernel ends bans
// nobody.
func memory(_ context.Context, c *checker, found *report.Findings) {
	free, known := c.world.memory()
	name, most := "", 0
	for of, r := range c.Rules {
		if r.MaxTracked > most || r.MaxTracked == most && of < name {
			name, most = of, r.MaxTracked
		}
	}
	if !known || most == 0 {
		return
	}
	if need := memoryLeast + int64(most)*memoryPerKey; need > free {
		fits := max(1000, (free-memoryLeast)/memoryPerKey/1000*1000)
		found.Warn("memory", fmt.Sprintf("%d MB are free, and a flood of addresses may take %d: jail %q tracks up to %d (max_tracked)", free>>20, need>>20, name, most),
			fmt.Sprintf("max_tracked = %d under [defaults], and where a jail has its own", fits))
		return
	}
	found.OK("memory", fmt.Sprintf("%d MB are free", free>>20))
}
