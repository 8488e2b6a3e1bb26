package logfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"scan2ban/state"
)

// refusing is a host on which evil.log is a stranger's link to what only root may read.
func refusing(t *testing.T) (*tree, *host) {
	tree := newTree(t)
	h := hostIn(t, tree.dir, "app/*.log", "good.log")
	tree.must(os.Mkdir(h.path("app"), 0o755))
	tree.must(os.Mkdir(h.path("secret"), 0o755))
	h.append("secret/s.log", "2026-11-22T08:14:01.000000Z secret\n")
	tree.link("app/evil.log", "/secret/s.log", app)
	return tree, h
}

// TestRefusedLink: the other files are read, and their positions kept, as often as it is tried.
func TestRefusedLink(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		_, h := refusing(t)
		for range 3 {
			h.write("app/a.log", 1)
			h.write("good.log", 1)
			h.write("app/z.log", 1)
			h.pass()
			if h.failed == nil || !errors.Is(h.failed, ErrLink) || strings.Count(h.failed.Error(), "\n") > 0 || !strings.Contains(h.failed.Error(), "app/evil.log") || !strings.Contains(h.failed.Error(), "logpath") {
				t.Fatalf("error %v", h.failed)
			}
		}
		h.check()
		if len(h.saved) != 3 || len(h.told) > 0 {
			t.Errorf("positions %+v, warnings %q", h.saved, h.told)
		}
	})
}

// TestRefusedLinkReadBefore: where a link is not followed its log is not read on, and keeps its
// position until it is.
func TestRefusedLinkReadBefore(t *testing.T) {
	tree, h := refusing(t)
	h.must(os.Lchown(h.path("app/evil.log"), 0, 0))
	if got := h.pass(); len(got) != 1 || h.failed != nil {
		t.Fatalf("read %q, %v", got, h.failed)
	}
	h.read = nil
	h.must(os.Lchown(h.path("app/evil.log"), app, app))
	h.append("secret/s.log", "2026-11-22T08:14:02.000000Z secret\n")
	if got := h.pass(); len(got) != 0 || !errors.Is(h.failed, ErrLink) || len(h.saved) != 1 || !h.saved[0].Current {
		t.Errorf("read %q, %v, position %+v", got, h.failed, h.saved)
	}
	tree.must(os.Lchown(h.path("app/evil.log"), 0, 0))
	if got := h.pass(); len(got) != 1 || h.failed != nil { // where it was
		t.Errorf("then read %q, %v", got, h.failed)
	}
}

// TestManyRefused: who lays thousands of links fills no log with them, hides no other error,
// keeps no other jail from its work, and writes no line of his own.
func TestManyRefused(t *testing.T) {
	tree := newTree(t)
	h := hostIn(t, tree.dir, "app/*.log", "good.log", "other/*.log", "app/1.log")
	tree.file("secret", 0)
	for i := range 1000 {
		tree.link(fmt.Sprintf("app/%d.log", i), "/secret", app)
	}
	tree.link("app/%\nscan2ban: all is well.log", "/secret", app)
	tree.link("other/a.log", "/secret", app)
	tree.file("app/of\nhis.log", app)
	h.write("good.log", 1)
	r := h.open(nil)
	defer r.Close()
	for r.Next() {
	}
	var groups []string
	for _, u := range r.Unread() {
		groups = append(groups, fmt.Sprint(u.Groups))
	}
	if want := []string{"[0]", "[0]", "[0 3]", "[0]", "[2]"}; !slices.Equal(groups, want) {
		t.Errorf("of groups %q, want %q", groups, want)
	}
	told := strings.Split(r.Err().Error(), "\n")
	if len(told) != 5 || !errors.Is(r.Err(), ErrLink) || !strings.Contains(told[0], `app/%\x0ascan2ban: all is well.log belongs to`) ||
		told[3] != "log files "+h.path("app/*.log")+": 998 more cannot be read" || !strings.Contains(told[4], "other/a.log") {
		t.Errorf("error %v", r.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	off := Open(ctx, r.o)
	defer off.Close()
	if n := len(off.Unread()); !errors.Is(off.Err(), context.Canceled) || !slices.Equal(off.Unread()[n-1].Groups, []int{1}) || strings.Count(off.Err().Error(), "\n") != n-1 {
		t.Errorf("called off: %v", off.Err())
	}
	if _, err := read(h.path("app/%\nscan2ban: all is well.log")); strings.Contains(err.Error(), "\n") || !errors.Is(err, ErrLink) {
		t.Errorf("error %v", err)
	}
	if _, err := OpenNamed(h.path("none\n")); strings.Contains(err.Error(), "\n") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestRotatedWhileRefused: what a log was rotated into while nobody could look at it, or no
// jail asked for it, is read when somebody can.
func TestRotatedWhileRefused(t *testing.T) {
	for name, refuse := range map[string]func(h *host) (mend func()){
		"its link": func(h *host) func() {
			h.must(os.Lchown(h.path("app/s.log"), app, app))
			return func() { h.must(os.Lchown(h.path("app/s.log"), 0, 0)) }
		},
		"no jail": func(h *host) func() {
			globs := h.globs
			h.globs = nil
			return func() { h.globs = globs }
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree(t)
			h := hostIn(t, tree.dir, "app/*.log")
			tree.must(os.Mkdir(h.path("spool"), 0o755))
			h.write("spool/s.log", 2)
			tree.link("app/s.log", "/spool/s.log", 0)
			h.pass()
			mend := refuse(h)
			h.pass()
			h.write("spool/s.log", 1)
			h.rename("spool/s.log", "spool/s.log.1")
			h.compress("spool/s.log.1")
			h.write("spool/s.log", 1)
			h.pass()
			mend()
			h.pass()
			h.check()
			if h.failed != nil || len(h.told) > 0 {
				t.Errorf("warnings %q, error %v", h.told, h.failed)
			}
		})
	}
}

// TestRefusedLinkToALog: the jail that names the file itself reads it, that of the link does not.
func TestRefusedLinkToALog(t *testing.T) {
	_, h := refusing(t)
	h.globs = append(h.globs, "secret/*.log")
	r := h.open(nil)
	defer r.Close()
	n := 0
	for ; r.Next(); n++ {
		if !slices.Equal(r.Line().Groups, []int{2}) || r.Line().Name != h.path("secret/s.log") {
			t.Errorf("%+v", r.Line())
		}
	}
	if n != 1 || !errors.Is(r.Err(), ErrLink) {
		t.Errorf("%d lines, %v", n, r.Err())
	}
}

// TestBesideALinkedFile: whose link led to a file of his has files of others beside it not
// taken for what that was rotated into.
func TestBesideALinkedFile(t *testing.T) {
	for name, lay := range map[string]func(h *host){
		"found first": func(h *host) {},
		"after a pass": func(h *host) {
			h.append("spool/s.log.1", "2026-11-22T08:14:01.500000Z secret\n")
			h.must(os.Remove(h.path("spool/s.log.1")))
			h.pass()
		},
		"packed": func(h *host) {
			h.must(os.Truncate(h.path("spool/mine"), 0))
			h.tick("spool/mine")
			h.pass()
			h.append("spool/s.log.2", "2026-11-22T08:14:01.500000Z secret\n")
			h.compress("spool/s.log.2")
			h.must(os.Remove(h.path("spool/mine")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree(t)
			h := hostIn(t, tree.dir, "app/*.log")
			tree.must(os.Mkdir(h.path("spool"), 0o755))
			h.append("spool/mine", "2026-11-22T08:14:01.000000Z mine\n")
			tree.must(os.Chown(h.path("spool/mine"), app, app))
			tree.link("app/s.log", "/spool/mine", app)
			lay(h)
			h.append("spool/s.log.1", "2026-11-22T08:14:02.000000Z secret\n")
			h.pass()
			for _, line := range h.read {
				if strings.HasSuffix(line, "secret") {
					t.Errorf("read %q", h.read)
				}
			}
			if h.failed != nil || name != "packed" && len(h.read) != 1 {
				t.Errorf("read %q, error %v", h.read, h.failed)
			}
		})
	}
}

// TestNameOfAStranger: a file that root's link and a stranger's lead to is root's log: what
// is called as the stranger's link, and lies beside the file, is nothing of it.
func TestNameOfAStranger(t *testing.T) {
	secret := func(h *host) { h.append("var/auth.log.1", "2026-11-22T08:14:02.000000Z secret\n") }
	again := func(h *host) {
		h.append("var/new", "2026-11-22T08:14:03.000000Z mine again\n")
		h.must(os.Chown(h.path("var/new"), app, app))
		h.rename("var/new", "var/app.log")
	}
	for _, test := range []struct {
		name string
		lay  func(t *tree, h *host)
		want int // lines
	}{
		{"found first", func(t *tree, h *host) { t.link("zjail/z.log", "/var/app.log", 0); secret(h) }, 1},
		{"after a pass", func(t *tree, h *host) { t.link("zjail/z.log", "/var/app.log", 0); h.pass(); secret(h); again(h) }, 2},
		{"root's comes later", func(t *tree, h *host) {
			h.must(os.Truncate(h.path("var/app.log"), 0))
			h.tick("var/app.log")
			h.pass()
			t.link("zjail/z.log", "/var/app.log", 0)
			secret(h)
			h.compress("var/auth.log.1")
			h.append("var/app.log", "2026-11-22T08:14:03.000000Z mine\n")
		}, 1},
	} {
		for _, globs := range [][]string{{"zjail/*.log", "app/*.log"}, {"app/*.log", "zjail/*.log"}} {
			t.Run(test.name+", "+globs[0], func(t *testing.T) {
				tree := newTree(t)
				h := hostIn(t, tree.dir, globs...)
				tree.must(os.Mkdir(h.path("var"), 0o755))
				h.append("var/app.log", "2026-11-22T08:14:01.000000Z mine\n")
				tree.must(os.Chown(h.path("var/app.log"), app, app))
				tree.link("app/auth.log", "/var/app.log", app)
				test.lay(tree, h)
				h.pass()
				if len(h.read) != test.want || h.failed != nil || slices.ContainsFunc(h.read, func(line string) bool { return strings.HasSuffix(line, "secret") }) {
					t.Errorf("read %q, error %v", h.read, h.failed)
				}
			})
		}
	}
}

// TestLinkBesideALog: a stranger's link to a log of his takes nothing from the jail that
// names that log itself.
func TestLinkBesideALog(t *testing.T) {
	tree := newTree(t)
	h := hostIn(t, tree.dir, "app/*.log", "good.log")
	tree.must(os.Mkdir(h.path("app"), 0o755))
	h.write("good.log.1", 1)
	h.write("good.log", 1)
	tree.must(os.Chown(h.path("good.log"), app, app))
	tree.link("app/a.log", "/good.log", app)
	h.pass()
	h.check()
	if h.failed != nil || slices.ContainsFunc(h.saved, func(p state.FilePosition) bool { return p.Owner != 0 }) {
		t.Errorf("positions %+v, error %v", h.saved, h.failed)
	}
}
