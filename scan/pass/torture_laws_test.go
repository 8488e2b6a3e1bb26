package pass

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// How a pass ended, and what must hold then.
type ending int

const (
	died     ending = iota // nothing is there that is not to be
	enforced               // it could not save: and the kernel is right
	done                   // and history and state are
)

// recorded is a line of the history, as this test reads it.
type recorded struct {
	Seq   int64
	Kind  string
	Time  int64
	Jail  string
	Key   string
	Since int64
	Until *int64
	N     int
	Rule  string
}

func (r recorded) String() string {
	return fmt.Sprint(r.Jail, " ", r.Key, " ", r.Since, " ", *r.Until, " ", r.N)
}

// foundRule is that of a ban which a rebuild took over from the kernel.
const foundRule = "found in the kernel"

// saved is the state, as far as this test reads it.
type saved struct {
	Seq   int64
	Jails map[string]struct {
		Bans map[string]struct {
			Since int64
			Until *int64
			N     int
			Rule  string
		}
	}
}

// history is what was read of it: text is not read again while it is there as it was.
type history struct {
	text   []byte
	last   int64
	bans   map[string]bool
	orders map[string]bool // kinds of decisions with their times
	known  map[string]bool // the model's bans, as lines
	told   int             // how many of these are in known
	all    int             // how many, from the first on, were found in bans
}

// saved reads the state; ok is false when it is not there or damaged, as that is which
// no pass has seen since a harm.
func (h *house) saved() (s saved, ok bool) {
	text, err := os.ReadFile(h.disk("state.json"))
	return s, err == nil && (h.spoiled == nil || !bytes.Equal(text, h.spoiled)) && json.Unmarshal(text, &s) == nil && s.Jails != nil
}

// history reads what a pass added, and finds fault with lines that are not the model's.
func (h *house) history(vouched int64, what string) {
	text, err := os.ReadFile(h.disk("history.jsonl"))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	r := &h.read
	if r.known == nil {
		r.known = map[string]bool{}
	}
	for ; r.told < len(h.model.bans); r.told++ {
		r.known[h.model.bans[r.told].String()] = true
	}
	if do := h.trial; do.Ban != "" {
		r.known[do.ban().String()] = true
	}
	if r.bans == nil || !bytes.HasPrefix(text, r.text) {
		r.text, r.last, r.all, r.bans, r.orders = nil, 0, 0, map[string]bool{}, map[string]bool{}
	}
	for rest := text[len(r.text):]; ; {
		end := bytes.IndexByte(rest, '\n') + 1
		var d recorded
		if end == 0 {
			break // a part of a line is none
		}
		if err := json.Unmarshal(rest[:end], &d); err != nil || d.Seq <= r.last {
			h.t.Errorf("after %s the history has line %q after number %d", what, rest[:end], r.last)
			break
		}
		if d.Kind == "ban" && d.Rule != foundRule && !r.known[d.String()] {
			h.t.Errorf("after %s the history has a ban that is none: %s; of that key are %s", what, d, h.model.of(d.Jail, d.Key))
		}
		if d.Seq > vouched {
			break
		}
		r.orders[fmt.Sprint(d.Kind, " ", d.Time)] = true
		switch {
		case d.Kind == "ban" && d.Rule == foundRule: // an element whose end the passes' clock had left behind
			h.adopted[d.Jail+" "+d.Key] = true
		case d.Kind == "ban" && r.bans[d.String()]:
			h.t.Errorf("recorded twice: %s", d)
		case d.Kind == "ban":
			r.bans[d.String()] = true
		case d.Kind == "release":
			h.t.Errorf("released: %s %s", d.Jail, d.Key)
		}
		r.last, rest = d.Seq, rest[end:]
		r.text = text[:len(text)-len(rest)]
	}
}

// check compares with the model what a pass has left.
func (h *house) check(how ending, what string) {
	h.t.Helper()
	h.elapsed()
	s, ok := h.saved()
	vouched := s.Seq
	if !ok {
		vouched = 1 << 62
	}
	h.history(vouched, what)
	h.ledger(s, how, what)
	h.kernel(how, what)
	if how == done {
		for ; h.read.all < len(h.model.bans); h.read.all++ {
			b := h.model.bans[h.read.all]
			if b.jail == byHand && h.adopted[byHand+" "+shown(b.key)] {
				continue // laid by a command that failed, found by a rebuild, and given again
			}
			if !h.read.bans[b.String()] && b.since > h.now-tortureMemory {
				_, undone := h.model.undone[b]
				h.t.Errorf("after %s the history lacks %s (taken back: %t)", what, b, undone)
			}
		}
		if !ok {
			h.t.Errorf("after %s there is no state", what)
		}
	}
}

// lives tells whether the last pass must have held a ban as one in force, and whether
// it may have.
func (h *house) lives(b modelBan) (must, may bool) {
	if h.clock >= b.until {
		return false, false
	}
	return !h.over[b], true // what had ended by a clock that was ahead may live again or not
}

// ledger compares the bans of the state.
func (h *house) ledger(s saved, how ending, what string) {
	for name, jail := range s.Jails {
		for key, b := range jail.Bans {
			line := recorded{Jail: name, Key: key, Since: b.Since, Until: b.Until, N: b.N}.String()
			if b.Rule != foundRule && !h.read.known[line] {
				h.t.Errorf("after %s the state has a ban that is none: %s", what, line)
			}
		}
	}
	if how != done {
		return
	}
	for name, of := range h.model.states {
		for key, b := range of.last {
			have, ok := s.Jails[name].Bans[shown(key)]
			if must, _ := h.lives(b); must && (!ok || have.Since != b.since) {
				h.t.Errorf("after %s the state lacks %s", what, b)
			}
		}
		for key, have := range s.Jails[name].Bans {
			live := have.Until != nil && *have.Until > h.clock && have.Rule != foundRule
			b, ok := of.last[modelPrefix(key)]
			if live && (!ok || b.since != have.Since) {
				h.t.Errorf("after %s the state holds %s %s from %d, which is not banned", what, name, key, have.Since)
			}
		}
	}
}

// margin is how many seconds a ban may have left by the clock of the passes and be over by
// the kernel's, which a slow machine lets run faster for once.
const margin = 60

// fading is with how many seconds left a pass leaves an element to the kernel's clock.
const fading = 3

// stranger is the element that a harm adds.
const stranger = "sshd 192.0.2.1"

// kernel compares what nft shows in our sets.
func (h *house) kernel(how ending, what string) {
	held := h.elements()
	if how != died && h.exact {
		clear(h.lingers)
	}
	if h.trial.Ban != "" {
		delete(held, byHand+" "+h.trial.Ban)
	}
	for name, of := range h.model.states {
		for key, b := range of.last {
			at := name + " " + shown(key)
			left, is := held[at]
			must, may := h.lives(b)
			must = must && (h.trial.Unban == "" || !key.Overlaps(modelPrefix(h.trial.Unban)))
			if how != died && must && !is && b.until-h.clock > margin && !holds(name, key) {
				h.t.Errorf("after %s the kernel does not hold %s", what, b)
			}
			// The kernel's clock is not moved here: only a pass that read the ruleset has set the rest anew.
			ours := is && !b.network && !h.adopted[at]
			if ours && left > b.until-b.since+1 || ours && how != died && must && h.exact && left > b.until-h.clock+1 {
				h.t.Errorf("after %s the kernel holds %s for %d more seconds at %d", what, b, left, h.clock)
			}
			if may || how == died || !h.exact {
				delete(held, at)
			}
		}
	}
	for at := range held {
		if !h.spent[at] && !h.adopted[at] && !h.lingers[at] && !h.ended(at) && (how != died || at != stranger) {
			h.t.Errorf("after %s the kernel holds %s, which is not banned", what, at)
		}
	}
}

// ended tells whether a ban of that key is over by the clock of the passes: the kernel drops
// it by its own, which is not moved here.
func (h *house) ended(at string) bool {
	return slices.ContainsFunc(h.model.bans, func(b modelBan) bool { return b.until <= h.clock && b.jail+" "+shown(b.key) == at })
}

// holds asks for one element: a dump may miss some while a set's hash table is resized.
func holds(jail string, key netip.Prefix) bool {
	family := "4"
	if key.Addr().Is6() {
		family = "6"
	}
	for _, set := range []string{jail + family, jail + family + "_net"} { // the second has networks
		if exec.Command("nft", "get", "element", "inet", "scan2ban", set, "{ "+key.Addr().String()+" }").Run() == nil {
			return true
		}
	}
	return false
}

// elements are what nft shows in our sets, "JAIL KEY", with the whole seconds that are left.
func (h *house) elements() map[string]int64 {
	h.spent = map[string]bool{}
	text, err := exec.Command("nft", "-j", "list", "ruleset").Output()
	if err != nil {
		h.t.Fatalf("nft list: %v", err)
	}
	var listed struct {
		Nftables []struct {
			Table *struct{ Name string }
			Set   *struct {
				Table, Name string
				Elem        []struct {
					Elem struct {
						Val     json.RawMessage
						Expires int64
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		h.t.Fatalf("nft list: %v\n%s", err, text)
	}
	held, neighbour := map[string]int64{}, false
	for _, o := range listed.Nftables {
		neighbour = neighbour || o.Table != nil && o.Table.Name == "neighbour"
		if o.Set == nil || o.Set.Table != "scan2ban" {
			continue
		}
		for _, e := range o.Set.Elem {
			name := strings.TrimRight(strings.TrimSuffix(o.Set.Name, "_net"), "46")
			keys, err := elementKeys(tortureJails[name], e.Elem.Val)
			if err != nil {
				h.t.Fatalf("set %s: %v\n%s", o.Set.Name, err, text)
			}
			for _, key := range keys {
				if e.Elem.Expires <= fading {
					h.spent[name+" "+shown(key)] = true
				}
				held[name+" "+shown(key)] = e.Elem.Expires
			}
		}
	}
	if !neighbour {
		h.t.Errorf("another's table is gone")
	}
	return held
}
