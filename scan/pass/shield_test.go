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

// TestShieldUnjudged: a jail that is read and not judged, as one of a container that is not known to
// publish a port, spares nobody, and nobody is banned into it.
func TestShieldUnjudged(t *testing.T) {
	h := newHost(t)
	attack(h, begin, "203.0.113.7")
	h.setup.Shield = state.NewIgnored()
	h.setup.Shield.Add(state.Single(netip.MustParseAddr("203.0.113.7")), "the client of this session")
	h.setup.Rules, h.setup.Kept = nil, map[string]bool{"sshd": true}
	p := h.pass(begin + 60)
	if len(p.Warnings) > 0 || len(p.Shielded) > 0 {
		t.Errorf("warnings %q", p.Warnings)
	}
	if err := p.Ban(ByHand{Keys: []state.Key{state.Key(state.Single(netip.MustParseAddr("203.0.113.8")))}, Jail: "sshd"}); err == nil {
		t.Error("banned, and nothing says in which ports")
	}
}
