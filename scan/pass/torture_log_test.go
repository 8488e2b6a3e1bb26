package pass

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// grow logs some failures of the next seconds, in the journal and in a file, and tells
// the model. Some stand where a ban or a window ends, to the second.
func (h *house) grow() {
	var events []modelEvent
	journal := h.dice.IntN(2) == 0 // else nothing new is in there: it costs a program to write to
	for range h.dice.IntN(20) {
		h.now += int64(h.dice.IntN(15))
		e := modelEvent{h.now, "sshd", h.address()}
		if !journal || h.dice.IntN(3) == 0 {
			e.jail = "vsftpd"
		}
		events = append(events, e)
		h.model.logged(e)
		if edge := h.edge(journal); h.dice.IntN(2) == 0 && edge.jail != "" {
			h.now = edge.at
			for range 1 + h.dice.IntN(tortureJails[edge.jail].maxretry) {
				events = append(events, edge)
				h.model.logged(edge)
			}
		}
	}
	h.write(events)                                              // before the attack of a vacuum, which is later
	if h.now-h.rotate > tortureMemory/3 || len(h.rotated) > 60 { // no host keeps a log for ever
		h.rotateJournal(".journal")
		h.vacuum(h.now - tortureMemory/2)
	}
}

// edge is a failure close to the end of a ban or of a window, if one ends in the next
// minutes.
func (h *house) edge(journal bool) modelEvent {
	var edges []modelEvent
	jails := []string{"vsftpd", "sshd"}
	if !journal {
		jails = jails[:1]
	}
	for _, jail := range jails {
		s := h.model.states[jail]
		for key, b := range s.last {
			edges = append(edges, modelEvent{b.until, jail, key.Addr()})
		}
		for key, window := range s.windows {
			edges = append(edges, modelEvent{window[0] + int64(s.findtime), jail, key.Addr()})
		}
	}
	edges = slices.DeleteFunc(edges, func(e modelEvent) bool { return e.at <= h.now || e.at > h.now+300 })
	if len(edges) == 0 {
		return modelEvent{}
	}
	slices.SortFunc(edges, func(a, b modelEvent) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.jail, b.jail), a.addr.Compare(b.addr))
	})
	e := edges[h.dice.IntN(len(edges))]
	e.at += int64(h.dice.IntN(3) - 1)
	if e.addr.Is6() {
		e.addr = e.addr.Next()
	}
	e.at = max(e.at, h.now)
	return e
}

// attack logs what bans an address that was never seen.
func (h *house) attack() netip.Addr {
	h.now++
	h.fresh++
	addr := netip.AddrFrom4([4]byte{198, 18, byte(h.fresh >> 5), byte(h.fresh << 3)}) // each in a network of its own
	var events []modelEvent
	jail := "vsftpd"
	if _, err := os.Stat(h.journal()); err != nil || slices.ContainsFunc(h.waiting, func(e modelEvent) bool { return e.jail == "sshd" }) {
		jail = "sshd"
	}
	for range tortureJails[jail].maxretry {
		events = append(events, modelEvent{h.now, jail, addr})
		h.model.logged(events[0])
	}
	h.write(events)
	return addr
}

// write notes what is to stand in the logs before the next pass, or their rotation.
func (h *house) write(events []modelEvent) {
	h.events = append(h.events, events...)
	h.events = h.events[max(0, len(h.events)-50):]
	h.failures += len(events)
	for _, e := range events {
		h.failed[e.addr] = true
	}
	h.waiting = append(h.waiting, events...)
}

// flush appends it to the logs.
func (h *house) flush() {
	var entries []journaltest.Entry
	var lines strings.Builder
	for _, e := range h.waiting {
		if e.jail == "vsftpd" {
			fmt.Fprintf(&lines, "%s [pid %d] [root] FAIL LOGIN: Client %q\n", time.Unix(e.at, 0).UTC().Format("Mon Jan _2 15:04:05 2006"), h.dice.IntN(9999), e.addr)
			continue
		}
		h.pid++
		entries = append(entries, journaltest.Entry{Time: e.at*1e6 + int64(len(entries)), Monotonic: (e.at-h.booted)*1e6 + int64(len(entries)), Boot: journaltest.Boot(h.boot),
			Message: fmt.Sprintf("Failed password for root from %s port %d ssh2", e.addr, 1024+h.pid%60000),
			Fields:  map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(1000 + h.pid)}})
	}
	h.waiting = nil
	if len(entries) > 0 {
		journaltest.Write(h.t, h.journal(), entries)
	}
	f, err := os.OpenFile(h.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(lines.String())
		f.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) journal() string { return filepath.Join(h.dir, "journal", "system.journal") }
func (h *house) log() string     { return filepath.Join(h.dir, "log", "vsftpd.log") }

// rotateJournal gives the journal an archived name; what is logged next begins a new one.
func (h *house) rotateJournal(ext string) bool {
	h.flush()
	if _, err := os.Stat(h.journal()); err != nil {
		return false
	}
	h.archive++
	to := filepath.Join(h.dir, "journal", fmt.Sprintf("system@%032x-%016x-%016x%s", h.archive, 1, h.archive, ext))
	h.must("mv", h.journal(), to)
	h.rotated[to], h.rotate = h.now, h.now
	return true
}

// rotateLog does it in one of logrotate's two ways.
func (h *house) rotateLog(copytruncate bool) {
	h.flush()
	h.archive++
	to := fmt.Sprintf("%s-%d", h.log(), 20261100+h.archive)
	if copytruncate {
		h.must("cp", h.log(), to)
		h.must("truncate", "-s0", h.log())
	} else {
		h.must("mv", h.log(), to)
		h.must("touch", h.log())
	}
	h.rotated[to] = h.now
}

// vacuum removes what was rotated away before t.
func (h *house) vacuum(t int64) (removed int) {
	defer h.attack() // there is a journal
	for _, name := range slices.Sorted(maps.Keys(h.rotated)) {
		if h.rotated[name] <= t {
			if err := os.Remove(name); err != nil {
				h.t.Fatal(err)
			}
			delete(h.rotated, name)
			removed++
		}
	}
	return removed
}

// quiet lets so many seconds pass in which nothing is logged, after a pass that has all:
// longer than any window is open.
func (h *house) quiet(seconds int64) {
	h.pass(h.now + 1)
	h.now += seconds
	h.pass(h.now + 1)
}

// hole logs what nobody will ever read: it is vacuumed before a pass, with the entry at
// which the last one ended.
func (h *house) hole() {
	h.quiet(3600)
	h.rotateJournal(".journal")
	was := *h
	ghost := modelEvent{h.now, "sshd", h.address()}
	h.write([]modelEvent{ghost, ghost, ghost})
	h.events, h.failures = was.events, was.failures
	if h.rotateJournal(".journal") {
		h.vacuum(h.now)
	}
	h.attack()
	h.pass(h.now + 1)
}

// reboot begins another boot: the kernel and what lies under /run are new, and the bans
// are there before anything is read.
func (h *house) reboot() {
	h.pass(h.now + 1)
	h.ruleset("flush ruleset; add table inet neighbour")
	h.clear("state.json.run")
	h.now += 30
	h.flush()
	h.boot, h.booted = h.boot+1, h.now-1
	h.succeed(torturePass{Now: h.now, Restore: true})
	h.check(enforced, "the start of a boot")
	h.grow()
	h.pass(h.now + 1)
}
