package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A house is one host of the scene: a copy of a root, a network namespace with a
// cable to the street, and what runs in it between two boots.
type house struct {
	name, debian string
	dir          string // below it root, the overlay's other directories, and console.log
	root         string
	group        string   // control group
	init         []string // the first process, if it is not systemd

	nspawn *exec.Cmd
	ended  chan error // of nspawn
	leader int        // the process that is number 1 inside
}

const (
	password  = "secret" // root's
	hostIPv4  = "192.0.2.1"
	hostIPv6  = "2001:db8:1::1"
	boxIPv4   = "198.51.100.2" // behind the host, see connectBox
	insidePTH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// newHouse copies the root, which costs nothing: it lies under an overlay.
func newHouse(ctx context.Context, dir, group, debian, play string) (*house, error) {
	h := &house{name: debian + "-" + play, debian: debian}
	h.dir = filepath.Join(dir, h.name)
	h.root = filepath.Join(h.dir, "root")
	h.group = filepath.Join(group, h.name)
	for _, d := range []string{h.root, h.dir + "/upper", h.dir + "/work", h.group} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", rootOf(debian), h.dir, h.dir)
	if err := syscall.Mount("overlay", h.root, "overlay", 0, options); err != nil {
		return nil, fmt.Errorf("mount overlay %s (%s): %w", h.root, options, err)
	}
	id := make([]byte, 16)
	rand.Read(id)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // systemd wants a UUID of version 4
	errs := []error{
		h.write("etc/machine-id", fmt.Sprintf("%x\n", id)), // without one the first boot would enable every unit
		h.write("etc/hostname", "house\n"),
		h.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 house\n"),
		h.write("etc/ssh/sshd_config.d/scene.conf", "PermitRootLogin yes\nPasswordAuthentication yes\n"),
	}
	passwd := exec.CommandContext(ctx, "chroot", h.root, "chpasswd")
	passwd.Stdin = strings.NewReader("root:" + password + "\n")
	if text, err := passwd.CombinedOutput(); err != nil {
		errs = append(errs, fmt.Errorf("set root's password: %w: %s", err, text))
	}
	return h, errors.Join(errs...)
}

// write puts a file into the house's root, whether it is running or not.
func (h *house) write(path, text string) error {
	path = filepath.Join(h.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// The network namespaces of a house: its own, that of the street before it, and
// that of a box behind it, for which the house is the router.
func (h *house) host() string   { return h.name }
func (h *house) street() string { return h.name + "-street" }
func (h *house) box() string    { return h.name + "-box" }

// connect makes all three namespaces anew, as a boot does on real hardware.
func (h *house) connect(ctx context.Context) error {
	for _, ns := range []string{h.host(), h.street(), h.box()} {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			if _, err := output(ctx, "ip", "netns", "del", ns); err != nil {
				return err
			}
		}
		if _, err := output(ctx, "ip", "netns", "add", ns); err != nil {
			return err
		}
	}
	// 2001:db8::/44 is one link, so that clients in other /64 need no router.
	var street strings.Builder
	for _, c := range clients {
		fmt.Fprintf(&street, "addr add %s/%d dev eth0 nodad\n", c, map[bool]int{true: 44, false: 24}[strings.Contains(c, ":")])
	}
	for _, b := range []struct{ ns, commands string }{
		{h.host(), "link set lo up\n" +
			"link add eth0 type veth peer name eth0 netns " + h.street() + "\n" +
			"link add eth1 type veth peer name eth0 netns " + h.box() + "\n" +
			"addr add " + hostIPv4 + "/24 dev eth0\naddr add " + hostIPv6 + "/44 dev eth0 nodad\naddr add 198.51.100.1/24 dev eth1\n" +
			"link set eth0 up\nlink set eth1 up\n"},
		{h.street(), "link set lo up\n" + strings.ReplaceAll(street.String(), "/24 dev eth0 nodad", "/24 dev eth0") +
			"link set eth0 up\nroute add 198.51.100.0/24 via " + hostIPv4 + "\n"},
		{h.box(), "link set lo up\naddr add " + boxIPv4 + "/24 dev eth0\nlink set eth0 up\nroute add default via 198.51.100.1\n"},
	} {
		cmd := exec.CommandContext(ctx, "ip", "-n", b.ns, "-batch", "-")
		cmd.Stdin = strings.NewReader(b.commands)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("lay the network of %s: %w: %s", b.ns, err, text)
		}
	}
	return inNamespace(h.host(), func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
}

// boot starts the house with a new network and does not wait until it is up.
func (h *house) boot(ctx context.Context) error {
	if err := h.connect(ctx); err != nil {
		return err
	}
	args := []string{"-q", "-D", h.root, "--machine=" + h.name, "--hostname=house", "--register=no", "--keep-unit",
		"--network-namespace-path=/run/netns/" + h.host(), "--capability=CAP_NET_ADMIN", "--resolv-conf=off", "--timezone=off"}
	if h.init == nil {
		args = append(args, "-b")
	} else {
		args = append(append(args, "--"), h.init...)
	}
	console, err := os.OpenFile(h.dir+"/console.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer console.Close()
	group, err := os.Open(h.group)
	if err != nil {
		return err
	}
	defer group.Close()
	h.nspawn = exec.Command("systemd-nspawn", args...)
	// The unified hierarchy, also where the outer host still has both: systemd 256
	// starts with no other.
	h.nspawn.Env = append(os.Environ(), "UNIFIED_CGROUP_HIERARCHY=1", "LC_ALL=C.UTF-8")
	h.nspawn.Stdout, h.nspawn.Stderr = console, console
	h.nspawn.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if err := h.nspawn.Start(); err != nil {
		return fmt.Errorf("start systemd-nspawn: %w", err)
	}
	h.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(h.nspawn, h.ended)
	return nil
}

// await waits until the first process runs and, if that is systemd, until it has
// started everything.
func (h *house) await(ctx context.Context) error {
	for {
		if h.leader = h.findLeader(); h.leader != 0 {
			break
		}
		select {
		case err := <-h.ended:
			return fmt.Errorf("%s did not boot: %w: %s", h.name, err, h.console())
		case <-ctx.Done():
			return fmt.Errorf("%s did not boot: %w: %s", h.name, ctx.Err(), h.console())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if h.init != nil {
		return nil
	}
	for { // systemctl says "Failed to connect to bus" before there is one
		text, code, err := h.inside(ctx, "systemctl is-system-running --wait")
		state := strings.TrimSpace(text)
		if err != nil || state == "running" {
			return err
		}
		if state == "degraded" {
			failed, _, _ := h.inside(ctx, "systemctl --failed --plain --no-legend")
			return fmt.Errorf("%s: units failed at boot: %s", h.name, failed)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not come up: %w: %s (%d): %s", h.name, ctx.Err(), state, code, h.console())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// findLeader is the child of nspawn, once it is the init of the root.
func (h *house) findLeader() int {
	pid := h.nspawn.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(text)) {
		name, _ := os.ReadFile("/proc/" + child + "/comm")
		want := "systemd"
		if h.init != nil {
			want = filepath.Base(h.init[0])
		}
		if strings.TrimSpace(string(name)) == want {
			leader, _ := strconv.Atoi(child)
			return leader
		}
	}
	return 0
}

func (h *house) console() string {
	text, _ := os.ReadFile(h.dir + "/console.log")
	return string(text[max(0, len(text)-3000):])
}

// halt ends the house: in order, or as a power cut does.
func (h *house) halt(ctx context.Context, cut bool) error {
	if h.nspawn == nil {
		return nil
	}
	if cut || h.leader == 0 || h.init != nil {
		if err := os.WriteFile(filepath.Join(h.group, "cgroup.kill"), []byte("1"), 0); err != nil {
			return fmt.Errorf("end %s: %w", h.name, err)
		}
	} else if err := syscall.Kill(h.leader, syscall.Signal(34+4)); err != nil { // SIGRTMIN+4: power off
		return fmt.Errorf("power off %s: %w", h.name, err)
	}
	h.leader = 0
	select {
	case <-h.ended: // its exit code tells nothing
		h.nspawn = nil
		if !cut {
			return nil
		}
		// A group that was killed once kills what is cloned into it from another
		// (Linux 6.14 and later): the next boot gets one of its own.
		h.group += "+"
		return os.Mkdir(h.group, 0o755)
	case <-ctx.Done():
		return fmt.Errorf("%s does not end: %w", h.name, ctx.Err())
	}
}

// inside runs a shell command in the house and gives what it printed on both
// outputs, and its exit code. An error says that it could not be run.
func (h *house) inside(ctx context.Context, command string) (string, int, error) {
	if h.leader == 0 {
		return "", 0, fmt.Errorf("%s is not running", h.name)
	}
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(h.leader), "-a", "env", "-i", insidePTH, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=",
		"sh", "-c", "cd; "+command)
	cmd.WaitDelay = time.Second
	return ran(cmd)
}

// ran runs a command and tells an exit code from a failure to run.
func ran(cmd *exec.Cmd) (string, int, error) {
	text, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return string(text), ended.ExitCode(), nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(text))
	}
	return string(text), 0, err
}

// output runs a command that must succeed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	text, code, err := ran(exec.CommandContext(ctx, name, args...))
	if err == nil && code != 0 {
		err = fmt.Errorf("%s %s: exit code %d: %s", name, strings.Join(args, " "), code, text)
	}
	return text, err
}
