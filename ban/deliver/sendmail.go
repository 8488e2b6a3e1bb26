package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"scan2ban/state/report"
)

// sendmailLimit is how long the host's sendmail may take to accept a mail.
const sendmailLimit = 2 * time.Minute

// Sendmail hands a message to the host's program of that name: it reads the recipients
// from the header (-t) and takes a lone dot for text (-i). said is what it printed, in a
// line; an error holds it too.
func Sendmail(ctx context.Context, name string, mail []byte) (said string, err error) {
	round := ctx
	ctx, stop := context.WithTimeout(ctx, sendmailLimit)
	defer stop()
	out := &bounded{most: 1000}
	c := program(ctx, out, name, "-i", "-t")
	c.Stdin, c.Stderr, c.Env = bytes.NewReader(mail), out, append(os.Environ(), "LC_ALL=C")
	err = c.Run()
	said = strings.Join(strings.Fields(report.Clean(strings.ReplaceAll(out.String(), "\n", " "))), " ")
	switch {
	case err != nil && round.Err() != nil:
		return said, fmt.Errorf("%s did not take the mail before the time for all deliveries was over: %w", name, round.Err())
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return said, fmt.Errorf("%s did not take the mail within %s", name, sendmailLimit)
	case errors.Is(err, os.ErrNotExist):
		return said, fmt.Errorf("%s: there is no such program (install a mail program that has it: msmtp-mta, dma, postfix, exim; or name yours with sendmail = \"...\")", name)
	case err == nil || errors.Is(err, exec.ErrWaitDelay): // it may leave a child that delivers
		return said, nil
	case said != "":
		return said, fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return said, fmt.Errorf("%s: %w", name, err)
}
