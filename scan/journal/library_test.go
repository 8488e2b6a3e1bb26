//go:build cgo

package journal

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// A page that cannot be read, here of a file that is cut while it is mapped, costs what stands there, not the pass.
func TestPagesThatCannotBeRead(t *testing.T) {
	file := journaltest.Write(t, filepath.Join(t.TempDir(), "system.journal"), entries(3000, "m"))
	info, err := readInfo(file)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := openLibrary(query{files: []FileInfo{info}})
	if err != nil {
		t.Skip(err)
	}
	defer r.close()
	n := 0
	for ok := true; ok; n++ {
		if ok, err = r.next(); n == 10 {
			if err := os.Truncate(file, int64(info.tailObject)/2&^4095); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n < 10 || n > 3000 {
		t.Errorf("%d of 3000 entries, %v", n, err)
	}
}

// A SIGBUS that is sent ends the program, as any other does.
func TestSentSIGBUS(t *testing.T) {
	if os.Getenv("SENT_SIGBUS") != "" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGBUS)
		time.Sleep(time.Second)
		os.Exit(0)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestSentSIGBUS$")
	c.Env = append(os.Environ(), "SENT_SIGBUS=1")
	if err := c.Run(); err == nil || !c.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("%v, want the signal", err)
	}
}
