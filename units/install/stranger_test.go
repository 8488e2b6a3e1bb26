package install

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"scan2ban/state"
)

// TestUninstallWhileLocked: who holds the lock leaves no bans behind, which nothing would
// take out of the kernel any more.
func TestUninstallWhileLocked(t *testing.T) {
	defer func(was time.Duration) { patience = was }(patience)
	patience = 100 * time.Millisecond
	b := newBench(t)
	b.must(b.do(Options{}))
	s, err := state.OpenStore(b.path(state.DefaultPath), false)
	b.must(errors.Join(err, s.Lock(0)))
	defer s.Close()
	if err := b.install(Options{}).Uninstall(t.Context(), How{}); !errors.Is(err, state.ErrLocked) {
		t.Errorf("error %v", err)
	}
	if b.tables != 1 {
		t.Error("the bans are left in the kernel")
	}
}

// TestUninstallWhileWritten: who goes on writing into the state directory, or could, does not
// keep the rest of an uninstall away.
func TestUninstallWhileWritten(t *testing.T) {
	defer func(was time.Duration) { patience = was }(patience)
	defer func() { removeAll = os.RemoveAll }()
	b := newBench(t)
	b.must(b.do(Options{}))
	if os.Geteuid() == 0 {
		b.must(os.Chown(b.path(stateDir), 4321, 4321))
	}
	patience = 200 * time.Millisecond
	removeAll = func(name string) error {
		if name != b.path(stateDir) {
			return os.RemoveAll(name)
		}
		if info, err := os.Stat(name); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
			t.Errorf("%s is still another user's: %v", name, err)
		}
		<-t.Context().Done()
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- b.install(Options{}).Uninstall(t.Context(), How{}) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "remove "+stateDir+": not done") {
			t.Errorf("error %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for ever")
	}
	if b.exists("/usr/local/sbin/scan2ban") {
		t.Error("the program is left")
	}
	info, err := os.Stat(b.path(stateDir))
	b.must(err)
	if of := info.Sys().(*syscall.Stat_t).Uid; os.Geteuid() == 0 && of != 4321 {
		t.Errorf("what is left is user %d's: an install would give it on", of)
	}
}

// TestGiveOfAStranger: what lies in a directory that was another user's, perhaps a second name
// of anybody's file, is given to nobody.
func TestGiveOfAStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives a directory away")
	}
	b := newBench(t)
	b.file("/etc/victim", "x")
	b.must(errors.Join(os.MkdirAll(b.path(stateDir), 0o700), os.Chown(b.path(stateDir), 4321, 4321), os.Link(b.path("/etc/victim"), b.path(stateDir+"/a"))))
	if err := b.install(Options{}).give(stateDir, 5555, 5555); err == nil || !strings.Contains(err.Error(), "belongs to user 4321") {
		t.Errorf("error %v", err)
	}
	info, err := os.Stat(b.path("/etc/victim"))
	b.must(err)
	if is := info.Sys().(*syscall.Stat_t); is.Uid != 0 {
		t.Errorf("the victim belongs to user %d", is.Uid)
	}
}
