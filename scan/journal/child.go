package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// journalctlName is the program that is started: looked up in PATH.
var journalctlName = "journalctl"

// child reads what "journalctl -o export" prints.
type child struct {
	parent context.Context
	q      query
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stderr *bounded
	parser *exportParser
	ended  bool  // the end was met and the child waited for
	failed error // how the child ended, when not well
	at     int64
	// Cursors of the current entry and the one before.
	here, before string
	broken       unreadable
	steps        int       // over entries that journalctl failed on, since a file was left
	passed       Cursor    // entries up to here have been read before this child was started
	left         []badFile // at an entry that journalctl ends on
}

// maxSteps is how many entries that journalctl fails on are stepped over before a file is
// left: each costs a new child.
const maxSteps = 200

// maxData is how many bytes of its own journalctl may hold while it reads so many files;
// mapped files are not among them. It keeps a value unpacked of each file that is open, of at
// most maxField where the file is sound, and takes twice that. The walk over a file ends at the
// first damage, and a value of gigabytes may stand behind that. The limit is set when the child
// has begun: one that comes to such a value before that is not held back.
func maxData(files int) uint64 { return 2 * maxField * uint64(files+1) }

// openChild starts journalctl. It refuses all files together for one bad one,
// before it prints anything, so then each is tried by itself.
func openChild(ctx context.Context, q query) (reader, []badFile, error) {
	c, err := startChild(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	if c.prints() {
		return c, nil, nil
	}
	good, bad, err := c.tryEach(Cursor{})
	switch {
	case err != nil:
		return nil, bad, err
	case len(good) == 0:
		return empty{}, bad, nil
	}
	q.files = good
	c, err = startChild(ctx, q)
	return c, bad, err
}

// prints tells whether the child has something to say, or ended well without.
func (c *child) prints() bool {
	_, err := c.parser.r.Peek(1)
	return err == nil || c.wait() == nil
}

// tryEach tells with which of the files journalctl comes to an entry after the cursor, or to
// the end. It is an error that it does with all.
func (c *child) tryEach(after Cursor) (good []FileInfo, bad []badFile, err error) {
	for _, f := range c.q.files {
		q := c.q
		q.files = []FileInfo{f}
		one, err := startChild(c.parent, q)
		if err != nil {
			return nil, bad, err
		}
		one.passed = after
		for err = one.parser.next(); err == nil && one.arrive() == nil && one.isPassed(); {
			err = one.parser.next()
		}
		if err != nil && one.wait() != nil {
			bad = append(bad, badFile{f, one.failed})
		} else {
			good = append(good, f)
		}
		_ = one.close()
	}
	if len(bad) == 0 {
		return nil, nil, c.failed
	}
	return good, bad, nil
}

// startChild runs journalctl(1) for the query.
func startChild(parent context.Context, q query) (*child, error) {
	ctx, cancel := context.WithCancel(parent)
	c := &child{parent: parent, q: q, cancel: cancel, stderr: &bounded{}}
	c.cmd = exec.CommandContext(ctx, journalctlName, arguments(q)...)
	c.cmd.Env = append(c.cmd.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "SYSTEMD_LOG_LEVEL=warning")
	c.cmd.Stdin = os.Stdin // it reads none; else /dev/null is opened, which the unit hides
	c.cmd.Stderr = c.stderr
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
	most := maxData(len(q.files))
	_ = unix.Prlimit(c.cmd.Process.Pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most}, nil) // without it it reads too
	c.parser = newExportParser(out, q.fields)
	c.cutShort()
	return c, nil
}

// cutShort has the parser count the entries that journalctl left at a damaged field.
func (c *child) cutShort() {
	c.parser.cut = func(cursor []byte) { c.broken.add(c.q.files, string(cursor), errDamaged) }
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
	case q.beyond:
		args = append(args, "--after-cursor="+q.seek)
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
	for !c.ended {
		err := c.parser.next()
		if err == nil {
			err = c.arrive()
		}
		switch {
		case err == nil && c.isPassed():
		case err == nil:
			return true, nil
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			_ = c.close() // what it prints is no export format: it must not wait for us to read on
			c.failed = fmt.Errorf("journalctl: %w", err)
		case c.wait() == nil && !errors.Is(err, io.EOF):
			c.failed = fmt.Errorf("journalctl: %w", err)
		case c.gaveUp() && c.parent.Err() == nil:
			if c.q.last && c.arrive() == nil {
				c.failed = nil
				return true, nil // where it stands is known, what it holds is not asked
			}
			if err := c.goOn(); err != nil {
				return false, err
			}
		}
	}
	return false, c.failed
}

// gaveUp tells whether journalctl ended on what it met. One that was killed will find more
// the next time.
func (c *child) gaveUp() bool {
	exit := (*exec.ExitError)(nil)
	return errors.As(c.failed, &exit) && exit.Exited()
}

// arrive takes over where the entry that was read stands.
func (c *child) arrive() (err error) {
	if c.at, err = c.parser.realtime(); err == nil {
		text, _ := c.parser.value(exportCursor)
		c.before, c.here = c.here, string(text)
	}
	return err
}

// isPassed tells whether the entry was read before this child was started.
func (c *child) isPassed() bool {
	if c.passed == (Cursor{}) {
		return false
	}
	if here, err := ParseCursor(c.here); err == nil && here.Compare(c.passed) <= 0 {
		return true
	}
	c.passed = Cursor{}
	return false
}

// goOn starts another child where the last one ended on an entry that it cannot read: one
// damaged field, of no matter which name, is enough. If its cursor was printed, the reading
// goes on behind it. Else, or where that was done often, the file is left that the entry is in, and
// the others go on.
func (c *child) goOn() error {
	q, next := c.q, child{broken: c.broken, left: c.left, here: c.here, before: c.before, steps: c.steps}
	if text, _ := c.parser.value(exportCursor); len(text) > 0 && c.steps < maxSteps {
		// It may not be found again, and --after-cursor passes over any other entry as well.
		if q.beyond = q.seek == string(text); !q.beyond {
			next.steps++
			next.broken.add(q.files, string(text), c.failed)
		}
		q.seek = string(text)
	} else {
		if c.here != "" {
			q.seek, q.beyond = c.here, false
			if here, err := ParseCursor(c.here); err == nil && holder(q.files, here) >= 0 {
				next.passed = here
			}
		}
		c.q = q
		good, bad, err := c.tryEach(next.passed)
		if err != nil {
			return err
		}
		next.left, next.steps = append(next.left, bad...), 0
		q.files = good
		if len(good) == 0 {
			c.failed, c.left = nil, next.left
			return nil
		}
	}
	started, err := startChild(c.parent, q)
	if err != nil {
		return err
	}
	next.parent, next.q, next.cmd, next.cancel, next.parser = started.parent, started.q, started.cmd, started.cancel, started.parser
	next.stderr = started.stderr
	*c = next
	c.cutShort()
	return nil
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
		return "", errNoEntry
	}
	return c.here, nil
}

func (c *child) previousCursor() (string, error) {
	if c.before == "" {
		return "", errNoneBefore
	}
	return c.before, nil
}

// warnings are what the child said on stderr, once it has ended.
func (c *child) warnings() []string {
	if !c.ended {
		return nil
	}
	out := c.broken.warnings("entries")
	for _, b := range c.left {
		out = append(out, fmt.Sprintf("journal file %s was left at an entry that cannot be read: %v", b.file.Path, b.err))
	}
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
