package nftables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"scan2ban/state"
)

// Check tells whether this process may, and this kernel can, do what Sync
// needs. It leaves nothing behind: it proposes a table with one of everything in
// a transaction that ends with a message that must be refused, so the kernel
// looks at all of it and makes none of it true.
//
// No permission wraps fs.ErrPermission; a part that the kernel lacks is named,
// and wraps errors.ErrUnsupported.
func Check(ctx context.Context) error {
	link, err := open(ctx)
	if err != nil {
		return err
	}
	defer link.close()
	if _, err := link.generation(); err != nil {
		return err
	}

	const nothing = "the message that is refused"
	features, b := proposal()
	b.owner = nothing
	b.delSet("no-such-set")
	err = link.commit(b)
	var no *refusal
	switch {
	case errors.Is(err, fs.ErrPermission) || !errors.As(err, &no):
		return explain(fmt.Errorf("propose a table: %w", err))
	case no.owner == nothing:
		return nil
	}
	for _, f := range features {
		if err := no.all[f]; err != nil {
			return explain(fmt.Errorf("%s: %w", f, unsupported(err)))
		}
	}
	return explain(fmt.Errorf("propose a table: %w", unsupported(err)))
}

// proposal writes one of everything that a configuration can ask for, each
// message owned by the feature that it stands for.
func proposal() (features []string, b *batch) {
	b = newBatch("scan2ban-check")
	feature := func(name string, write func()) {
		features = append(features, name)
		b.owner = name
		write()
	}
	group := Group{Name: "check", Reach: state.Reach{Ports: []state.Port{{From: 22, To: 22}, {From: 80, To: 90}}}}
	reject := group
	reject.Reach.BlockType = state.Reject
	v4, v6 := set{name: "check4", group: "check", bits: 32}, set{name: "check6", group: "check", v6: true, bits: 64}
	rules := func(g Group, s set) {
		list, _ := g.rules([]*holding{{set: s}}) // cannot fail: the reach is written above
		for _, r := range list {
			_ = b.rule(r)
		}
	}
	feature("tables of the inet family (CONFIG_NF_TABLES_INET)", func() { b.table(add); b.chain() })
	feature("sets with timeouts and counters (CONFIG_NFT_COUNTER, "+leastLinux+")", func() { b.addSet(v4); b.addSet(v6) })
	feature("interval sets", func() { b.addSet(set{name: "check4_net", group: "check"}) })
	names := []string{"matching the input interface", "connection tracking (CONFIG_NFT_CT)", "matching ICMPv6"}
	for i, r := range append(spared(), transit()...) {
		name := "routing look-ups (CONFIG_NFT_FIB_INET, CONFIG_NFT_FIB_IPV6)"
		if i < len(names) {
			name = names[i]
		}
		feature(name, func() { _ = b.rule(r) })
	}
	feature("dropping IPv4 packets before routing", func() { rules(group, v4) })
	feature("dropping IPv6 packets before routing", func() { rules(group, v6) })
	feature("rejecting before routing, which blocktype = \"reject\" needs (CONFIG_NFT_REJECT_INET, Linux 5.9)", func() { rules(reject, v4) })
	return features, b
}
