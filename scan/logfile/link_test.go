package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"scan2ban/state"
)

// Users who own nothing else.
const (
	app   = 54321
	other = 54322
)

// tree is a directory that every user may pass through.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) *tree {
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives links away")
	}
	dir := t.TempDir()
	for at := dir; len(at) > len(os.TempDir()); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &tree{t, dir}
}

func (t *tree) path(name string) string { return filepath.Join(t.dir, name) }

func (t *tree) must(err error) {
	t.t.Helper()
	if err != nil {
		t.t.Fatal(err)
	}
}

// file lays one that holds its name and is its owner's alone to read, with the directories to it.
func (t *tree) file(name string, owner int) {
	t.must(os.MkdirAll(filepath.Dir(t.path(name)), 0o755))
	t.must(os.WriteFile(t.path(name), []byte(name+"\n"), 0o600))
	t.must(os.Chown(t.path(name), owner, owner))
}

// link lays one; a target that begins with "/" is one of the tree.
func (t *tree) link(name, to string, owner int) {
	t.must(os.MkdirAll(filepath.Dir(t.path(name)), 0o755))
	if strings.HasPrefix(to, "/") {
		to = t.path(to)
	}
	t.must(os.Symlink(to, t.path(name)))
	t.must(os.Lchown(t.path(name), owner, owner))
}

// bothWays runs a test where openat2 is known, and where it is not.
func bothWays(t *testing.T, run func(t *testing.T)) {
	t.Run("openat2", run)
	for _, err := range []error{unix.ENOSYS, unix.EPERM} {
		t.Run("openat2 gives "+unix.ErrnoName(err.(unix.Errno)), func(t *testing.T) {
			openat2 = func(int, string, *unix.OpenHow) (int, error) { return -1, err }
			defer func() { openat2 = unix.Openat2 }()
			run(t)
		})
	}
}

func TestLinks(t *testing.T) {
	for _, test := range []struct {
		name string
		lay  func(*tree) // beside secret/root, secret/app and secret/other, which are theirs
		path string      // log/a.log
		want string      // what the file holds, or the error says
		as   int         // the user of the process
	}{
		{name: "no link", path: "secret/other", want: "secret/other"},
		{name: "a stranger's to root's file", lay: func(t *tree) { t.link("log/a.log", "/secret/root", app) },
			want: "symbolic link not followed: TREE/log/a.log belongs to user 54321, and TREE/secret/root, which it leads to, to user 0"},
		{name: "relative", lay: func(t *tree) { t.link("log/a.log", "../secret/root", app) }, want: "TREE/secret/root, which"},
		{name: "to another stranger's file", lay: func(t *tree) { t.link("log/a.log", "/secret/other", app) }, want: "to user 54322"},
		{name: "to a file of his own", lay: func(t *tree) { t.link("log/a.log", "/secret/app", app) }, want: "secret/app"},
		{name: "to a file of his own, relative", lay: func(t *tree) { t.link("log/a.log", ".././/log/../secret/app", app) }, want: "secret/app"},
		{name: "root's", lay: func(t *tree) { t.link("log/a.log", "/secret/other", 0) }, want: "secret/other"},
		{name: "root's, relative", lay: func(t *tree) { t.link("log/a.log", "../secret/app", 0) }, want: "secret/app"},
		{name: "to a link of his own", lay: func(t *tree) { t.link("log/b", "/secret/root", app); t.link("log/a.log", "b", app) }, want: "log/b belongs to user 54321"},
		{name: "to links of his own and his file", lay: func(t *tree) { t.link("log/b", "/secret/app", app); t.link("log/a.log", "b", app) }, want: "secret/app"},
		{name: "to root's link", lay: func(t *tree) { t.link("log/b", "/secret/root", 0); t.link("log/a.log", "b", app) }, want: "log/a.log belongs to user 54321"},
		{name: "to root's link to his file", lay: func(t *tree) {
			t.link("log/b", "/secret/app", 0)
			t.link("log/a.log", "b", app)
			t.must(os.Chmod(t.path("secret/app"), 0o644))
		}, as: other, want: "secret/app"},
		{name: "root's to a stranger's", lay: func(t *tree) { t.link("log/b", "/secret/root", app); t.link("log/a.log", "b", 0) }, want: "log/b belongs to user 54321"},
		{name: "root's to a stranger's to his file", lay: func(t *tree) { t.link("log/b", "/secret/app", app); t.link("log/a.log", "b", 0) }, want: "secret/app"},
		{name: "to another stranger's link to a file of his", lay: func(t *tree) { t.link("log/b", "/secret/app", other); t.link("log/a.log", "b", app) }, want: "not followed"},
		{name: "to another stranger's link to his file", lay: func(t *tree) { t.link("log/b", "/secret/other", other); t.link("log/a.log", "b", app) }, want: "not followed"},
		{name: "a directory", lay: func(t *tree) { t.link("log", "/secret", app) }, path: "log/root", want: "TREE/log belongs to user 54321, and TREE/secret/root"},
		{name: "a directory further up", lay: func(t *tree) { t.file("a/b/c/root", 0); t.link("log", "a", app) }, path: "log/b/c/root", want: "not followed"},
		{name: "a directory of his files", lay: func(t *tree) { t.link("log", "/secret", app) }, path: "log/app", want: "secret/app"},
		{name: "a directory, root's", lay: func(t *tree) { t.link("log", "secret", 0) }, path: "log/other", want: "secret/other"},
		{name: "a directory, and back", lay: func(t *tree) { t.link("log/d", "/secret", app) }, path: "log/d/../secret/root", want: "not followed"},
		{name: "in root's directory", lay: func(t *tree) { t.link("log/d", "/secret", 0); t.link("secret/a", "root", app) }, path: "log/d/a", want: "not followed"},
		{name: "of the process's user", lay: func(t *tree) {
			t.link("log/a.log", "/secret/other", other)
			t.must(os.Chmod(t.path("secret/other"), 0o644))
		}, as: other, want: "secret/other"},
		{name: "of the process's user to another's file", lay: func(t *tree) {
			t.link("log/a.log", "/secret/app", other)
			t.must(os.Chmod(t.path("secret/app"), 0o644))
		}, as: other, want: "secret/app"},
		{name: "root's, and not root", lay: func(t *tree) {
			t.link("log/a.log", "/secret/app", 0)
			t.must(os.Chmod(t.path("secret/app"), 0o644))
		}, as: other, want: "secret/app"},
		{name: "a stranger's, and not root", lay: func(t *tree) {
			t.link("log/a.log", "/secret/other", app)
			t.must(os.Chmod(t.path("secret/other"), 0o644))
		}, as: other, want: "not followed"},
		{name: "what may not be read", path: "secret/root", as: other, want: "permission denied"},
		{name: "dangling", lay: func(t *tree) { t.link("log/a.log", "/nowhere", app) }, want: "no such file"},
		{name: "missing", path: "log/none/a.log", want: "no such file"},
		{name: "in a circle", lay: func(t *tree) { t.link("log/a.log", "a.log", app) }, want: "too many levels"},
		{name: "directories in a circle", lay: func(t *tree) { t.link("log/d", "d", app) }, path: "log/d/a", want: "too many levels"},
		{name: "40 links", lay: func(t *tree) { t.chain(40) }, want: "secret/app"},
		{name: "41 links", lay: func(t *tree) { t.chain(41) }, want: "too many levels"},
		{name: "names without end", lay: func(t *tree) { t.link("log/a.log", strings.Repeat("../log/", 300)+"../secret/app", app) }, want: "file name too long"},
		{name: "through a file", path: "secret/root/a.log", want: "not a directory"},
		{name: "through a link to a file", lay: func(t *tree) { t.link("log", "/secret/root", app) }, path: "log/a", want: "not a directory"},
		{name: "to a directory", lay: func(t *tree) { t.link("log/a.log", "/secret", 0) }, want: "no regular file: a directory"},
		{name: "to the root of a process", lay: func(t *tree) {
			t.must(os.MkdirAll(t.path("log"), 0o755))
			t.must(os.Symlink(fmt.Sprintf("/proc/%d/root%s", os.Getpid(), t.path("secret/app")), t.path("log/a.log")))
		}, want: fmt.Sprintf("symbolic link not followed: /proc/%d/root is the kernel's", os.Getpid())},
		{name: "to what a process has open", lay: func(t *tree) {
			t.must(os.MkdirAll(t.path("log"), 0o755))
			t.must(os.Symlink(fmt.Sprintf("/proc/%d/fd/0", os.Getpid()), t.path("log/a.log")))
		}, want: "not followed"},
		{name: "to a device", lay: func(t *tree) {
			t.must(os.MkdirAll(t.path("log"), 0o755))
			t.must(os.Symlink("/dev/zero", t.path("log/a.log")))
		}, want: "no regular file: a device"},
		{name: "to the root", lay: func(t *tree) {
			t.must(os.MkdirAll(t.path("log"), 0o755))
			t.must(os.Symlink("/../..//", t.path("log/a.log")))
		}, want: "no regular file: a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := newTree(t)
			for name, owner := range map[string]int{"secret/root": 0, "secret/app": app, "secret/other": other} {
				tree.file(name, owner)
			}
			if test.lay != nil {
				test.lay(tree)
			}
			path := tree.path(cmp.Or(test.path, "log/a.log"))
			if strings.Contains(test.path, "..") {
				path = tree.dir + "/" + test.path // as it is
			}
			bothWays(t, func(t *testing.T) {
				tree.must(syscall.Seteuid(test.as))
				defer syscall.Seteuid(0)
				text, err := read(path)
				got := text
				if err != nil {
					got = strings.ReplaceAll(err.Error(), tree.dir, "TREE")
				}
				if !strings.Contains(got, test.want) || strings.HasPrefix(test.want, "secret/") != (err == nil) || errors.Is(err, ErrLink) != strings.Contains(got, ErrLink.Error()) {
					t.Errorf("%q, want %q", got, test.want)
				}
				w, err := follow(path)
				if errors.Is(err, ErrLink) != strings.Contains(got, ErrLink.Error()) || err == nil && text != "" && filepath.Join(tree.dir, text) != w.real {
					t.Errorf("followed to %s, %v", w.real, err)
				}
			})
		})
	}
}

// chain lays log/a.log, which leads to secret/app by n links.
func (t *tree) chain(n int) {
	for i := range n - 1 {
		t.link(fmt.Sprint("log/", i), fmt.Sprint(i+1), app)
	}
	t.link(fmt.Sprint("log/", n-1), "/secret/app", app)
	t.must(os.Rename(t.path("log/0"), t.path("log/a.log")))
}

func read(path string) (string, error) {
	f, err := OpenFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	return strings.TrimSuffix(string(text), "\n"), err
}

// TestNamedLink: who names a file himself has his links followed.
func TestNamedLink(t *testing.T) {
	tree := newTree(t)
	tree.file("secret", 0)
	tree.link("a.log", "secret", app)
	f, err := OpenNamed(tree.path("a.log"))
	tree.must(err)
	f.Close()
	if _, err := OpenNamed(tree.dir); !errors.Is(err, ErrNoFile) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := OpenNamed(tree.path("none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

// TestUnknownStatus: whatever cannot be asked of a file, the error names it.
func TestUnknownStatus(t *testing.T) {
	openat2 = func(int, string, *unix.OpenHow) (int, error) { return 1 << 30, nil } // that is not open
	defer func() { openat2 = unix.Openat2 }()
	_, looked := follow("/a.log")
	_, opened := OpenFile("/a.log")
	for _, err := range []error{looked, opened} {
		if !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "/a.log") {
			t.Errorf("error %v", err)
		}
	}
}

// TestWays: where links may be followed, they lead where the kernel's lead.
func TestWays(t *testing.T) {
	tree := newTree(t)
	t.Chdir(tree.dir)
	dice := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "b", "c", "a/a", "a/b", "a/c", "a/a/a", "a/a/b"}
	random := func() string {
		text := names[dice.IntN(len(names))]
		for range dice.IntN(4) {
			text += []string{"/a", "/b", "/c", "/..", "/.", "/"}[dice.IntN(6)]
		}
		switch dice.IntN(4) {
		case 0:
			return tree.path(text)
		case 1:
			return "../" + filepath.Base(tree.dir) + "/" + text
		}
		return text
	}
	tree.must(os.MkdirAll("a/a", 0o755))
	for range 200 {
		name := names[dice.IntN(len(names))]
		if info, err := os.Lstat(name); err == nil && info.IsDir() {
			continue
		}
		_ = os.Remove(name)
		if dice.IntN(3) == 0 {
			_ = os.WriteFile(name, []byte(name), 0o644)
		} else {
			_ = os.Symlink(random(), name)
		}
		for range 20 {
			path := random()
			info, wantErr := os.Stat(path)
			for _, way := range []func() (*way, error){func() (*way, error) { return follow(path) }, func() (*way, error) {
				w := &way{path: path, dir: unix.AT_FDCWD}
				defer w.close()
				return w, w.walk()
			}} {
				w, err := way()
				if wantErr != nil {
					if !errors.Is(err, errors.Unwrap(wantErr)) {
						t.Fatalf("%s: %v, want %v", path, err, wantErr)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				if want := statusOf(info.Sys().(*syscall.Stat_t)); w.status != want {
					t.Fatalf("%s: %+v, want %+v", path, w.status, want)
				}
				if real, err := os.Stat(w.real); err != nil || !os.SameFile(real, info) {
					t.Fatalf("%s: leads to %s", path, w.real)
				}
			}
		}
	}
}

// TestSwappedLink: however fast a stranger lays links where files were, only what is his
// is read.
func TestSwappedLink(t *testing.T) {
	for name, swap := range map[string][2]string{
		"the file":             {"log/d/a.log", "log/x"},
		"its directory":        {"log/d", "log/y"},
		"what a link leads to": {"spool/a", "spool/b"}, // both are files
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T) {
				tree := newTree(t)
				tree.file("log/d/a.log", app)
				tree.file("secret/a.log", 0)
				tree.link("log/x", "/secret/a.log", app)
				tree.link("log/y", "/secret", app)
				path, mine := "log/d/a.log", "log/d/a.log"
				if strings.HasPrefix(swap[0], "spool") {
					path, mine = "log/l/a.log", "spool/a"
					tree.file("spool/a", app)
					tree.file("spool/b", 0)
					tree.link(path, "/spool/a", app)
				}
				stop, done := make(chan bool), make(chan bool)
				go func() {
					defer close(done)
					for {
						select {
						case <-stop:
							return
						default:
							_ = unix.Renameat2(unix.AT_FDCWD, tree.path(swap[0]), unix.AT_FDCWD, tree.path(swap[1]), unix.RENAME_EXCHANGE)
						}
					}
				}()
				own, refused := 0, 0
				for n := 0; n < 1_000_000 && (n < 4_000 || own < 100 || refused < 100); n++ {
					switch text, err := read(tree.path(path)); {
					case err != nil:
						refused++
					case text == mine:
						own++
					default:
						t.Fatalf("read %q", text)
					}
				}
				// And through a whole pass, which finds, looks beside, and opens.
				lines := 0
				for n := 0; n < 100_000 && (n < 400 || lines < 100); n++ {
					h := hostIn(t, tree.dir, filepath.Dir(path)+"/*.log")
					for _, line := range h.pass() {
						if lines++; line != mine {
							t.Fatalf("a pass has read %q", line)
						}
					}
				}
				close(stop)
				<-done
				if own < 100 || refused < 100 || lines < 100 {
					t.Errorf("%d times it was his, %d times refused, %d lines", own, refused, lines)
				}
			})
		})
	}
}

// TestDoubtedPosition: where another user keeps the state, a position in it leads to no file
// that lies where no log does: its print would tell what is in there.
func TestDoubtedPosition(t *testing.T) {
	for name, forge := range map[string]func(h *host, pos *state.FilePosition){
		"as it is":   func(*host, *state.FilePosition) {},
		"rotated":    func(h *host, pos *state.FilePosition) { pos.Path = h.path("secret/app.log") },
		"of no file": func(h *host, pos *state.FilePosition) { pos.Path, pos.Inode = h.path("secret/app.log"), 1 },
	} {
		h := newHost(t)
		h.must(os.MkdirAll(h.path("secret"), 0o700))
		h.write("app.log", 1)
		h.pass()
		for _, name := range []string{"secret/other.log", "secret/app.log.1"} {
			h.append(name, "2026-11-22T08:14:01Z pin 4711\n")
		}
		info, err := os.Stat(h.path("secret/other.log"))
		h.must(err)
		pos := h.saved[0]
		pos.Path, pos.Inode, pos.Offset, pos.Bytes, pos.Size, pos.Born, pos.Print, pos.Current = h.path("secret/other.log"), info.Sys().(*syscall.Stat_t).Ino, 0, 0, -1, 0, "cbf29ce484222325", false
		pos.Printed = 1
		forge(h, &pos)
		h.saved, h.doubted = append(h.saved, pos), true
		got := h.pass()
		for _, pos := range h.saved {
			if len(got) > 0 || strings.Contains(pos.Path, "secret") {
				t.Errorf("%s: read %q, %+v", name, got, pos)
			}
		}
	}
}
