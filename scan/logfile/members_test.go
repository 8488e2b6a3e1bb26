package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExpand(t *testing.T) {
	h := newHost(t)
	for _, dir := range []string{"a", "closed"} {
		h.must(os.Mkdir(h.path(dir), 0o755))
		h.append(dir+"/1.log", "")
		h.append(dir+"/2.log.gz", "")
	}
	h.append("file", "")
	h.must(os.Symlink("circle", h.path("circle")))
	h.must(os.Chmod(h.path("closed"), 0))
	defer os.Chmod(h.path("closed"), 0o755)
	for _, test := range []struct {
		glob string
		want string // the paths
		err  error
	}{
		{"none/a.log", "none/a.log", nil},
		{"a/*", "a/1.log", nil},
		{"*/?.log", "a/1.log", nil}, // of a directory that is not named nothing is said
		{"none/*.log", "", nil},
		{"file/*.log", "", nil},
		{"closed/*.log", "", unix.EACCES},
		{"closed/*/a.log", "", unix.EACCES},
		{"circle/*.log", "", unix.ELOOP},
		{strings.Repeat("x", 256) + "/*.log", "", unix.ENAMETOOLONG},
		{"a/[", "", filepath.ErrBadPattern},
		{"none/[", "", filepath.ErrBadPattern},
		{"file/[", "", filepath.ErrBadPattern},
		{"a/1*[", "", filepath.ErrBadPattern}, // Match("1*[", "") finds no fault
		{"*/1*[", "", filepath.ErrBadPattern},
	} {
		h.asNobody(func() {
			paths, err := Expand(h.path(test.glob))
			got := strings.ReplaceAll(strings.Join(paths, " "), h.dir+"/", "")
			if got != test.want || !errors.Is(err, test.err) || err != nil && !strings.Contains(err.Error(), h.path(test.glob)) {
				t.Errorf("%s: %q, error %v", test.glob, got, err)
			}
		})
	}
}

func TestLiteral(t *testing.T) {
	h := newHost(t)
	for _, name := range []string{`a*[b]? \c.log`, "axb", "a*xb1c.log"} {
		h.append(name, "")
	}
	if got, err := Expand(Literal(h.path(`a*[b]? \c.log`))); err != nil || !slices.Equal(got, []string{h.path(`a*[b]? \c.log`)}) {
		t.Errorf("%q, %v", got, err)
	}
}

// Of many errors three are named and the others counted, for all whom they concern.
func TestUnreadable(t *testing.T) {
	var u Unreadable
	for i := range 10 {
		u.Add("/var/log/*.log", fmt.Errorf("error %d", i), i%2)
		u.Add("", fmt.Errorf("called\noff %d", i), 0)
	}
	var got []string
	for _, one := range u.List() {
		got = append(got, fmt.Sprint(one.Err, one.Groups))
	}
	want := []string{"error 0 [0]", "error 1 [1]", "error 2 [0]", "log files /var/log/*.log: 7 more cannot be read [1 0]",
		`called\x0aoff 0 [0]`, `called\x0aoff 1 [0]`, `called\x0aoff 2 [0]`, "log files: 7 more cannot be read [0]"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
