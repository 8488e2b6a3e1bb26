package host

import (
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	spareLeast = 8 << 20 // below it collecting more often frees nothing
	spareShare = 0.75    // of what is free; the rest is for the journal's pages, sockets and a child
)

// Spare makes this process collect its garbage in time where memory is short: on
// a small host, and in a control group with a limit, where the kernel would end it.
// Else a Go program grows to twice what it needs. $GOMEMLIMIT goes first.
func Spare() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if free, ok := Free(); ok {
		debug.SetMemoryLimit(max(spareLeast, int64(spareShare*float64(free))))
	}
}

// Free is how many bytes this process may still take before the kernel ends some process
// for it; known is false where nothing tells.
func Free() (free int64, known bool) { return Tree("").memory() }

// memory is how many bytes this process may still take before the kernel ends some
// process for it: what is available on the host, or less where its control group, or one
// above it, has a limit.
func (t Tree) memory() (free int64, known bool) {
	free = t.available()
	for line := range strings.Lines(t.Text("/proc/self/cgroup")) { // cgroups(7)
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "":
			free = min(free, t.within("/sys/fs/cgroup", group, "memory.max", "anon"), t.within("/sys/fs/cgroup", group, "memory.high", "anon"))
		case controllers == "memory":
			free = min(free, t.within("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "total_rss"))
		}
	}
	return free, free != math.MaxInt64
}

// sysinfo is unix.Sysinfo. A test has another.
var sysinfo = unix.Sysinfo

// available is what the host can give (MemAvailable, proc_meminfo(5)). The unit hides meminfo:
// there it is what is free and half of what files take, of which some is in use.
func (t Tree) available() int64 {
	if kb, ok := valueOf(t.Text("/proc/meminfo"), "MemAvailable:"); ok {
		return kb << 10
	}
	var info unix.Sysinfo_t
	if sysinfo(&info) != nil {
		return math.MaxInt64
	}
	files, _ := valueOf(t.Text("/sys/fs/cgroup/memory.stat"), "file")
	cached, _ := valueOf(t.Text("/sys/fs/cgroup/memory/memory.stat"), "total_cache")
	return int64((uint64(info.Freeram)+uint64(info.Bufferram))*uint64(info.Unit)) + max(files, cached)/2
}

// within is what the limits of a group and of those above it leave, a file's pages not counted
// as taken: the kernel drops them first. Groups that are not seen from here, as in a
// container, are passed over.
func (t Tree) within(mount, group, limit, taken string) int64 {
	free := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		dir := path.Join(mount, group)
		// "max" is no number; without a limit v1 says one above any memory.
		if most, err := strconv.ParseInt(strings.TrimSpace(t.Text(path.Join(dir, limit))), 10, 64); err == nil && most < 1<<60 {
			used, _ := valueOf(t.Text(path.Join(dir, "memory.stat")), taken)
			free = min(free, max(0, most-used))
		}
		if group == "/" {
			return free
		}
	}
}

// valueOf is the number after a name at the beginning of a line.
func valueOf(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.ParseInt(string(f[1]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
