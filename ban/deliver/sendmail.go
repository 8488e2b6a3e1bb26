package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"scan2ban/state/report"
)

// sendmailLimit is how long the host's sendmail may take to accept a mail.
const sendmailLimit = 2 * time.Minute

// Sendmail hands a message to the host's program of that name: it reads the recipients
// from the header (-t) and takes a lone dot for text (-i). said is what it printed, in a
// line; an error holds it too.
func Sendmail(ctx context.Context, program string, mail []byte) (said string, err error) {
	ctx, stop := context.WithTimeout(ctx, sendmailLimit)
	defer stop()
	c := exec.CommandContext(ctx, program, "-i", "-t")
	c.Dir, c.Stdin = "/", bytes.NewReader(mail)
	c.Env = append(os.Environ(), "LC_ALL=C")
	out := &bounded{most: 1000}
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	err = c.Run()
	said = strings.Join(strings.Fields(report.Clean(strings.ReplaceAll(out.String(), "\n", " "))), " ")
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return said, fmt.Errorf("%s did not take the mail within %s", program, sendmailLimit)
	case errors.Is(err, os.ErrNotExist):
		return said, fmt.Errorf("%s: there is no such program (install a mail program that has it: msmtp-mta, dma, postfix, exim; or name yours with sendmail = \"...\")", program)
	case err == nil || errors.Is(err, exec.ErrWaitDelay): // it may leave a child that delivers
		return said, nil
	case said != "":
		return said, fmt.Errorf("%s: %w: %s", program, err, said)
	}
	return said, fmt.Errorf("%s: %w", program, err)
}
