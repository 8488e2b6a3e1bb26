package filter

import (
	"strings"
	"testing"
	"time"
)

// TestNoTimeForDates: once a filter's time is spent, a line is not judged at the time of
// another one; it is refused, and that is told.
func TestNoTimeForDates(t *testing.T) {
	f, err := Parse("x", "x.toml", "description = \"x\"\nports = [\"ssh\"]\n[file]\npaths = [\"/var/log/x\"]\n[script]\n[[script.failure]]\nname = \"a\"\npattern = 'login failed from (?P<ip4>\\d+\\.\\d+\\.\\d+\\.\\d+)$'\n")
	if err != nil {
		t.Fatal(err)
	}
	m := f.Compile(Aggressive)
	m.Recall(nil)
	judged := func(line string) (int64, bool, Verdict) {
		at := func(d Date) (int64, bool) {
			return time.Date(2026, time.Month(d.Month), d.Day, d.Hour, d.Minute, d.Second, 0, time.UTC).UnixMicro(), true
		}
		when, ok := m.Date([]byte(line), "log", 1<<62, at)
		return when, ok, m.MatchLine([]byte(line), "log", time.UnixMicro(when))
	}
	if _, ok, v := judged("2026-11-01 10:00:00 login failed from 192.0.2.1"); !ok || v.Kind != Failure {
		t.Fatalf("%v %+v", ok, v)
	}
	m.memory.slow.spent = SlowLimit
	if when, ok, v := judged("2026-11-02 10:00:00 login failed from 192.0.2.1"); ok || v.Kind != Refused || v.Reason != reasonSlow {
		t.Errorf("at %d, %v, %+v", when, ok, v)
	}
	if told := m.Slow(); len(told) != 1 || !strings.HasPrefix(told[0], "1 ") {
		t.Errorf("told %q", told)
	}
}

// TestAdversariesAreShort: nested repetitions do not multiply.
func TestAdversariesAreShort(t *testing.T) {
	const depth = 5
	lines := adversaries("^" + strings.Repeat("(?:", depth) + "x{50}" + strings.Repeat("){50}", depth) + "y*$")
	if len(lines) == 0 {
		t.Error("no line")
	}
	for _, line := range lines {
		if len(line) > 4*maxMessage {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
}
