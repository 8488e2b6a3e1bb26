package check

import "testing"

// A flood that does not fit is told with what would.
func TestMemory(t *testing.T) {
	c := healthy()
	has(t, "much", look(memory, c), "ok memory: 1024 MB are free\n")
	c.world.memory = func() (int64, bool) { return 32 << 20, true }
	has(t, "little", look(memory, c), `warning memory: 32 MB are free, and a flood of addresses may take 52: jail "sshd" tracks up to 100000 (max_tracked) -> max_tracked = 57000 under [defaults], and where a jail has its own`)
	c.Rules["sshd"].MaxTracked = 57000
	has(t, "the remedy", look(memory, c), "ok memory")
	c.world.memory = func() (int64, bool) { return 0, false }
	has(t, "not known", look(memory, c))
}
