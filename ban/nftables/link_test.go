package nftables

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestLeastLinux: an error that nf_tables is lacking and the README name the same kernel.
func TestLeastLinux(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"README.md": string(readme), "the error": explain(errors.ErrUnsupported).Error()} {
		if !strings.Contains(text, leastLinux+" or ") {
			t.Errorf("%s does not name %s", where, leastLinux)
		}
	}
}

// TestKernelWithout: a kernel that lacks nf_tables, or is too old for a netlink socket as it is
// set up here, has no table of ours: no pass by hooks warns of it.
func TestKernelWithout(t *testing.T) {
	for call, no := range map[string]error{"socket": unix.EPROTONOSUPPORT, "setsockopt": unix.ENOPROTOOPT, "sendto": unix.EINVAL} {
		err := explain(unsupported(&netlink.OpError{Op: call, Err: os.NewSyscallError(call, no)}))
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), leastLinux) {
			t.Errorf("%s: %v", call, err)
		}
	}
}
