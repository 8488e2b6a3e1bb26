package logfile

import "testing"

// What a rule sees of a line: all but the time at its beginning.
func TestCut(t *testing.T) {
	for line, want := range map[string]string{
		"2026-11-22T08:14:01.123456+01:00 INFO x":                       "INFO x",
		"2026-11-22 08:14:01,123 x":                                     "x",
		"2026-11-22  8:14:01 30 [Warning] Access denied":                "30 [Warning] Access denied",
		"[2026-11-22 08:14:01.123 +01:00] [INF] [12] x":                 "[INF] [12] x",
		"[2026-11-22 08:14:01.123][vaultwarden::api][ERROR] x":          "[vaultwarden::api][ERROR] x",
		"2026/11/22 08:14:01 [error] 7#7: x":                            "[error] 7#7: x",
		"Sun Nov 22 08:14:01 2026 [pid 2] x":                            "[pid 2] x",
		"[Sun Nov 22 08:14:01.123456 2026] [auth_basic:error] x":        "[auth_basic:error] x",
		"22-Nov-2026 08:14:01.123 client @0x7f 203.0.113.1#5":           "client @0x7f 203.0.113.1#5",
		"[20261122-08:14:01] [INFO ] x":                                 "[INFO ] x",
		"1795335241.123    12 203.0.113.1 TCP_DENIED/407":               "12 203.0.113.1 TCP_DENIED/407",
		"t=2026-11-22T08:14:01+0100 level=info msg=x":                   "level=info msg=x",
		"Nov 22 08:14:01 no syslog prefix":                              "no syslog prefix",
		`{"time":"2026-11-22T08:14:01Z","a":1}`:                         `{"time":"2026-11-22T08:14:01Z","a":1}`,
		`203.0.113.1 - - [22/Nov/2026:08:14:01 +0100] "GET / HTTP/1.1"`: `203.0.113.1 - - [22/Nov/2026:08:14:01 +0100] "GET / HTTP/1.1"`,
		`logger=context t=2026-11-22T08:14:01Z level=info msg="x"`:      `logger=context t=2026-11-22T08:14:01Z level=info msg="x"`,
		"no time at all":    "no time at all",
		"12345 no time":     "12345 no time",
		"Nov 32 08:14:01 x": "Nov 32 08:14:01 x",
	} {
		c := Clock{Now: 1795400000e6}
		for range 2 { // the second time the same bytes are not read again
			_, timed := c.Read([]byte(line))
			if got := string(cut([]byte(line), c.head)); got != want {
				t.Errorf("%q (timed: %v): %q, want %q", line, timed, got, want)
			}
		}
		if got := string(CutTime([]byte(line))); got != want {
			t.Errorf("CutTime %q: %q, want %q", line, got, want)
		}
	}
}
