package deliver

import (
	"bytes"
	"context"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// program is one of the host's, started without a shell and with a time limit that ctx
// has. It gets its own process group, so that its children end with it, and what it
// prints is kept in out as far as there is room.
func program(ctx context.Context, out *bounded, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = "/"
	c.Stdout = out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	return c
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	lock sync.Mutex
	b    bytes.Buffer
	most int
	lost bool
}

func (w *bounded) Write(text []byte) (int, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	room := min(w.most-w.b.Len(), len(text))
	w.b.Write(text[:room])
	w.lost = w.lost || room < len(text)
	return len(text), nil
}

// String is what was kept, and that there was more.
func (w *bounded) String() string {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.lost {
		return w.b.String() + "\n(and more, which is left out)"
	}
	return w.b.String()
}
