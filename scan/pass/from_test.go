package pass

import (
	"cmp"
	"context"
	"strings"
	"testing"
	"time"

	"scan2ban/ban/nftables"
)

// TestFromWide: a list that would ban a great part of all addresses bans nobody, and says
// where that stands and what to do.
func TestFromWide(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // of the error; empty: it is taken
	}{
		"IPv4":         {"# mine\n203.0.113.7\n64.0.0.0/2\n128.0.0.0/1\n", "standard input: line 3: 64.0.0.0/2 holds a great part of all addresses (--force bans it all the same)\nline 4: 128.0.0.0/1"},
		"IPv6":         {"2000::/7\n", "line 1: 2000::/7 holds"},
		"csv":          {"key,until\n203.0.113.7,permanent\n0.0.0.0/2,2026-12-01T00:00:00Z\n", "line 3: 0.0.0.0/2 holds"},
		"csv, saved":   {"key,until\r\n\r\n\"64.0.0.0/3\",\"permanent\"\r\n", ""},
		"csv, cut":     {"key,jail,until\n203.0.113.7,sshd\n", "line 2: no column \"until\""},
		"csv, no end":  {"key,users\n203.0.113.7,root\n", "line 1: no column \"until\""},
		"json":         {`[{"Key": "203.0.113.7"}, {"Key": "::/0", "Until": null}]`, "ban 2: ::/0 holds"},
		"together":     {"64.0.0.0/3\n96.0.0.0/3\n128.0.0.0/3\n160.0.0.0/3\n", "standard input: holds more than half of all addresses (--force"},
		"overlapping":  {"64.0.0.0/3\n64.0.0.0/3\n64.0.0.0/4\n64.0.0.0/3\n96.0.0.0/3\n", ""},
		"an observed":  {`[{"Key": "64.0.0.0/2", "Observed": true}]`, ""},
		"wide enough":  {"64.0.0.0/3\n2000::/8\n203.0.113.7\n", ""},
		"no CIDR, too": {"64.0.0.0/2\nx\n", "line 2: \"x\" is not an address"},
	} {
		by := ByHand{From: "-"}
		err := by.Take(nil, strings.NewReader(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || by.List != nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		by.Force = true
		if err := by.Take(nil, strings.NewReader(c.text)); err != nil && !strings.Contains(c.text, "x") && !strings.Contains(c.want, "no column") {
			t.Errorf("%s, by force: %v", name, err)
		}
	}
}

// TestFromEnds: whatever end another host names, the kernel holds the ban until then.
func TestFromEnds(t *testing.T) {
	now := time.Unix(begin, 0)
	for end, want := range map[string]time.Duration{
		"permanent":              0, // for ever
		"9999-12-31T23:59:59Z":   0,
		"2400-01-01T00:00:00Z":   0,
		"2100-01-01T00:00:00Z":   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Sub(now),
		now.Format(time.RFC3339): -1, // over
		"1970-01-01T00:00:00Z":   -1,
		"1969-07-20T20:17:40Z":   -1,
		"0001-01-01T00:00:00Z":   -1,
	} {
		t.Run(end, func(t *testing.T) {
			h := newHost(t)
			by := ByHand{From: "-"}
			if err := by.Take(nil, strings.NewReader("key,until\n203.0.113.7,"+end+"\n")); err != nil {
				t.Fatal(err)
			}
			s := h.setup
			s.Now = now
			p, err := Begin(s)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.Read(context.Background())
			if err := p.Ban(by); err != nil {
				t.Fatal(err)
			}
			p.Commit(context.Background())
			kernel, err := nftables.Dump(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			got := time.Duration(-1)
			for _, e := range kernel.Elements {
				got = e.Left
			}
			if cmp.Compare(got, 0) != cmp.Compare(want, 0) || (got-want).Abs() > time.Hour {
				t.Errorf("the kernel holds it for %v, want %v", got, want)
			}
		})
	}
}
