package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"scan2ban/state"
	"scan2ban/state/report"
)

func TestExitCode(t *testing.T) {
	failed, wrong := errors.New("the kernel refuses"), Usage(errors.New("no such jail"))
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{failed, 1, "scan2ban: the kernel refuses\n"},
		{wrong, 2, "scan2ban: no such jail\n"},
		{fmt.Errorf("wait: %w", state.ErrLocked), 3, "scan2ban: wait: " + state.ErrLocked.Error() + "\n"},
		{errors.Join(failed, wrong), 2, "scan2ban: the kernel refuses\nscan2ban: no such jail\n"},
		{errors.Join(wrong, state.ErrLocked), 3, "scan2ban: no such jail\nscan2ban: " + state.ErrLocked.Error() + "\n"},
		{errors.New("a log says \x1b[2J\r"), 1, "scan2ban: " + report.Clean("a log says \x1b[2J\r") + "\n"},
	} {
		var out bytes.Buffer
		if code := ExitCode(c.err, &out); code != c.code || out.String() != c.says {
			t.Errorf("%v: code %d, says %q; want %d, %q", c.err, code, out.String(), c.code, c.says)
		}
		if bytes.ContainsAny(out.Bytes(), "\x1b\r") {
			t.Errorf("%v: says %q", c.err, out.String())
		}
	}
}

// What is wrong with a command line is code 2, and that a file takes no more is not.
func TestWrong(t *testing.T) {
	if err := Wrong(nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	for op, want := range map[string]int{"write": 1, "open": 2} {
		err := fmt.Errorf("filters: %w", &fs.PathError{Op: op, Path: "/dev/full", Err: fs.ErrInvalid})
		if code := ExitCode(Wrong(err), io.Discard); code != want {
			t.Errorf("%s: code %d, want %d", op, code, want)
		}
	}
}

func TestKnown(t *testing.T) {
	root := &cobra.Command{Use: "scan2ban"}
	root.AddCommand(&cobra.Command{Use: "status"}, &cobra.Command{Use: "unban"})
	for given, want := range map[string]string{"": "", "statsu": `unknown command "statsu" (did you mean "status"?)`, "xyzzy": `unknown command "xyzzy" (valid: status, unban)`} {
		got := ""
		if err := Known(root, strings.Fields(given)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

// Warnings are said once: not beside JSON that holds them, and not where errors alone are asked for.
func TestWarn(t *testing.T) {
	for _, c := range []struct {
		of   Console
		held bool
		want bool
	}{
		{Console{}, false, true},
		{Console{}, true, true},
		{Console{JSON: true}, true, false},
		{Console{JSON: true}, false, true},
		{Console{Quiet: true}, false, false},
		{Console{Quiet: true, JSON: true}, false, false},
	} {
		said := onStderr(t, func() { c.of.Warn(c.held, []string{"a zone is wrong"}, []report.Gap{{Reason: "vacuumed"}}) })
		if got := strings.Contains(said, "a zone is wrong") && strings.Contains(said, "vacuumed"); got != c.want || !c.want && said != "" {
			t.Errorf("%+v, held %v: says %q", c.of, c.held, said)
		}
	}
}

// onStderr is what do writes there.
func onStderr(t *testing.T, do func()) string {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	was := os.Stderr
	os.Stderr = out
	defer func() { os.Stderr = was }()
	do()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Steps never stand among JSON.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		of       Console
		out, err string
	}{
		{Console{}, "step", ""},
		{Console{JSON: true}, "", "step"},
		{Console{Quiet: true}, "", ""},
		{Console{Quiet: true, JSON: true}, "", ""},
	} {
		var out, err bytes.Buffer
		command := &cobra.Command{}
		command.SetOut(&out)
		command.SetErr(&err)
		fmt.Fprint(c.of.Steps(command), "step")
		if out.String() != c.out || err.String() != c.err {
			t.Errorf("%+v: %q on standard output, %q on standard error", c.of, out.String(), err.String())
		}
	}
}
