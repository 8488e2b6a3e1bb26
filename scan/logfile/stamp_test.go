package logfile

import (
	"strings"
	"testing"
	"time"
)

func utc(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMicro()
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return z
}

func TestLayouts(t *testing.T) {
	const at = "2026-11-22T08:14:01Z"
	for _, line := range []struct{ text, want string }{
		// RFC 3339, ISO 8601
		{"2026-11-22T08:14:01Z host sshd[1]: x", at},
		{"2026-11-22T08:14:01.123456+01:00 host x", "2026-11-22T07:14:01.123456Z"},
		{"2026-11-22T08:14:01.123456789-0530 host x", "2026-11-22T13:44:01.123456Z"},
		{"2026-11-22 08:14:01,5 host proftpd[1]", "2026-11-22T08:14:01.5Z"},
		{"2026-11-22 08:14:01", at},
		{"2026-11-22  8:14:01 0 [Warning]", at},
		{"[2026-11-22 08:14:01.250 +01:00] [WRN] jellyfin", "2026-11-22T07:14:01.25Z"},
		{"[2026-11-22 08:14:01.250][vaultwarden][ERROR]", "2026-11-22T08:14:01.25Z"},
		{"2026-11-22 08:14:01.250 UTC [123] LOG: postgres", "2026-11-22T08:14:01.25Z"},
		{"2026-11-22 08:14:01 -1 is no zone", at},
		{"<38>1 2026-11-22T08:14:01Z host sshd 1 - - x", at},
		{`time="2026-11-22T08:14:01Z" level=error`, at},
		{"t=2026-11-22T08:14:01+0000 lvl=eror", at},
		// nginx's error log
		{"2026/11/22 08:14:01 [error] 1#1: *1 user", at},
		// RFC 3164
		{"Nov 22 08:14:01 host sshd[1]: x", at},
		{"<38>Nov  2 08:14:01 host sshd[1]: x", "2026-11-02T08:14:01Z"},
		{"Nov 22 2025 08:14:01 host x", "2025-11-22T08:14:01Z"},
		{"[Nov 22 08:14:01] NOTICE[1] asterisk", at},
		// ctime
		{"Sun Nov 22 08:14:01 2026 [pid 2] [root] FAIL LOGIN: Client", at},
		{"[Sun Nov 22 08:14:01.123456 2026] [auth_basic:error]", "2026-11-22T08:14:01.123456Z"},
		{"Sun Nov  1 08:14:01 2026 x", "2026-11-01T08:14:01Z"},
		{"Sun Nov 22 08:14:01 UTC 2026 x", at},
		// the day first
		{"22-Nov-2026 08:14:01.500 client @0x7f 192.0.2.1#53", "2026-11-22T08:14:01.5Z"},
		{"[22-Nov-2026 09:14:01 +0100]: <id> IMAP Error", at},
		{"[22-Nov-2026 08:14:01 UTC] PHP Warning", at},
		{"[20261122-08:14:01] [INFO ] xrdp", at},
		// seconds and fractions of them
		{"1795335241.500     45 192.0.2.1 TCP_DENIED/407", "2026-11-22T08:14:01.5Z"},
		{"1795335241 x", at},
		{"1795335241500 x", "2026-11-22T08:14:01.5Z"},
		{"1795335241500000 x", "2026-11-22T08:14:01.5Z"},
		{"[1795335241] SERVICE ALERT", at},
		// CLF, and what stands before and behind it
		{`192.0.2.1 - - [22/Nov/2026:09:14:01 +0100] "GET / HTTP/1.1" 401 1`, at},
		{`example.com:443 2001:db8::1 - alice [22/Nov/2026:08:14:01 +0000] "GET /[10/Oct/2000:13:55:36 -0700] HTTP/1.1"`, at},
		{`192.0.2.1 - [10/Oct/2000:13:55:36 -0700] [22/Nov/2026:08:14:01 +0000] "GET /" 401`, at},
		{`192.0.2.1 - a[10/Oct/2000:13:55:36 -0700] \"x [22/Nov/2026:08:14:01 +0000] "GET /" 401`, at},
		{`192.0.2.1 - a[10/Oct/2000:13:55:36 -0700] \x22x [22/Nov/2026:08:14:01 +0000] "GET /" 401`, at},
		{`192.0.2.1 [22/Nov/2026:08:14:01 +0000] 401`, at},
		// JSON
		{`{"time":"2026-11-22T08:14:01Z","log":"x"}`, at},
		{`{"level":"info","ts":1795335241.5,"request":{"time":"2000-01-01T00:00:00Z"}}`, "2026-11-22T08:14:01.5Z"},
		{`{"request":{"ts":1},"msg":"\"ts\":2","@timestamp":"2026-11-22T08:14:01.000Z"}`, at},
		{`{"t":{"$date":"2026-11-22T09:14:01.000+01:00"},"s":"I"}`, at},
		{`{"StartLocal":"x", "StartUTC": "2026-11-22T08:14:01Z"}`, at},
		{`{"remote_addr":"203.0.113.1","time_iso8601":"2026-11-22T08:14:01+00:00"}`, at},
		{`{"time_local":"22/Nov/2026:08:14:01 +0000","remote_addr":"203.0.113.1"}`, at},
		{`{"timestamp": "22/Nov/2026:08:14:01 +0000"}`, at},
		{`{"time":1795335241500}`, "2026-11-22T08:14:01.5Z"},
		// none
		{"", ""}, {"Failed password", ""}, {"2026-13-22 08:14:01 x", ""}, {"2026-02-29 08:14:01 x", ""}, {"Feb 30 08:14:01 x", ""},
		{"Nov 22 25:14:01 x", ""}, {"99999 x", ""}, {"17953352411 x", ""}, {`{"time":"yesterday"}`, ""}, {`{"msg":{"time":"2026-11-22T08:14:01Z"}}`, ""},
		{`{"time`, ""}, {"2026-11-22T08:14", ""}, {"Nov", ""}, {"[", ""}, {"<38>", ""},
	} {
		c := &Clock{Zone: time.UTC, Now: utc(t, "2026-11-22T08:20:00Z")}
		for _, again := range []bool{false, true} { // the second time by the layout that fitted
			got, ok := c.Read([]byte(line.text))
			if ok != (line.want != "") || ok && got != utc(t, line.want) {
				t.Errorf("%q (again %v): %v %v, want %s", line.text, again, time.UnixMicro(got).UTC().Format(time.RFC3339Nano), ok, line.want)
			}
		}
	}
}

func TestLayoutChanges(t *testing.T) {
	c := &Clock{Zone: time.UTC, Now: utc(t, "2026-11-22T08:20:00Z")}
	for _, line := range []string{"Nov 22 08:14:01 host a: x", "Nov 22 08:14:01 host b: y", "2026-11-22T08:14:01+00:00 host a: x", "1795335241 x", "Nov 22 08:14:01 host a: x"} {
		if got, ok := c.Read([]byte(line)); !ok || got != T0*1e6 {
			t.Errorf("%q: %d %v", line, got, ok)
		}
	}
}

func TestYears(t *testing.T) {
	for _, row := range []struct{ now, text, want string }{
		{"2026-11-22T08:20:00Z", "Nov 22 08:14:01", "2026-11-22T08:14:01Z"},
		{"2026-11-22T08:14:00Z", "Nov 22 08:14:30", "2026-11-22T08:14:30Z"},
		{"2027-01-01T00:00:05Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z"},
		{"2026-12-31T23:59:58Z", "Jan  1 00:00:01", "2027-01-01T00:00:01Z"}, // a clock two seconds fast
		{"2026-11-22T08:20:00Z", "Nov 23 08:14:01", "2025-11-23T08:14:01Z"},
		{"2026-11-22T08:20:00Z", "Nov 22 12:14:01", "2026-11-22T12:14:01Z"}, // a wrong zone, to be told
		{"2027-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"},
		{"2028-02-29T13:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"},
		{"2028-02-28T13:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"},
		{"2101-03-01T00:00:00Z", "Feb 29 12:00:00", "2096-02-29T12:00:00Z"},
	} {
		c := &Clock{Zone: time.UTC, Now: utc(t, row.now)}
		if got, ok := c.Read([]byte(row.text + " host a: x")); !ok || got != utc(t, row.want) {
			t.Errorf("at %s %s is %s, want %s", row.now, row.text, time.UnixMicro(got).UTC().Format(time.RFC3339), row.want)
		}
	}
}

func TestZones(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	lordHowe := zone(t, "Australia/Lord_Howe") // its clocks go by half an hour
	for _, row := range []struct {
		name  string
		zone  *time.Location
		lines []string
		want  []string
	}{
		{"summer and winter", berlin, []string{"2026-07-01 12:00:00", "2026-12-01 12:00:00"}, []string{"2026-07-01T10:00:00Z", "2026-12-01T11:00:00Z"}},
		{"an hour twice", berlin,
			[]string{"2026-10-25 01:59:59", "2026-10-25 02:00:01", "2026-10-25 02:59:58", "2026-10-25 02:59:57", "2026-10-25 02:00:02", "2026-10-25 02:30:00", "2026-10-25 03:00:00"},
			[]string{"2026-10-24T23:59:59Z", "2026-10-25T00:00:01Z", "2026-10-25T00:59:58Z", "2026-10-25T00:59:57Z", "2026-10-25T01:00:02Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"}},
		{"the first of two, where nothing tells", berlin, []string{"2026-10-25 02:30:00"}, []string{"2026-10-25T00:30:00Z"}},
		{"an hour that is not", berlin, []string{"2026-03-29 01:59:59", "2026-03-29 02:30:00", "2026-03-29 03:00:00"}, []string{"2026-03-29T00:59:59Z", "2026-03-29T01:30:00Z", "2026-03-29T01:00:00Z"}},
		{"half an hour twice", lordHowe, []string{"2026-04-05 01:15:00", "2026-04-05 01:45:00", "2026-04-05 01:31:00", "2026-04-05 02:00:00"},
			[]string{"2026-04-04T14:15:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:01:00Z", "2026-04-04T15:30:00Z"}},
		{"without a year", berlin, []string{"Jul  1 12:00:00", "Nov  1 12:00:00"}, []string{"2026-07-01T10:00:00Z", "2026-11-01T11:00:00Z"}},
		{"a zone in the line counts", berlin, []string{"2026-07-01T12:00:00Z"}, []string{"2026-07-01T12:00:00Z"}},
	} {
		c := &Clock{Zone: row.zone, Now: utc(t, "2026-12-22T08:20:00Z")}
		for i, line := range row.lines {
			if got, ok := c.Read([]byte(line + " x")); !ok || got != utc(t, row.want[i]) {
				t.Errorf("%s: %s is %s, want %s", row.name, line, time.UnixMicro(got).UTC().Format(time.RFC3339), row.want[i])
			}
		}
	}
}

// What is read agrees with package time, whatever was read before.
func TestAgreesWithTime(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"} {
		z := zone(t, name)
		c := &Clock{Zone: z, Now: utc(t, "2027-01-01T00:00:00Z")}
		for at := utc(t, "2026-01-01T00:00:00Z") / 1e6; at < c.Now/1e6; at += 601 {
			local := time.Unix(at, 0).In(z)
			got, ok := c.Read([]byte(local.Format("2006-01-02 15:04:05") + " x"))
			if !ok || got != at*1e6 {
				t.Fatalf("%s: %s is read as %s", name, local, time.UnixMicro(got).In(z))
			}
			if c.Now/1e6-at > 363*86400 {
				continue // it could be of next year
			}
			if got, ok := c.Read([]byte(local.Format(time.Stamp) + " x")); !ok || got != at*1e6 {
				t.Fatalf("%s: %s without its year is read as %s", name, local, time.UnixMicro(got).In(z))
			}
		}
	}
}

func FuzzClock(f *testing.F) {
	for _, line := range []string{
		"2026-11-22T08:14:01.123456+01:00 x", "Nov 22 08:14:01 h", "Sun Nov 22 08:14:01.1 2026 x", "[22/Nov/2026:08:14:01 +0100] \"", "1795335241.5 ",
		`{"time":"2026-11-22T08:14:01Z"}`, `{"ts":1795335241.5}`, "<38>1 2026-11-22 08:14:01,5", "20261122-08:14:01 ", "t=", `{"a":[{"b":"\"}"}],"t":{"$date":"x"}}`,
	} {
		f.Add([]byte(line), []byte(line))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.UTC
	}
	f.Fuzz(func(t *testing.T, first, line []byte) {
		const now = T0 * 1e6
		known := &Clock{Zone: berlin, Now: now}
		known.Read(first)
		got, ok := known.Read(line)
		if ok && (got < -3e17 || got > 3e17) {
			t.Fatalf("%q is %d", line, got)
		}
		if fresh, again := (&Clock{Zone: berlin, Now: now}).Read(line); again != ok && known.layout == 0 {
			t.Fatalf("%q: %d %v, without %q %d %v", line, got, ok, first, fresh, again)
		}
	})
}

func BenchmarkClock(b *testing.B) {
	for name, line := range map[string]string{
		"syslog": "Nov 22 08:14:%02d host sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2",
		"clf":    `192.0.2.1 - - [22/Nov/2026:09:14:%02d +0100] "GET / HTTP/1.1" 401 1`,
		"json":   `{"level":"info","ts":17953352%02d.5,"logger":"http"}`,
	} {
		b.Run(name, func(b *testing.B) {
			var lines [60][]byte
			for i := range lines {
				lines[i] = []byte(strings.Replace(line, "%02d", string([]byte{byte('0' + i/10), byte('0' + i%10)}), 1))
			}
			c := &Clock{Now: T0 * 1e6}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := c.Read(lines[i%60]); !ok {
					b.Fatal(string(lines[i%60]))
				}
			}
		})
	}
}
