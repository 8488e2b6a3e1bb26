package list

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// text writes ranges as "FROM-TO", for comparing.
func text(ranges []nftables.Range) string {
	var list []string
	for _, r := range ranges {
		list = append(list, fmt.Sprintf("%s-%s", r.From, r.To))
	}
	return strings.Join(list, " ")
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		want  string
		bad   int
	}{
		"plain":              {"192.0.2.1\n2001:db8::1\n", "192.0.2.1-192.0.2.1 2001:db8::1-2001:db8::1", 0},
		"no line feed":       {"192.0.2.1", "192.0.2.1-192.0.2.1", 0},
		"carriage returns":   {"192.0.2.1\r\n\r\n192.0.2.4\r\n", "192.0.2.1-192.0.2.1 192.0.2.4-192.0.2.4", 0},
		"byte order mark":    {"\uFEFF192.0.2.1\n", "192.0.2.1-192.0.2.1", 0},
		"comments":           {"# x\n; x\n// x\n192.0.2.0/30 ; SBL1\n192.0.2.8 # x\n192.0.2.12//x\n", "192.0.2.0-192.0.2.3 192.0.2.8-192.0.2.8 192.0.2.12-192.0.2.12", 0},
		"joined":             {"192.0.2.0/25\n192.0.2.128/25\n192.0.2.7\n192.0.2.0/25\n", "192.0.2.0-192.0.2.255", 0},
		"ranges":             {"192.0.2.1-192.0.2.9\n192.0.2.10 - 192.0.2.11\n", "192.0.2.1-192.0.2.11", 0},
		"host bits":          {"192.0.2.77/24\n", "192.0.2.0-192.0.2.255", 0},
		"IPv4 as IPv6":       {"::ffff:192.0.2.1\n::ffff:198.51.100.0/120\n", "192.0.2.1-192.0.2.1 198.51.100.0-198.51.100.255", 0},
		"end of all":         {"255.255.255.255\n255.255.255.254\n", "255.255.255.254-255.255.255.255", 0},
		"rubbish":            {"x\n1.2.3\n1.2.3.4.5\n192.0.2.1/33\n192.0.2.01\nfe80::1%eth0\n192.0.2.1 192.0.2.2\nhost.example\n192.0.2.9-192.0.2.1\n192.0.2.1-2001:db8::1\n\x00\xff\n", "", 11},
		"everything":         {"0.0.0.0/0\n::/0\n0.0.0.0-255.255.255.255\n64.0.0.0/2\n2000::/3\n192.0.2.1\n", "192.0.2.1-192.0.2.1", 5},
		"a very long line":   {strings.Repeat("9", 100_000) + "\n192.0.2.1\n", "192.0.2.1-192.0.2.1", 1},
		"a long comment":     {"192.0.2.1 # " + strings.Repeat("x", 100_000) + "\n192.0.2.3\n", "192.0.2.1-192.0.2.1 192.0.2.3-192.0.2.3", 0},
		"both, not touching": {"255.255.255.255\n::\n", "255.255.255.255-255.255.255.255 ::-::", 0},
	} {
		got, err := parse(strings.NewReader(c.lines), "f", false, false, 100)
		if err != nil || text(got.Ranges) != c.want || got.Bad != c.bad || len(got.Errs) > toldMost {
			t.Errorf("%s: %s, %d bad, %v; want %s, %d", name, text(got.Ranges), got.Bad, err, c.want, c.bad)
		}
	}
	c, _ := parse(strings.NewReader("0.0.0.0/0\n"), "f", true, false, 100)
	if text(c.Ranges) != "0.0.0.0-255.255.255.255" {
		t.Errorf("said to be wide: %s", text(c.Ranges))
	}
	if _, err := parse(strings.NewReader("192.0.2.1\n192.0.2.2\n"), "f", false, false, 1); err == nil {
		t.Error("more entries than are read are no error")
	}
	c, _ = parse(strings.NewReader("# x\n192.0.2.1\noops\n"), "f", false, false, 100)
	if len(c.Errs) != 1 || !strings.HasPrefix(c.Errs[0].Error(), `f:3: "oops"`) {
		t.Errorf("a bad line is told as %v", c.Errs)
	}
}

func TestWithout(t *testing.T) {
	for _, c := range []struct{ list, out, want string }{
		{"10.0.0.0/8 192.0.2.0/24", "10.0.0.0/8", "192.0.2.0-192.0.2.255"},
		{"192.0.2.0/24", "192.0.2.7", "192.0.2.0-192.0.2.6 192.0.2.8-192.0.2.255"},
		{"192.0.2.0/24", "192.0.2.0 192.0.2.9 192.0.2.255", "192.0.2.1-192.0.2.8 192.0.2.10-192.0.2.254"},
		{"192.0.2.0/30 192.0.2.8/30", "192.0.2.2/28", ""},
		{"192.0.2.0/30 192.0.2.8/30", "192.0.2.2/31 192.0.2.8", "192.0.2.0-192.0.2.1 192.0.2.9-192.0.2.11"},
		{"255.255.255.0/24", "255.255.255.255", "255.255.255.0-255.255.255.254"},
		{"2001:db8::/32", "192.0.2.0/24 2001:db8::/33", "2001:db8:8000::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		if got := text(without(ranges(c.list), ranges(c.out))); got != c.want {
			t.Errorf("%s without %s: %s, want %s", c.list, c.out, got, c.want)
		}
	}
}

func ranges(prefixes string) (list []nftables.Range) {
	for _, text := range strings.Fields(prefixes) {
		p, err := state.ParsePrefix(text)
		if err != nil {
			panic(err)
		}
		list = append(list, nftables.RangeOf(p.Prefix))
	}
	return joined(list)
}

// FuzzParse: whatever a list holds, what comes of it is sorted, apart and without what is
// to be taken out, and no address is in it that no line holds.
func FuzzParse(f *testing.F) {
	f.Add("192.0.2.0/24 ; x\n10.0.0.0/8\n::/0\n1.1.1.1-9.9.9.9\n")
	f.Add("255.255.255.255\n::ffff:0.0.0.0/96\n\xff\n")
	out := Out(nil)
	f.Fuzz(func(t *testing.T, lines string) {
		c, err := parse(strings.NewReader(lines), "f", true, false, 1000)
		if err != nil {
			return
		}
		var lone []nftables.Range // of each line by itself
		for line := range strings.Lines(strings.TrimPrefix(lines, "\uFEFF")) {
			if r, err := parseRange(strings.TrimSpace(uncommented(line)), true); err == nil {
				lone = append(lone, r)
			}
		}
		if c.Entries != len(lone) {
			t.Fatalf("%d entries of %d lines", c.Entries, len(lone))
		}
		within := func(list []nftables.Range, at netip.Addr) bool {
			return slices.ContainsFunc(list, func(r nftables.Range) bool { return !at.Less(r.From) && !r.To.Less(at) })
		}
		for _, r := range lone {
			if !within(c.Ranges, r.From) || !within(c.Ranges, r.To) {
				t.Fatalf("%v is lost: %v", r, c.Ranges)
			}
		}
		for _, r := range c.Ranges {
			if next := r.To.Next(); !within(lone, r.From) || !within(lone, r.To) || next.IsValid() && within(lone, next) {
				t.Fatalf("%v comes from %v", r, lone)
			}
		}
		left := without(c.Ranges, out)
		for i, r := range left {
			if r.To.Less(r.From) || r.From.BitLen() != r.To.BitLen() || r.From.Is4In6() {
				t.Fatalf("%v", r)
			}
			if i > 0 && !left[i-1].To.Less(r.From) {
				t.Fatalf("%v and %v", left[i-1], r)
			}
			for _, o := range out {
				if !o.To.Less(r.From) && !r.To.Less(o.From) {
					t.Fatalf("%v holds %v", r, o)
				}
			}
		}
	})
}

// file is a list with that content, old enough to be told from a newer one.
func file(t *testing.T, o *Options, lines string) {
	t.Helper()
	next := o.File + ".new"
	if err := os.WriteFile(next, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, o.File); err != nil {
		t.Fatal(err)
	}
}

// TestLook: what changes what the kernel is to hold, and what does not.
func TestLook(t *testing.T) {
	o := Default("drop")
	o.File = filepath.Join(t.TempDir(), "drop.txt")
	out := Out(nil)
	known, _, news := o.Look(Known{}, out, 1)
	if len(news) != 1 || known.Prints != [2]string{} {
		t.Fatalf("no file: %v, %+v", news, known)
	}
	if _, _, news = o.Look(known, out, 2); len(news) != 0 {
		t.Errorf("told again: %v", news)
	}
	file(t, &o, "192.0.2.0/24\n10.0.0.0/8\nx\n")
	good, share, news := o.Look(known, out, 3)
	got, err := share.Read()
	if err != nil || text(got) != "192.0.2.0-192.0.2.255" || len(news) != 1 || good.Problem != "" || good.Entries != 2 || good.Bad != 1 || good.Time != 3 {
		t.Fatalf("%s %v %v %+v", text(got), err, news, good)
	}
	if again, _, news := o.Look(good, out, 4); !reflect.DeepEqual(again, good) || len(news) != 0 {
		t.Errorf("an unchanged file: %+v, %v", again, news)
	}
	for name, lines := range map[string]string{"empty": "", "comments": "# nothing\n", "mostly rubbish": "<html>\n<body>\n192.0.2.1\n"} {
		file(t, &o, lines)
		kept, _, news := o.Look(good, out, 5)
		if kept.Prints != good.Prints || kept.Time != 3 || kept.Problem == "" || len(news) == 0 {
			t.Errorf("%s: %+v, %v", name, kept, news)
		}
		// Who is ignored now could be in what the kernel holds.
		emptied, _, _ := o.Look(kept, joined(append(slices.Clone(out), ranges("192.0.2.7")...)), 6)
		if emptied.Prints != none {
			t.Errorf("%s, and somebody is ignored now: %+v", name, emptied)
		}
	}
	o.Empty = true
	file(t, &o, "# nothing\n")
	if k, _, _ := o.Look(good, out, 7); k.Prints != none || k.Problem != "" {
		t.Errorf("may be empty: %+v", k)
	}
}

// TestOddFiles: what is no list is an error at once, and reading never waits.
func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) Options {
		o := Default("odd")
		o.File = filepath.Join(dir, name)
		return o
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "big"), 10<<30); err != nil { // holds nothing on the disk
		t.Fatal(err)
	}
	for name, want := range map[string]string{"pipe": "not a regular file", ".": "not a regular file", "none": "no such file", "big": "10240 MB"} {
		o := at(name)
		done := make(chan error, 1)
		go func() { _, err := o.Read(); done <- err }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: reading waits", name)
		}
	}
	o, link := at("list"), at("link")
	file(t, &o, "192.0.2.1\n")
	if err := os.Symlink(o.File, link.File); err != nil {
		t.Fatal(err)
	}
	if c, err := link.Read(); err != nil || c.Entries != 1 {
		t.Errorf("a link to a list: %+v, %v", c, err)
	}
}

// TestLinked: who lays a link where a list is looked for, to a file that he may not read, is
// not told what it holds; of a link of anybody's the addresses are taken.
func TestLinked(t *testing.T) {
	dir := t.TempDir()
	for name, lay := range map[string]func() error{
		"the list": func() error { return os.Symlink("../secret/env", filepath.Join(dir, "lists/drop.txt")) },
		"a directory on the way": func() error {
			return errors.Join(os.Rename(filepath.Join(dir, "lists"), filepath.Join(dir, "was")), os.Symlink("secret", filepath.Join(dir, "lists")))
		},
	} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "lists"), 0o755), os.MkdirAll(filepath.Join(dir, "secret"), 0o700)); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"env", "drop.txt"} {
			if err := os.WriteFile(filepath.Join(dir, "secret", secret), []byte("192.0.2.1\nAPI_TOKEN=geheim\n192.0.2.2\n64.0.0.0/2\n"+strings.Repeat("geheim", 30)+"\n192.0.2.3\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := lay(); err != nil {
			t.Fatal(err)
		}
		o := Default("drop")
		o.File = filepath.Join(dir, "lists/drop.txt")
		_, share, news := o.Look(Known{}, nil, 1)
		told := errors.Join(news...).Error()
		if strings.Contains(told, "geheim") || strings.Contains(told, "64.0.0.0") || !strings.Contains(told, o.File+":2: ") || !strings.Contains(told, o.File+":4: ") || len(news) != 3 {
			t.Errorf("%s is a link: told %s", name, told)
		}
		if got, err := share.Read(); text(got) != "192.0.2.1-192.0.2.3" || err != nil {
			t.Errorf("%s is a link: %s, %v", name, text(got), err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "lists")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpared(t *testing.T) {
	for _, p := range spared {
		if p := netip.MustParsePrefix(p); p.Masked() != p {
			t.Errorf("%s has host bits", p)
		}
	}
}

// TestIgnored: what is ignored is in no list.
func TestIgnored(t *testing.T) {
	ignored := state.NewIgnored()
	for _, text := range []string{"192.0.2.7", "2001:db8::/64"} {
		p, err := state.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		ignored.Add(p, "ignoreip")
	}
	got := text(without(ranges("192.0.2.0/29 2001:db8::/63"), Out(ignored)))
	if want := "192.0.2.0-192.0.2.6 2001:db8:0:1::-2001:db8:0:1:ffff:ffff:ffff:ffff"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestEverybody: many ranges, none of them wide, hold everybody all the same.
func TestEverybody(t *testing.T) {
	for name, lines := range map[string][]string{
		"IPv4": {"0.0.0.0/3", "32.0.0.0/3", "64.0.0.0/3", "96.0.0.0/3", "128.0.0.0/3", "160.0.0.0/3", "192.0.0.0/3"},
		"IPv6": nil,
	} {
		for i := 0x20; i < 0x40 && name == "IPv6"; i++ {
			lines = append(lines, fmt.Sprintf("%x00::/8", i))
		}
		o := Default("all")
		o.File = filepath.Join(t.TempDir(), "all.txt")
		file(t, &o, strings.Join(lines, "\n"))
		if c, err := o.Read(); err == nil || !strings.Contains(err.Error(), "wide = true") {
			t.Errorf("%s: %s is taken, %v", name, text(c.Ranges), err)
		}
		o.Wide = true
		if _, err := o.Read(); err != nil {
			t.Errorf("%s, said to be wide: %v", name, err)
		}
		o.Wide = false
		file(t, &o, strings.Join(lines[:len(lines)/4], "\n"))
		if _, err := o.Read(); err != nil {
			t.Errorf("a quarter of %s: %v", name, err)
		}
	}
}
