package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// journalctlName is the program that is started: looked up in PATH.
var journalctlName = "journalctl"

// child reads what "journalctl -o export" prints.
type child struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stderr bounded
	parser *exportParser
	ended  bool  // the end was met and the child waited for
	failed error // how the child ended, when not well
	at     int64
	// Cursors of the current entry and the one before.
	here, before string
}

// openChild starts journalctl. It refuses all files together for one bad one,
// before it prints anything, so then each is tried by itself.
func openChild(ctx context.Context, q query) (reader, []badFile, error) {
	c, err := startChild(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.parser.r.Peek(1); err == nil {
		return c, nil, nil
	}
	if c.wait() == nil {
		return c, nil, nil
	}
	var bad []badFile
	var good []FileInfo
	for _, f := range q.files {
		one, err := startChild(ctx, query{files: []FileInfo{f}, last: true})
		if err != nil {
			return nil, bad, err
		}
		_, _ = io.Copy(io.Discard, one.parser.r)
		if err := one.wait(); err != nil {
			bad = append(bad, badFile{f, err})
			continue
		}
		good = append(good, f)
	}
	switch {
	case len(bad) == 0: // not the files' fault
		return nil, nil, c.failed
	case len(good) == 0:
		return empty{}, bad, nil
	}
	q.files = good
	c, err = startChild(ctx, q)
	return c, bad, err
}

// startChild runs journalctl(1) for the query.
func startChild(ctx context.Context, q query) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &child{cancel: cancel}
	c.cmd = exec.CommandContext(ctx, journalctlName, arguments(q)...)
	c.cmd.Env = append(c.cmd.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "SYSTEMD_LOG_LEVEL=warning")
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		cancel()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("neither libsystemd nor the program journalctl is here to read it: %w", err)
		}
		return nil, err
	}
	c.parser = newExportParser(out, q.fields)
	return c, nil
}

// arguments of journalctl. --output-fields (systemd 236) cuts what is printed
// by more than half; cursor, times and boot id are always printed. --cursor
// takes what sd_journal_seek_cursor takes, so a bare "t=" is a wall clock time.
func arguments(q query) []string {
	args := []string{"--quiet", "--no-pager", "--output=export",
		"--output-fields=" + strings.Join(append([]string{"MESSAGE"}, q.fields...), ",")}
	for _, f := range q.files {
		args = append(args, "--file="+globQuoter.Replace(f.Path))
	}
	switch {
	case q.last:
		args = append(args, "--lines=1")
	case q.seek != "":
		args = append(args, "--cursor="+q.seek)
	}
	for i, term := range q.terms {
		if i > 0 {
			args = append(args, "+")
		}
		args = append(args, term...)
	}
	return args
}

// globQuoter takes the meaning from what glob(7), which --file goes through,
// would take for a pattern.
var globQuoter = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func (c *child) next() (bool, error) {
	if c.ended {
		return false, c.failed
	}
	err := c.parser.next()
	if err == nil {
		if c.at, err = c.parser.realtime(); err == nil {
			text, _ := c.parser.value(exportCursor)
			c.before, c.here = c.here, string(text)
			return true, nil
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if c.wait() == nil && !errors.Is(err, io.EOF) {
			c.failed = fmt.Errorf("journalctl: %w", err)
		}
		return false, c.failed
	}
	_ = c.close() // what it prints is no export format: it must not wait for us to read on
	c.failed = fmt.Errorf("journalctl: %w", err)
	return false, c.failed
}

// wait ends the child, if it has not ended, and says how it ended.
func (c *child) wait() error {
	if c.ended {
		return c.failed
	}
	c.ended = true
	err := c.cmd.Wait()
	c.cancel()
	if err != nil {
		c.failed = fmt.Errorf("journalctl: %w", err)
		if said := c.stderr.lines(); len(said) > 0 {
			c.failed = fmt.Errorf("journalctl: %s (%w)", strings.Join(said, "; "), err)
			c.stderr.b.Reset()
		}
	}
	return c.failed
}

func (c *child) time() int64 { return c.at }

func (c *child) message() []byte {
	value, _ := c.parser.value("MESSAGE")
	return value
}

func (c *child) field(name string) ([]byte, bool) { return c.parser.value(name) }

func (c *child) cursor() (string, error) {
	if c.here == "" {
		return "", errors.New("no entry")
	}
	return c.here, nil
}

func (c *child) previousCursor() (string, error) {
	if c.before == "" {
		return "", errors.New("no entry before this one")
	}
	return c.before, nil
}

// warnings are what the child said on stderr, once it has ended.
func (c *child) warnings() []string {
	if !c.ended {
		return nil
	}
	var out []string
	for _, line := range c.stderr.lines() {
		out = append(out, "journalctl: "+line)
	}
	return out
}

// close kills a child that is still running, and waits for it.
func (c *child) close() error {
	if !c.ended {
		c.cancel()
		_ = c.wait() // killed: that is no error
		c.failed = nil
	}
	return nil
}

// bounded keeps the first 64 KiB written to it.
type bounded struct{ b bytes.Buffer }

func (w *bounded) Write(p []byte) (int, error) {
	w.b.Write(p[:min(len(p), max(0, 64<<10-w.b.Len()))])
	return len(p), nil
}

func (w *bounded) lines() []string {
	return strings.FieldsFunc(w.b.String(), func(c rune) bool { return c == '\n' })
}
