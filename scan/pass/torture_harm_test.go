package pass

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// harm does something to the host between two passes.
func (h *house) harm() {
	h.harms++
	name := filepath.Join(h.dir, "state", "state.json")
	switch log := filepath.Join(h.dir, "log", "vsftpd.log"); h.dice.IntN(9) {
	case 0:
		h.ruleset("flush ruleset; add table inet neighbour")
	case 1:
		h.ruleset(chosen(h, "delete table inet scan2ban", "flush set inet scan2ban sshd4", "flush chain inet scan2ban prerouting",
			"flush set inet scan2ban vsftpd6", "add rule inet scan2ban prerouting accept", "add element inet scan2ban sshd4 { 192.0.2.1 timeout 1h }"))
	case 2: // somebody else's business
		h.ruleset(chosen(h, "add table ip other; delete table ip other", "add chain inet neighbour c; delete chain inet neighbour c"))
	case 3: // rotated, in logrotate's two ways
		h.archive++
		to := fmt.Sprintf("%s-%d", log, 20261100+h.archive)
		if h.dice.IntN(2) == 0 {
			h.must("mv", log, to)
			h.must("touch", log)
		} else {
			h.must("cp", log, to)
			h.must("truncate", "-s0", log)
		}
	case 4: // journald rotates; what was read may be vacuumed
		from := filepath.Join(h.dir, "journal", "system.journal")
		if _, err := os.Stat(from); err != nil {
			return
		}
		h.archive++
		h.must("mv", from, filepath.Join(h.dir, "journal", fmt.Sprintf("system@%032x-%016x-%016x.journal", h.archive, 1, h.archive)))
	case 5:
		if h.dice.IntN(3) > 0 {
			return
		}
		h.damage(name)
	case 6:
		os.Remove(filepath.Join(h.dir, "state", "pass.json"))
		os.Remove(filepath.Join(h.dir, "run", "pass.json"))
	}
}

func chosen(h *house, from ...string) string { return from[h.dice.IntN(len(from))] }

// ruleset gives nft commands, and one of a table that is nobody's: the flush of a set
// that is empty changes nothing that a pass could notice.
func (h *house) ruleset(what string) {
	for command := range strings.SplitSeq(what+"; add table ip nobody; delete table ip nobody", "; ") {
		if exec.Command("nft", command).Run() == nil { // a set may have gone with its table
			h.touched = true
		}
	}
}

// damage cuts the state or flips a bit of it, and lets a pass make it anew. The
// kernel's elements, whose clock is not that of the passes, are not to be found.
func (h *house) damage(name string) {
	h.ruleset("flush ruleset; add table inet neighbour")
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return
	}
	if h.dice.IntN(2) == 0 {
		text = text[:h.dice.IntN(len(text))]
	} else {
		text[h.dice.IntN(len(text))] ^= 1 << h.dice.IntN(8)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// kill starts a pass and kills it at a random instant.
func (h *house) kill() string {
	c := h.command(torturePass{Now: h.now + 1})
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	stop := time.AfterFunc(time.Duration(h.dice.Int64N(int64(50*time.Millisecond))), func() { c.Process.Kill() })
	err := c.Wait()
	stop.Stop()
	if err != nil {
		h.kills++
	}
	return "a pass that was killed"
}

// faults are what strace(1) makes of a system call of the child.
var faults = []string{"error=ENOSPC", "error=EIO", "error=EDQUOT", "signal=KILL"}

// calls change files, or the kernel.
var calls = []string{"write", "pwrite64", "fsync", "renameat", "ftruncate", "openat", "sendmsg", "sendto"}

// fault lets a system call of a pass fail, or makes the disk full or read-only.
func (h *house) fault(n int) string {
	h.faults++
	disk := filepath.Join(h.dir, "state")
	if kind := h.dice.IntN(8); kind == 0 {
		h.must("mount", "-o", "remount,ro", disk)
		defer h.must("mount", "-o", "remount,rw", disk)
		return "a read-only disk" + h.suffer(h.command(torturePass{Now: h.now + 1}))
	} else if kind == 1 {
		ballast := filepath.Join(disk, "ballast")
		f, err := os.Create(ballast)
		if err != nil {
			h.t.Fatal(err)
		}
		for size := 1 << 16; size > 0; size /= 2 { // to the last byte, or nearly
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if at, _ := f.Seek(0, 1); h.dice.IntN(2) == 0 && at > 8192 {
			_ = f.Truncate(at - int64(4096*(1+h.dice.IntN(2)))) // room for a part of what will be written
		}
		f.Close()
		defer os.Remove(ballast)
		return "a full disk" + h.suffer(h.command(torturePass{Now: h.now + 1}))
	}
	call := calls[n%len(calls)]
	inject := fmt.Sprintf("inject=%s:%s:when=%d", call, faults[h.dice.IntN(len(faults))], 1+h.dice.IntN(6))
	args := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", inject}
	if !strings.HasPrefix(call, "send") { // of the state directory only
		args = append(args, "-P", disk, "-P", filepath.Join(disk, "state.json.new"), "-P", filepath.Join(disk, "history.jsonl"), "-P", filepath.Join(disk, "state.json"))
	}
	return inject + h.suffer(h.command(torturePass{Now: h.now + 1}, args...))
}

// suffer runs a child that may fail but must not crash, and says how it ended.
func (h *house) suffer(c *exec.Cmd) string {
	var said bytes.Buffer
	c.Stderr = &said
	err := c.Run()
	if strings.Contains(said.String(), "goroutine ") {
		h.t.Errorf("it crashed:\n%s", said.String())
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		h.kills++
	}
	return fmt.Sprintf(" (%v: %s)", err, strings.TrimSpace(said.String()))
}

// atOnce starts two passes together: one waits for the other.
func (h *house) atOnce() string {
	a, b := h.command(torturePass{Now: h.now + 1}), h.command(torturePass{Now: h.now + 1})
	if err := errors.Join(a.Start(), b.Start()); err != nil {
		h.t.Fatal(err)
	}
	if err := errors.Join(a.Wait(), b.Wait()); err != nil {
		h.t.Errorf("two passes at once: %v", err)
	}
	h.check(true, "two passes at once")
	return "two passes at once"
}

// unban takes back all bans of a key that is often seen.
func (h *house) unban() string {
	if len(h.events) == 0 {
		return "nothing"
	}
	h.now++
	key := modelKey(h.events[h.dice.IntN(len(h.events))].addr)
	if said, err := h.command(torturePass{Now: h.now, Unban: key.String()}).CombinedOutput(); err != nil {
		h.t.Errorf("unban %s: %v\n%s", key, err, said)
	}
	h.pardons = append(h.pardons, modelPardon{h.now, key})
	h.now++
	h.check(true, "an unban of "+key.String())
	return "unban " + key.String()
}
