package pass

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// harms are what happens to a host between two passes.
func harms() []deed {
	ruled := func(name string, choice ...string) deed {
		return deed{name, func(h *house) (string, bool) {
			command := choice[h.dice.IntN(len(choice))]
			return command, h.ruleset(command)
		}}
	}
	logged := func(name string, do func(h *house)) deed {
		return deed{name, func(h *house) (string, bool) { do(h); return "", true }}
	}
	return []deed{
		ruled("the ruleset flushed", "flush ruleset; add table inet neighbour"),
		ruled("our table changed", "delete table inet scan2ban", "flush set inet scan2ban sshd4", "flush chain inet scan2ban prerouting",
			"flush set inet scan2ban vsftpd6", "add rule inet scan2ban prerouting accept", "add element inet scan2ban sshd4 { 192.0.2.1 timeout 1h }"),
		ruled("another table committed", "add table ip other; delete table ip other", "add chain inet neighbour c; delete chain inet neighbour c"),
		logged("log file rotated by name", func(h *house) { h.rotateLog(false) }),
		logged("log file copied and truncated", func(h *house) { h.rotateLog(true) }),
		{"journal rotated", func(h *house) (string, bool) { return "", h.rotateJournal(".journal") }},
		{"journald restarted, the journal renamed as unclean", func(h *house) (string, bool) { return "", h.rotateJournal(".journal~") }},
		{"logs vacuumed", func(h *house) (string, bool) {
			h.rotateJournal(".journal")
			h.rotateLog(false)
			h.quiet(4 * 3600)
			return "", h.vacuum(h.now-3600) > 0
		}},
		logged("a hole in the journal", (*house).hole),
		logged("a quiet day", func(h *house) {
			h.rotateJournal(".journal")
			h.quiet(86400)
			h.vacuum(h.now - 3600)
		}),
		logged("a reboot", (*house).reboot),
		logged("state cut off", func(h *house) { h.damage(true) }),
		logged("state with a bit flipped", func(h *house) { h.damage(false) }),
		logged("history cut off", func(h *house) { h.damageHistory(true) }),
		logged("history with a bit flipped", func(h *house) { h.damageHistory(false) }),
		logged("state and history damaged, then put back", (*house).damageBoth),
		logged("the note of the last pass lost", func(h *house) { h.clear("state.json.run") }),
		{"the note of the last pass with a bit flipped", func(h *house) (string, bool) { return "", h.spoil(h.disk("state.json.run"), false) }},
	}
}

func (h *house) clear(name string) {
	if err := os.Remove(h.disk(name)); err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
}

// ruleset gives nft commands, and one of a table that is nobody's: the flush of a set
// that is empty changes nothing that a pass could notice. It tells whether the first was
// possible: a set may have gone with its table.
func (h *house) ruleset(what string) bool {
	first := false
	for i, command := range strings.Split(what+"; add table ip nobody; delete table ip nobody", "; ") {
		if exec.Command("nft", command).Run() == nil {
			h.touched = true
			first = first || i == 0
		}
	}
	return first
}

// spoil cuts a file somewhere, or flips one of its bits.
func (h *house) spoil(name string, cut bool) bool {
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return false
	}
	if cut {
		text = text[:h.dice.IntN(len(text))]
	} else {
		text[h.dice.IntN(len(text))] ^= 1 << h.dice.IntN(8)
	}
	h.put(name, text)
	return true
}

func (h *house) put(name string, text []byte) {
	if err := os.WriteFile(name, text, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) get(name string) []byte {
	text, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// damage lets a pass make the state anew. The kernel's elements, whose clock is not that
// of the passes, are not to be found.
func (h *house) damage(cut bool) {
	h.ruleset("flush ruleset; add table inet neighbour")
	if h.spoil(h.disk("state.json"), cut) {
		h.spoiled = h.get(h.disk("state.json"))
	}
}

// damageHistory lets a pass ban over a history that is damaged: what it decides and
// holds is right all the same, and is appended where the next pass finds it. Then the
// lines are put back as they were, for what they told would be missing later on.
func (h *house) damageHistory(cut bool) {
	h.pass(h.now + 1)
	name := h.disk("history.jsonl")
	was := bytes.Clone(h.read.text) // without what a pass left that died
	before, _ := h.saved()
	h.spoil(name, cut)
	h.attack()
	h.succeed(torturePass{Now: h.now + 1})
	text := h.get(name)
	at := bytes.Index(text, fmt.Appendf(nil, `{"seq":%d,`, before.Seq+1))
	if at < 0 {
		h.t.Fatalf("nothing was appended after number %d:\n%s", before.Seq, text)
	}
	h.put(name, append(was, text[at:]...))
	h.check(done, "a pass over a damaged history")
}

// damageBoth leaves a pass nothing to go by but the log. It may not crash, nor fail, nor ban
// who never failed and was never to be banned; what else it makes of it is thrown away, for
// an unban that nobody remembers is none.
func (h *house) damageBoth() {
	h.pass(h.now + 1)
	names := []string{h.disk("state.json"), h.disk("history.jsonl")}
	was := [][]byte{h.get(names[0]), h.get(names[1])}
	for _, name := range names {
		h.spoil(name, h.dice.IntN(2) == 0)
	}
	h.ruleset("flush ruleset; add table inet neighbour")
	h.succeed(torturePass{Now: h.now + 1})
	for at := range h.elements() {
		jail, key, _ := strings.Cut(at, " ")
		of := modelPrefix(key)
		if !h.asked[at] && !h.adopted[at] && (jail == byHand || !slices.ContainsFunc(slices.Collect(maps.Keys(h.failed)), of.Contains)) {
			h.t.Errorf("state and history damaged: the kernel holds %s, who never failed", at)
		}
	}
	h.ruleset("flush ruleset; add table inet neighbour")
	for i, name := range names {
		h.put(name, was[i])
	}
	h.clear("state.json.run")
	h.pass(h.now + 1)
}
