package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is a booted container.
type machine struct {
	name   string
	root   string
	nspawn *exec.Cmd
	leader string // pid of its PID 1, on the host
	group  string // directory of its control group (v2), all processes below it
	groups []string
}

// hierarchies are the control group trees that systemd needs: on a host of the
// hybrid layout two, else one. The last is v2, whose cpu.stat needs no controller.
func hierarchies() []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{"/sys/fs/cgroup"}
	}
	return []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"}
}

// boot starts the container and waits until it has booted.
func boot(ctx context.Context, root string) (*machine, error) {
	m := &machine{name: "s2b-minute-" + strconv.Itoa(os.Getpid()), root: root}
	if err := do(ctx, "ip", "netns", "add", m.name); err != nil {
		return nil, err
	}
	script := ""
	for _, tree := range hierarchies() {
		group := filepath.Join(tree, m.name)
		if err := os.Mkdir(group, 0o755); err != nil {
			m.stop()
			return nil, err
		}
		m.groups = append(m.groups, group)
		m.group = filepath.Join(group, "payload")
		script += "echo 0 >" + group + "/cgroup.procs && "
	}
	// bpf, so that the unit's device and address rules cost what they cost on a host.
	m.nspawn = exec.Command("sh", "-c", script+`exec systemd-nspawn -D "$1" -M "$2" --register=no --keep-unit --network-namespace-path=/run/netns/"$2" --capability=CAP_NET_ADMIN,CAP_BPF --system-call-filter=bpf -b`,
		"sh", root, m.name)
	m.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	log, err := os.Create(root + ".log")
	if err != nil {
		m.stop()
		return nil, err
	}
	defer log.Close()
	m.nspawn.Stdout, m.nspawn.Stderr = log, log
	if err := m.nspawn.Start(); err != nil {
		m.stop()
		return nil, err
	}
	pid := strconv.Itoa(m.nspawn.Process.Pid)
	for range 150 {
		if ctx.Err() != nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
		children, _ := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
		if m.leader, _, _ = strings.Cut(strings.TrimSpace(string(children)), " "); m.leader == "" {
			continue
		}
		said, _ := m.command(ctx, "systemctl", "is-system-running").Output()
		if s := strings.TrimSpace(string(said)); s == "running" || s == "degraded" {
			progress("booted %s", root)
			return m, nil
		}
	}
	m.stop()
	said, _ := os.ReadFile(root + ".log")
	return nil, fmt.Errorf("%s does not boot:\n%s", root, tail(said))
}

// command is one that runs in the container, outside its control group.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"-t", m.leader, "-a"}, args...)...)
}

func (m *machine) do(ctx context.Context, args ...string) error {
	return do(ctx, m.command(ctx, args...).Args...)
}

// said is what a command in the container prints.
func (m *machine) said(ctx context.Context, args ...string) string {
	text, _ := m.command(ctx, args...).Output()
	return strings.TrimSpace(string(text))
}

func (m *machine) stop() {
	if m.nspawn != nil && m.nspawn.Process != nil {
		m.nspawn.Process.Signal(syscall.SIGTERM) // shuts it down
		late := time.AfterFunc(30*time.Second, func() { m.nspawn.Process.Kill() })
		_ = m.nspawn.Wait()
		late.Stop()
	}
	for _, group := range m.groups {
		for range 20 { // it is emptied a moment after
			if exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run() == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	_ = exec.Command("ip", "netns", "delete", m.name).Run()
}

// spent is the processor time of a group below the container's, "" for all of it.
func (m *machine) spent(group string) time.Duration {
	text, _ := os.ReadFile(filepath.Join(m.group, group, "cpu.stat"))
	for line := range strings.Lines(string(text)) {
		if µs, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(µs), 10, 64)
			return time.Duration(n) * time.Microsecond
		}
	}
	return 0
}

// cost is of one start of a pass.
type cost struct{ all, init time.Duration }

func (a cost) minus(b cost) cost { return cost{a.all - b.all, a.init - b.init} }

func (m *machine) cost() cost { return cost{all: m.spent(""), init: m.spent("init.scope")} }

// passes lets the timer start n passes, a second apart, and gives the cost of each.
func (m *machine) passes(ctx context.Context, n int) ([]cost, error) {
	mark := "/proc/" + m.leader + "/root/run/scan2ban/pass.json" // every pass renews it
	renewed := func() error {
		var was time.Time
		if info, err := os.Stat(mark); err == nil {
			was = info.ModTime()
		}
		for until := time.Now().Add(20 * time.Second); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			if info, err := os.Stat(mark); err == nil && !info.ModTime().Equal(was) {
				return nil
			}
		}
		return errors.New("no pass ended in 20 s:\n" + m.said(ctx, "journalctl", "-n", "20", "--no-pager", "-o", "cat"))
	}
	if err := m.do(ctx, "systemctl", "start", "scan2ban.timer"); err != nil {
		return nil, err
	}
	defer m.do(ctx, "systemctl", "stop", "scan2ban.timer")
	var list []cost
	var before cost
	for i := range n + 3 { // the first three: files are read, and the timer settles
		if err := renewed(); err != nil {
			return nil, err
		}
		time.Sleep(400 * time.Millisecond) // PID 1 is done with it too, and the next has not begun
		now := m.cost()
		if i >= 3 {
			list = append(list, now.minus(before))
		}
		before = now
	}
	return list, nil
}

// idle is what the container costs in that time when nothing happens.
func (m *machine) idle(span time.Duration) cost {
	before := m.cost()
	time.Sleep(span)
	return m.cost().minus(before)
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
