package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/scan/host"
	"scan2ban/state/bootid"
)

// Runner runs the host's programs.
type Runner interface {
	// Run gives what the program prints on standard output; the error holds what
	// it says on standard error, and is exec.ErrNotFound where it is not there.
	Run(ctx context.Context, input string, name string, args ...string) (string, error)
}

// commands runs them for real.
type commands struct{}

func (commands) Run(ctx context.Context, input string, name string, args ...string) (string, error) {
	c, err := host.Command(ctx, name, args...)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	c.Stdin = strings.NewReader(input)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		if name == "busybox" && exitCode(err) == 127 { // it has no such applet
			return "", fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), exec.ErrNotFound)
		}
		if text := strings.TrimSpace(said.String()); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return out.String(), fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// exitCode is that of a program that ran and failed, -1 for one that did not.
func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// systemctl runs it. It is called in many places, and not inlined there.
//
//go:noinline
func (in *Install) systemctl(ctx context.Context, args ...string) error {
	_, err := in.Runner.Run(ctx, "", "systemctl", args...)
	return err
}

// clock gives this boot's id and the time since it began, suspends included.
func clock() (id string, since time.Duration) {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // cannot fail: Linux has it since 2.6.39
	return bootid.Running(), time.Duration(t.Nano())
}
