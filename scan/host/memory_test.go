package host

import (
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	none, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	defer in.Close()
	const meminfo = "MemTotal:       64000 kB\nMemFree:         9000 kB\nMemAvailable:   40000 kB\n"
	for name, row := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known":       {nil, math.MaxInt64},
		"the host":               {map[string]string{"/proc/meminfo": meminfo}, 40000 << 10},
		"an old kernel's":        {map[string]string{"/proc/meminfo": "MemTotal: 64000 kB\n"}, math.MaxInt64},
		"a group without limits": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n"}, 40000 << 10},
		"a group": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/a\n",
			"/sys/fs/cgroup/a/memory.max": "33554432\n", "/sys/fs/cgroup/a/memory.stat": "anon 1048576\nfile 30000000\n"}, 31 << 20},
		"a group above": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "0::/a/b:c/d\n",
			"/sys/fs/cgroup/a/b:c/d/memory.max": "33554432\n", "/sys/fs/cgroup/a/memory.max": "9000000\n", "/sys/fs/cgroup/a/memory.stat": "anon 1000000\n"}, 8000000},
		"a group that is not seen": {map[string]string{"/proc/self/cgroup": "0::/../x\n", "/sys/fs/cgroup/memory.max": "16777216\n"}, 16 << 20},
		"more taken than allowed": {map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "1000\n",
			"/sys/fs/cgroup/memory.stat": "anon 2000\n"}, 0},
		"version 1": {map[string]string{"/proc/meminfo": meminfo, "/proc/self/cgroup": "9:cpu,cpuacct:/\n4:memory:/a\n0::/\n",
			"/sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
			"/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "33554432\n", "/sys/fs/cgroup/memory/a/memory.stat": "rss 5\ntotal_rss 4194304\n"}, 28 << 20},
	} {
		if got, known := plant(t, row.files).memory(none); got != row.want || known != (got != math.MaxInt64) {
			t.Errorf("%s: %d, %v, want %d", name, got, known, row.want)
		}
	}

	// In the unit meminfo is the standard input, and is left as it is.
	for want, files := range map[int64]map[string]string{
		40000 << 10: {"/input": meminfo},
		32 << 20:    {"/input": meminfo, "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "33554432\n"},
		50000 << 10: {"/input": meminfo, "/proc/meminfo": "MemAvailable: 50000 kB\n"},
	} {
		tree := plant(t, files)
		input, err := os.Open(tree.Path("/input"))
		if err != nil {
			t.Fatal(err)
		}
		if got, known := tree.memory(input); got != want || !known {
			t.Errorf("%v: %d, %v, want %d", files, got, known, want)
		}
		if left, _ := io.ReadAll(input); string(left) != meminfo {
			t.Errorf("of the standard input %q is left", left)
		}
		input.Close()
	}

	// What the process has already is its own.
	for want, files := range map[int64]map[string]string{
		36000 << 10: {"/proc/meminfo": meminfo, "/proc/self/status": "Name:\tscan2ban\nRssAnon:\t    8000 kB\n"},
		30000 << 10: {"/proc/meminfo": meminfo, "/proc/self/status": "Name:\tscan2ban\n"},
		18 << 20: {"/proc/meminfo": meminfo, "/proc/self/status": "RssAnon:\t    8192 kB\n", "/proc/self/cgroup": "0::/a\n",
			"/sys/fs/cgroup/a/memory.max": "25165824\n", "/sys/fs/cgroup/a/memory.stat": "anon 8388608\n"},
		spareLeast: {"/proc/meminfo": "MemAvailable: 4000 kB\n"},
	} {
		if got, known := plant(t, files).spare(none); got != want || !known {
			t.Errorf("%v: %d, %v, want %d", files, got, known, want)
		}
	}
	if most, known := plant(t, nil).spare(none); known {
		t.Errorf("where nothing tells the limit is %d", most)
	}

	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	for limit, set := range map[string]bool{"": true, "1GiB": false} {
		t.Setenv("GOMEMLIMIT", limit)
		debug.SetMemoryLimit(was)
		Spare()
		if got := debug.SetMemoryLimit(-1); got != was {
			t.Errorf("with GOMEMLIMIT=%q the limit is %d before there was garbage", limit, got)
		}
		patience := 20 * time.Millisecond // to see that it stays
		if set {
			patience = 10 * time.Second
		}
		got := was
		for until := time.Now().Add(patience); got == was && time.Now().Before(until); got = debug.SetMemoryLimit(-1) {
			runtime.GC()
		}
		if (got != was) != set {
			t.Errorf("with GOMEMLIMIT=%q the limit went from %d to %d", limit, was, got)
		}
	}
}
