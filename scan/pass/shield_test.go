package pass

import (
	"net/netip"
	"strings"
	"testing"

	"scan2ban/state"
)

// TestShield: who is logged in while a pass with a shield runs is not banned for what he got
// wrong up to then, neither by it nor by the next one, and it is said.
func TestShield(t *testing.T) {
	h := newHost(t)
	attack(h, begin, "203.0.113.7")
	h.setup.Shield = state.NewIgnored()
	h.setup.Shield.Add(state.Single(netip.MustParseAddr("203.0.113.7")), "the client of this session")
	p := h.pass(begin + 60)
	if told := strings.Join(p.Warnings, "\n"); !strings.Contains(told, "203.0.113.7 is the client of this session: not banned") {
		t.Errorf("warnings %q", told)
	}
	h.setup.Shield = nil
	h.pass(begin + 120)
	if bans := h.bans(); len(bans) > 0 {
		t.Errorf("bans %q", bans)
	}
}
