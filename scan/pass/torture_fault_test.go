package pass

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// point is a system call of a pass that decides something, at which it can be killed or
// can be told of an error.
type point struct {
	name string
	call string
	file string // in the state directory; ".": that itself; "": none
	nth  int    // such call
	then ending // what holds after an error
	must bool   // an error there is one of the pass

	grows bool // it may want room on the disk
}

// points are all that change a file of the state directory, the lock, and what goes to the
// kernel, in their order.
var points = []point{
	{"open the lock", "openat", "state.json.lock", 1, died, true, true},
	{"lock", "flock", "state.json.lock", 1, died, true, false},
	{"open the state", "openat", "state.json", 1, died, true, false},
	{"read the state", "read", "state.json", 1, died, true, false},
	{"read the history", "openat", "history.jsonl", 1, died, true, false},
	{"open the history", "openat", "history.jsonl", 2, enforced, true, true},
	{"cut the history", "ftruncate", "history.jsonl", 1, enforced, true, true},
	{"append to the history", "pwrite64", "history.jsonl", 1, enforced, true, true},
	{"sync the history", "fsync", "history.jsonl", 1, enforced, true, true},
	{"remove an old new state", "unlinkat", "state.json.new", 1, died, false, false},
	{"make the new state", "openat", "state.json.new", 1, enforced, true, true},
	{"write the state", "write", "state.json.new", 1, enforced, true, true},
	{"write the end of the state", "write", "state.json.new", 2, enforced, true, true},
	{"sync the state", "fsync", "state.json.new", 1, enforced, true, true},
	{"rename the state", "renameat", "state.json.new", 1, enforced, true, true},
	{"sync the directory", "fsync", ".", 1, enforced, true, true},
	{"make the note", "openat", "state.json.run.new", 1, enforced, false, true},
	{"write the note", "write", "state.json.run.new", 1, enforced, false, true},
	{"rename the note", "renameat", "state.json.run.new", 1, enforced, false, true},
}

// messages are what a pass sends to the kernel when our table is gone; known when it is
// there as the pass before left it.
var (
	messages = []string{"generation", "look", "table and sets", "elements", "generation again"}
	known    = []string{"generation", "elements", "generation again"}
)

// faults are all that is done at the points, once each.
func faults() (list []deed) {
	for _, p := range points {
		hows := []string{"signal=KILL", "error=EIO", "error=ENOSPC", "error=EDQUOT"}
		if !p.grows {
			hows = hows[:2]
		}
		for _, how := range hows {
			list = append(list, deed{strings.NewReplacer("signal=KILL", "killed", "error=", "").Replace(how) + ": " + p.name, func(h *house) (string, bool) { return h.fault(p, how) }})
		}
	}
	for i, name := range messages {
		for _, how := range []string{"signal=KILL", "error=ENOBUFS"} {
			list = append(list, deed{strings.NewReplacer("signal=KILL", "killed", "error=", "").Replace(how) + ": to the kernel, " + name, func(h *house) (string, bool) {
				h.ruleset("flush ruleset; add table inet neighbour")
				return h.fault(point{name: name, call: "sendto", nth: i + 1, then: died}, how)
			}})
		}
	}
	for i, name := range known {
		list = append(list, deed{"killed: to the kernel as it was left, " + name, func(h *house) (string, bool) {
			h.pass(h.now + 1)
			said, met := h.fault(point{name: name, call: "sendto", nth: i + 1, then: died}, "signal=KILL")
			h.pass(h.now + 1) // which must see that the kernel lacks something, or holds it already
			return said, met
		}})
	}
	for _, file := range []string{"history.jsonl", "state.json", "state.json.run"} {
		list = append(list, deed{"short write: " + file, func(h *house) (string, bool) { return h.short(file) }})
	}
	return list
}

// order is a pass, or an admin's command that is one too. The model hears of it when it
// has succeeded.
func (h *house) order() torturePass {
	do := torturePass{Now: h.now + 1}
	switch h.dice.IntN(8) {
	case 0:
		do.Unban = shown(modelKey(h.events[h.dice.IntN(len(h.events))].addr))
	case 1:
		do.Ban, do.For = h.wanted(), int64(60*(1+h.dice.IntN(60)))
	}
	h.trial = do
	return do
}

// again gives an admin's command once more, as its exit code has told him to; or he leaves
// it, and it was done if the state vouches for it, else the next pass leaves nothing of it.
func (h *house) again(do torturePass) {
	h.trial = torturePass{}
	switch line := do.line(); {
	case line == "":
	case h.dice.IntN(2) == 0:
		h.obey(do)
	default:
		if h.read.orders[line] {
			h.tell(do)
		} else if do.Ban != "" {
			delete(h.read.known, do.ban().String())
		}
		h.now = do.Now
		h.pass(h.now + 1)
	}
}

// line is what the history says of a command: its kind and time. "": it is none.
func (do torturePass) line() string {
	switch {
	case do.Unban != "":
		return fmt.Sprint("unban ", do.Now)
	case do.Ban != "":
		return fmt.Sprint("ban ", do.Now)
	}
	return ""
}

// fault lets a pass that has somebody to ban meet a point.
func (h *house) fault(p point, how string) (string, bool) {
	h.attack()
	inject := fmt.Sprintf("inject=%s:%s:when=%d", p.call, how, p.nth)
	seen := h.dir + "/strace"
	args := []string{"strace", "-f", "-qq", "-o", seen, "-e", "signal=none", "-e", "trace=" + p.call, "-e", inject}
	if how != "signal=KILL" { // strace 6.1 does not get that through with it
		args = append(args, "--seccomp-bpf")
	}
	if p.file == "." {
		args = append(args, "-P", h.disk(""))
	} else if p.file != "" { // named in a call, or open
		args = append(args, "-P", p.file, "-P", h.disk(p.file))
	}
	do := h.order()
	c := h.command(do, args...)
	said, killed, err := h.suffer(c)
	trace, _ := os.ReadFile(seen)
	injected, then := !killed && bytes.Contains(trace, []byte("INJECTED")), died
	if injected {
		h.faults++
		if then = p.then; strings.Contains(said, "read the history") { // which a rebuild does more often
			then = died
		}
	}
	h.check(then, how+" at "+p.name+said)
	if injected && p.must && err == nil {
		h.t.Errorf("%s at %q is not an error of the pass", how, p.name)
	}
	h.again(do)
	return said, killed || injected
}

// short lets the writes to a file end in the middle of it: a file may grow to that size only.
func (h *house) short(file string) (string, bool) {
	info, err := os.Stat(h.disk(file))
	if err != nil { // a harm took it
		h.pass(h.now + 1)
		info, err = os.Stat(h.disk(file))
	}
	if err != nil {
		return err.Error(), false
	}
	h.attack()
	size := h.dice.Int64N(info.Size())
	if file == "history.jsonl" {
		size = info.Size() + 1 + h.dice.Int64N(100)
	}
	do := h.order()
	said, _, err := h.suffer(h.command(do, "prlimit", fmt.Sprintf("--fsize=%d", size)))
	if err != nil {
		h.faults++
	}
	h.check(enforced, "a short write"+said)
	h.again(do)
	return said, err != nil || file == "state.json.run"
}

// full makes the disk full, to the last byte, or with room for a part of what will be
// written.
func (h *house) full() (string, bool) {
	ballast := h.disk("ballast")
	h.attack()
	f, err := os.Create(ballast)
	if err != nil {
		h.t.Fatal(err)
	}
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if at, _ := f.Seek(0, 1); h.dice.IntN(2) == 0 && at > 8192 {
		_ = f.Truncate(at - int64(4096*(1+h.dice.IntN(2))))
	}
	f.Close()
	do := h.order()
	said, _, err := h.suffer(h.command(do))
	if err := os.Remove(ballast); err != nil {
		h.t.Fatal(err)
	}
	h.check(died, said)
	h.again(do)
	if err != nil {
		h.faults++
	}
	return said, err != nil
}

// readOnly does not let a pass write at all.
func (h *house) readOnly() (string, bool) {
	h.attack()
	do := h.order()
	h.must("mount", "-o", "remount,ro", h.disk(""))
	said, _, err := h.suffer(h.command(do))
	h.must("mount", "-o", "remount,rw", h.disk(""))
	h.check(died, said)
	h.again(do)
	if err != nil {
		h.faults++
	}
	return said, err != nil
}

// kill starts a pass and kills it at a random instant.
func (h *house) kill() (string, bool) {
	do := h.order()
	c := h.command(do)
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	stop := time.AfterFunc(time.Duration(h.dice.Int64N(int64(50*time.Millisecond))), func() { c.Process.Kill() })
	err := c.Wait()
	stop.Stop()
	if err != nil {
		h.kills++
	}
	h.check(died, "a kill")
	h.again(do)
	return "", err != nil
}

// suffer runs a child that may fail but must not crash, and says how it ended.
func (h *house) suffer(c *exec.Cmd) (said string, killed bool, err error) {
	var to bytes.Buffer
	c.Stderr = &to
	err = c.Run()
	if strings.Contains(to.String(), "goroutine ") {
		h.t.Errorf("it crashed:\n%s", to.String())
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		h.kills++
		killed = true
	}
	return fmt.Sprintf("(%v: %s)", err, strings.TrimSpace(to.String())), killed, err
}
