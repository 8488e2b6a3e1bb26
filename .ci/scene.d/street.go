package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The clients on the street before a house. IPv6 is banned by /64, but in the
// house's own /64 address by address.
const (
	mallory   = "192.0.2.10" // attackers
	mallory2  = "192.0.2.11"
	mallory3  = "192.0.2.12"
	mallory4  = "192.0.2.13"
	mallory6  = "2001:db8:2::10" // one of a /64
	neighbour = "2001:db8:2::11" // another of it
	beside6   = "2001:db8:1::10" // in the /64 of the house
	honest    = "192.0.2.20"
	honest6   = "2001:db8:3::20"
	admin     = "192.0.2.30"
)

var clients = []string{mallory, mallory2, mallory3, mallory4, mallory6, neighbour, beside6, honest, honest6, admin}

// inNamespace runs f in a network namespace. Sockets stay in it.
func inNamespace(name string, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/run/netns/" + name)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// dial connects from an address of the street. errShut says that no answer came.
func (h *house) dial(from, to string, within time.Duration) (net.Conn, error) {
	var conn net.Conn
	err := inNamespace(h.street(), func() (err error) {
		d := net.Dialer{Timeout: within, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err = d.Dial("tcp", to)
		return err
	})
	if slow := net.Error(nil); errors.As(err, &slow) && slow.Timeout() {
		return nil, errShut
	}
	return conn, err
}

var errShut = errors.New("no answer")

// sshPort is the house's sshd as a client dials it.
func sshPort(from string) string { return net.JoinHostPort(hostFor(from), "22") }

func hostFor(from string) string {
	if strings.Contains(from, ":") {
		return hostIPv6
	}
	return hostIPv4
}

// ssh is the real client, at an address of the street, which gives the same answer
// however often it is asked for a password.
func (h *house) ssh(ctx context.Context, from, secret string, prompts int, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "setsid", "-w", "nsenter", "--net=/run/netns/"+h.street(), "ssh", "-F", "none", "-b", from,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "ControlPath=none",
		"-o", "IdentityFile=none", "-o", "PreferredAuthentications=password", "-o", fmt.Sprintf("NumberOfPasswordPrompts=%d", prompts), "root@"+hostFor(from), command)
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+h.dir+"/askpass", "SSH_ASKPASS_REQUIRE=force", "SCENE_PASSWORD="+secret, "LC_ALL=C.UTF-8")
	cmd.WaitDelay = time.Second
	return cmd
}

// wrong gives n wrong passwords, each on a connection of its own, all at once.
func (h *house) wrong(ctx context.Context, from string, n int) error {
	results := make(chan error)
	for range n {
		go func() {
			text, code, err := ran(h.ssh(ctx, from, "wrong", 1, "true"))
			if err == nil && (code != 255 || !strings.Contains(text, "Permission denied")) {
				err = fmt.Errorf("ssh from %s with a wrong password: exit code %d: %s", from, code, text)
			}
			results <- err
		}()
	}
	var errs []error
	for range n {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}
