package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/state/report"
)

// cronTable starts the passes where systemd does not, as root; crontabs where cron is
// busybox's (the latter OpenWrt's), which are root's and hold others' lines too.
const cronTable = "/etc/cron.d/scan2ban"

var crontabs = []string{"/var/spool/cron/crontabs/root", "/etc/crontabs/root"}

// cron is the table by which cron starts the passes; "" where none is seen.
func (c *checker) cron() string {
	if c.root.Exists(cronTable) {
		return cronTable
	}
	i := slices.IndexFunc(crontabs, func(path string) bool { return strings.Contains(c.root.Text(path), "# scan2ban: begin") })
	if i < 0 {
		return ""
	}
	return crontabs[i]
}

// unitUser is the user that the passes run as; "" where that is root or not known.
func (c *checker) unitUser() string {
	if name := c.units()[service]["User"]; name != "root" {
		return name
	}
	return ""
}

// capabilities by the names that systemctl prints: those that a drop-in of ours
// gives.
var capabilities = map[string]uintptr{"cap_net_admin": unix.CAP_NET_ADMIN, "cap_dac_read_search": unix.CAP_DAC_READ_SEARCH, "cap_dac_override": unix.CAP_DAC_OVERRIDE}

// permissions starts this program once more with the rights of the unit's user
// and takes over what it finds. The unit's sandbox is not imitated.
func permissions(ctx context.Context, c *checker, found *report.Findings) {
	const what = "rights of the unit's user"
	u := c.units()[service]
	name := c.unitUser()
	switch {
	case !u.loaded() && c.cron() != "":
		return // root, as which all has been looked at
	case !u.loaded():
		found.Note(what, fmt.Sprintf("%s is not installed yet: looked at with the rights of %s", service, me(c.euid)))
		return
	case c.euid != 0:
		found.Note(what, fmt.Sprintf("looked at with the rights of %s, not with those of %s (%s)", me(c.euid), service, asRoot))
		return
	case name == "":
		return
	}
	credential, err := credentialOf(name, strings.Fields(u["SupplementaryGroups"]))
	if err != nil {
		found.Fail(what, fmt.Sprintf("%s cannot start: %v", service, err), "systemd-sysusers, or scan2ban install")
		return
	}
	var ambient []uintptr
	for word := range strings.FieldsSeq(u["AmbientCapabilities"]) {
		if n, ok := capabilities[word]; ok {
			ambient = append(ambient, n)
		}
	}
	if !slices.Contains(ambient, unix.CAP_NET_ADMIN) {
		found.Fail(what, service+" lacks CAP_NET_ADMIN: no ban reaches the kernel", "AmbientCapabilities=CAP_NET_ADMIN in "+service+"\nsystemctl daemon-reload")
	}
	others, err := c.askUnit(ctx, credential, ambient)
	if errors.Is(err, os.ErrPermission) && len(ambient) > 0 { // a container without the capability: not even root has it
		found.Fail(what, service+" does not get "+strings.ToUpper(u["AmbientCapabilities"])+": here not even root has it to give", "in a container, start it with that capability")
		others, err = c.askUnit(ctx, credential, nil)
	}
	if err != nil {
		found.Warn(what, fmt.Sprintf("not looked at: start %s as %s: %v", os.Args[0], name, err), "sudo -u "+name+" scan2ban check")
		return
	}
	if others.Count(report.Fatal)+others.Count(report.Warning) == 0 {
		found.OK(what, name+" can read configuration and logs, write the state and change the kernel")
	}
	for _, x := range others {
		if x.Level == report.Warning || x.Level == report.Fatal {
			x.What += echo + name
			*found = append(*found, x)
		}
	}
}

// echo stands in the name of what the second start has found.
const echo = ", as "

// withoutEchoes leaves out what the unit's user finds as everybody does.
func withoutEchoes(found report.Findings) report.Findings {
	return slices.DeleteFunc(found, func(x report.Finding) bool {
		what, _, ok := strings.Cut(x.What, echo)
		return ok && slices.ContainsFunc(found, func(y report.Finding) bool { return y.What == what && y.Text == x.Text })
	})
}

func me(euid int) string {
	if u, err := user.LookupId(strconv.Itoa(euid)); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(euid)
}

// credentialOf is what a unit with that User= and SupplementaryGroups= runs with.
func credentialOf(name string, groups []string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, group := range groups {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, err
		}
		ids = append(ids, g.Gid)
	}
	c := &syscall.Credential{}
	for to, id := range map[*uint32]string{&c.Uid: u.Uid, &c.Gid: u.Gid} {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		*to = uint32(n)
	}
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		c.Groups = append(c.Groups, uint32(n))
	}
	return c, nil
}

// askUnit gives the findings of this program started with those rights. Another process of
// that user can take the child over (ptrace(2)): it gets a session of its own, for what is
// put into the terminal of this one (TIOCSTI) is read by root's shell, no file that root's shell
// has open beside the first three, and its answer is read up to a limit.
func (c *checker) askUnit(ctx context.Context, credential *syscall.Credential, ambient []uintptr) (report.Findings, error) {
	ctx, cancel := context.WithTimeout(ctx, limit/2+5*time.Second)
	defer cancel()
	args := []string{"check", "--as-unit", "--json", "--state", c.StatePath}
	if c.Config != "" {
		args = append(args, "--config", c.Config)
	}
	child := exec.CommandContext(ctx, "/proc/self/exe", args...)
	child.Dir, child.Env = "/", []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	child.SysProcAttr = &syscall.SysProcAttr{Credential: credential, AmbientCaps: ambient, Setsid: true}
	child.WaitDelay = time.Second
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	var out, complaint short
	child.Stdout, child.Stderr = &out, &complaint
	err = child.Run()
	var answer struct{ Findings report.Findings }
	if bad := json.Unmarshal(out.text, &answer); bad == nil {
		return answer.Findings, nil // it may have found an error
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) && len(complaint.text) > 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaint.text))
	}
	return nil, err
}

// short keeps what is written to it, a megabyte at most; more is an error of the writer.
type short struct{ text []byte }

func (s *short) Write(text []byte) (int, error) {
	if len(s.text)+len(text) > 1<<20 {
		return 0, errors.New("it says more than a megabyte")
	}
	s.text = append(s.text, text...)
	return len(text), nil
}
