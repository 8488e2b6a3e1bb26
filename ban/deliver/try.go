package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"scan2ban/state"
	"scan2ban/state/report"
)

// errNothing says that the configuration names nobody to deliver to.
var errNothing = errors.New("the configuration names nobody to be told: neither [mail] with to = [...] nor [[hook]]")

// How is what a round can be told on the command line.
type How struct{ test string }

// Flags adds that.
func (h *How) Flags(flags *pflag.FlagSet) {
	flags.Func("test", "try one way, `mail|hook`, now, whatever is due, and show what came of it", func(way string) error {
		if way != "mail" && way != "hook" {
			return errors.New("there is mail and hook")
		}
		h.test = way
		return nil
	})
}

// Do is a round, or a trial; what comes of that is said on w, all else on standard error.
func (h *How) Do(ctx context.Context, w io.Writer, o Options) error {
	o.Out = os.Stderr
	if h.test != "" {
		return try(ctx, w, o, h.test)
	}
	return Run(ctx, o)
}

// try tries a way of delivery, "mail" or "hook", whatever is due, moves no position,
// and says on w what came of it. The mail is a digest of the last span.
func try(ctx context.Context, w io.Writer, o Options, what string) error {
	switch {
	case what == "mail" && len(o.Mail.To) > 0:
		return testMail(ctx, w, o)
	case what == "hook" && len(o.Hooks) > 0:
		return testHooks(ctx, w, o)
	}
	return errNothing
}

func testMail(ctx context.Context, w io.Writer, o Options) error {
	r, err := look(o)
	if err != nil {
		return err
	}
	m := &digestMail{&o.Mail}
	p := &position{Last: o.Now.Unix() - m.every()}
	for _, d := range r.list {
		if d.Time < p.Last {
			p.Seq = d.Seq
		}
	}
	d, err := m.digest(r, p, r.seq, o.Now.Unix())
	if err != nil {
		return err
	}
	mail := m.compose(r, d, p, r.seq)
	mail.id, mail.subject = "test-"+state.Hash(o.Now.String()), mail.subject+" (a test)"
	said, err := m.hand(ctx, mail, r.host)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s took a mail to %s", m.Sendmail, m.names())
	if said != "" {
		fmt.Fprintf(w, " and said: %s", said)
	}
	fmt.Fprintf(w, "\nWhether it arrives is told by its log, and by a look into the mailbox.\n")
	return nil
}

// testHooks tells every hook of a warning that is none.
func testHooks(ctx context.Context, w io.Writer, o Options) (err error) {
	r := &round{Options: o, host: hostname()}
	for i := range o.Hooks {
		h := &hookSink{Hook: &o.Hooks[i]}
		e := &Event{Event: "warning", ID: state.Hash("test " + o.Now.String()), Time: report.UTC(o.Now.Unix()), Host: r.host, Text: "a test of the hook"}
		if failed := h.run(ctx, r, e); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", h.title(), failed))
			continue
		}
		fmt.Fprintf(w, "%s: told of a warning, exit code 0\n", h.title())
	}
	return err
}
