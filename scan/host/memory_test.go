package host

import (
	"math"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMemory(t *testing.T) {
	defer func() { sysinfo = unix.Sysinfo }()
	sysinfo = func(*unix.Sysinfo_t) error { return unix.ENOSYS }
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
		if got, known := plant(t, row.files).memory(); got != row.want || known != (got != math.MaxInt64) {
			t.Errorf("%s: %d, %v, want %d", name, got, known, row.want)
		}
	}

	// In the unit meminfo is hidden.
	sysinfo = func(info *unix.Sysinfo_t) error {
		*info = unix.Sysinfo_t{Totalram: 64000, Freeram: 9000, Bufferram: 1000, Unit: 1024}
		return nil
	}
	for want, files := range map[int64]map[string]string{
		10000 << 10: nil,
		15000 << 10: {"/sys/fs/cgroup/memory.stat": "anon 7\nfile 10240000\n"},
		20000 << 10: {"/sys/fs/cgroup/memory/memory.stat": "cache 7\ntotal_cache 20480000\n"},
		8 << 20:     {"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "8388608\n"},
		40000 << 10: {"/proc/meminfo": meminfo},
	} {
		if got, known := plant(t, files).memory(); got != want || !known {
			t.Errorf("%v: %d, %v, want %d", files, got, known, want)
		}
	}
	sysinfo = func(*unix.Sysinfo_t) error { return unix.ENOSYS }

	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	for limit, set := range map[string]bool{"": true, "1GiB": false} {
		t.Setenv("GOMEMLIMIT", limit)
		debug.SetMemoryLimit(was)
		Spare()
		if got := debug.SetMemoryLimit(-1); (got != was) != set {
			t.Errorf("with GOMEMLIMIT=%q the limit went from %d to %d", limit, was, got)
		}
	}
}
