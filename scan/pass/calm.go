package pass

import (
	"context"
	"fmt"
	"strings"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// Most passes decide nothing, and nobody has touched the kernel since the last one. That is
// told by marks alone; the bans of the ledger stay as they lie in its file.

// calm tells whether the kernel holds what it should without a look at the bans.
func (p *Pass) calm(ctx context.Context, memory *nftables.Memory) bool {
	if p.was == nil || memory == nil || len(p.Judge.Decisions) > 0 ||
		len(p.Lists) > 0 || len(knownLists(p.volatile)) > 0 || p.volatile.Settled != p.mark(p.Ledger) {
		return false
	}
	if untouched, err := nftables.Untouched(ctx, memory); err != nil || !untouched {
		return false // it will be named, or mended
	}
	p.rests = true
	p.Trace = append(p.Trace, "kernel: nothing to do: untouched, and nothing was decided")
	p.leftOut(p.volatile.LeftOut)
	return true
}

// leftOut tells of the bans that the kernel does not get.
func (p *Pass) leftOut(n int) {
	if p.volatile.LeftOut = n; n > 0 {
		p.Warn("%s %s beyond max_bans = %d: in the ledger, not in the kernel", state.Plural(n, "ban"), state.Be(n), p.Kernel.MaxBans)
	}
}

// settled notes what the kernel was brought to, once that is saved.
func (p *Pass) settled() {
	if p.rests {
		return
	}
	if p.volatile.Settled = ""; p.volatile.Kernel != nil {
		p.volatile.Settled = p.mark(p.Ledger)
	}
}

// stayed tells whether the ledger, as it was loaded, is that of the last pass, as far as is
// known, and was not put back from a backup.
func (p *Pass) stayed(ledger *state.State) bool {
	if p.volatile.Settled != "" && p.marked == "" { // asked twice
		p.marked = p.mark(ledger)
	}
	return p.volatile.Settled == p.marked
}

// mark is another one where bans were decided or taken back, which the history counts, or
// where the configuration gives them another shape.
func (p *Pass) mark(ledger *state.State) string {
	var text strings.Builder
	fmt.Fprintln(&text, ledger.History, p.Kernel)
	for _, name := range ledger.Names() {
		jail := ledger.Jails[name]
		fmt.Fprintln(&text, name, jail.Reach, jail.Prefixes)
	}
	return state.Hash(text.String())
}
