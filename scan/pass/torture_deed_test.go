package pass

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"scan2ban/state"
)

// deeds are the passes that one step makes, in peace or not.
func deeds() []deed {
	whole := func(name string, do func(h *house)) deed {
		return deed{name, func(h *house) (string, bool) { do(h); return "", true }}
	}
	return append(faults(),
		whole("a pass", func(h *house) { h.pass(h.now + 1) }),
		whole("the clock ahead and back", func(h *house) {
			h.pass(h.now + 1) // a damaged state is not made anew by such a clock: it would not read back far enough
			h.pass(h.now + 1 + int64(h.dice.IntN(86400)))
			h.pass(h.now + 1)
		}),
		whole("the clock behind", func(h *house) { h.pass(h.now - int64(h.dice.IntN(40))) }),
		whole("two passes at once", (*house).atOnce),
		whole("an unban", func(h *house) {
			h.obey(torturePass{Now: h.now + 1, Unban: shown(modelKey(h.events[h.dice.IntN(len(h.events))].addr))})
		}),
		whole("an unban of everybody", func(h *house) { h.obey(torturePass{Now: h.now + 1, Unban: "all"}) }),
		whole("a ban by hand", func(h *house) {
			h.obey(torturePass{Now: h.now + 1, Ban: h.wanted(), For: int64(60 * (1 + h.dice.IntN(60)))})
		}),
		whole("pause and resume", (*house).pause),
		deed{"killed at a random instant", (*house).kill},
		deed{"a full disk", (*house).full},
		deed{"a read-only disk", (*house).readOnly},
	)
}

// wanted is whom an admin bans: one of those that are seen often, or a network.
func (h *house) wanted() string {
	if h.dice.IntN(3) == 0 {
		return fmt.Sprintf("198.51.100.%d/28", 16*h.dice.IntN(16))
	}
	return fmt.Sprintf("203.0.113.%d", 1+h.dice.IntN(20))
}

// obey does in peace what an admin wants.
func (h *house) obey(do torturePass) {
	h.t.Helper()
	h.succeed(do)
	h.tell(do)
	h.now = do.Now + 1
	h.check(done, strings.TrimSpace("unban "+do.Unban+" ban "+do.Ban))
}

// tell lets the model know what an admin did.
func (h *house) tell(do torturePass) {
	var unbanned []netip.Prefix
	switch {
	case do.Unban == "all":
		unbanned = []netip.Prefix{modelPrefix("0.0.0.0/0"), modelPrefix("::/0")}
	case do.Unban != "":
		unbanned = []netip.Prefix{modelPrefix(do.Unban)}
	case do.Ban != "":
		b := do.ban()
		bans := h.model.states[byHand].last
		// One that had ended by a clock that was ahead may live again or not.
		if s, _ := h.saved(); h.over[bans[b.key]] && s.Jails[byHand].Bans[do.Ban].Since == b.since {
			delete(bans, b.key)
		}
		h.model.banned(b)
	}
	for _, of := range unbanned {
		for name, s := range h.model.states { // no pass knew of these any more, and the kernel's clock is not moved here
			for key, b := range s.last {
				if h.over[b] && key.Overlaps(of) {
					h.lingers[name+" "+shown(key)] = true
				}
			}
		}
		h.model.pardoned(of, do.Now)
	}
}

// ban is what a command lays.
func (do torturePass) ban() modelBan {
	return modelBan{byHand, modelPrefix(do.Ban), do.Now, do.Now + do.For, 1, false}
}

// atOnce starts two passes together: one waits for the other. Where that takes longer
// than it waits, on a slow machine, it says so.
func (h *house) atOnce() {
	said := [2]bytes.Buffer{}
	a, b := h.command(torturePass{Now: h.now + 1}), h.command(torturePass{Now: h.now + 1})
	a.Stderr, b.Stderr = &said[0], &said[1]
	if err := errors.Join(a.Start(), b.Start()); err != nil {
		h.t.Fatal(err)
	}
	failed := [2]bool{a.Wait() != nil, b.Wait() != nil}
	for i, f := range failed {
		if f && (failed[1-i] || !strings.HasPrefix(said[i].String(), state.ErrLocked.Error())) {
			h.t.Errorf("two passes at once: %s", said[i].String())
		}
	}
	h.check(done, "two passes at once")
}

// pause takes the bans away while something is logged, and brings all of them back.
func (h *house) pause() {
	h.succeed(torturePass{Now: h.now + 1, Pause: true})
	if held := h.elements(); len(held) > 0 {
		h.t.Errorf("paused, the kernel holds %v", held)
	}
	h.grow()
	if _, _, err := h.suffer(h.command(torturePass{Now: h.now + 1})); err == nil {
		h.t.Error("a pass succeeds while paused")
	}
	if held := h.elements(); len(held) > 0 {
		h.t.Errorf("a pass while paused: the kernel holds %v", held)
	}
	h.touched = true
	h.succeed(torturePass{Now: h.now + 1, Resume: true})
	h.check(done, "pause and resume")
}
