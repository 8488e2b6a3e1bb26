package logfile

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// files makes mostFiles and mostGzips smaller for a test.
func files(t *testing.T, n, gzips int) {
	wasFiles, wasGzips := mostFiles, mostGzips
	mostFiles, mostGzips = n, gzips
	t.Cleanup(func() { mostFiles, mostGzips = wasFiles, wasGzips })
}

// left is the number in the error of what is left for the next passes; 0: there is none.
func (h *host) left() (n int) {
	h.t.Helper()
	if h.failed == nil {
		return 0
	}
	found := regexp.MustCompile(`^log files \S+: (\d+) files? with something new waits? for the next passes: one opens \d+ files at most, of all logs \(take out of logpath .*\)$`).FindStringSubmatch(h.failed.Error())
	if found == nil {
		h.t.Fatalf("error %v", h.failed)
	}
	fmt.Sscan(found[1], &n)
	return n
}

// TestManyLogs: of a glob that leads to thousands some logs are read at each pass, all of them
// once in the end, and those of other globs at the first, one that both lead to as well.
func TestManyLogs(t *testing.T) {
	files(t, 60, 256)
	h := newHost(t, "app/*.log", "good.log", "other/*.log", "app/150.log")
	h.must(os.Mkdir(h.path("app"), 0o755))
	h.must(os.Mkdir(h.path("other"), 0o755))
	for i := range 200 {
		h.write(fmt.Sprintf("app/%d.log", i), 1)
	}
	for round := range 2 { // the second time all have positions
		others := []string{"good.log", "other/a.log", "other/b.log", "app/150.log"}
		var want []string
		for _, name := range others {
			h.write(name, 1)
			want = append(want, h.lines[len(h.lines)-1])
		}
		for passes := 0; ; passes++ {
			h.now += 61e9
			got := h.pass()
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Fatalf("round %d: %q is not read at once", round, line)
				}
			}
			want = nil
			if len(h.read)+h.left() != len(h.lines) || len(got) > 60+2 || len(h.told) > 0 {
				t.Fatalf("pass %d: %d lines, %d of %d, %v; %q", passes, len(got), len(h.read), len(h.lines), h.failed, h.told)
			}
			if h.failed == nil {
				break
			}
			if passes > 10 {
				t.Fatalf("%d of %d lines after %d passes", len(h.read), len(h.lines), passes)
			}
		}
		for i := range 200 {
			h.write(fmt.Sprintf("app/%d.log", i), 1)
		}
	}
	slices.Sort(h.read)
	if n := len(slices.Compact(h.read)); n != 408 {
		t.Errorf("%d lines, want 408", n)
	}
}

// TestManyLogsInTurn: where each pass finds something new in more logs than it may open, none
// is left for good.
func TestManyLogsInTurn(t *testing.T) {
	files(t, 60, 256)
	h := newHost(t, "app/*.log")
	h.must(os.Mkdir(h.path("app"), 0o755))
	of, seen := map[string]int{}, map[int]bool{}
	for range 40 {
		for i := range 120 {
			h.write(fmt.Sprintf("app/%d.log", i), 1)
			of[h.lines[len(h.lines)-1]] = i
		}
		h.now += 61e9
		got := h.pass()
		if h.left() == 0 {
			t.Fatal("all are read at once")
		}
		for _, line := range got {
			seen[of[line]] = true
		}
	}
	if len(seen) != 120 {
		t.Errorf("%d of 120 logs were read", len(seen))
	}
}

// TestLimitOf: a pass opens 4,096 files, and where the process may open few three quarters of
// these.
func TestLimitOf(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	for _, c := range []struct {
		may     uint64
		want    int
		limited bool
	}{{1000, 750, true}, {5464, 4096, false}} {
		if c.may > was.Max {
			continue
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: c.may, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		if n, limited := limitOf(); n != c.want || limited != c.limited {
			t.Errorf("of %d files that the process may open a pass opens %d, limited: %v", c.may, n, limited)
		}
	}
}

// TestManyRotated: a log that was rotated into many files is read in the order in which they
// were written, as many at a pass as there is room for; the others' logs are read.
func TestManyRotated(t *testing.T) {
	files(t, 40, 256)
	h := newHost(t, "app/*.log", "good.log")
	h.must(os.Mkdir(h.path("app"), 0o755))
	for i := range 150 {
		h.write("app/a.log", 1)
		h.rename("app/a.log", fmt.Sprintf("app/a.log.%d", 150-i))
	}
	h.write("app/a.log", 1)
	h.append("good.log", "2026-11-22T08:00:00.000000Z good\n")
	for passes := 0; passes == 0 || h.failed != nil; passes++ {
		h.now += 61e9
		if got := h.pass(); passes == 0 && got[0] != "2026-11-22T08:00:00.000000Z good" || passes > 10 {
			t.Fatalf("pass %d: %q, %v", passes, got, h.failed)
		}
		if h.left(); len(h.told) > 0 {
			t.Fatalf("%q", h.told)
		}
	}
	h.read = h.read[1:]
	h.check()
}

// TestManyPacked: what is left of logs that were packed while many were stays to be read, each
// log in the order in which it was written.
func TestManyPacked(t *testing.T) {
	t.Run("files", func(t *testing.T) { manyPacked(t, 60, 256) })
	t.Run("gzips", func(t *testing.T) { manyPacked(t, 400, 10) })
}

func manyPacked(t *testing.T, most, gzips int) {
	files(t, most, gzips)
	h := newHost(t, "app/*.log")
	h.must(os.Mkdir(h.path("app"), 0o755))
	of := map[string]string{} // the log of a line
	write := func(name string) {
		h.write(name, 1)
		of[h.lines[len(h.lines)-1]] = name
	}
	for i := range 50 {
		write(fmt.Sprintf("app/%d.log", i))
	}
	h.pass()
	for i := range 50 {
		name := fmt.Sprintf("app/%d.log", i)
		for _, number := range []string{".2", ".1"} {
			write(name)
			h.rename(name, name+number)
			h.compress(name + number)
		}
		write(name)
	}
	for passes := 0; passes == 0 || h.failed != nil; passes++ {
		h.now += 61e9
		if h.pass(); passes > 20 || len(h.told) > 0 {
			t.Fatalf("pass %d: %d of %d lines, %q, %v", passes, len(h.read), len(h.lines), h.told, h.failed)
		}
		h.left()
	}
	last := map[string]string{}
	for _, line := range h.read {
		if name := of[line]; line < last[name] {
			t.Errorf("%s: %q comes after %q", name, line, last[name])
		} else {
			last[name] = line
		}
	}
	slices.Sort(h.read)
	slices.Sort(h.lines)
	h.check()
}

// TestMemoryOfMany: what many logs take while they wait for their turn does not grow with
// their number, nor with the length of the lines that they stand at.
func TestMemoryOfMany(t *testing.T) {
	for _, length := range []int{0, MaxLine - 1000} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			h := newHost(t, "*.log")
			const logs = 300
			for i := range logs {
				name := fmt.Sprintf("%d.log", i)
				for range 3 {
					h.append(name, h.newLine())
					info, err := os.Stat(h.path(name))
					h.must(err)
					h.must(os.Truncate(h.path(name), info.Size()+int64(length)))
					h.append(name, "\n")
				}
				h.append(name, h.newLine()+"\n"+strings.Repeat("x", 256<<10)+"\n")
			}
			var before, open runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			seen := 0
			r := h.open(func(l *Line) bool { seen++; return l.Text[0] == '2' })
			defer r.Close()
			runtime.GC()
			runtime.ReadMemStats(&open)
			if held := int64(open.HeapAlloc) - int64(before.HeapAlloc); held > allBuffers+8<<20 {
				t.Errorf("%d logs hold %d MB", logs, held>>20)
			}
			n := 0
			for last := int64(0); r.Next(); n++ {
				if r.Line().Time < last {
					t.Fatal("out of order")
				}
				last = r.Line().Time
			}
			if n != 4*logs || seen != 5*logs || r.Err() != nil {
				t.Errorf("%d lines, %d looked at, want %d and %d: %v", n, seen, 4*logs, 5*logs, r.Err())
			}
		})
	}
}

// TestTooManyNames: a glob that leads to more logs than the pass has memory for is not read,
// nor one in a directory with too many names; what was read of its logs before is still known,
// and other globs' logs are read.
func TestTooManyNames(t *testing.T) {
	for _, which := range []*int{&mostLogs, &mostNames} {
		h := newHost(t, "a*.log", "b/*.log")
		h.must(os.Mkdir(h.path("b"), 0o755))
		h.write("a.log", 2)
		h.write("b/b.log", 2)
		h.pass()
		for i := range 20 {
			h.append(fmt.Sprintf("a%d.log", i), "")
		}
		h.write("b/b.log", 1)
		was := *which
		*which = 10
		got := h.pass()
		*which = was
		if len(got) != 1 || h.failed == nil || !strings.Contains(h.failed.Error(), "none is read") {
			t.Errorf("%q are read, error %v", got, h.failed)
		}
		h.write("a.log", 1)
		h.pass()
		h.check()
		if h.failed != nil {
			t.Error(h.failed)
		}
	}
}
